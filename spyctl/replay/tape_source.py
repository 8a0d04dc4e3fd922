"""Tapes as the input of a replay: their messages in order, from any place on, and what stands before a place.

A tape is read from its beginning whatever the place is: the times that pacing follows depend on what came before.
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spyctl.dbn.normalize import RecordCounts
from spyctl.errors import ControlError
from spyctl.market.encode import EncodedBatch
from spyctl.market.events import MBP10
from spyctl.market.subjects import SUBJECTS, rank_of, subject_of
from spyctl.replay.commands import Find, Unit
from spyctl.replay.pieces import Turn
from spyctl.replay.segments import Cursor
from spyctl.replay.source import Reading
from spyctl.replay.tapes.order import Choice, in_order
from spyctl.replay.tapes.playlist import Playlist
from spyctl.replay.targets import Span
from spyctl.timing.instants import SECOND

_BOOK = rank_of(subject_of(MBP10))
_TRADES = [rank for rank, subject in enumerate(SUBJECTS) if subject.endswith(".trades")]
_SYMBOL = re.compile(rb'"symbol":"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class TapeSource:
    """Tapes, played as a choice says; ``subjects`` (without prefix) are those that they hold."""

    playlist: Playlist
    choice: Choice
    subjects: tuple[str, ...]

    def batches(self, start: Cursor, reading: Reading) -> Iterator[EncodedBatch]:
        """Yield the messages from a place on, those at its sort time that lie before it included."""
        counts = RecordCounts()
        reading.counts.append(counts)
        choice = replace(self.choice, start_ns=max(self.choice.start_ns, start.sort_ns))
        for batch in in_order(self.playlist, choice):
            counts.read += len(batch)
            self._note_damage(reading)
            if reading.stopped:
                break
            yield batch
        self._note_damage(reading)
        counts.rejected = dict(self.playlist.findings.rejected)
        counts.read += sum(counts.rejected.values())

    def span(self) -> Span:
        """Return the range that was chosen."""
        return Span(self.choice.start_ns, self.choice.end_ns)

    async def prepare(self) -> None:
        """Do nothing: a tape is read from its beginning."""

    def encode(self, batch: EncodedBatch) -> Iterator[EncodedBatch]:
        """Yield a batch as it is."""
        yield batch

    async def so_many_back(self, place: Cursor, count: int, unit: Unit, turn: Turn) -> Cursor:
        """Return the place so many events, trades or seconds before another one; the first event where there are
        fewer."""
        if unit is Unit.SECONDS:
            return Cursor(max(self.choice.start_ns, place.sort_ns - count * SECOND))
        last: deque[Cursor] = deque(maxlen=count)
        at = Cursor()
        for piece in self.before(place):
            await turn((int(piece.sort_ns[-1]) - self.choice.start_ns) / max(1, place.sort_ns - self.choice.start_ns))
            for rank, sort_ns in zip(piece.ranks.tolist(), piece.sort_ns.tolist(), strict=True):
                at = Cursor(sort_ns, at.ordinal + 1 if at.sort_ns == sort_ns else 0)
                if unit is Unit.EVENTS or rank in _TRADES:
                    last.append(at)
        return last[0] if last else place

    def before(self, place: Cursor) -> Iterator[EncodedBatch]:
        """Yield what lies before a place, from the beginning on."""
        left = place.ordinal
        for batch in in_order(self.playlist, replace(self.choice, end_ns=place.sort_ns + 1)):
            before = int(np.searchsorted(batch.sort_ns, place.sort_ns))
            here = min(left, len(batch) - before)
            left -= here
            if before + here:
                yield batch[: before + here]

    def books_before(self, place: Cursor) -> list[EncodedBatch]:
        """Return the last book of each symbol before a place, payloads as they are, by symbol."""
        found: dict[bytes, EncodedBatch] = {}
        for piece in self.before(place):
            for i in np.flatnonzero(piece.ranks == _BOOK).tolist():
                book = piece[i : i + 1]
                symbol = _SYMBOL.search(book.payloads()[0])
                found[symbol[1] if symbol is not None else b""] = book
        return [found[symbol] for symbol in sorted(found)]

    async def find(self, wanted: Find, place: Cursor, turn: Turn, *, behind: bool) -> Cursor | None:
        """Raise :class:`ControlError`: a tape is not searched."""
        raise ControlError(f"a tape is not searched for {wanted.sight.value}", "seek to a time, or step")

    def rolls(self, first_ns: int, last_ns: int) -> list[int]:
        """Return none: the events of a tape do not tell which instrument they are of."""
        return []

    def _note_damage(self, reading: Reading) -> None:
        known = {damage.message for damage in reading.damage}
        reading.damage.extend(each for each in self.playlist.findings.damage if each.message not in known)


def subject_ranks(subjects: Sequence[str]) -> frozenset[int]:
    """Return the ranks of subjects, which may carry a prefix."""
    return frozenset(rank_of(f"market.{subject.partition('market.')[2]}") for subject in subjects)
