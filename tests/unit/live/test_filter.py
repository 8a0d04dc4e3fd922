"""What the filter passes on: ours, new, and counted, whatever arrives."""

import tracemalloc
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from spyctl.errors import SpyctlError
from spyctl.live.filter import LiveFilter, Memory
from spyctl.live.rejects import MAX_FAILURES, MAX_REASONS
from spyctl.live.strike_manager import StrikeManager
from spyctl.live.strike_window import StrikeWindow
from spyctl.live.windows import Windows
from spyctl.market.events import EventSource, OptionTrade, StockQuote, StockTrade
from spyctl.market.feeds import Arrival, IndexValue, LiveEvent, Reject, WrittenArrival, WrittenEvent
from spyctl.market.sessions import current_expiry
from spyctl.market.subjects import encode
from spyctl.timing.instants import SECOND
from tests.support.clock import WALL_NS
from tests.support.events import futures_trade, option_trade, quote, trade


def make(**options: Any) -> tuple[LiveFilter, list[str]]:
    notes: list[str] = []
    return LiveFilter(Windows([StrikeWindow(StrikeManager(5), WALL_NS)]), notes.append, **options), notes


def arrival(*events: LiveEvent, rejects: tuple[Reject, ...] = (), clock_ns: int = 1) -> Arrival:
    return Arrival("stocks", [(event, f"id {event.seq}") for event in events], rejects, (), clock_ns)


def test_a_new_event_of_ours_is_passed_on_with_its_identity_and_payload() -> None:
    taken, _ = make()
    (pending,) = taken.take(arrival(trade(seq=7), clock_ns=99))
    assert orjson.loads(pending.payload)["seq"] == 7
    assert (pending.identity, pending.subject, pending.feed) == ("id 7", "market.stocks.trades", "stocks")
    assert (pending.received_ns, pending.conflates) == (99, None)


def test_only_quotes_make_older_ones_stale() -> None:
    taken, _ = make()
    (pending,) = taken.take(arrival(quote(seq=1)))
    assert pending.conflates == "SPY"


def test_what_arrives_again_is_a_duplicate_until_it_is_forgotten() -> None:
    taken, _ = make(memory=Memory(trades=2, quotes=1))
    assert len(list(taken.take(arrival(trade(seq=1), trade(seq=1), trade(seq=2))))) == 2
    assert taken.duplicates == 1
    assert len(list(taken.take(arrival(trade(seq=3), trade(seq=1))))) == 2  # the memory holds two


def test_events_of_others_are_rejected_and_contracts_of_the_window_are_not() -> None:
    taken, _ = make()
    expiry, _ = current_expiry(WALL_NS)
    ours = option_trade(expiry=expiry, seq=1)
    theirs = [trade(symbol="QQQ", seq=2), option_trade(expiry=expiry.replace(year=2020), seq=3)]
    assert [pending.identity for pending in taken.take(arrival(ours, *theirs))] == ["id 1"]
    assert taken.rejected == {"unexpected": 2}
    expected = [theirs[1].option_symbol] if isinstance(theirs[1], OptionTrade) else []
    assert len(list(taken.take(arrival(theirs[1]), expected))) == 1  # a backfill asks for what has left the window


def test_every_reason_is_told_once_and_reasons_are_bounded() -> None:
    taken, notes = make()
    for n in range(MAX_REASONS + 20):
        list(taken.take(arrival(rejects=(Reject(f"reason {n}", "sample"), Reject(f"reason {n}", "another")))))
    assert taken.received == 2 * (MAX_REASONS + 20) == sum(taken.rejected.values())
    assert len(taken.rejected) == MAX_REASONS + 1
    assert taken.rejected["other"] == 40
    assert notes[0] == "rejected, reason 0: sample"
    assert len(notes) == MAX_REASONS + 1


def test_the_spot_follows_quotes_and_not_what_a_backfill_brings() -> None:
    taken, _ = make()
    list(taken.take(arrival(trade(price=500.0, source=EventSource.POLYGON_REST, seq=1))))
    assert taken.windows.first.spot.price is None
    list(taken.take(arrival(quote(bid_px=680.0, ask_px=680.02, seq=2))))
    assert taken.windows.first.spot.price == pytest.approx(680.01)


def test_a_defect_costs_one_event_and_many_of_them_end_it() -> None:
    def broken(event: LiveEvent) -> bytes:
        if isinstance(event, StockQuote):
            raise ZeroDivisionError("of all things")
        return encode(event)

    taken, notes = make(write=broken)
    assert len(list(taken.take(arrival(quote(seq=0), trade(seq=1))))) == 1
    assert "ZeroDivisionError: of all things" in notes[0]
    with pytest.raises(SpyctlError, match="100 internal errors within a minute"):
        list(taken.take(arrival(*(quote(seq=n) for n in range(1, MAX_FAILURES)))))
    slow, _ = make(write=broken)
    for n in range(2 * MAX_FAILURES):  # one a second is no flood
        list(slow.take(arrival(quote(seq=n), clock_ns=n * 10**9)))
    assert slow.rejected == {"internal": 2 * MAX_FAILURES}


