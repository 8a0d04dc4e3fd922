"""The next, or the previous, of whatever a person looks for."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import cached_property

from spyctl.errors import ControlError
from spyctl.replay.commands import Find, Sight, Unit
from spyctl.replay.pieces import Source, Turn
from spyctl.replay.search import session_times
from spyctl.replay.segments import Cursor
from spyctl.replay.targets import Span

_NAMES = {
    Sight.SPREAD: "spread of more than one tick", Sight.QUIET: "quiet stretch", Sight.LATE: "late event",
    Sight.SESSION: "session time", Sight.PLACE: "session time or mark",
}  # fmt: skip


class Finder:
    """Finds places in a source; ``quiet`` are its stretches without events.

    ``searched`` is how much of a search is done, 0 to 1, ``None`` while there is none.
    """

    def __init__(self, source: Source, span: Span, quiet: Sequence[tuple[int, int]]) -> None:
        self.searched: float | None = None
        self._source = source
        self._span = span
        self._ends = [to_ns for _, to_ns in quiet]

    @cached_property
    def rolls(self) -> list[int]:
        """The rolls in the plan."""
        return self._source.rolls(self._span.first_ns, self._span.last_ns)

    async def find(self, wanted: Find, place: Cursor, marks: Collection[int], turn: Turn, *, behind: bool) -> Cursor:
        """Return the place of what is wanted that is nearest to another place.

        ``behind`` says that what is exactly there does not count. Raises :class:`ControlError` where there is none.
        """
        async with self._search(turn) as looked:
            found = await self._seen(wanted, place, marks, looked, behind=behind)
        if found is None:
            where = "before" if wanted.backward else "after"
            what = _NAMES.get(wanted.sight, wanted.sight.value)
            if wanted.sight is Sight.TRADE:
                what += f" of {wanted.lots:,} lots or more"
            raise ControlError(f"there is no {what} {where} this place in the plan", f"it plays {self._span.text}")
        return found

    async def so_many_back(self, place: Cursor, count: int, unit: Unit, turn: Turn) -> Cursor:
        """Return the place so many events, trades or seconds before another one; the first event where there are
        fewer."""
        async with self._search(turn) as looked:
            return await self._source.so_many_back(place, count, unit, looked)

    @asynccontextmanager
    async def _search(self, turn: Turn) -> AsyncIterator[Turn]:
        async def looked(done: float) -> None:
            self.searched = done
            await turn(done)

        await self._source.prepare()
        try:
            yield looked
        finally:
            self.searched = None

    async def _seen(
        self, wanted: Find, place: Cursor, marks: Collection[int], turn: Turn, *, behind: bool
    ) -> Cursor | None:
        sight, backward = wanted.sight, wanted.backward
        if sight in (Sight.TRADE, Sight.SPREAD, Sight.LATE, Sight.GAP, Sight.TROUBLE):
            found = await self._source.find(wanted, place, turn, behind=behind)
            if sight is not Sight.TROUBLE:
                return found
            places = [each for each in (found, self._nearest(self._ends, place, backward=backward)) if each is not None]
            return (max if backward else min)(places, default=None)
        return self._nearest(self._instants(sight, marks), place, backward=backward)

    def _instants(self, sight: Sight, marks: Collection[int]) -> Iterable[int]:
        first_ns, last_ns = self._span.first_ns, self._span.last_ns
        if sight is Sight.QUIET:
            return self._ends
        if sight is Sight.ROLL:
            return self.rolls
        if sight is Sight.MARK:
            return marks
        times = session_times(first_ns, last_ns)
        return times if sight is Sight.SESSION else [*times, *marks]

    def _nearest(self, instants: Iterable[int], place: Cursor, *, backward: bool) -> Cursor | None:
        now_ns = place.sort_ns or self._span.begin_ns
        if backward:
            before = [ns for ns in instants if ns < now_ns]
            return Cursor(max(before)) if before else None
        after = [ns for ns in instants if ns > now_ns]
        return Cursor(min(after)) if after else None
