"""How far the records of a file go: how many there are, from when to when, on which days."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spyctl.dbn.records import Records
from spyctl.dbn.sort_times import effective_recv, running_recv
from spyctl.errors import DamagedFileError
from spyctl.timing.instants import DAY


@dataclass(frozen=True, slots=True)
class Extent:
    """How far the records of a file go.

    ``records`` is ``None`` where only reading the whole file would tell; ``first_ns`` and ``last_ns`` are the
    ``ts_recv`` of its first and last record, where the first one has none that of a record near it. ``least_ns`` is
    the effective ``ts_recv`` of the very first record: by receipt, none is earlier. ``days`` are the UTC days
    (since 1970-01-01) that have a record, ``None`` where only reading it would tell. ``problem`` says what is wrong
    with the file, if anything.
    """

    records: int | None = None
    first_ns: int | None = None
    last_ns: int | None = None
    least_ns: int = 0
    days: frozenset[int] | None = None
    problem: DamagedFileError | None = None

    def as_list(self) -> list[Any]:
        """Return what is to be remembered of a file that is whole."""
        return [self.records, self.first_ns, self.last_ns, self.least_ns, sorted(self.days or ())]


def remembered_extent(value: Any) -> Extent | None:
    """Read what :meth:`Extent.as_list` gave; ``None`` for anything else."""
    match value:
        case [int(records), int() | None as first_ns, int() | None as last_ns, int(least_ns), [*days]]:
            return Extent(records, first_ns, last_ns, least_ns, frozenset(days))
    return None


class ExtentCounter:
    """Counts the records of a file, chunk after chunk, from the very first one on."""

    def __init__(self) -> None:
        self.records = 0
        self._first_ns: int | None = None
        self._least_ns = 0
        self._newest_ns = 0
        self._days: set[int] = set()

    def add(self, records: Records) -> None:
        """Look through the next records."""
        if self.records == 0:
            self._first_ns, self._least_ns = first_time(records), least_recv(records)
        running = running_recv(effective_recv(records), self._newest_ns)
        self._newest_ns = int(running[-1])
        days = running[running > 0] // DAY  # which rise, so that equal ones are neighbours
        self._days.update(days[np.flatnonzero(np.diff(days, prepend=-1))].tolist())
        self.records += len(records)

    def extent(self, problem: DamagedFileError | None = None) -> Extent:
        """Return what was found; ``problem`` is what ended the reading, if it was not the end of the file."""
        days = frozenset(self._days)
        return Extent(self.records, self._first_ns, self._newest_ns or None, self._least_ns, days, problem)


def first_time(first: Records) -> int | None:
    """Return the ``ts_recv`` of the first record, of those that follow where it has none; ``None`` where none has.

    One that has no time at all, or no ``ts_recv``, tells little of the day: then it is the first time that any record
    near it has.
    """
    for times in _plausible(first):
        if (times > 0).any():
            return int(times[times > 0][0])
    return None


def _plausible(records: Records) -> Sequence[Any]:
    head = records[:1]
    return [one[name].view("i8") for one, name in ((head, "ts_recv"), (records, "ts_recv"), (records, "ts_event"))]


def least_recv(first: Records) -> int:
    """Return the effective ``ts_recv`` of the first record: no running maximum in the file is smaller."""
    return max(0, int(effective_recv(first[:1])[0]))