def test_an_observer_sees_what_is_passed_on_and_its_failures_cost_nothing() -> None:
    seen: list[LiveEvent] = []

    def observe(event: LiveEvent) -> None:
        seen.append(event)
        raise OSError("full")

    taken, notes = make(observer=observe)
    events = [trade(seq=n) for n in range(3)]
    assert len(list(taken.take(arrival(*events, trade(seq=0))))) == 3
    assert seen == events
    assert taken.oddities == {"observer": 3}
    assert notes == ["an observer of the events failed: OSError: full"]


def test_trades_and_quotes_of_one_identity_are_two_events() -> None:
    taken, _ = make()
    assert [type(event) for event, _ in arrival(trade(seq=1), quote(seq=1)).events] == [StockTrade, StockQuote]
    assert len(list(taken.take(arrival(trade(seq=1), quote(seq=1))))) == 2


def test_what_a_feed_has_written_itself_is_counted_and_passed_on_as_it_is() -> None:
    taken, notes = make()
    events = [
        WrittenEvent(b'{"a":1}', "FT.ES.1", "market.futures.trades"),
        WrittenEvent(b'{"b":2}', "FB.ES.1", "market.futures.mbp10", "FB.ES"),
    ]
    written = WrittenArrival("futures", events, [Reject("no_price", "x")], ["late"], 77, repeated=5, late_ns=[3, 4])
    trade_of_es, book_of_es = taken.take(written)
    assert (trade_of_es.payload, trade_of_es.identity, trade_of_es.conflates) == (b'{"a":1}', "FT.ES.1", None)
    assert (book_of_es.feed, book_of_es.received_ns, book_of_es.conflates) == ("futures", 77, "FB.ES")
    assert (taken.received, taken.duplicates, taken.rejected["no_price"]) == (8, 5, 1)
    assert taken.oddities["late"] == 1
    assert taken.lateness.latest_ns == 4
    assert taken.tape.written["market.futures.mbp10"] == b'{"b":2}'
    assert notes == ["rejected, no_price: x"]


def test_an_event_that_waits_takes_no_more_memory_than_its_bytes() -> None:
    taken, _ = make()
    tracemalloc.start()
    waiting = [pending for n in range(200) for pending in taken.take(arrival(quote(seq=n)))]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(len(pending.payload) for pending in waiting) > 30_000
    assert size / len(waiting) < 1_500


# --- the spot


def following(*windows: StrikeWindow) -> LiveFilter:
    return LiveFilter(Windows(windows), lambda _: None)


def es_trade(price: float, late_ns: Sequence[int]) -> WrittenArrival:
    event = WrittenEvent(encode(futures_trade(price=price)), f"FT.{price}", "market.futures.trades")
    return WrittenArrival("futures", [event], [], [], 10 * SECOND, late_ns=late_ns)


def test_what_a_backfill_brings_moves_no_window() -> None:
    taken, _ = make()
    old = EventSource.POLYGON_REST
    assert len(list(taken.take(arrival(trade(source=old, price=600.0), clock_ns=10 * SECOND)))) == 1
    assert taken.windows.first.spot.price is None
    list(taken.take(arrival(trade(seq=1, price=680.0), clock_ns=10 * SECOND)))
    list(taken.take(arrival(*(trade(source=old, seq=n, price=600.0) for n in range(2, 9)), clock_ns=20 * SECOND)))
    assert taken.windows.first.spot.price == 680.0


def test_a_value_of_an_index_moves_its_window_and_is_no_event() -> None:
    taken = following(StrikeWindow(StrikeManager(5, "SPX"), WALL_NS))
    values = [IndexValue("I:SPX", 6_800.5, WALL_NS), IndexValue("I:NDX", 25_000.0, WALL_NS)]
    assert list(taken.take(Arrival("indices", [], [], [], 10 * SECOND, values))) == []
    assert (taken.windows.first.spot.price, taken.received) == (6_800.5, 0)


def test_a_live_trade_of_a_future_moves_a_window_that_follows_it_and_one_that_was_sent_again_does_not() -> None:
    taken = following(StrikeWindow(StrikeManager(5, "SPX"), WALL_NS, spot_from="ES"))
    assert len(list(taken.take(es_trade(6_700.0, ())))) == 1
    assert taken.windows.first.spot.price is None
    assert len(list(taken.take(es_trade(6_815.25, (5,))))) == 1
    assert taken.windows.first.spot.price == 6_815.25


def test_a_window_that_follows_its_stock_has_no_eyes_for_futures() -> None:
    taken, _ = make()
    list(taken.take(es_trade(6_815.25, (5,))))
    assert taken.windows.first.spot.price is None
