"""What a live view makes of a session: snapshots, rates, the last gap, the spots of the last minute."""

import pytest

from spyctl.live.aggressors import QuoteUse
from spyctl.live.feed_policy import equity_policies, futures_policy
from spyctl.live.snapshot import LiveScene
from spyctl.live.view import LiveView
from spyctl.market.feeds import Arrival, FeedState, WrittenArrival, WrittenEvent
from spyctl.market.subjects import encode, subject_of
from spyctl.summary import StopReason
from spyctl.timing.instants import SECOND
from tests.support.clock import FakeClock
from tests.support.events import book, futures_trade, option_quote, option_trade, quote, trade
from tests.support.live import StillFeed, still_session


def make(**feed: object) -> tuple[LiveView, StillFeed, FakeClock]:
    clock = FakeClock()
    session = still_session(clock)
    stocks = StillFeed(**feed)  # type: ignore[arg-type]
    session.policies = {
        policy.feed.name: policy
        for policy in equity_policies(stocks, StillFeed(name="options", desired=frozenset()), session.windows)
    }
    return LiveView(session, LiveScene("live --sim", "embedded"), "MARKET_DATA", lambda: ()), stocks, clock


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (FeedState.UP, "● streaming"), (FeedState.RECONNECTING, "◌ reconnecting"),
        (FeedState.CONNECTING, "◌ connecting"),
    ],
)  # fmt: skip
def test_the_state_is_that_of_the_feeds(state: FeedState, shown: str) -> None:
    view, _, _ = make(state=state)
    assert view.snapshot().state == shown


def test_a_session_that_ends_says_so_first() -> None:
    view, _, _ = make()
    view._session.stop(StopReason.CTRL_C)
    assert view.snapshot().state == "■ finishing"


def test_a_server_that_stores_nothing_comes_before_the_feeds() -> None:
    view, _, _ = make()
    view._waiting = lambda: 3 * SECOND
    assert view.snapshot().state == "◌ waiting for NATS, 3 s"
    assert "waiting for NATS, 3 s" in view.line()
    view._session.stop(StopReason.CTRL_C)
    assert view.snapshot().state == "■ finishing, waiting for NATS, 3 s"


def test_a_spot_is_remembered_once_a_second() -> None:
    view, _, clock = make()
    for n in range(4):
        arrival = Arrival("stocks", [(quote(bid_px=680 + n / 10, ask_px=680.02 + n / 10, seq=n), f"{n}")], (), (), n)
        view._session.arrived(arrival)
        view.snapshot()
        clock.advance(SECOND // 2)
    assert view.snapshot().spot.history == pytest.approx((680.01, 680.21, 680.31))


def test_the_feeds_show_what_they_hold_and_how_long_they_were_quiet() -> None:
    view, stocks, clock = make(up_since_ns=SECOND, last_frame_ns=2 * SECOND)
    clock.advance(4 * SECOND)
    feed, options = view.snapshot().feeds
    assert (feed.topics, feed.held, feed.desired, feed.up_s, feed.quiet_s) == ("T.SPY Q.SPY", 2, 2, 4.0, 3.0)
    assert options.topics == "O:SPY251216: 0"
    stocks.last_frame_ns = None
    assert view.snapshot().feeds[0].quiet_s is None


def test_the_newest_gap_is_shown_and_whether_it_is_closed() -> None:
    view, _, clock = make()
    assert view.snapshot().last_gap == ""
    view._session.lost("options", clock.time_ns(), "reset", 0)
    clock.advance(3 * SECOND)
    assert view.snapshot().last_gap == "options 3.0 s at 09:30:00, open"
    view._session.back("options", clock.time_ns())
    assert view.snapshot().last_gap == "options 3.0 s at 09:30:00, closed"


def test_prints_are_shown_under_their_strike_with_rates() -> None:
    view, _, clock = make()
    view._session.windows.first.spot.quote(680.0, 680.02, clock.now_ns())
    view._session.windows.first.tick(clock.time_ns(), clock.now_ns())
    view.draw(80, 24)
    events = [(option_trade(681, price=1.3, seq=n), f"{n}") for n in range(3)]
    view._session.arrived(Arrival("options", events, (), (), 1))
    clock.advance(SECOND)
    drawn = view.draw(80, 24).plain
    (row,) = [line for line in drawn.splitlines() if " 681 " in line]
    assert row.split() == ["15", "3", "1.30", "681", "·", "0", "0"]
    assert "received 3" in drawn


def test_futures_show_their_last_trade_and_book_and_no_window() -> None:
    session = still_session()
    futures = StillFeed(name="futures", desired=frozenset({"trades ES.c.0"}), refilled=12)
    session.policies = {"futures": futures_policy(futures)}
    view = LiveView(session, LiveScene("live", "embedded"), "MARKET_DATA", lambda: ())
    assert "waiting for the first book" in view.draw(100, 30).plain
    events = [
        WrittenEvent(encode(event), event.symbol, subject_of(event)) for event in (futures_trade(price=6815.25), book())
    ]
    session.arrived(WrittenArrival("futures", events, (), (), 1))
    (now,) = view.snapshot().feeds
    assert now.futures is not None
    assert now.futures.trade is not None
    assert (now.topics, now.futures.trade.price, now.futures.refilled) == ("trades ES.c.0", 6815.25, 12)
    drawn = view.draw(100, 30).plain
    assert "6,815.25 ▲" in drawn
    assert "sent again 12" in drawn
    assert "SPY" not in drawn
    assert "window" not in drawn
    assert "ES 6815.25" in view.line()


def test_trades_of_all_feeds_are_on_the_tape_and_contracts_have_their_newest_quote() -> None:
    view, _, clock = make()
    session = view._session
    session.filter.aggressors.use = QuoteUse.CLASSIFY
    session.arrived(Arrival("stocks", [(quote(seq=1), "Q"), (trade(seq=2), "T")], (), (), clock.now_ns()))
    session.windows.first.tick(clock.time_ns(), clock.now_ns())
    quotes = [(option_quote(680, bid_px=bid, ask_px=bid + 0.1), f"q{bid}") for bid in (1.8, 1.9)]
    session.arrived(Arrival("options", quotes, (), (), clock.now_ns()))
    traded = view.snapshot().traded
    assert traded.tape == [trade(seq=2)]
    assert traded.quotes == {option_quote(680).option_symbol: (1.9, 2.0)}


def test_what_the_window_does_is_noted() -> None:
    view, _, clock = make()
    window = view._session.windows.first
    for price in (680.0, 681.0):
        window.spot.quote(price - 0.01, price + 0.01, clock.now_ns())
        window.tick(clock.time_ns(), clock.now_ns())
        view.snapshot()
        clock.advance(2 * SECOND)
    assert [note.text for note in view.snapshot().notes] == [
        "window moved to 676 to 686: 686 added, 675 leaving in 30 s"
    ]  # fmt: skip
