"""Messages of tapes → encoded batches in the order in which they are played, with the times that pacing follows.

The sort time of an event is that of :mod:`spyctl.dbn.sort_times`, with its subjects in the place of a file. What came
over one feed keeps its stored order, and its sort times never go back. Where stocks and options are mixed with futures,
which may be of another day altogether, the two are merged by sort time; in stored order they are one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spyctl.dbn.sort_times import REORDER_WINDOW, placed
from spyctl.market.encode import EncodedBatch, encoded_events, even_pieces
from spyctl.market.subjects import SUBJECTS
from spyctl.market.texts import Texts
from spyctl.replay.tapes.lines import Lines
from spyctl.timing.instants import MAX_INSTANT

_FUTURES = np.array([subject.startswith("market.futures.") for subject in SUBJECTS])
_SNAPSHOT = b'"is_snapshot":true'

_NOTHING = encoded_events([], [])


class TapeOrder(StrEnum):
    """In which order messages are played."""

    EVENT = "event"
    STORED = "stored"


class LineSource(Protocol):
    """What gives the lines of tapes from their beginning, each time it is asked."""

    def lines(self) -> Iterator[Lines]: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """Which messages are played, and how: on some ``ranks`` (``None``: all), with ``start_ns <= sort time < end_ns``.

    ``from_seq`` and ``from_stored_ns`` leave out those that were stored before.
    """

    order: TapeOrder = TapeOrder.EVENT
    ranks: frozenset[int] | None = None
    start_ns: int = 0
    end_ns: int = MAX_INSTANT
    from_seq: int = 0
    from_stored_ns: int = 0
    reorder_ns: int = REORDER_WINDOW


@dataclass(slots=True)
class _Feed:
    # The messages of some subjects, in stored order, with their sort times.
    source: LineSource
    choice: Choice
    wanted: NDArray[np.bool_]  # by rank
    newest_recv_ns: int = 0
    newest_sort_ns: int = 0
    batches: Iterator[EncodedBatch] = field(init=False)
    held: EncodedBatch | None = None
    ended: bool = False

    def __post_init__(self) -> None:
        self.batches = self._read()

    def fill(self) -> None:
        """Hold the next messages, if there are any."""
        if self.held is None and not self.ended:
            self.held = next(self.batches, None)
            self.ended = self.held is None

    def _read(self) -> Iterator[EncodedBatch]:
        choice = self.choice
        for lines in self.source.lines():
            kept = self.wanted[lines.ranks]
            if choice.from_seq:
                kept &= (lines.seq >= choice.from_seq) | (lines.seq < 0)
            if choice.from_stored_ns:
                kept &= (lines.stored_ns >= choice.from_stored_ns) | (lines.stored_ns < 0)
            lines = lines if kept.all() else lines[kept]
            if not len(lines):
                continue
            sort_ns, late = self._sorted(lines)
            start, end = (int(place) for place in np.searchsorted(sort_ns, (choice.start_ns, choice.end_ns)))
            if end > start:
                yield EncodedBatch(lines.texts(), lines.ranks, sort_ns, late)[start:end]
            else:
                yield _NOTHING  # a turn for others, on the way to a place
            if end < len(lines):
                return

    def _sorted(self, lines: Lines) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        running = np.maximum(np.maximum.accumulate(lines.ts_recv_ns), self.newest_recv_ns)
        self.newest_recv_ns = int(running[-1])
        far = np.abs(running - lines.ts_event_ns) > self.choice.reorder_ns
        snapshot = np.zeros(len(lines), bool)
        for i in far.nonzero()[0].tolist():  # of all others it makes no difference
            snapshot[i] = lines.text.find(_SNAPSHOT, int(lines.starts[i]), int(lines.ends[i])) >= 0
        sort_ns, late = placed(lines.ts_event_ns, running, snapshot, self.choice.reorder_ns)
        sort_ns = np.maximum(np.maximum.accumulate(sort_ns), self.newest_sort_ns)
        self.newest_sort_ns = int(sort_ns[-1])
        return sort_ns, late


def in_order(source: LineSource, choice: Choice) -> Iterator[EncodedBatch]:
    """Yield the chosen messages in the order of the choice; sort times never go back."""
    wanted = np.ones(len(SUBJECTS), bool)
    if choice.ranks is not None:
        wanted[:] = [rank in choice.ranks for rank in range(len(SUBJECTS))]
    groups = [wanted] if choice.order is TapeOrder.STORED else [wanted & ~_FUTURES, wanted & _FUTURES]
    feeds = [_Feed(source, choice, group) for group in groups if group.any()]
    yield from _merged(feeds)


def _merged(feeds: Sequence[_Feed]) -> Iterator[EncodedBatch]:
    # Of the same sort time the messages of an earlier feed come first.
    while True:
        for feed in feeds:
            feed.fill()
        if passing := [feed for feed in feeds if feed.held is not None and not len(feed.held)]:
            for feed in passing:
                feed.held = None
            yield _NOTHING
            continue
        held = [(i, feed.held) for i, feed in enumerate(feeds) if feed.held is not None]
        if not held:
            return
        first, frontier = min(((i, int(batch.sort_ns[-1])) for i, batch in held), key=lambda pair: (pair[1], pair[0]))
        parts = []
        for i, batch in held:
            count = int(np.searchsorted(batch.sort_ns, frontier, side="right" if i <= first else "left"))
            parts.append(batch[:count])
            feeds[i].held = batch[count:] if count < len(batch) else None
        yield from _pieces(_joined([part for part in parts if len(part)]))


def _joined(parts: Sequence[EncodedBatch]) -> EncodedBatch:
    if len(parts) == 1:
        return parts[0]
    sort_ns = np.concatenate([part.sort_ns for part in parts])
    return EncodedBatch(
        Texts.joined([part.texts for part in parts]),
        np.concatenate([part.ranks for part in parts]),
        sort_ns,
        np.concatenate([part.late for part in parts]),
    )[np.argsort(sort_ns, kind="stable")]


def _pieces(batch: EncodedBatch) -> Iterator[EncodedBatch]:
    return (batch[piece] for piece in even_pieces(len(batch)))
