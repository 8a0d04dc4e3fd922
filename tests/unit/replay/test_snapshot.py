"""What a snapshot of a replay tells by itself."""

from dataclasses import replace

import pytest

from spyctl.replay.snapshot import Position
from spyctl.timing.instants import MINUTE
from tests.support.records import T0
from tests.unit.replay.test_screen import SNAPSHOT


@pytest.mark.parametrize(("minutes", "share"), [(None, 0.0), (-1, 0.0), (0, 0.0), (5, 0.5), (10, 1.0), (11, 1.0)])
def test_the_share_is_that_of_the_planned_event_time(minutes: int | None, share: float) -> None:
    at = Position(T0 + minutes * MINUTE if minutes is not None else None)
    assert replace(SNAPSHOT, position=at).share == share
