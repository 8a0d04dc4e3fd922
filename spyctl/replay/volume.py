"""How much a replay would play: counted where that takes no time, else estimated, else bounded."""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from spyctl.dbn.choice import selection_for
from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.places import count_at_most, find_places
from spyctl.dbn.sort_times import Int64s, Selection, Sequencer
from spyctl.errors import DamagedFileError
from spyctl.market.columns import SCHEMAS
from spyctl.market.symbology import SymbolMap
from spyctl.timing.instants import DAY, day_number

_READ_AT_MOST = 64_000_000  # bytes of records that are read of all files together to count them


@dataclass(frozen=True, slots=True)
class Volume:
    """How much there is: ``first_ns`` and ``last_ns`` are the first and last sort time, ``None`` where nothing is in
    range, ``events`` the events by schema, ``at_most`` an upper bound of them.

    ``wall_ns`` is the wall time, ``None`` where it depends on the server alone. ``exact`` tells whether the events were
    counted; where they are not ``known`` even about, ``events`` are the bound.
    """

    first_ns: int | None
    last_ns: int | None
    events: dict[str, int]
    at_most: dict[str, int]
    wall_ns: int | None
    exact: bool
    known: bool = True


def measure(
    infos: Sequence[DBNFileInfo],
    selection: Selection,
    *,
    speed: float,
    max_quiet_ns: int,
    count: int | None,
    read_at_most: int = _READ_AT_MOST,
) -> Volume:
    """Find out how much of some files is selected; ``read_at_most`` bytes of records are read to count them."""
    if sum(info.record_bytes for info in infos) <= read_at_most:
        return _counted(infos, selection, speed, max_quiet_ns, count)
    return _estimated(infos, selection, speed, max_quiet_ns, count, read_at_most)


def _counted(
    infos: Sequence[DBNFileInfo], selection: Selection, speed: float, max_quiet_ns: int, count: int | None
) -> Volume:
    times = [(info.schema, _sort_times(info, selection)) for info in infos]
    sort_ns = np.sort(np.concatenate([sort_ns for _, sort_ns in times]))[:count]
    events = dict.fromkeys(SCHEMAS, 0)
    if not len(sort_ns):
        return Volume(None, None, events, events, 0, exact=True)
    for schema, schema_ns in times:
        events[schema] += int((schema_ns <= sort_ns[-1]).sum())
    if count is not None:
        events["mbp-10"] -= max(0, sum(events.values()) - count)  # trades come first among equal times
    gaps = np.diff(sort_ns)
    if speed:
        gaps = np.minimum(gaps, max_quiet_ns * speed)
    wall_ns = round(float(gaps.sum()) / speed) if speed else None
    return Volume(int(sort_ns[0]), int(sort_ns[-1]), events, events, wall_ns, exact=True)


def _estimated(
    infos: Sequence[DBNFileInfo],
    selection: Selection,
    speed: float,
    max_quiet_ns: int,
    count: int | None,
    read_at_most: int,
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
        return Volume(None, None, events, at_most, None, exact=False)
    spans.sort()
    last_ns, played_ns, quiet_ns = spans[0][0], 0, 0
    for start, end in spans:
        quiet_ns += min(max(0, start - last_ns), round(max_quiet_ns * speed))
        played_ns += max(0, end - max(start, last_ns))
        last_ns = max(last_ns, end)
    wall_ns = round((played_ns + quiet_ns) / speed) if speed else None
    if count is not None:
        share = min(1.0, count / max(1, sum(events.values())))
        events = {schema: round(events[schema] * share) for schema in SCHEMAS}
        at_most = {schema: min(at_most[schema], count) for schema in SCHEMAS}
    return Volume(spans[0][0], last_ns, events, at_most, wall_ns, exact=False, known=known)


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
    start, end = selection.start_ns, selection.end_ns
    if selection.days is None:
        return [(start, end)]
    days = [(max(start, day * DAY), min(end, (day + 1) * DAY)) for day in sorted(selection.days)]
    return [(first, last) for first, last in days if first < last and last > (info.first_ns or 0)]


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
            pieces.append(times.sort_ns[times.selected])
    except DamagedFileError:
        pass  # the replay will meet it, and say so
    joined: Int64s = np.concatenate(pieces)
    return joined
