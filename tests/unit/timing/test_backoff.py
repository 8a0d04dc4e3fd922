"""How long a feed waits before it connects again."""

from dataclasses import dataclass

import pytest

from spyctl.timing.backoff import Backoff
from spyctl.timing.instants import SECOND
from tests.support.clock import FakeClock


@dataclass(frozen=True)
class Waits:
    first_wait: float = 1.0
    longest_wait: float = 8.0
    jitter: float = 0.0
    stable: float = 10.0


def attempt(backoff: Backoff, clock: FakeClock, lasts_s: float = 0.0, *, was_up: bool = True) -> float:
    backoff.connecting()
    clock.advance(round(lasts_s * SECOND))
    return backoff.pause_s(was_up=was_up)


def test_waits_double_up_to_the_longest_one() -> None:
    clock = FakeClock()
    backoff = Backoff(clock, Waits())
    assert [attempt(backoff, clock, was_up=False) for _ in range(6)] == [1, 2, 4, 8, 8, 8]


@pytest.mark.parametrize(
    ("lasts_s", "was_up", "waits"),
    [(10.0, True, 1.0), (9.9, True, 4.0), (3_600.0, False, 4.0)],
    ids=["stable", "too short", "never up"],
)
def test_they_start_anew_after_a_connection_that_was_up_and_stable(lasts_s: float, was_up: bool, waits: float) -> None:
    clock = FakeClock()
    backoff = Backoff(clock, Waits())
    for _ in range(2):
        attempt(backoff, clock)
    assert attempt(backoff, clock, lasts_s, was_up=was_up) == waits
    assert attempt(backoff, clock) == 2 * waits


def test_they_vary_by_the_jitter_and_no_more() -> None:
    clock = FakeClock()
    firsts = [attempt(Backoff(clock, Waits(jitter=0.25)), clock) for _ in range(200)]
    assert 0.75 <= min(firsts) < 0.85
    assert 1.15 < max(firsts) <= 1.25
