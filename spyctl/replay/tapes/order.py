"""Messages of tapes → encoded batches in the order in which they are played, with the times that pacing follows.

The sort time of an event is that of :mod:`spyctl.dbn.sort_times`, with its subjects in the place of a file. What came
over one feed keeps its stored order, and its sort times never go back. Where stocks and options are mixed with futures,
which may be of another day altogether, the two are merged by sort time; in stored order they are one.

A replay that jumped has a reset where it did. In stored order the rule begins anew there; behind a jump back the sort
times go on from where it jumped.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spyctl.dbn.sort_times import REORDER_WINDOW, placed
from spyctl.market.encode import NOTHING_YET, EncodedBatch, encoded_events, even_pieces
from spyctl.market.events import Gap, Reset
from spyctl.market.subjects import SUBJECTS, rank_of, subject_of
from spyctl.market.texts import Texts
from spyctl.replay.tapes.lines import Lines
from spyctl.replay.tapes.playlist import BEGINNING, Start
from spyctl.replay.tapes.reader import Findings
from spyctl.timing.instants import MAX_INSTANT

_FUTURES = np.array([subject.startswith("market.futures.") for subject in SUBJECTS])
_RESET, _GAP = rank_of(subject_of(Reset)), rank_of(subject_of(Gap))
_OF_NO_MARKET = np.isin(np.arange(len(SUBJECTS)), [_RESET, _GAP])  # they are never late
_SNAPSHOT = b'"is_snapshot":true'

_NOTHING = encoded_events([], [])


class TapeOrder(StrEnum):
    """In which order messages are played."""

    EVENT = "event"
    STORED = "stored"


class LineSource(Protocol):
    """What gives the lines of tapes, from their beginning or a place on, each time it is asked."""

    def lines(self, start: Start = ..., findings: Findings | None = ...) -> Iterator[Lines]: ...

    def start_before(self, ns: int, classes: Sequence[Sequence[int]], reorder_ns: int) -> Start: ...


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

    def feeds(self) -> "list[NDArray[np.bool_]]":
        """Return which ranks are of one feed, for each feed that is wanted."""
        wanted = np.ones(len(SUBJECTS), bool)
        if self.ranks is not None:
            wanted[:] = [rank in self.ranks for rank in range(len(SUBJECTS))]
        feeds = [wanted] if self.order is TapeOrder.STORED else [wanted & ~_FUTURES, wanted & _FUTURES]
        return [feed for feed in feeds if feed.any()]


@dataclass(slots=True)
class _Feed:
    # The messages of some subjects, in stored order, with their sort times.
    source: LineSource
    choice: Choice
    wanted: NDArray[np.bool_]  # by rank
    from_ns: int  # what sorts before may be passed over
    findings: Findings
    newest_sort_ns: int = 0
    newest_recv_ns: list[int] = field(default_factory=list)  # by class
    ahead_ns: int = 0  # of what sort times would be, behind a jump back
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
        start = start_of(self.source, choice, self.wanted, self.from_ns)
        self.newest_recv_ns = [
            max((start.recv_ns[rank] for rank in ranks), default=0) for ranks in _classes(self.wanted)
        ]
        for lines in self.source.lines(start, self.findings):
            if not len(lines):
                yield NOTHING_YET
                continue
            kept = self.wanted[lines.ranks] | (lines.ranks == _RESET)
            if choice.from_seq:
                kept &= (lines.seq >= choice.from_seq) | (lines.seq < 0)
            if choice.from_stored_ns:
                kept &= (lines.stored_ns >= choice.from_stored_ns) | (lines.stored_ns < 0)
            lines = lines if kept.all() else lines[kept]
            if not len(lines):
                continue
            sort_ns, late = self._sorted(lines)
            if not (told := self.wanted[lines.ranks]).all():  # resets that are not wanted themselves
                lines, sort_ns, late = lines[told], sort_ns[told], late[told]
            begin, end = (int(place) for place in np.searchsorted(sort_ns, (choice.start_ns, choice.end_ns)))
            if end > begin:
                yield EncodedBatch(lines.texts(), lines.ranks, sort_ns, late)[begin:end]
            else:
                yield _NOTHING  # a turn for others, on the way to a place
            if end < len(lines):
                return

    def _sorted(self, lines: Lines) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        # In event order a reset is a message like any other.
        resets = np.flatnonzero(lines.ranks == _RESET).tolist() if self.choice.order is TapeOrder.STORED else []
        edges = [0, *resets, len(lines)]
        parts = []
        for i, (start, end) in enumerate(pairwise(edges)):
            if i:
                self._restart(int(lines.ts_event_ns[start]))
            if end > start:
                parts.append(self._stretch(lines[start:end]))
        sort_ns, late = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return sort_ns, late

    def _restart(self, event_ns: int) -> None:
        self.newest_recv_ns = [0] * len(self.newest_recv_ns)
        self.ahead_ns = max(0, self.newest_sort_ns - event_ns)
        self.newest_sort_ns = max(self.newest_sort_ns, event_ns)

    def _stretch(self, lines: Lines) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        running = running_recv(lines, self.newest_recv_ns)
        sort_ns, late = sort_times(lines, running, self.choice.reorder_ns)
        sort_ns = np.maximum(np.maximum.accumulate(sort_ns + self.ahead_ns), self.newest_sort_ns)
        self.newest_sort_ns = int(sort_ns[-1])
        return sort_ns, late


def running_recv(lines: Lines, newest_recv_ns: list[int]) -> NDArray[np.int64]:
    """Return the running maximum of ``ts_recv`` of the class that each message is of.

    ``newest_recv_ns`` has the maxima before, of what is no future and of futures, and is brought up to date.
    """
    running = lines.ts_recv_ns.copy()
    running[lines.ranks == _RESET] = 0  # by the wall clock of a replay
    futures = _FUTURES[lines.ranks]
    for i, of_class in enumerate((~futures, futures)):
        if of_class.any():
            newest = np.maximum(np.maximum.accumulate(running[of_class]), newest_recv_ns[i])
            running[of_class], newest_recv_ns[i] = newest, int(newest[-1])
    return running


def sort_times(
    lines: Lines, running: NDArray[np.int64], reorder_ns: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the sort times of messages, and which are late; ``running`` is what :func:`running_recv` returns."""
    far = np.abs(running - lines.ts_event_ns) > reorder_ns
    snapshot = snapshots_among(lines, far)  # of all others it makes no difference
    sort_ns, late = placed(lines.ts_event_ns, running, snapshot, reorder_ns)
    return sort_ns, late & ~_OF_NO_MARKET[lines.ranks]


