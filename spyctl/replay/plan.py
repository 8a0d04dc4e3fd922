"""The plan of a replay: which files, which range, how much, how long; made before anything is published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from spyctl.dbn.choice import FileChoice
from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.sort_times import Selection
from spyctl.errors import DamagedFileError
from spyctl.market.sessions import trading_day
from spyctl.replay.file_source import FileSource
from spyctl.replay.targets import Span
from spyctl.replay.volume import Pace, Volume, events_at_most, measure
from spyctl.timing.clock import Speed
from spyctl.timing.instants import MAX_INSTANT, NEW_YORK, day_number

PAYLOAD_BYTES = {"trades": 192, "mbp-10": 748}
MESSAGE_OVERHEAD = 75  # JetStream stores beside the payload: record header, subject, the id header
_SAMPLES, _SAMPLE_BYTES = 256, 1 << 14


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay would play: the files that were chosen, what is selected of them, and how much that is.

    ``origin`` names where the dates were asked for, ``zone`` is that of times without one.
    """

    choice: FileChoice
    origin: str
    selection: Selection
    volume: Volume
    zone: ZoneInfo = NEW_YORK

    @property
    def dates(self) -> tuple[date, ...]:
        """The UTC days that are played."""
        return self.choice.days

    @property
    def infos(self) -> tuple[DBNFileInfo, ...]:
        """The files that are played, in catalog order."""
        return self.choice.files

    @property
    def source(self) -> FileSource:
        """The files as the input of a replay."""
        return FileSource(self.infos, self.selection)

    @property
    def inputs(self) -> list[dict[str, object]]:
        """What tells these files from others of the same name."""
        return fingerprints(self.infos)

    @property
    def content(self) -> dict[str, Any]:
        """What decides, beside the files, which events are played."""
        selection = self.selection
        return {
            "dates": [str(day) for day in self.dates],
            "schemas": list(self.choice.query.schemas),
            "start_ns": selection.start_ns,
            "end_ns": selection.end_ns,
            "reorder_ns": selection.reorder_ns,
            "by_recv": selection.by_recv,
            "symbols": list(selection.symbols),
            **({"hours": [list(each) for each in selection.hours]} if selection.hours is not None else {}),
        }

    @property
    def unreadable(self) -> tuple[DamagedFileError, ...]:
        """Files that may hold one of the days and cannot be read."""
        return self.choice.unreadable

    @property
    def stream_bytes(self) -> int:
        """About how much the events will take in the stream."""
        return _stream_bytes(self.volume.events)

    def fits(self, free: int) -> bool:
        """Tell whether the events fit into so many bytes of a stream, in the worst case; may read the files."""
        if _stream_bytes(self.volume.at_most) <= free or self.volume.exact:
            return _stream_bytes(self.volume.at_most) <= free
        return _stream_bytes(events_at_most(self.infos, self.selection)) <= free

    @property
    def span(self) -> Span | None:
        """The event time that is played, where anything is."""
        schedule = self.volume.schedule
        if schedule is None:
            return None
        slack_ns = min(self.selection.slack_ns, schedule.first_ns - self.selection.start_ns)
        return Span(schedule.first_ns, schedule.last_ns, self.zone, 0 if self.volume.exact else slack_ns)

    @property
    def quiet(self) -> Sequence[tuple[int, int]]:
        """The stretches without events that are shortened."""
        return self.volume.schedule.quiet if self.volume.schedule is not None else ()

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
    zone: ZoneInfo = NEW_YORK,
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
    volume = measure(choice.files, selection, Pace(Speed.of(speed), max_quiet_ns), count=count)
    return Plan(choice, origin, selection, volume, zone)


def _stream_bytes(events: Mapping[str, int]) -> int:
    return sum(count * (PAYLOAD_BYTES[schema] + MESSAGE_OVERHEAD) for schema, count in events.items())


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
