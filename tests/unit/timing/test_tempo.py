"""How many events a simulated market has had."""

import pytest

from spyctl.timing.tempo import FRAME_S, PHASE_S, Tempo


def play(tempo: Tempo, rate: float, from_s: float, seconds: float) -> int:
    return sum(tempo.take(from_s + n * FRAME_S, rate) for n in range(1, round(seconds / FRAME_S) + 1))


@pytest.mark.parametrize("rate", [3.0, 200.0, 10_000.0])
def test_the_mean_is_the_rate_and_busy_phases_have_four_times_as_many(rate: float) -> None:
    tempo = Tempo(0.0)
    busy, quiet = (play(tempo, rate, from_s, PHASE_S / 2) for from_s in (0.0, PHASE_S / 2))
    assert busy + quiet == pytest.approx(rate * PHASE_S, rel=0.03)
    assert busy == pytest.approx(4 * quiet, rel=0.1)


def test_after_a_pause_it_catches_up_on_a_second_and_no_more() -> None:
    tempo = Tempo(0.0)
    counts = [tempo.take(72.0 + n * FRAME_S, 1_000.0) for n in range(100)]
    assert max(counts) == 50  # in steps, not at once
    assert sum(counts) == pytest.approx(1_000 + 400, abs=20)


def test_what_happened_beside_it_is_not_due_again() -> None:
    tempo = Tempo(0.0)
    tempo.happened(5)
    assert play(tempo, 100.0, 0.0, 1.0) == pytest.approx(160 - 5, abs=1)


def test_no_rate_is_no_event() -> None:
    assert play(Tempo(0.0), 0.0, 0.0, 1.0) == 0


def test_what_is_still_due_waits_for_a_rate() -> None:
    tempo = Tempo(0.0)
    assert tempo.take(1.0, 1_000.0) == 50  # of a thousand
    assert tempo.take(1.01, 0.0) == 0
    assert tempo.take(1.02, 1_000.0) > 0
