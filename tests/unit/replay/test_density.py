"""Where in a plan the events were."""

from spyctl.replay.bins import BINS
from spyctl.replay.density import Density
from spyctl.timing.instants import SECOND
from tests.support.records import T0

SPAN = BINS * SECOND


def test_events_are_spread_over_the_time_that_they_took() -> None:
    density = Density(T0, T0 + SPAN - 1)
    density.note(None, 5)
    density.note(T0, 1)
    density.note(T0 + 3 * SECOND, 41)
    assert density.values[:5] == [11.0, 10.0, 10.0, 10.0, 0.0]


def test_what_was_jumped_over_has_none() -> None:
    density = Density(T0, T0 + SPAN - 1)
    density.note(T0, 10)
    density.move(T0 + 100 * SECOND, 10)
    density.note(T0 + 101 * SECOND, 30)
    assert sum(density.values) == 30.0
    assert density.values[100:102] == [10.0, 10.0]


def test_event_time_outside_the_plan_counts_at_its_ends() -> None:
    density = Density(T0, T0 + SPAN - 1)
    density.note(T0 - SECOND, 1)
    density.note(T0 + 2 * SPAN, 1)
    density.move(T0 + 2 * SPAN, 1)
    density.note(T0 + 2 * SPAN, 3)
    assert (density.values[0], density.values[-1]) == (1.0, 2.0)
