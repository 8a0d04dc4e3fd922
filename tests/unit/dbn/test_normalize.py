"""The mapping from DBN to canonical columns, against a plain reading of the contract."""

from datetime import date
from typing import Any

import databento_dbn as dbn
import numpy as np
import pytest

from spyctl.dbn.normalize import Normalizer
from spyctl.dbn.records import RECORD_DTYPES
from spyctl.dbn.sort_times import Selection, Sequencer
from spyctl.market.columns import MBP10_DTYPE, TRADE_DTYPE, Batch, Names, events
from spyctl.market.events import Aggressor
from spyctl.market.symbology import Mapping, SymbolMap
from spyctl.timing.instants import MAX_INSTANT, day_number
from tests.support.records import DAY_NS, ES, SECOND, T0, book, level, trade

UNDEF_TS = 2**64 - 1
DAY16 = day_number(date(2025, 12, 16))
SYMBOLS = SymbolMap([Mapping("ES.c.0", ES, DAY16 - 1, DAY16 + 1)])


def array(schema: str, records: list[Any]) -> Any:
    return np.frombuffer(b"".join(map(bytes, records)), RECORD_DTYPES[schema])


def normalized(schema: str, records: list[Any], selection: Selection | None = None) -> tuple[list[Any], Normalizer]:
    names = Names()
    normalizer = Normalizer("GLBX.MDP3", schema, SYMBOLS, names, Sequencer(selection or Selection(), SYMBOLS))
    rows = normalizer.rows(array(schema, records))
    parts = (rows, np.empty(0, MBP10_DTYPE)) if schema == "trades" else (np.empty(0, TRADE_DTYPE), rows)
    return list(events(Batch(parts, np.arange(len(rows)), names))), normalizer


def test_a_trade_keeps_its_times_price_size_and_sequence() -> None:
    (event,), _ = normalized("trades", [trade(T0, T0 + 5, price=6_799_750_000_000, size=2**32 - 1, sequence=42)])

    assert (event.ts_event_ns, event.ts_recv_ns) == (T0, T0 + 5)
    assert (event.source, event.symbol, event.exchange) == ("direct_feed", "ES", "CME")
    assert (event.price, event.size, event.seq) == (6799.75, 2**32 - 1, 42)
    assert event.conditions is None


@pytest.mark.parametrize(
    ("side", "aggressor"),
    [(dbn.Side.BID, Aggressor.BUY), (dbn.Side.ASK, Aggressor.SELL), (dbn.Side.NONE, Aggressor.MID)],
)
def test_the_side_of_a_trade_is_its_aggressor(side: Any, aggressor: Aggressor) -> None:
    (event,), _ = normalized("trades", [trade(side=side)])
    assert event.aggressor is aggressor


@pytest.mark.parametrize("fixed", [0, 1, -1, 5, -250_000_000, 6_815_250_000_000, 2**63 - 2, -(2**63)])
def test_a_price_is_the_double_nearest_to_the_quotient(fixed: int) -> None:
    (event,), _ = normalized("trades", [trade(price=fixed)])
    assert event.price == float(np.float64(fixed) / 1e9)


def test_a_book_keeps_missing_levels_and_sizes_on_each_side() -> None:
    levels = [level(), level(bid=None), level(ask=None), level(bid=None, ask=None), *[level()] * 6]
    (event,), _ = normalized("mbp-10", [book(levels=levels)])

    assert len(event.levels) == 10
    assert (event.levels[0].bid_px, event.levels[0].ask_px) == (6815.0, 6815.25)
    assert (event.levels[0].bid_sz, event.levels[0].ask_sz) == (7, 8)
    assert (event.levels[1].bid_px, event.levels[1].bid_sz) == (None, 0)
    assert (event.levels[2].ask_px, event.levels[2].ask_sz) == (None, 0)
    assert not event.is_snapshot


def test_is_snapshot_is_the_flag() -> None:
    found, _ = normalized("mbp-10", [book(flags=168), book(flags=130), book(flags=32)])
    assert [event.is_snapshot for event in found] == [True, False, True]


def test_an_undefined_ts_recv_is_replaced_by_ts_event() -> None:
    (event,), _ = normalized("mbp-10", [book(T0, UNDEF_TS)])
    assert event.ts_recv_ns == T0


def test_records_that_cannot_be_events_are_rejected_and_counted() -> None:
    records = [trade(), trade(price=dbn.UNDEF_PRICE), trade(UNDEF_TS, T0), trade(price=dbn.UNDEF_PRICE)]
    found, normalizer = normalized("trades", records)

    assert len(found) == 1
    assert normalizer.counts.read == 4
    assert normalizer.counts.rejected == {"no_price": 2, "no_ts_event": 1}


def test_a_book_needs_no_price() -> None:
    found, normalizer = normalized("mbp-10", [book(price=dbn.UNDEF_PRICE, action=dbn.Action.CLEAR, size=0)])
    assert len(found) == 1
    assert normalizer.counts.rejected == {}


def test_a_symbol_is_looked_up_by_the_day_of_ts_recv() -> None:
    midnight = DAY_NS + 86_400 * SECOND
    found, normalizer = normalized("trades", [trade(midnight - 1, midnight - 1), trade(midnight - 1, midnight)])

    assert [event.symbol for event in found] == ["ES", str(ES)]
    assert normalizer.counts.unresolved == {ES: 1}


def test_several_instruments_in_a_chunk() -> None:
    found, normalizer = normalized("trades", [trade(instrument_id=i) for i in (ES, 5, ES, 6, 5)])
    assert [event.symbol for event in found] == ["ES", "5", "ES", "6", "5"]
    assert normalizer.counts.unresolved == {5: 2, 6: 1}


def test_start_and_end_bound_the_sort_time_half_open() -> None:
    selection = Selection(start_ns=T0 + 10, end_ns=T0 + 20)
    found, normalizer = normalized("trades", [trade(T0 + i) for i in range(30)], selection)

    assert [event.ts_event_ns - T0 for event in found] == list(range(10, 20))
    assert normalizer.counts.read == 10


def test_rejects_outside_the_range_are_not_read() -> None:
    selection = Selection(start_ns=T0 + 1)
    _, normalizer = normalized("trades", [trade(T0, T0, price=dbn.UNDEF_PRICE), trade(T0 + 1)], selection)
    assert (normalizer.counts.read, normalizer.counts.rejected) == (1, {})


def test_rejects_that_were_only_read_ahead_are_taken_back() -> None:
    bad = [trade(T0 + i * 10, price=dbn.UNDEF_PRICE) for i in range(3)]
    _, normalizer = normalized("trades", [*bad, trade(T0 + 40)])
    counts = normalizer.counts
    assert (counts.read, counts.rejected) == (4, {"no_price": 3})
    counts.forget_rejects(T0 + 10)
    assert (counts.read, counts.rejected) == (3, {"no_price": 2})
    counts.forget_rejects()
    assert (counts.read, counts.rejected) == (1, {})


def test_days_are_told_apart_by_ts_recv() -> None:
    midnight = DAY_NS + 86_400 * SECOND
    selection = Selection(days=frozenset({DAY16 + 1}), end_ns=MAX_INSTANT)
    found, _ = normalized("trades", [trade(midnight - 2, midnight - 1), trade(midnight - 1, midnight)], selection)
    assert [event.ts_recv_ns for event in found] == [midnight]