def snapshots_among(lines: Lines, wanted: "NDArray[np.bool_]") -> "NDArray[np.bool_]":
    """Tell which of the ``wanted`` messages belong to a snapshot of the book."""
    snapshot = np.zeros(len(lines), bool)
    for i in np.flatnonzero(wanted & _FUTURES[lines.ranks]).tolist():
        snapshot[i] = lines.text.find(_SNAPSHOT, int(lines.starts[i]), int(lines.ends[i])) >= 0
    return snapshot


def _classes(wanted: "NDArray[np.bool_]") -> "list[list[int]]":
    # The ranks that share a clock, by class: of another day altogether a future is not late.
    return [np.flatnonzero(wanted & of_class).tolist() for of_class in (~_FUTURES, _FUTURES)]


def start_of(source: LineSource, choice: Choice, feed: "NDArray[np.bool_]", ns: int) -> Start:
    """Return where reading of a feed may begin, so that nothing is missing that sorts at ``ns`` or later."""
    if not ns or choice.from_seq or choice.from_stored_ns:
        return BEGINNING
    return source.start_before(ns, _classes(feed), choice.reorder_ns)


def in_order(
    source: LineSource, choice: Choice, from_ns: int | None = None, findings: list[Findings] | None = None
) -> Iterator[EncodedBatch]:
    """Yield the chosen messages in the order of the choice; sort times never go back.

    What sorts before ``from_ns`` may be left out, and times before it may be too early; ``None``: the start of the
    choice. Each feed reads the tapes on its own, and appends what it finds wrong with them to ``findings``.
    """
    from_ns = choice.start_ns if from_ns is None else from_ns
    feeds = [_Feed(source, choice, feed, from_ns, Findings()) for feed in choice.feeds()]
    if findings is not None:
        findings += [feed.findings for feed in feeds]
    yield from _merged(feeds)


def _merged(feeds: Sequence[_Feed]) -> Iterator[EncodedBatch]:
    # Of the same sort time the messages of an earlier feed come first.
    while True:
        for feed in feeds:
            feed.fill()
        if passing := [feed for feed in feeds if feed.held is not None and not len(feed.held)]:
            nothing = passing[0].held
            for feed in passing:
                feed.held = None
            yield nothing if nothing is NOTHING_YET else _NOTHING
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
