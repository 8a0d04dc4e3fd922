"""Who hit whom: the quote in force, the side that follows from it, and how long a trade waits for it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.live.aggressors import (
    MAX_CONTRACTS,
    MAX_QUOTES,
    OLDEST_NS,
    WAIT_NS,
    Accepted,
    Aggressors,
    QuoteUse,
    side_of,
)
from spyctl.market.events import Aggressor, OptionQuote, OptionTrade
from spyctl.timing.instants import HOUR, MS
from tests.support.clock import WALL_NS
from tests.support.events import option_quote, option_trade

BUY, SELL, MID = Aggressor.BUY, Aggressor.SELL, Aggressor.MID


class Market:
    """Quotes and trades of contracts, at so many ms of the market's time; the clock goes with their arrival."""

    def __init__(self) -> None:
        self.aggressors = Aggressors(QuoteUse.CLASSIFY)
        self.clock_ns = 0
        self.told: list[OptionTrade] = []

    def quote(self, ms: float, bid: float, ask: float, strike: int = 680) -> None:
        self.aggressors.quote(option_quote(strike, ts_event_ns=at(ms), bid_px=bid, ask_px=ask), self.clock_ns)
        self.take()

    def trade(self, ms: float, price: float = 2.0, strike: int = 680, **values: Any) -> None:
        event = option_trade(strike, ts_event_ns=at(ms), price=price, **values)
        self.aggressors.hold(Accepted(event, "id", "options", self.clock_ns))
        self.take()

    def take(self) -> None:
        self.told += [each.event for each in self.aggressors.released(self.clock_ns) if trade_of(each)]

    def look(self, after_ms: float = 50) -> None:
        self.clock_ns += round(after_ms * MS)
        self.told += [each.event for each in self.aggressors.look(self.clock_ns) if trade_of(each)]

    def end(self) -> OptionTrade:
        self.told += [each.event for each in self.aggressors.flush(self.clock_ns) if trade_of(each)]
        return self.told[-1]

    @property
    def sides(self) -> list[Aggressor]:
        return [trade.aggressor for trade in self.told]


def at(ms: float) -> int:
    return WALL_NS + round(ms * MS)


def trade_of(accepted: Accepted) -> bool:
    return isinstance(accepted.event, OptionTrade)


@pytest.mark.parametrize(
    ("price", "bid", "ask", "side"),
    [
        (1.05, 1.01, 1.05, BUY),
        (1.06, 1.01, 1.05, BUY),
        (1.04, 1.01, 1.05, BUY),
        (1.03, 1.01, 1.05, MID),  # in floats 1.01 + 1.05 is not 2 × 1.03
        (1.02, 1.01, 1.05, SELL),
        (1.01, 1.01, 1.05, SELL),
        (0.50, 1.01, 1.05, SELL),
        (1.00, 1.00, 1.00, MID),  # locked
        (1.01, 1.00, 1.00, BUY),
        (0.99, 1.00, 1.00, SELL),
        (0.01, 0.0, 0.01, BUY),  # no bid
        (0.01, 0.0, 0.05, MID),
        (2.00, 2.0, 0.0, SELL),  # no ask
        (2.50, 2.0, 0.0, MID),
    ],
)
def test_the_side_follows_from_the_quote(price: float, bid: float, ask: float, side: Aggressor) -> None:
    assert side_of(price, bid, ask) is side


@given(st.integers(1, 10_000), st.integers(1, 500), st.integers(-600, 600))
def test_the_side_agrees_with_whole_cents(bid: int, width: int, offset: int) -> None:
    price, ask = max(1, bid + offset), bid + width
    expected = BUY if price >= ask else SELL if price <= bid else (BUY, MID, SELL)[_nearer(price, bid, ask)]
    assert side_of(price / 100, bid / 100, ask / 100) is expected


def _nearer(price: int, bid: int, ask: int) -> int:
    return 1 + ((ask - price) > (price - bid)) - ((ask - price) < (price - bid))


def test_a_trade_takes_the_quote_in_force_at_its_time_and_not_the_newest() -> None:
    market = Market()
    market.quote(0, 1.9, 2.0)
    market.trade(5, 2.0)
    assert market.told == []  # an older quote may still come
    market.quote(6, 2.0, 2.1)
    trade = market.told[0]
    assert (trade.opt_bid, trade.opt_ask, trade.aggressor) == (1.9, 2.0, BUY)


def test_a_quote_that_arrives_after_its_trade_counts() -> None:
    market = Market()
    market.quote(0, 2.0, 2.1)
    market.trade(10, 2.0)
    market.quote(9, 1.9, 2.0)
    market.quote(11, 5.0, 5.1)
    assert market.sides == [BUY]


def test_of_the_quotes_of_the_same_instant_those_before_the_trade_count() -> None:
    market = Market()
    market.quote(5, 1.9, 2.0)
    market.trade(5, 2.0)
    market.quote(5, 2.0, 2.1)
    market.trade(5, 2.0)
    assert market.end().aggressor is SELL
    assert market.sides == [BUY, SELL]


def test_a_quote_of_the_same_instant_that_comes_later_is_better_than_none() -> None:
    market = Market()
    market.trade(5, 2.0)
    market.quote(5, 2.0, 2.1)
    assert market.end().aggressor is SELL


