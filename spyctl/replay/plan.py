"""The plan of a replay: which files, which range, how much, how long; made before anything is published."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spyctl.dbn.choice import FileChoice, selection_for
from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.records import RECORD_DTYPES
from spyctl.dbn.sort_times import Int64s, Selection, Sequencer
from spyctl.errors import DamagedFileError
from spyctl.market.columns import SCHEMAS
from spyctl.market.sessions import trading_day
from spyctl.market.symbology import SymbolMap
from spyctl.timing.instants import DAY, MAX_INSTANT, day_number

SCAN_BYTES = 64_000_000  # unpacked bytes up to which a plan counts exactly
PAYLOAD_BYTES = {"trades": 192, "mbp-10": 748}
MESSAGE_OVERHEAD = 75  # JetStream stores beside the payload: record header, subject, the id header
_SAMPLES, _SAMPLE_BYTES = 256, 1 << 14


class _Volume(NamedTuple):
    # The fields of a plan that are counted or estimated.
    first_ns: int | None
    last_ns: int | None
    events: dict[str, int]
    wall_ns: int | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay would play: the files that were chosen, what is selected of them, and how much that is.

    ``origin`` names where the dates were asked for. ``first_ns`` and ``last_ns`` are the first and last sort time,
    ``None`` where nothing is in range, ``events`` the events by schema and ``wall_ns`` the wall time, ``None`` where it
    depends on the server alone; ``exact`` tells whether they were counted or estimated.
    """

    choice: FileChoice
    origin: str
    selection: Selection
    first_ns: int | None
    last_ns: int | None
    events: dict[str, int]
    wall_ns: int | None
    exact: bool

    @property
    def dates(self) -> tuple[date, ...]:
        """The UTC days that are played."""
        return self.choice.days

    @property
    def infos(self) -> tuple[DBNFileInfo, ...]:
        """The files that are played, in catalog order."""
        return self.choice.files

    @property
    def unreadable(self) -> tuple[DamagedFileError, ...]:
        """Files that may hold one of the days and cannot be read."""
        return self.choice.unreadable

    @property
    def stream_bytes(self) -> int:
        """About how much the events will take in the stream."""
        return sum(count * (PAYLOAD_BYTES[schema] + MESSAGE_OVERHEAD) for schema, count in self.events.items())

    @property
    def synthetic(self) -> bool:
        """Whether the files are synthetic."""
        return any(info.synthetic for info in self.infos)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that the files were requested for."""
        return tuple(dict.fromkeys(symbol for info in self.infos for symbol in info.symbols))


def make_plan(
    choice: FileChoice,
    origin: str,
    selection: Selection,
    *,
    speed: float = 1.0,
    max_quiet_ns: int = MAX_INSTANT,
    count: int | None = None,
) -> Plan:
    """Count what the chosen files hold of a selection, which is narrowed to the days and symbols of the choice, and to
    its trading day, if it has one.

    ``speed`` 0 is as fast as acknowledged; ``count`` ends the replay after so many events.
    """
    days = frozenset(map(day_number, choice.days))
    selection = replace(selection, days=days, symbols=choice.query.symbols)
    if (day := choice.query.days.trading_day) is not None:
        start_ns, end_ns = trading_day(day)
        start_ns, end_ns = max(selection.start_ns, start_ns), min(selection.end_ns, end_ns)
        selection = replace(selection, start_ns=start_ns, end_ns=end_ns)
    if sum(info.record_bytes for info in choice.files) <= SCAN_BYTES:
        volume = _counted(choice.files, selection, speed, max_quiet_ns, count)
    else:
        volume = _estimated(choice.files, selection, speed, max_quiet_ns)
    return Plan(choice, origin, selection, *volume)


def _counted(
    infos: Sequence[DBNFileInfo], selection: Selection, speed: float, max_quiet_ns: int, count: int | None
) -> _Volume:
    times = [(info.schema, _sort_times(info, selection)) for info in infos]
    sort_ns = np.sort(np.concatenate([sort_ns for _, sort_ns in times]))[:count]
    events = dict.fromkeys(SCHEMAS, 0)
    if not len(sort_ns):
        return _Volume(None, None, events, 0, exact=True)
    for schema, schema_ns in times:
        events[schema] += int((schema_ns <= sort_ns[-1]).sum())
    if count is not None:
        events["mbp-10"] -= max(0, sum(events.values()) - count)  # trades come first among equal times
    gaps = np.diff(sort_ns)
    if speed:
        gaps = np.minimum(gaps, max_quiet_ns * speed)
    wall_ns = round(float(gaps.sum()) / speed) if speed else None
    return _Volume(int(sort_ns[0]), int(sort_ns[-1]), events, wall_ns, exact=True)


def _estimated(infos: Sequence[DBNFileInfo], selection: Selection, speed: float, max_quiet_ns: int) -> _Volume:
    # By the share of each file's time that is selected.
    events = dict.fromkeys(SCHEMAS, 0)
    spans: list[tuple[int, int]] = []
    for info in infos:
        if info.first_ns is None:
            continue
        whole_from, whole_to = info.first_ns, info.last_ns or (day_number(info.last_date) + 1) * DAY - 1
        start, end = max(whole_from, selection.start_ns), min(whole_to, selection.end_ns)
        if start > end:
            continue
        spans.append((start, end))
        share = (end - start) / (whole_to - whole_from) if whole_to > whole_from else 1.0
        records = info.records
        if records is None:
            records = info.record_bytes // RECORD_DTYPES[info.schema].itemsize
        events[info.schema] += round(records * share)
    if not spans:
        return _Volume(None, None, events, None, exact=False)
    spans.sort()
    last_ns, played_ns, quiet_ns = spans[0][0], 0, 0
    for start, end in spans:
        quiet_ns += min(max(0, start - last_ns), round(max_quiet_ns * speed))
        played_ns += max(0, end - max(start, last_ns))
        last_ns = max(last_ns, end)
    wall_ns = round((played_ns + quiet_ns) / speed) if speed else None
    return _Volume(spans[0][0], last_ns, events, wall_ns, exact=False)


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


def fingerprints(infos: Sequence[DBNFileInfo]) -> list[dict[str, object]]:
    """Tell files from others of the same name: by size, a digest of samples, and one of what names the symbols.

    A change that no sample meets goes unnoticed: reading whole files before every run would take too long.
    """
    return [
        {
            "path": info.path.name,
            "schema": info.schema,
            "size": info.size,
            "sample": _sample(info.path),
            "names": _names(info),
        }
        for info in infos
    ]


def _sample(path: Path) -> str:
    digest, size = blake2b(digest_size=16), path.stat().st_size
    with path.open("rb") as file:
        for i in range(_SAMPLES):
            file.seek(max(0, size - _SAMPLE_BYTES) * i // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _names(info: DBNFileInfo) -> str:
    return blake2b(repr(info.mappings).encode(), digest_size=16).hexdigest()
