"""Events → DBN files that hold what the events carry."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.dbn.export import DBNExport, fixed
from spyctl.market.columns import PRICE_SCALE, UNDEF_PRICE
from spyctl.market.events import MBP10, Aggressor, BidAskLevel, EventSource, FuturesTrade
from spyctl.replay.source import DBNIngestor
from tests.support.records import DAY_NS, T0

FEED = EventSource.DIRECT_FEED
TRADES = [
    FuturesTrade(T0 + n, T0 + n + 90, FEED, symbol, price, n + 1, side, seq=n)
    for n, (symbol, price, side) in enumerate(
        [("ES", 6_815.25, Aggressor.BUY), ("ES", -0.05, Aggressor.SELL), ("294973", 1e-9, Aggressor.MID)]
    )
]
LEVELS = tuple(BidAskLevel(6_815.0 - n, n, None if n > 7 else 6_815.25 + n, 0 if n > 7 else n) for n in range(10))
BOOKS = [MBP10(T0 + n, T0 + n + 90, FEED, "ESZ5-ESH6", LEVELS, is_snapshot=n == 1, seq=7 + n) for n in range(2)]


def exported(folder: Path, schema: str, events: list[FuturesTrade] | list[MBP10]) -> Path:
    folder.mkdir(exist_ok=True)
    export = DBNExport(folder, schema)
    for start in range(0, len(events), 2):
        export.add(events[start : start + 2])
    path = export.finish()
    assert path is not None
    return path


def test_a_file_gives_its_events_back(tmp_path: Path) -> None:
    assert exported(tmp_path, "trades", TRADES).name == "glbx-mdp3-20251216.trades.dbn.zst"
    exported(tmp_path, "mbp-10", BOOKS)
    ingestor = DBNIngestor(tmp_path)
    assert list(ingestor.read_trades()) == TRADES
    assert list(ingestor.read_mbp10()) == BOOKS
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".zst", ".zst"]


def test_events_of_several_days_are_one_file(tmp_path: Path) -> None:
    later = [
        replace(event, ts_event_ns=DAY_NS + 86_400_000_000_005, ts_recv_ns=DAY_NS + 86_400_000_000_009)
        for event in TRADES
    ]
    assert exported(tmp_path, "trades", [*TRADES, *later]).name == "glbx-mdp3-20251216-20251217.trades.dbn.zst"
    assert list(DBNIngestor(tmp_path).read_trades()) == [*TRADES, *later]


def test_what_dbn_cannot_hold_is_counted(tmp_path: Path) -> None:
    export = DBNExport(tmp_path, "trades")
    export.add([replace(TRADES[0], exchange="IFEU"), replace(TRADES[0], seq=None)])
    assert (export.unfit, export.records) == (2, 0)
    assert export.finish() is None
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = exported(tmp_path, "trades", TRADES)
    export = DBNExport(tmp_path, "trades")
    export.add(TRADES[:1])
    with pytest.raises(FileExistsError):
        export.finish()
    export.discard()
    assert len(list(DBNIngestor(tmp_path).read_trades())) == 3
    export = DBNExport(tmp_path, "trades", overwrite=True)
    export.add(TRADES[:1])
    assert export.finish() == path
    assert len(list(DBNIngestor(tmp_path).read_trades())) == 1


def test_a_long_symbol_fits(tmp_path: Path) -> None:
    event = replace(TRADES[0], symbol="UD:1V: VT 2828809 long one")
    exported(tmp_path, "trades", [event])
    assert list(DBNIngestor(tmp_path).read_trades()) == [event]


@given(st.integers(-(1 << 63) + 1, UNDEF_PRICE - 1))
def test_a_price_comes_back_as_the_same_double(px: int) -> None:
    price = px / PRICE_SCALE
    assert fixed(price) / PRICE_SCALE == price or abs(px) > 1 << 62
    assert fixed(None) == UNDEF_PRICE
