"""The market's time as a feed brings it, told by how late its events are."""

import pytest

from spyctl.live.event_times import RECENT, EventTimes, Span
from spyctl.market.events import EventSource
from spyctl.timing.instants import MINUTE, MS, SECOND
from tests.support.clock import WALL_NS
from tests.support.events import trade


def late_by(*lags_ns: int, source: EventSource = EventSource.POLYGON_WS) -> EventTimes:
    times = EventTimes(15 * MINUTE)
    times.see("stocks", [(trade(ts_event_ns=WALL_NS - lag, ts_recv_ns=WALL_NS, source=source), "") for lag in lags_ns])
    return times


@pytest.mark.parametrize("lag_ns", [5 * SECOND, -3 * SECOND, 20 * MS])
def test_a_feed_that_is_late_or_early_has_come_to_another_time_than_ours(lag_ns: int) -> None:
    assert late_by(*[lag_ns] * 10).reached("stocks", WALL_NS) == Span(WALL_NS - lag_ns, WALL_NS - lag_ns)


def test_before_anything_has_arrived_the_known_delay_counts() -> None:
    at_ns = WALL_NS - 15 * MINUTE
    assert late_by().reached("stocks", WALL_NS) == Span(at_ns, at_ns)
    assert late_by(SECOND).reached("options", WALL_NS) == Span(at_ns, at_ns)
    assert late_by(SECOND, source=EventSource.POLYGON_REST).reached("stocks", WALL_NS) == Span(at_ns, at_ns)


def test_both_ends_hold_all_but_a_few_odd_events() -> None:
    times = late_by(*range(100, 200), 10**12, -(10**12))
    span = times.reached("stocks", 0)
    assert -200 < span.from_ns < span.to_ns < -100


def test_the_last_events_count() -> None:
    times = late_by(*[SECOND] * 50, *[2 * SECOND] * RECENT)
    assert times.reached("stocks", 0) == Span(-2 * SECOND, -2 * SECOND)
