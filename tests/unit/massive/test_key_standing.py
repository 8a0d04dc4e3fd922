"""When a refusal or an eviction is permanent."""

from spyctl.massive.key_standing import EVICTIONS_WITHIN_NS, KeyStanding
from spyctl.timing.instants import SECOND
from tests.support.clock import FakeClock


def make() -> tuple[KeyStanding, FakeClock]:
    clock = FakeClock()
    return KeyStanding(clock, max_evictions=3, refusals_ns=300 * SECOND), clock


def test_a_good_key_may_be_refused_for_five_minutes() -> None:
    standing, clock = make()
    standing.accepted()
    assert not standing.refused()
    clock.advance(299 * SECOND)
    assert not standing.refused()
    clock.advance(SECOND)
    assert standing.refused()


def test_the_second_eviction_is_an_alarm_and_the_third_one_permanent() -> None:
    standing, _ = make()
    assert [(standing.evicted(), standing.taken) for _ in range(3)] == [(False, False), (True, False), (True, True)]


def test_evictions_of_long_ago_do_not_count() -> None:
    standing, clock = make()
    for _ in range(2):
        standing.evicted()
    clock.advance(EVICTIONS_WITHIN_NS)
    assert not standing.evicted()
    assert standing.recent_evictions == 1
    assert not standing.taken
