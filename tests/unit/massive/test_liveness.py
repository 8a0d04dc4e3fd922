"""Since when nothing arrives on a connection that ended."""

from spyctl.massive.liveness import Liveness
from spyctl.timing.instants import MINUTE, SECOND
from tests.support.clock import WALL_NS, FakeClock

PING_NS = 10 * SECOND


def up_at_start() -> tuple[Liveness, FakeClock]:
    clock = FakeClock()
    liveness = Liveness(clock, PING_NS)
    liveness.begin()
    liveness.connecting()
    liveness.up()
    return liveness, clock


def beat(liveness: Liveness, clock: FakeClock, ns: int) -> None:
    for _ in range(ns // SECOND):
        clock.advance(SECOND)
        liveness.beat()


def test_a_feed_that_was_never_up_is_lost_from_its_start() -> None:
    clock = FakeClock()
    liveness = Liveness(clock, PING_NS)
    liveness.begin()
    clock.advance(MINUTE)
    assert liveness.lost_from(clock.time_ns()) == WALL_NS


def test_a_streaming_feed_is_lost_from_its_last_frame() -> None:
    liveness, clock = up_at_start()
    beat(liveness, clock, MINUTE)
    assert liveness.frame() == (WALL_NS + MINUTE, SECOND + MINUTE)
    beat(liveness, clock, 2 * SECOND)
    assert liveness.lost_from(clock.time_ns()) == WALL_NS + MINUTE


def test_a_quiet_feed_is_lost_from_two_pings_before_the_end_was_noticed() -> None:
    liveness, clock = up_at_start()
    beat(liveness, clock, MINUTE)
    assert liveness.lost_from(clock.time_ns()) == clock.time_ns() - 2 * PING_NS


def test_a_process_that_slept_was_alive_until_it_fell_asleep() -> None:
    liveness, clock = up_at_start()
    beat(liveness, clock, MINUTE)
    asleep_ns = clock.time_ns()
    clock.step_wall(60 * MINUTE)
    beat(liveness, clock, 15 * SECOND)
    assert liveness.lost_from(clock.time_ns()) == asleep_ns


def test_a_quiet_connection_that_outlived_a_sleep_was_alive_long_after_it() -> None:
    liveness, clock = up_at_start()
    beat(liveness, clock, MINUTE)
    clock.step_wall(MINUTE)
    beat(liveness, clock, 60 * MINUTE)
    assert liveness.lost_from(clock.time_ns()) == clock.time_ns() - 2 * PING_NS


def test_a_pause_between_two_connections_is_no_sleep() -> None:
    liveness, clock = up_at_start()
    clock.advance(MINUTE)  # nobody beats while there is no connection
    liveness.connecting()
    liveness.up()
    beat(liveness, clock, MINUTE)
    assert liveness.lost_from(clock.time_ns()) == clock.time_ns() - 2 * PING_NS
