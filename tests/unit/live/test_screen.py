"""The live screen fits every terminal, whatever the figures."""

from dataclasses import replace
from functools import partial

import pytest

from spyctl.bus.consumers import Consumer
from spyctl.live.feed_policy import equity_policies
from spyctl.live.screen import progress_line, render
from spyctl.live.snapshot import LiveScene, LiveSnapshot
from spyctl.live.view import LiveView
from spyctl.market.feeds import Arrival, FeedState
from spyctl.summary import Waiting
from spyctl.terminal.panels import ServerNow
from spyctl.timing.histogram import Percentiles
from spyctl.timing.instants import SECOND
from tests.support.clock import FakeClock
from tests.support.events import option_trade, quote, trade
from tests.support.frames import SIZES, assert_whole
from tests.support.live import StillFeed, still_session


def busy() -> LiveSnapshot:
    clock = FakeClock()
    session = still_session(clock)
    feeds = StillFeed(), StillFeed(name="options", state=FeedState.RECONNECTING)
    session.policies = {policy.feed.name: policy for policy in equity_policies(*feeds, session.windows)}
    session.arrived(Arrival("stocks", [(quote(seq=1), "Q"), (trade(seq=2), "T")], (), (), clock.now_ns()))
    session.windows.first.tick(clock.time_ns(), clock.now_ns())
    prints = [(option_trade(strike, size=123_456, seq=strike), f"{strike}") for strike in range(675, 686)]
    session.arrived(Arrival("options", prints, (), (), clock.now_ns()))
    session.lost("options", clock.time_ns() - 90 * SECOND, "connection lost (ConnectionResetError)", 0)
    scene = LiveScene("live", "nats://a-server-with-a-long-name:4222")
    return LiveView(session, scene, "MARKET_DATA", lambda: ()).snapshot()


def extreme() -> LiveSnapshot:
    """A long day with many strikes, everything wrong, and names that are long."""
    snapshot = busy()
    summary, strikes = snapshot.summary, range(660, 701)
    events = replace(
        summary.events, read=9_876_543_210, published=8_765_432_109, acked=8_765_423_917, duplicates=1_234_567,
        rejected_by_reason={"price": 2_345_678}, dropped=3_456_789, gaps=4_567,
        by_subject=dict.fromkeys(summary.events.by_subject, 7_654_321_098),
    )  # fmt: skip
    delivery = replace(summary.delivery, last_seq=16_419_745_015, ack_ms=Percentiles(987.6, 11_383.7))
    details = replace(
        summary.details,
        received=9_876_543_210,
        waiting=Waiting(7_949_999, 7_900_000),
        latency_ms=Percentiles(876.5, 3_599_000.0),
    )
    return replace(
        snapshot,
        summary=replace(summary, events=events, delivery=delivery, details=details),
        spot=replace(snapshot.spot, price=123_456.78, history=(123_400.0, 123_456.78)),
        window=replace(snapshot.window, strikes=list(strikes), strike_range=20, added={685: 1.0}, leaving={674: 12.0}),
        options=replace(
            snapshot.options,
            volumes=dict.fromkeys(snapshot.options.volumes, 987_654_321),
            counts=dict.fromkeys(snapshot.options.counts, 87_654_321),
        ),
        last_gap="options 86399.9 s at 09:28:30, closed",
        server=ServerNow([Consumer("a-consumer-with-a-long-name", 9_876_543_210, 86_399.9, 1_234_567)] * 30),
        warnings=4_567,
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_line_fits_and_there_are_never_too_many(size: tuple[int, int]) -> None:
    assert_whole(partial(render, None, busy()), *size)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_no_figure_is_cut_at_any_size(size: tuple[int, int]) -> None:
    snapshot = extreme()
    earlier = replace(snapshot, clock_ns=snapshot.clock_ns - 2 * SECOND, summary=busy().summary)
    assert_whole(partial(render, earlier, snapshot), *size)
    assert_whole(partial(render, earlier, replace(snapshot, notes=[])), *size)


def test_the_smallest_terminal_keeps_what_matters_most() -> None:
    drawn = render(None, replace(busy(), notes=[]), 40, 12).plain
    for text in ("◌ reconnecting", "options", "SPY", "680.01", "► 680 ◄", "acked 0", "dropped 0", "gaps 1"):
        assert text in drawn


def test_the_window_is_a_table_with_the_centre_marked_and_totals() -> None:
    drawn = render(None, busy(), 80, 24).plain
    assert "► 680 ◄" in drawn
    assert f"{11 * 123_456:,}" in drawn
    assert "±5 of 680.00" in drawn


def test_alarms_have_a_colour_and_a_word() -> None:
    snapshot = busy()
    details = replace(snapshot.summary.details, waiting=Waiting(40_000))
    drawn = render(
        None,
        replace(
            snapshot, summary=replace(snapshot.summary, details=details), arrival_now_ms=600.0,
            server=ServerNow((), True, 11 * SECOND, 1_500.0),
        ),
        100,
        24,
    )  # fmt: skip
    styles = {drawn.plain[span.start : span.end]: span.style for span in drawn.spans}
    assert styles["600 ms slow"] == "yellow"
    assert styles["1.5 s very slow"] == styles["40,000 nearly full"] == styles[snapshot.state] == "red"


def test_what_waits_on_disk_is_shown_and_is_no_reason_for_alarm() -> None:
    snapshot = busy()
    details = replace(snapshot.summary.details, waiting=Waiting(80_000, 79_500))
    drawn = render(None, replace(snapshot, summary=replace(snapshot.summary, details=details)), 100, 24).plain
    assert "queued 80,000" in drawn
    assert "on disk 79,500" in drawn
    assert "full" not in drawn


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


def test_other_windows_have_a_line_of_their_own() -> None:
    snapshot = busy()
    assert "also " not in str(render(None, snapshot))
    several = replace(snapshot, window=replace(snapshot.window, others="QQQ 505.20 500 to 510 of 16 Dec"))
    assert "QQQ 505.20 500 to 510 of 16 Dec" in str(render(None, several))
