"""All messages of a run from any position on, made again from its input and its journal."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import pairwise

from spyctl.bus.recognition import Message, messages_of
from spyctl.market.columns import SOURCE
from spyctl.market.encode import EncodedBatch, encoded_events
from spyctl.market.events import MBP10, Reset
from spyctl.market.subjects import encode, rank_of, subject_of
from spyctl.replay.pieces import Source, Stretch, in_turns
from spyctl.replay.segments import Journal, Segment
from spyctl.replay.source import Reading
from spyctl.timing.clock import SystemClock

_RESET, _BOOK = rank_of(subject_of(Reset)), rank_of(subject_of(MBP10))


def reset_of(segment: Segment, run_id: str) -> Reset | None:
    """Return what tells consumers that a segment begins, ``None`` for the first one of a run."""
    if segment.reason is None:
        return None
    ns = segment.cursor.sort_ns
    return Reset(ns, segment.jumped_ns, SOURCE, run_id, segment.reason, segment.from_ns, ns, segment.number)


def prelude_of(reset: Reset | None, books: list[bytes]) -> EncodedBatch:
    """Return what comes before the events of a segment as messages."""
    payloads = [*([encode(reset)] if reset is not None else []), *books]
    return encoded_events(payloads, [*([_RESET] if reset is not None else []), *([_BOOK] * len(books))])


@dataclass(slots=True)
class Script:
    """What a run publishes: the input, where it jumped, and after how many events it ends (``None``: never)."""

    source: Source
    count: int | None = None

    def prelude(self, segment: Segment, run_id: str) -> EncodedBatch:
        """Return the messages before the events of a segment, perhaps none."""
        books = self.source.books_before(segment.cursor) if segment.seeds else []
        return prelude_of(reset_of(segment, run_id), [book.payloads()[0] for book in books])

    def stretch(self, journal: Journal, segment: Segment, stored: int, reading: Reading | None = None) -> Stretch:
        """Return the events of a segment, without those among its first ``stored`` messages."""
        before = journal.events_before(segment.first + stored - 1)
        limit = None if self.count is None else max(0, self.count - before)
        skip = max(0, stored - segment.prelude)
        return Stretch(self.source, segment.cursor, skip, limit, reading or Reading())

    def pieces(self, journal: Journal, position: int) -> Iterator[EncodedBatch]:
        """Yield all messages behind a position, in order, as far as the input goes."""
        begun = journal.segments[journal.holding(position) :]
        ends = [later.first for _, later in pairwise(begun)] + [None]
        for segment, end in zip(begun, ends, strict=True):
            stored = max(0, position + 1 - segment.first)
            left = end - segment.first - stored if end is not None else None
            for piece in self._segment(journal, segment, stored):
                yield piece[:left]
                if left is not None and (left := left - len(piece)) <= 0:
                    break

    def _segment(self, journal: Journal, segment: Segment, stored: int) -> Iterator[EncodedBatch]:
        if stored < segment.prelude:
            yield self.prelude(segment, journal.run_id)[stored:]
        yield from self.stretch(journal, segment, stored).pieces()

    async def messages(self, journal: Journal, position: int, table: tuple[str, ...]) -> AsyncIterator[list[Message]]:
        """Yield the messages behind a position; others have their turns meanwhile."""
        async for piece in in_turns(self.pieces(journal, position), SystemClock()):
            yield messages_of(piece, table)
