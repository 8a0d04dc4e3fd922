"""Where a replay jumps of its own accord: at the end of a warm-up, of a loop, of a plan that is played again."""

import asyncio
from dataclasses import dataclass

import numpy as np

from spyctl.market.encode import EncodedBatch
from spyctl.market.events import ResetReason
from spyctl.replay.control import Answer
from spyctl.replay.segments import Cursor
from spyctl.replay.waypoints import Waypoints
from spyctl.timing.instants import MAX_INSTANT


@dataclass(frozen=True, slots=True)
class Jump:
    """Where a replay goes on, and why; ``answer`` waits for its arrival.

    ``until`` ends what is only a warm-up; ``seeded`` says whether the books there are published first, ``lap`` whether
    the whole plan begins anew.
    """

    place: Cursor
    reason: ResetReason
    answer: "asyncio.Future[Answer] | None" = None
    until: Cursor | None = None
    seeded: bool = True
    lap: bool = False


class Boundaries:
    """The ends of what is played without a jump.

    ``warm_up`` is the one that is going on; ``arrived`` says that nothing was published since the last jump. The whole
    plan, which begins at ``begin_ns``, is played ``loops`` times.
    """

    def __init__(self, ways: Waypoints, begin_ns: int, warm_up_ns: int, loops: int) -> None:
        self.warm_up: Jump | None = None
        self.arrived = False
        self._ways = ways
        self._begin = Cursor(begin_ns)
        self._warm_up_ns = warm_up_ns
        self.loops_left = loops - 1
        self._begun_ns = 0  # where the segment began

    def begin(self, place: Cursor) -> None:
        """Note where a segment begins, or began in another process."""
        self._begun_ns = place.sort_ns

    def seek(self, place: Cursor, answer: "asyncio.Future[Answer]") -> Jump:
        """Return the jump to a place, by a warm-up where there is to be one."""
        return self._warmed(place, answer) if self._warm_up_ns else Jump(place, ResetReason.SEEK, answer)

    def before_start(self) -> Jump | None:
        """Return the jump to the warm-up before the start of the plan, where there is to be one."""
        return self._warmed(self._begin) if self._warm_up_ns else None

    def _warmed(self, place: Cursor, answer: "asyncio.Future[Answer] | None" = None) -> Jump:
        return Jump(Cursor(max(1, place.sort_ns - self._warm_up_ns)), ResetReason.WARM_UP, answer, place)

    def due(self, event_ns: int, place: Cursor) -> Jump | None:
        """Return the jump that is due at a place before its next event."""
        warm_up = self.warm_up
        if warm_up is not None and warm_up.until is not None and _of(event_ns, place) >= warm_up.until:
            return Jump(warm_up.until, ResetReason.START, warm_up.answer, seeded=False)
        if (loop := self._loop_ahead) is not None and loop[1] <= event_ns:
            if not self.arrived or self._begun_ns != loop[0]:
                return Jump(Cursor(loop[0]), ResetReason.LOOP)
            self._ways.loop = None  # there is no event in it: it would turn for ever
        if event_ns == MAX_INSTANT and self.loops_left > 0:
            self.loops_left -= 1
            return Jump(self._begin, ResetReason.LOOP, lap=True)
        return None

    def limit(self, piece: EncodedBatch, place: Cursor) -> int:
        """Return how many events of a piece come before the next jump; those behind a place are to be played."""
        limit = len(piece)
        if (loop := self._loop_ahead) is not None:
            limit = int(np.searchsorted(piece.sort_ns, loop[1]))
        if self.warm_up is not None and self.warm_up.until is not None:
            until = self.warm_up.until
            left = until.ordinal - _of(until.sort_ns, place).ordinal
            limit = min(limit, int(np.searchsorted(piece.sort_ns, until.sort_ns)) + left)
        return limit

    def arrive(self, jump: Jump) -> None:
        """Note that a jump is at its place."""
        self.warm_up = jump if jump.until is not None else None
        self.begin(jump.place)
        self.arrived = True

    @property
    def _loop_ahead(self) -> tuple[int, int] | None:
        # The loop whose end is still to come; a warm-up goes past it.
        loop = self._ways.loop
        return loop if loop is not None and self._begun_ns < loop[1] and self.warm_up is None else None


def _of(event_ns: int, place: Cursor) -> Cursor:
    # The place of an event that is the next one at ``place``.
    return Cursor(event_ns, place.ordinal if place.sort_ns == event_ns else 0)
