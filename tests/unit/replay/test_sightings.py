"""Where trouble was seen."""

from spyctl.replay.bins import BINS
from spyctl.replay.sightings import Sightings, Trouble
from spyctl.timing.instants import SECOND
from tests.support.records import T0


def test_each_part_of_the_plan_remembers_a_kind_once_however_often_it_was_seen() -> None:
    sightings = Sightings(T0, T0 + BINS * SECOND - 1)
    sightings.note(Trouble.LATE, [T0 + 5 * SECOND + i for i in range(1_000)])
    sightings.note(Trouble.LATE, [T0 + 2 * SECOND])
    sightings.note(Trouble.STALL, [T0 + BINS * 2 * SECOND])  # beyond the plan: its end
    assert [ns // SECOND - T0 // SECOND for ns in sightings.places(Trouble.LATE)] == [2, 5]
    assert [ns // SECOND - T0 // SECOND for ns in sightings.places(Trouble.STALL)] == [BINS - 1]
    assert sightings.places(Trouble.GAP) == []
