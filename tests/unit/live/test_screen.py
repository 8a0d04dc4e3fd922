"""The live screen fits every terminal, whatever the figures."""

from dataclasses import replace

import pytest

from spyctl.live.feed_policy import equity_policies
from spyctl.live.screen import LiveScene, LiveSnapshot, progress_line, render
from spyctl.live.view import LiveView
from spyctl.market.feeds import Arrival, FeedState
from spyctl.timing.instants import SECOND
from tests.support.clock import FakeClock
from tests.support.events import option_trade, quote, trade
from tests.support.live import StillFeed, still_session

SIZES = [(80, 24), (100, 24), (120, 30), (140, 40), (200, 60)]


def busy() -> LiveSnapshot:
    clock = FakeClock()
    session = still_session(clock)
    feeds = StillFeed(), StillFeed(name="options", state=FeedState.RECONNECTING)
    session.policies = {policy.feed.name: policy for policy in equity_policies(*feeds, session.window)}
    session.arrived(Arrival("stocks", [(quote(seq=1), "Q"), (trade(seq=2), "T")], (), (), clock.now_ns()))
    session.window.tick(clock.time_ns(), clock.now_ns())
    prints = [(option_trade(strike, size=123_456, seq=strike), f"{strike}") for strike in range(675, 686)]
    session.arrived(Arrival("options", prints, (), (), clock.now_ns()))
    session.lost("options", clock.time_ns() - 90 * SECOND, "connection lost (ConnectionResetError)", 0)
    scene = LiveScene("live", "nats://a-server-with-a-long-name:4222")
    return LiveView(session, scene, "MARKET_DATA", lambda: ()).snapshot()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_line_fits_and_there_are_never_too_many(width: int, height: int) -> None:
    lines = render(None, busy(), width, height).plain.splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_the_window_is_a_table_with_the_centre_marked_and_totals() -> None:
    drawn = render(None, busy(), 80, 24).plain
    assert "► 680 ◄" in drawn
    assert f"{11 * 123_456:,}" in drawn
    assert "±5 of 680.00" in drawn


def test_rates_come_from_two_snapshots() -> None:
    then = busy()
    events = replace(then.summary.events, by_subject=dict.fromkeys(then.summary.events.by_subject, 50))
    now = replace(then, clock_ns=then.clock_ns + 2 * SECOND, summary=replace(then.summary, events=events))
    assert "25/s" in render(then, now, 80, 24).plain
    assert "/s" not in render(None, then, 80, 24).plain


def test_before_the_first_quote_the_screen_says_what_it_waits_for() -> None:
    session = still_session()
    snapshot = LiveView(session, LiveScene("live", "embedded"), "MARKET_DATA", lambda: ()).snapshot()
    drawn = render(None, snapshot, 80, 24).plain
    assert "waiting for the first quote" in drawn
    assert "opens with the first spot" in drawn


def test_one_line_says_how_it_goes_and_names_trouble_only_where_there_is_some() -> None:
    line = progress_line(busy())
    assert "stocks up  options reconnecting" in line
    assert "received 13  acked 0" in line
    assert "gaps 1" in line
    assert "rejected" not in line
