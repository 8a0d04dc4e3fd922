"""How late events arrive, and when that is worth a complaint."""

import pytest

from spyctl.live.lateness import ENOUGH, RECENT, Lateness
from spyctl.market.events import EventSource
from spyctl.timing.instants import SECOND
from tests.support.clock import WALL_NS
from tests.support.events import trade


def lateness(late_ns: int, count: int = ENOUGH, source: EventSource = EventSource.POLYGON_WS) -> Lateness:
    measured = Lateness()
    see(measured, late_ns, count, source)
    return measured


def see(measured: Lateness, late_ns: int, count: int, source: EventSource = EventSource.POLYGON_WS) -> None:
    for _ in range(count):
        measured.see(trade(ts_event_ns=WALL_NS, ts_recv_ns=WALL_NS + late_ns, source=source))


@pytest.mark.parametrize(
    ("late_ns", "why"),
    [(900 * SECOND, "the feed is delayed"), (3 * SECOND, "this machine's clock"), (-SECOND, "this machine's clock")],
)
def test_events_out_of_their_time_are_complained_of_once(late_ns: int, why: str) -> None:
    measured = lateness(late_ns)
    assert why in measured.complaint()
    assert measured.complaint() == ""


def test_events_in_time_and_a_handful_are_no_reason_to_complain() -> None:
    assert lateness(SECOND).complaint() == ""
    assert lateness(900 * SECOND, count=ENOUGH - 1).complaint() == ""


def test_a_skew_that_comes_back_is_complained_of_again() -> None:
    measured = lateness(900 * SECOND)
    assert measured.complaint()
    see(measured, 0, RECENT)
    assert measured.complaint() == ""
    see(measured, 900 * SECOND, RECENT)
    assert measured.complaint()


def test_the_latest_of_the_last_events_is_known_and_a_backfill_does_not_count() -> None:
    measured = lateness(SECOND, count=1)
    see(measured, 3_600 * SECOND, 5, EventSource.POLYGON_REST)
    assert (measured.latest_ns, measured.latency_ns.count) == (SECOND, 1)
