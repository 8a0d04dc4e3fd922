"""Where in event time a replay has met trouble, for the strip on which its plan is drawn."""

from collections.abc import Iterable
from enum import StrEnum

from spyctl.replay.bins import Bins


class Trouble(StrEnum):
    """What is remembered with its place."""

    GAP = "gap"  # a ``Gap`` on a tape
    LATE = "late"
    STALL = "stall"


class Sightings:
    """The places of trouble between two event times (Unix ns); each part of the plan remembers each kind once."""

    def __init__(self, first_ns: int, last_ns: int) -> None:
        self._bins = Bins(first_ns, last_ns)
        self._seen: dict[Trouble, set[int]] = {trouble: set() for trouble in Trouble}

    def note(self, trouble: Trouble, event_ns: Iterable[int]) -> None:
        """Remember where it was."""
        self._seen[trouble].update(map(self._bins.at, event_ns))

    def places(self, trouble: Trouble) -> list[int]:
        """Return about where it was, in event time."""
        return [self._bins.middle_ns(number) for number in sorted(self._seen[trouble])]
