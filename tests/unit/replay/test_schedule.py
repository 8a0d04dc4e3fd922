"""What is left of a replay: quiet stretches count as they will be shortened."""

import pytest

from spyctl.replay.schedule import Schedule
from spyctl.timing.clock import MAX_SPEED, Speed
from spyctl.timing.instants import HOUR, MINUTE, SECOND
from tests.support.records import T0

# Ten minutes, an hour of nothing, ten minutes; at 10× an hour takes 5 s.
BROKEN = Schedule(
    T0, T0 + 80 * MINUTE, 1_000, Speed(10.0), [(T0 + 10 * MINUTE, T0 + 70 * MINUTE)], max_quiet_ns=5 * SECOND
)


def test_a_quiet_stretch_takes_what_it_is_shortened_to() -> None:
    assert BROKEN.wall_ns == 60 * SECOND + 5 * SECOND + 60 * SECOND


@pytest.mark.parametrize(
    ("minutes", "waited_s", "left_s"),
    [(0, 0, 125), (5, 0, 95), (10, 0, 65), (10, 2, 63), (70, 0, 60), (80, 0, 0), (90, 0, 0)],
)
def test_what_is_left_is_wall_time(minutes: int, waited_s: int, left_s: int) -> None:
    assert BROKEN.left_ns(T0 + minutes * MINUTE, waited_s * SECOND) == left_s * SECOND


def test_the_share_is_that_of_the_wall_time_and_the_place_that_of_the_event_time() -> None:
    assert BROKEN.share(BROKEN.left_ns(T0 + 10 * MINUTE), 0) == pytest.approx(60 / 125)
    assert BROKEN.place(T0 + 10 * MINUTE) == pytest.approx(1 / 8)
    assert (BROKEN.place(T0 - HOUR), BROKEN.place(T0 + 9 * HOUR)) == (0.0, 1.0)


def test_at_max_speed_events_count() -> None:
    schedule = Schedule(T0, T0 + HOUR, 1_000, MAX_SPEED)
    assert (schedule.wall_ns, schedule.left_ns(T0)) == (None, None)
    assert (schedule.share(None, 250), schedule.share(None, 1_001)) == (0.25, 1.0)


def test_a_single_instant_is_all_there_is() -> None:
    schedule = Schedule(T0, T0, 1, Speed(1.0))
    assert (schedule.wall_ns, schedule.share(0, 1), schedule.place(T0)) == (0, 1.0, 1.0)
    assert Schedule(0, 0, 0, MAX_SPEED).share(None, 0) == 1.0
