"""Several tapes as one input: in the order in which the stream held their messages, each message once."""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from spyctl.market.events import MBP10, Reset
from spyctl.market.subjects import SUBJECTS, rank_of, subject_of
from spyctl.replay.tapes.lines import Lines
from spyctl.replay.tapes.milestones import Milestone, find_milestones, known_milestones, symbol_of
from spyctl.replay.tapes.reader import Advance, Findings, Place, TapeReader, tell_nobody
from spyctl.timing.instants import MAX_INSTANT

_RESET, _BOOK = rank_of(subject_of(Reset)), rank_of(subject_of(MBP10))
_NOTHING = (0,) * len(SUBJECTS)
_BEFORE_ALL = Milestone(Place())


class Start(NamedTuple):
    """Where reading of a playlist begins: which group, where in it, and by rank the newest ``ts_recv_ns`` before."""

    group: int = 0
    place: Place | None = None
    recv_ns: tuple[int, ...] = _NOTHING


BEGINNING = Start()


class Playlist:
    """Tapes of one stream; those that overlap are merged by stored time and sequence.

    ``groups`` are tapes that overlap among themselves; the groups follow one another. A pipe can be read once.
    """

    def __init__(
        self, groups: Sequence[Sequence[Path | BinaryIO]], *, name: str = "", advance: Advance = tell_nobody
    ) -> None:
        self.groups = groups
        self._name = name
        self._advance = advance
        self._milestones: dict[int, list[Milestone]] = {}  # by group

    def lines(self, start: Start = BEGINNING, findings: Findings | None = None) -> Iterator[Lines]:
        """Yield the messages of all tapes, from a place on; what is wrong with one goes to ``findings``."""
        findings = findings if findings is not None else Findings()
        place = start.place
        for group in self.groups[start.group :]:
            readers = [TapeReader(source, findings, name=self._name, advance=self._advance) for source in group]
            yield from _merged([reader.lines(place) for reader in readers])
            place = None

    def prepare(self) -> None:
        """Find the milestones of all tapes; the first time this may take seconds for each million lines."""
        for number, group in enumerate(self.groups):
            if (tape := _only(group)) is not None:
                self._milestones[number] = find_milestones(tape)

    @property
    def last_ns(self) -> int:
        """About the last event time, as far as milestones are known; 0 where there are none."""
        known = [self._known(number)[-1:] for number in range(len(self.groups))]
        return max((max(milestone.recv_ns) for each in known for milestone in each), default=0)

    def start_before(self, ns: int, classes: "Sequence[Sequence[int]]", reorder_ns: int) -> Start:
        """Return the last place known before which no message sorts at ``ns`` or later.

        ``classes`` are ranks; those of one class share a running maximum of ``ts_recv``. Where times jumped, there is
        none behind the jump.
        """
        start, before = BEGINNING, _BEFORE_ALL

        def bound(milestone: Milestone) -> int:
            return _bound_ns(milestone.behind(before), classes, reorder_ns)

        for number, group in enumerate(self.groups):
            if bound(before) >= ns:
                break
            start = Start(number, None, before.recv_ns)
            milestones = self._known(number)
            count = bisect_left(milestones, ns, key=bound)
            if count:
                last = milestones[count - 1].behind(before)
                start = Start(number, last.place, last.recv_ns)
            tape = _only(group)
            if count < len(milestones) or not milestones or tape is None:
                break
            if milestones[-1].place.offset < tape.stat().st_size:
                break
            before = milestones[-1].behind(before)
        return start

    def books_before(self, start: Start, besides: Collection[str]) -> dict[str, bytes]:
        """Return the last book of each symbol before a place, but of those that are known already."""
        found: dict[str, bytes] = {}
        for number in range(start.group, -1, -1):
            tape, milestones = _only(self.groups[number]), self._known(number)
            if number == start.group:
                offset = start.place.offset if start.place is not None else 0
                milestones = [each for each in milestones if each.place.offset <= offset]
            for before, behind in reversed(list(pairwise([_BEFORE_ALL, *milestones]))):
                if tape is not None and (missing := behind.books - found.keys() - set(besides)):
                    found |= {symbol: book for symbol, book in _books(tape, before, behind) if symbol in missing}
        return found

    def _known(self, number: int) -> list[Milestone]:
        if number not in self._milestones:
            tape = _only(self.groups[number])
            self._milestones[number] = known_milestones(tape) if tape is not None else []
        return self._milestones[number]


def _only(group: "Sequence[Path | BinaryIO]") -> Path | None:
    # The file that is a group of its own: among several that overlap there is no place to begin at.
    return group[0] if len(group) == 1 and isinstance(group[0], Path) else None


def _bound_ns(milestone: Milestone, classes: "Sequence[Sequence[int]]", reorder_ns: int) -> int:
    # No message before a milestone has a later sort time.
    if milestone.event_ns[_RESET]:
        return MAX_INSTANT
    newest = 0
    for ranks in classes:
        recv_ns, event_ns = (
            max((times[rank] for rank in ranks), default=0) for times in (milestone.recv_ns, milestone.event_ns)
        )
        newest = max(newest, recv_ns, min(event_ns, recv_ns + reorder_ns))
    return newest


def _books(tape: Path, before: Milestone, behind: Milestone) -> Iterator[tuple[str, bytes]]:
    # The symbols and payloads of the books between two milestones, in their order.
    reader = TapeReader(tape)
    for lines in reader.lines(before.place):
        for payload in lines[lines.ranks == _BOOK].payloads():
            yield symbol_of(payload), payload
        if reader.place is not None and reader.place.offset >= behind.place.offset:
            return


def _merged(inputs: Sequence[Iterator[Lines]]) -> Iterator[Lines]:
    # What all have read up to is final; what two of them hold is given once.
    if len(inputs) == 1:
        yield from inputs[0]
        return
    held: list[Lines | None] = [next(lines, None) for lines in inputs]
    while True:
        parts = [lines for lines in held if lines is not None]
        if not parts:
            return
        frontier_ns = min(int(lines.stored_ns.max()) for lines in parts)
        ready = []
        for i, lines in enumerate(held):
            if lines is None:
                continue
            count = int(np.searchsorted(np.maximum.accumulate(lines.stored_ns), frontier_ns, side="right"))
            ready.append(lines[:count])
            held[i] = lines[count:] if count < len(lines) else next(inputs[i], None)
        yield _once(ready)


def _once(parts: Sequence[Lines]) -> Lines:
    # Messages of several tapes as those of one, sorted, each once.
    offsets = np.cumsum([0, *(len(part.text) for part in parts[:-1])])
    text = b"".join(part.text for part in parts)
    starts = np.concatenate([part.starts + offset for part, offset in zip(parts, offsets, strict=True)])
    ends = np.concatenate([part.ends + offset for part, offset in zip(parts, offsets, strict=True)])
    ranks, seq, stored_ns, ts_event_ns, ts_recv_ns = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("ranks", "seq", "stored_ns", "ts_event_ns", "ts_recv_ns")
    )
    joined = Lines(text, starts, ends, ranks, seq, stored_ns, ts_event_ns, ts_recv_ns, [])
    order = np.lexsort((seq, stored_ns))
    again = np.zeros(len(order), bool)
    again[1:] = (np.diff(seq[order]) == 0) & (np.diff(stored_ns[order]) == 0) & (seq[order][1:] >= 0)
    return joined[order[~again]]
