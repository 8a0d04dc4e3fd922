"""The input of a replay as encoded pieces, ready to be paced, from any place on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Protocol

from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.seekable import make_copy, with_places
from spyctl.dbn.sort_times import Selection
from spyctl.market.columns import EVENT_TYPES, SCHEMAS, Batch
from spyctl.market.encode import NOTHING_YET, EncodedBatch, encode_batch
from spyctl.market.subjects import subject_of
from spyctl.replay.commands import Find, Unit
from spyctl.replay.segments import BEGINNING, Cursor
from spyctl.replay.source import Reading, read_batches
from spyctl.replay.targets import Span
from spyctl.timing.clock import Clock
from spyctl.timing.instants import MS

YIELD_EVERY_NS = 20 * MS
WAIT_NS = 50 * MS
REPLAYED_SUBJECTS = tuple(subject_of(EVENT_TYPES[schema]) for schema in SCHEMAS)

Turn = Callable[[float], Awaitable[None]]


class Source(Protocol):
    """What a replay plays: events in an order that is the same each time they are read, from any place on.

    ``subjects`` (without prefix) are those that it may have events of. A batch can be cut like a list, and has the
    ``sort_ns`` of its events. A search gives others their turns through ``turn``, tells it how much of it is done (0 to
    1), and ends with what that raises.
    """

    @property
    def subjects(self) -> tuple[str, ...]: ...

    def batches(self, start: Cursor, reading: Reading) -> Iterator[Any]:
        """Yield the events from a place on, those at its sort time that lie before it included.

        :data:`NOTHING_YET` says that more may come later.
        """
        ...

    def encode(self, batch: Any) -> Iterator[EncodedBatch]:
        """Yield the events of a batch as bytes."""
        ...

    async def prepare(self) -> None:
        """Get ready for jumps; the first time may take long, and holds up nobody."""
        ...

    def span(self) -> Span:
        """Return about what event time it spans, where nobody has counted it."""
        ...

    def books_before(self, place: Cursor) -> list[EncodedBatch]:
        """Return the last book of each symbol before a place, payloads as they are in the replay, by symbol."""
        ...

    async def so_many_back(self, place: Cursor, count: int, unit: Unit, turn: Turn) -> Cursor:
        """Return the place so many events, trades or seconds before another one; the first event where there are
        fewer."""
        ...

    async def find(self, wanted: Find, place: Cursor, turn: Turn, *, behind: bool) -> Cursor | None:
        """Return the place of the next, or previous, large trade, wide spread or late event; ``None`` where there is
        none. ``behind`` says that what is exactly there does not count."""
        ...

    def rolls(self, first_ns: int, last_ns: int) -> list[int]:
        """List the instants at which a continuous symbol becomes another instrument."""
        ...


@dataclass(slots=True)
class FileReader:
    """Files, read in the one order and encoded."""

    infos: Sequence[DBNFileInfo]
    selection: Selection

    @property
    def least_ns(self) -> int:
        """A time before which no event of the files sorts."""
        return max(0, min((info.extent.least_ns for info in self.infos), default=0) - self.selection.slack_ns)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Those of the events of futures."""
        return REPLAYED_SUBJECTS

    def encode(self, batch: Batch) -> Iterator[EncodedBatch]:
        """Yield the events of a batch as bytes."""
        return encode_batch(batch)

    def batches(self, start: Cursor, reading: Reading) -> Iterator[Batch]:
        """Yield the events from a place on, those at its sort time that lie before it included."""
        if start == BEGINNING:
            return read_batches(self.infos, self.selection, reading)
        selection = replace(self.selection, start_ns=start.sort_ns)  # a warm-up may begin before the plan
        return read_batches(self.seekable, selection, reading, skip=True)

    @property
    def seekable(self) -> list[DBNFileInfo]:
        """The files, as they can be jumped in."""
        return [with_places(info) for info in self.infos]

    async def prepare(self) -> None:
        """Get ready for jumps: files that can only be read from their beginning are copied once."""
        for info in self.infos:
            await asyncio.to_thread(make_copy, info)


@dataclass(slots=True)
class Stretch:
    """Some events of a source: from a place on, without the first ``skip``, at most ``limit`` (``None``: all).

    ``skipped`` is how many have been left out so far, those before the place included, and ``place`` is behind them;
    ``cut`` whether ``limit`` ended it.
    """

    source: Source
    start: Cursor = BEGINNING
    skip: int = 0
    limit: int | None = None
    reading: Reading = field(default_factory=Reading)
    skipped: int = 0
    cut: bool = False
    place: Cursor = field(init=False)

    def __post_init__(self) -> None:
        self.place = Cursor(self.start.sort_ns)

    @property
    def read(self) -> int:
        """Records read, without those that were left out."""
        return self.reading.read - self.skipped

    def pieces(self) -> Iterator[EncodedBatch]:
        """Yield the events; empty pieces while none can be released. Raises :class:`MergeLimitError`."""
        batches = self._without_skipped(self.source.batches(self.start, self.reading))
        left = self.limit
        for piece in chain.from_iterable(map(self.source.encode, batches)):
            if left is not None and len(piece):
                piece = piece[:left]
                left -= len(piece)
            yield piece
            if left == 0:
                self.cut = True
                return

    def _without_skipped(self, batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            here = min(len(batch), self.skip + self.start.ordinal - self.skipped)
            self.skipped += here
            if here:
                self.place = self.place.after(batch.sort_ns[:here])
            yield batch[here:] if here else batch


async def in_turns(pieces: Iterator[EncodedBatch], clock: Clock) -> AsyncIterator[EncodedBatch]:
    """Yield pieces, with turns for other tasks in between: reading may go on for long before anything is due.

    While a source waits for more, it is asked again every :data:`WAIT_NS`.
    """
    yielded_ns = clock.now_ns()
    for piece in pieces:
        if piece is NOTHING_YET:
            await clock.wait_until(clock.now_ns() + WAIT_NS)
        if clock.now_ns() - yielded_ns > YIELD_EVERY_NS or not len(piece):
            await asyncio.sleep(0)
            yielded_ns = clock.now_ns()
        yield piece
