"""How much a replay would play: counted where that takes no time, else estimated, else bounded."""

import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spyctl.dbn.choice import selection_for
from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.places import count_at_most, find_places
from spyctl.dbn.sort_times import Int64s, Selection, Sequencer
from spyctl.errors import DamagedFileError
from spyctl.market.columns import SCHEMAS
from spyctl.market.sessions import closed_stretches
from spyctl.market.symbology import SymbolMap
from spyctl.replay.schedule import Schedule
from spyctl.timing.clock import Speed
from spyctl.timing.instants import DAY, day_number

_READ_AT_MOST = 64_000_000  # bytes of records that are read of all files together to count them


@dataclass(frozen=True, slots=True)
class Volume:
    """How much there is: ``events`` by schema, ``at_most`` an upper bound of them, and the ``schedule``, ``None`` where
    nothing is in range.

    ``exact`` tells whether the events were counted; where they are not ``known`` even about, ``events`` are the bound.
    """

    events: dict[str, int]
    at_most: dict[str, int]
    schedule: Schedule | None
    exact: bool
    known: bool = True

    @property
    def first_ns(self) -> int | None:
        """The first sort time, ``None`` where nothing is in range."""
        return self.schedule.first_ns if self.schedule is not None else None

    @property
    def last_ns(self) -> int | None:
        """The last sort time, ``None`` where nothing is in range."""
        return self.schedule.last_ns if self.schedule is not None else None

    @property
    def wall_ns(self) -> int | None:
        """The wall time, ``None`` where it depends on the server alone."""
        return self.schedule.wall_ns if self.schedule is not None else 0


class Pace(NamedTuple):
    """At which speed it is played, and how long a quiet stretch is waited for (wall time, ns)."""

    speed: Speed
    max_quiet_ns: int

    @property
    def quiet_from_ns(self) -> float:
        """How long a stretch without events has to be (event time) that it is shortened."""
        return self.max_quiet_ns * self.speed.rate if self.speed.rate is not None else math.inf

    def schedule(
        self, first_ns: int, last_ns: int, events: Mapping[str, int], quiet: Sequence[tuple[int, int]]
    ) -> Schedule:
        """Return the schedule of so many events."""
        return Schedule(first_ns, last_ns, sum(events.values()), self.speed, quiet, self.max_quiet_ns)


def measure(
    infos: Sequence[DBNFileInfo],
    selection: Selection,
    pace: Pace,
    *,
    count: int | None = None,
    read_at_most: int = _READ_AT_MOST,
) -> Volume:
    """Find out how much of some files is selected; ``read_at_most`` bytes of records are read to count them."""
    if sum(info.record_bytes for info in infos) <= read_at_most:
        return _counted(infos, selection, pace, count)
    return _estimated(infos, selection, pace, count, read_at_most)


def _counted(infos: Sequence[DBNFileInfo], selection: Selection, pace: Pace, count: int | None) -> Volume:
    times = [(info.schema, _sort_times(info, selection)) for info in infos]
    sort_ns = np.sort(np.concatenate([sort_ns for _, sort_ns in times]))[:count]
    events = dict.fromkeys(SCHEMAS, 0)
    if not len(sort_ns):
        return Volume(events, events, None, exact=True)
    for schema, schema_ns in times:
        events[schema] += int((schema_ns <= sort_ns[-1]).sum())
    if count is not None:
        events["mbp-10"] -= max(0, sum(events.values()) - count)  # trades come first among equal times
    edges = np.flatnonzero(np.diff(sort_ns) > pace.quiet_from_ns)
    quiet = list(zip(sort_ns[edges].tolist(), sort_ns[edges + 1].tolist(), strict=True))
    return Volume(events, events, pace.schedule(int(sort_ns[0]), int(sort_ns[-1]), events, quiet), exact=True)


