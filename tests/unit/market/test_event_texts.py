"""What is written of a batch, and how: the bytes themselves are compared in ``test_encode``."""

from datetime import date

import numpy as np
import pytest

import spyctl.market.event_texts as module
from spyctl.market.columns import MBP10_DTYPE, TRADE_DTYPE, UNDEF_PRICE, Names, Rows
from spyctl.market.event_texts import book_texts, trade_texts
from spyctl.market.events import EventSource
from spyctl.timing.instants import day_start

T0 = day_start(date(2025, 12, 16))
TICK = 250_000_000


def names(*symbols: str) -> Names:
    table = Names()
    for symbol in symbols:
        table.number(symbol)
    return table


def books(count: int) -> Rows:
    """Books of which each has another size at one of its levels than the one before."""
    rows = np.zeros(count, MBP10_DTYPE)
    rows["ts_event_ns"] = rows["ts_recv_ns"] = T0
    rows["levels"]["bid_px"], rows["levels"]["ask_px"] = 6_800 * 4 * TICK, 6_801 * 4 * TICK
    for i in range(count):
        rows["levels"]["bid_sz"][i:, i % 10] = i
    return rows


class Written:
    """Counts the levels and trades that are written, by their template."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.narrow = self.wide = self.single = 0
        for name in ("_written_levels", "_trades"):
            patch.setattr(module, name, self._counting(getattr(module, name)))
        single = module._single_levels
        patch.setattr(module, "_single_levels", lambda rows: self._note(single, rows))

    def _counting(self, write):  # type: ignore[no-untyped-def]
        def counted(rows: Rows, *arguments: object, wide: bool) -> object:
            self.wide += len(rows) * wide
            self.narrow += len(rows) * (not wide)
            return write(rows, *arguments, wide=wide)

        return counted

    def _note(self, write, rows: Rows) -> list[bytes]:  # type: ignore[no-untyped-def]
        self.single += len(rows)
        return list(write(rows))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    return Written(monkeypatch)


def test_only_levels_that_changed_are_written(written: Written) -> None:
    book_texts(books(1_000), names("ES"), EventSource.DIRECT_FEED)
    assert (written.narrow, written.wide, written.single) == (10 + 999, 0, 0)


def test_books_of_several_symbols_are_compared_with_their_own(written: Written) -> None:
    rows = books(1_000)
    rows["symbol"] = np.arange(1_000) % 2
    rows["levels"]["bid_px"][1::2] -= TICK
    rows["levels"]["bid_sz"] = 1
    book_texts(rows, names("ES", "NQ"), EventSource.DIRECT_FEED)
    assert written.narrow == 2 * 10


@pytest.mark.parametrize("column", ["bid_px", "ask_px", "bid_sz", "ask_sz"])
def test_what_does_not_fit_is_written_apart(written: Written, column: str) -> None:
    rows = books(1_000)
    rows["levels"][column][500, 3] = 10_001 if column.endswith("sz") else 109_015_625_000
    book_texts(rows, names("ES"), EventSource.DIRECT_FEED)
    assert (written.wide, written.single) == (0, 1)  # a single one
    assert written.narrow <= 10 + 999 + 1


def test_what_often_does_not_fit_is_written_with_the_wide_template(written: Written) -> None:
    rows = books(1_000)
    rows["levels"]["ask_sz"][::10, 4] = 10_001
    book_texts(rows, names("ES"), EventSource.DIRECT_FEED)
    assert (written.wide, written.single) == (100, 0)


def test_what_no_template_holds_is_written_one_by_one(written: Written) -> None:
    rows = books(10)
    rows["levels"]["bid_px"][4, 7] = 5
    rows["levels"]["ask_px"][6, 7] = UNDEF_PRICE
    book_texts(rows, names("ES"), EventSource.DIRECT_FEED)
    assert (written.wide, written.single) == (0, 1)


def test_trades_that_do_not_fit_are_written_apart(written: Written) -> None:
    rows = np.zeros(1_000, TRADE_DTYPE)
    rows["ts_event_ns"] = rows["ts_recv_ns"] = T0
    rows["price"], rows["size"] = TICK, 1
    rows["size"][10], rows["price"][20], rows["price"][30] = 10_000, -TICK, 7
    trade_texts(rows, names("ES"), EventSource.DIRECT_FEED)
    assert (written.narrow, written.wide) == (997, 0)
    rows["size"][100:200] = 10_000
    trade_texts(rows, names("ES"), EventSource.DIRECT_FEED)
    assert written.wide == 102
