"""Tapes as the input of a replay: their messages in order, from any place on, and what stands before a place."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from spyctl.dbn.normalize import RecordCounts
from spyctl.market.encode import EncodedBatch, encoded_events
from spyctl.market.events import MBP10
from spyctl.market.subjects import rank_of, subject_of
from spyctl.replay.commands import Find, Unit
from spyctl.replay.pieces import Turn
from spyctl.replay.segments import BEGINNING, Cursor
from spyctl.replay.source import Reading
from spyctl.replay.tape_search import TapeSearch
from spyctl.replay.tapes.milestones import symbol_of
from spyctl.replay.tapes.order import Choice, in_order, start_of
from spyctl.replay.tapes.playlist import Playlist
from spyctl.replay.tapes.reader import Findings
from spyctl.replay.targets import Span

_BOOK = rank_of(subject_of(MBP10))


@dataclass(slots=True)
class TapeSource:
    """Tapes, played as a choice says; ``subjects`` (without prefix) are those that they hold."""

    playlist: Playlist
    choice: Choice
    subjects: tuple[str, ...]
    _search: TapeSearch = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._search = TapeSearch(self.playlist, self.choice)

    def batches(self, start: Cursor, reading: Reading) -> Iterator[EncodedBatch]:
        """Yield the messages from a place on, those at its sort time that lie before it included."""
        counts, events = RecordCounts(), 0
        reading.counts.append(counts)
        choice = self.choice if start == BEGINNING else replace(self.choice, start_ns=start.sort_ns)
        findings: list[Findings] = []
        for batch in in_order(self.playlist, choice, findings=findings):
            events += len(batch)
            _note(findings, reading, counts, events)
            if reading.stopped:
                break
            yield batch
        _note(findings, reading, counts, events)

    async def prepare(self) -> None:
        """Find the places at which reading can begin; ``record`` has written them down, of other tapes they are looked
        for once."""
        await asyncio.to_thread(self.playlist.prepare)

    def encode(self, batch: EncodedBatch) -> Iterator[EncodedBatch]:
        """Yield a batch as it is."""
        yield batch

    def span(self) -> Span:
        """Return the range that was chosen."""
        return Span(self.choice.start_ns, self.choice.end_ns)

    async def so_many_back(self, place: Cursor, count: int, unit: Unit, turn: Turn) -> Cursor:
        """Return the place so many events, trades or seconds before another one; the first event where there are
        fewer."""
        return await self._search.so_many_back(place, count, unit, turn)

    async def find(self, wanted: Find, place: Cursor, turn: Turn, *, behind: bool) -> Cursor | None:
        """Return the place of the next, or previous, large trade, wide spread or late event; ``None`` where there is
        none. ``behind`` says that what is exactly there does not count."""
        return await self._search.find(wanted, place, turn, behind=behind)

    def rolls(self, first_ns: int, last_ns: int) -> list[int]:
        """Return none: the events of a tape do not tell which instrument they are of."""
        return []

    def books_before(self, place: Cursor) -> list[EncodedBatch]:
        """Return the last book of each symbol before a place, payloads as they are, by symbol."""
        found: dict[str, bytes] = {}
        for piece in self._before(place):
            for i in np.flatnonzero(piece.ranks == _BOOK).tolist():
                payload = piece.payload(i)
                found[symbol_of(payload)] = payload
        for feed in self.choice.feeds():
            if feed[_BOOK]:
                start = start_of(self.playlist, self.choice, feed, place.sort_ns)
                found |= self.playlist.books_before(start, found)
        return [encoded_events([found[symbol]], [_BOOK]) for symbol in sorted(found)]

    def _before(self, place: Cursor) -> Iterator[EncodedBatch]:
        # What lies before a place, from where reading can begin.
        left = place.ordinal
        choice = replace(self.choice, start_ns=0, end_ns=place.sort_ns + 1)
        for batch in in_order(self.playlist, choice, from_ns=place.sort_ns):
            before = int(np.searchsorted(batch.sort_ns, place.sort_ns))
            here = min(left, len(batch) - before)
            left -= here
            if before + here:
                yield batch[: before + here]


def _note(findings: Sequence[Findings], reading: Reading, counts: RecordCounts, events: int) -> None:
    # Each feed meets the same lines.
    known = {damage.message for damage in reading.damage}
    for each in findings:
        reading.damage.extend(damage for damage in each.damage if damage.message not in known)
        known |= {damage.message for damage in each.damage}
    rejected = Counter[str]()
    for each in findings:
        rejected |= each.rejected
    counts.rejected, counts.read = dict(rejected), events + sum(rejected.values())


def subject_ranks(subjects: Sequence[str]) -> frozenset[int]:
    """Return the ranks of subjects, which may carry a prefix."""
    return frozenset(rank_of(f"market.{subject.partition('market.')[2]}") for subject in subjects)