@pytest.mark.parametrize(
    ("bid", "ask"), [(2.1, 2.0), (0.0, 0.0)], ids=["crossed", "empty"]
)  # what was there before them is no longer in force
def test_a_quote_that_is_crossed_or_empty_does_not_count(bid: float, ask: float) -> None:
    market = Market()
    market.quote(0, 1.9, 2.0)
    market.quote(1, bid, ask)
    market.trade(2, 2.0)
    trade = market.end()
    assert (trade.opt_bid, trade.opt_ask, trade.aggressor) == (None, None, MID)
    assert (market.aggressors.quoted, market.aggressors.sided, market.aggressors.wait_ns.count) == (0, 0, 1)


def test_a_quote_older_than_30_seconds_does_not_count() -> None:
    market = Market()
    market.quote(0, 1.9, 2.0)
    market.trade(OLDEST_NS / MS, 2.0)
    market.trade(OLDEST_NS / MS + 1, 2.0)
    market.end()
    assert market.sides == [BUY, MID]


def test_a_trade_waits_for_50_ms_of_the_markets_time() -> None:
    market = Market()
    market.quote(0, 1.9, 2.0)
    market.trade(10, 2.0)
    market.clock_ns = HOUR  # of ours any time may pass
    market.quote(59, 3.0, 3.1, strike=690)
    assert market.told == []
    market.quote(60, 3.0, 3.1, strike=690)
    assert market.sides == [BUY]
    assert WAIT_NS == 50 * MS


def test_where_nothing_arrives_two_looks_end_the_wait() -> None:
    market = Market()
    market.quote(0, 1.9, 2.0)
    market.trade(10, 2.0)
    market.look()
    assert market.told == []  # what has arrived since the last look may not have been read
    market.look()
    assert market.sides == [BUY]


def test_frames_that_go_on_arriving_keep_a_look_from_ending_the_wait() -> None:
    market = Market()
    market.trade(10, 2.0)
    for ms in range(11, 20):
        market.quote(ms, 3.0, 3.1, strike=690)
        market.look()
    assert market.told == []


def test_an_absurd_instant_does_not_end_every_wait() -> None:
    market = Market()
    market.quote(HOUR / MS, 3.0, 3.1, strike=690)
    market.trade(10, 2.0)
    assert market.told == []


def test_a_trade_dated_far_ahead_keeps_nothing_waiting() -> None:
    desk = Market()
    event = option_trade(680, ts_event_ns=at(HOUR / MS), ts_recv_ns=at(0), price=2.0)
    desk.aggressors.hold(Accepted(event, "id", "options", desk.clock_ns))
    desk.take()
    assert desk.told == [event]


def test_the_events_of_a_contract_keep_their_order_and_contracts_do_not_wait_for_each_other() -> None:
    market = Market()
    market.trade(10, 2.0, seq=1)
    market.trade(9, 2.0, seq=2)
    market.trade(10, 2.0, strike=690, seq=3)
    market.quote(11, 1.9, 2.1, strike=690)
    assert [trade.seq for trade in market.told] == [3]
    market.quote(11, 1.9, 2.1)
    assert [trade.seq for trade in market.told] == [3, 1, 2]


def test_quotes_that_are_published_stay_in_order_with_the_trades() -> None:
    aggressors = Aggressors(QuoteUse.PUBLISH)
    order: list[str] = []
    for n, event in enumerate(
        [option_quote(seq=1), option_trade(seq=2), option_quote(seq=3), option_quote(690, seq=4)]
    ):
        if isinstance(event, OptionQuote):
            aggressors.quote(event, n)
        aggressors.hold(Accepted(event, f"{event.seq}", "options", n))
        order += [each.identity for each in aggressors.released(n)]
    assert order == ["1", "4"]
    assert (aggressors.waiting, [each.identity for each in aggressors.flush(9)]) == (2, ["2", "3"])
    assert aggressors.waiting == 0


def test_a_loss_makes_the_quotes_before_it_worthless() -> None:
    market = Market()
    market.quote(0, 1.9, 2.0)
    market.aggressors.forget()
    market.trade(10, 2.0)
    assert market.end().opt_ask is None


def test_memory_is_bounded() -> None:
    market = Market()
    for ms in range(2 * MAX_QUOTES):
        market.quote(ms, 1.0, 1.1)
    for strike in range(1, MAX_CONTRACTS + 10):
        market.quote(0, 1.0, 1.1, strike)
    contracts = market.aggressors._contracts
    assert len(contracts) == MAX_CONTRACTS
    assert max(len(contract._quotes) for contract in contracts.values()) <= MAX_QUOTES


def test_what_is_told_is_counted() -> None:
    market = Market()
    market.quote(0, 1.9, 2.1)
    for price in (2.1, 2.0, 1.9):
        market.trade(1, price)
    market.trade(1, strike=690)
    market.clock_ns = 7 * MS
    market.end()
    aggressors = market.aggressors
    assert (aggressors.quotes, aggressors.quoted, aggressors.sided, aggressors.wait_ns.count) == (1, 3, 2, 4)
    assert aggressors.wait_ns.percentile(50) == pytest.approx(7 * MS, rel=0.05)


def test_nothing_of_a_trade_changes_but_its_quote_and_side() -> None:
    market = Market()
    market.quote(0, 1.9, 2.0)
    market.trade(1, 2.0, seq=5)
    plain = option_trade(ts_event_ns=at(1), price=2.0, seq=5)
    assert market.end() == replace(plain, opt_bid=1.9, opt_ask=2.0, aggressor=BUY)