def _estimated(
    infos: Sequence[DBNFileInfo], selection: Selection, pace: Pace, count: int | None, read_at_most: int
) -> Volume:
    events, at_most = dict.fromkeys(SCHEMAS, 0), dict.fromkeys(SCHEMAS, 0)
    spans: list[tuple[int, int]] = []
    known = True
    for info in infos:
        if info.first_ns is None:
            continue
        start, end = max(info.first_ns, selection.start_ns), min(_end_ns(info), selection.end_ns)
        if start > end:
            continue
        spans.append((start, end))
        number, bound = _records(info, selection, read_at_most // len(infos))
        known &= number is not None
        events[info.schema] += bound if number is None else number
        at_most[info.schema] += bound
    if not spans:
        return Volume(events, at_most, None, exact=False)
    if count is not None:
        share = min(1.0, count / max(1, sum(events.values())))
        events = {schema: round(events[schema] * share) for schema in SCHEMAS}
        at_most = {schema: min(at_most[schema], count) for schema in SCHEMAS}
    first_ns, last_ns = min(start for start, _ in spans), max(end for _, end in spans)
    quiet = [stretch for stretch in _quiet(spans) if stretch[1] - stretch[0] > pace.quiet_from_ns]
    return Volume(events, at_most, pace.schedule(first_ns, last_ns, events, quiet), exact=False, known=known)


def _quiet(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    # Where no file has events, and where the market is closed, joined where they overlap.
    stretches: list[tuple[int, int]] = []
    reached_ns = min(start for start, _ in spans)
    for start, end in sorted(spans):
        stretches += [(reached_ns, start)] if start > reached_ns else []
        stretches += closed_stretches(start, end)
        reached_ns = max(reached_ns, end)
    joined: list[tuple[int, int]] = []
    for start, end in sorted(stretches):
        if joined and start <= joined[-1][1]:
            start, end = joined[-1][0], max(joined.pop()[1], end)
        joined.append((start, end))
    return joined


def events_at_most(infos: Sequence[DBNFileInfo], selection: Selection) -> dict[str, int]:
    """Return an upper bound of the selected records by schema, however long that takes to find out."""
    bounds = dict.fromkeys(SCHEMAS, 0)
    for info in infos:
        bounds[info.schema] += _records(info, selection, sys.maxsize)[1]
    return bounds


def _end_ns(info: DBNFileInfo) -> int:
    return info.last_ns or (day_number(info.last_date) + 1) * DAY - 1


def _records(info: DBNFileInfo, selection: Selection, read_at_most: int) -> tuple[int | None, int]:
    # About how many records of a file are selected, None where that cannot be told soon; and an upper bound.
    chosen = selection_for(info, selection)
    places = find_places(info.file)
    if places is not None:
        slack = chosen.slack_ns
        spans = _spans(info, chosen)
        number = sum(places.first_from(end) - places.first_from(start) for start, end in spans)
        bound = sum(places.first_from(end + slack) - places.first_from(start - slack) for start, end in spans)
        return number, bound
    if (read := _read_on(info, chosen, read_at_most)) is not None:
        return read, read
    if info.records is not None:
        return info.records if _whole(info, chosen) else None, info.records
    return None, count_at_most(info.file)


def _whole(info: DBNFileInfo, selection: Selection) -> bool:
    first_ns = info.first_ns or 0
    return selection.days is None and selection.start_ns <= first_ns and _end_ns(info) < selection.end_ns


def _spans(info: DBNFileInfo, selection: Selection) -> list[tuple[int, int]]:
    # The stretches of a file's time that are selected, with their ends exclusive.
    whole = [(selection.start_ns, selection.end_ns)]
    days = [(day * DAY, (day + 1) * DAY) for day in sorted(selection.days)] if selection.days is not None else whole
    common = [
        (max(start, first, opens), min(end, last, closes))
        for start, end in whole
        for first, last in days
        for opens, closes in (selection.hours if selection.hours is not None else whole)
    ]
    return [(first, last) for first, last in common if first < last and last > (info.first_ns or 0)]


def _read_on(info: DBNFileInfo, selection: Selection, read_at_most: int) -> int | None:
    # Count from the beginning of a file on, until its end, that of the selection or of our patience.
    sequencer = Sequencer(selection, SymbolMap(info.mappings))
    number, read = 0, 0
    try:
        with closing(info.chunks()) as chunks:
            for records in chunks:
                number += int(sequencer.next(records).selected.sum())
                read += records.nbytes
                if sequencer.finished:
                    return number
                if read > read_at_most:
                    return None
    except DamagedFileError:
        pass  # the replay will meet it, and say so
    return number


def _sort_times(info: DBNFileInfo, selection: Selection) -> Int64s:
    sequencer = Sequencer(selection_for(info, selection), SymbolMap(info.mappings))
    pieces = [np.empty(0, np.int64)]
    try:
        for records in info.chunks():
            times = sequencer.next(records)
            pieces.append(times.sort_ns[times.selected & (times.sort_ns > 0)])  # without any time it is rejected
    except DamagedFileError:
        pass  # the replay will meet it, and say so
    joined: Int64s = np.concatenate(pieces)
    return joined
