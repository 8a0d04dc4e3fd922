"""Recordings that are closed behind a test."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spyctl.replay.tapes.recording import Recording
from tests.support.clock import FakeClock
from tests.support.tapes import ORIGIN, Open


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens recordings, and leaves those that are open in the end."""
    made: list[Recording] = []

    def open_one(folder: Path = tmp_path, clock: FakeClock | None = None, **origin: Any) -> Recording:
        made.append(Recording(folder, replace(ORIGIN, **origin), clock=clock or FakeClock()))
        return made[-1]

    yield open_one
    for recording in made:
        recording.abandon()
