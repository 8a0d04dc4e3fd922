"""Where on a tape a time is, so that reading begins there instead of at its beginning.

The times that pacing follows depend on all that came before, through the running maximum of ``ts_recv``. A milestone
stands now and then between two frames and sums up everything before it by subject, so that any choice of subjects
goes on from there as if it had read all. ``record`` writes them beside its tape; for other tapes they are found by
reading once, and kept in the user's cache folder.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from platformdirs.unix import Unix

from spyctl.market.events import MBP10
from spyctl.market.subjects import SUBJECTS, rank_of, subject_of
from spyctl.replay.tapes.lines import Lines
from spyctl.replay.tapes.reader import Findings, Place, TapeReader

EVERY_BYTES = 1 << 18
_FORMAT = "spyctl milestones 1"
_HEAD = 64  # bytes that tell a tape from another one of its name
_KEPT = 64  # tapes in the cache folder
_BOOK = rank_of(subject_of(MBP10))
_SYMBOL = re.compile(rb'"symbol":"((?:[^"\\]|\\.)*)"')


def symbol_of(payload: bytes, start: int = 0) -> str:
    """Return the symbol of a payload, which begins somewhere in a text, as it is written there."""
    match = _SYMBOL.search(payload, start)
    return match[1].decode("utf-8", "replace") if match is not None else ""


@dataclass(frozen=True, slots=True)
class Milestone:
    """What stands before a place: by rank of the subject the newest ``ts_recv_ns`` and ``ts_event_ns``, 0 for none.

    ``books`` are the symbols that have a book between the milestone before and this one.
    """

    place: Place
    recv_ns: tuple[int, ...] = (0,) * len(SUBJECTS)
    event_ns: tuple[int, ...] = (0,) * len(SUBJECTS)
    books: frozenset[str] = frozenset()

    def behind(self, earlier: "Milestone") -> "Milestone":
        """Return it with what another tape before holds."""
        times = [
            tuple(map(max, mine, before))
            for mine, before in ((self.recv_ns, earlier.recv_ns), (self.event_ns, earlier.event_ns))
        ]
        return replace(self, recv_ns=times[0], event_ns=times[1])

    def line(self) -> bytes:
        """Return it as a line of a file of milestones."""
        return orjson.dumps([list(self.place), self.recv_ns, self.event_ns, sorted(self.books)]) + b"\n"

    @classmethod
    def of(cls, row: Any) -> "Milestone":
        """Read a line. Raises :class:`ValueError`, :class:`TypeError` where it is none."""
        place, recv_ns, event_ns, books = row
        if len(recv_ns) != len(SUBJECTS) or len(event_ns) != len(SUBJECTS):
            raise ValueError("of other subjects")
        newest = [tuple(int(ns) for ns in column) for column in (recv_ns, event_ns)]
        return cls(Place(*map(int, place)), newest[0], newest[1], frozenset(map(str, books)))


class Milestones:
    """Sums up a tape while it is read or written, and sets a milestone every :data:`EVERY_BYTES`."""

    def __init__(self, last: Milestone | None = None) -> None:
        last = last or Milestone(Place())
        self._last = last.place
        self._place = last.place
        self._recv_ns = np.array(last.recv_ns, np.int64)
        self._event_ns = np.array(last.event_ns, np.int64)
        self._books: set[str] = set()

    def add(self, lines: Lines, place: Place | None) -> Milestone | None:
        """Take in what comes next; ``place`` is behind it, ``None`` where reading cannot begin there.

        Returns the milestone that is due.
        """
        np.maximum.at(self._recv_ns, lines.ranks, lines.ts_recv_ns)
        np.maximum.at(self._event_ns, lines.ranks, lines.ts_event_ns)
        for i in np.flatnonzero(lines.ranks == _BOOK).tolist():
            self._books.add(symbol_of(lines.text, int(lines.starts[i])))
        if place is None:
            return None
        self._place = place
        return self.end() if place.offset - self._last.offset >= EVERY_BYTES else None

    def end(self) -> Milestone | None:
        """Return a milestone at the last place, ``None`` where one is there already."""
        if self._place == self._last:
            return None
        milestone = Milestone(
            self._place, tuple(self._recv_ns.tolist()), tuple(self._event_ns.tolist()), frozenset(self._books)
        )
        self._last = self._place
        self._books = set()
        return milestone


class MilestoneFile:
    """The file with the milestones of a tape; what cannot be written there is found again."""

    def __init__(self, path: Path, tape: Path) -> None:
        self.path = path
        self._tape = tape

    def read(self) -> list[Milestone]:
        """Return what is known; none where it is of another tape."""
        try:
            head, *rows = self.path.read_bytes().split(b"\n")
            size = self._tape.stat().st_size
            if orjson.loads(head) != self._head():
                return []
        except (OSError, ValueError):
            return []
        found: list[Milestone] = []
        with suppress(ValueError, TypeError):
            for row in rows:
                milestone = Milestone.of(orjson.loads(row))
                if milestone.place.offset > size:
                    break
                found.append(milestone)
        return found

    def begin(self, milestones: Sequence[Milestone]) -> None:
        """Write the file anew; without milestones there is none."""
        part = self.path.with_name(f".{self.path.name}.part")
        with suppress(OSError):
            if not milestones:
                self.path.unlink(missing_ok=True)
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(orjson.dumps(self._head()) + b"\n" + b"".join(each.line() for each in milestones))
            part.replace(self.path)

    def add(self, milestone: Milestone) -> None:
        """Append a milestone, which may be the first one."""
        if not self.path.exists():
            self.begin([milestone])
            return
        with suppress(OSError), self.path.open("ab") as file:
            file.write(milestone.line())

    def _head(self) -> dict[str, Any]:
        with self._tape.open("rb") as file:
            start = blake2b(file.read(_HEAD), digest_size=8).hexdigest()
        return {"format": _FORMAT, "tape": start, "subjects": list(SUBJECTS)}


def beside(tape: Path) -> MilestoneFile:
    """Return the file that ``record`` keeps beside its tape."""
    return MilestoneFile(tape.with_name(f"{tape.name.partition('.jsonl')[0]}.milestones"), tape)


def _cached(tape: Path) -> MilestoneFile:
    name = blake2b(str(tape.absolute()).encode(), digest_size=16).hexdigest()
    return MilestoneFile(Unix("spyctl").user_cache_path / "milestones" / name, tape)


def known_milestones(tape: Path) -> list[Milestone]:
    """Return the milestones that have been set on a tape so far."""
    return max((file.read() for file in (beside(tape), _cached(tape))), key=len)


def find_milestones(tape: Path) -> list[Milestone]:
    """Return the milestones of a whole tape; what nobody has read yet is read now, which takes seconds for each million
    lines."""
    known = known_milestones(tape)
    new = list(set_milestones(TapeReader(tape, Findings()), known[-1] if known else None))
    if new:
        file = _cached(tape)
        file.begin([*known, *new])
        with suppress(OSError):
            for old in sorted(file.path.parent.iterdir(), key=lambda each: -each.stat().st_mtime)[_KEPT:]:
                old.unlink(missing_ok=True)
    return [*known, *new]


def set_milestones(reader: TapeReader, last: Milestone | None = None) -> Iterator[Milestone]:
    """Read a tape to its end, from its last milestone on, and yield the others."""
    milestones = Milestones(last)
    for lines in reader.lines(last.place if last is not None else None):
        if (milestone := milestones.add(lines, reader.place)) is not None:
            yield milestone
    if (milestone := milestones.end()) is not None:
        yield milestone
