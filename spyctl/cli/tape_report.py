"""``spyctl discover --report`` of tapes: what the messages of a trading day say of the data, by subject."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from typing import Any

from spyctl.cli.framework.reporter import Reporter, progress_bar
from spyctl.cli.framework.streams import write
from spyctl.errors import DamagedFileError, path_text
from spyctl.market.events import Gap
from spyctl.market.subjects import SUBJECTS
from spyctl.replay.tapes.catalog import TapeInfo, inspect_tape, overlaps
from spyctl.replay.tapes.quality import SubjectQuality, TapeQuality, assess_tape, market_closed
from spyctl.terminal.tables import table
from spyctl.terminal.text import count, exact_duration, size_text
from spyctl.timing.instants import clock_on, date_of, duration_text, utc_text

_MAX_GAPS = 8  # that are printed
_NAME = max(len(subject.partition("market.")[2]) for subject in SUBJECTS)

_ROWS: list[tuple[str, Callable[[SubjectQuality], str]]] = [
    ("events", lambda quality: f"{quality.events:,}"),
    ("bytes of JSON", lambda quality: size_text(quality.size)),
    ("latency, largest", lambda quality: exact_duration(quality.latency_max_ns)),
    ("received before it happened", lambda quality: f"{quality.received_before_event:,}"),
    ("ts_event inversions", lambda quality: f"{quality.inversions:,}"),
    ("largest inversion", lambda quality: exact_duration(quality.largest_inversion_ns)),
    ("later than the 1 s window", lambda quality: f"{quality.late:,}"),
    ("quiet for a minute or more", lambda quality: f"{quality.quiets:,}"),
]


def dated(infos: Sequence[TapeInfo]) -> list[TapeInfo]:
    """Return tapes with their trading days; those of which nobody has written it down are read."""
    found = (info if info.day is not None else inspect_tape(info.path, whole=True) for info in infos)
    return [info for info in found if info is not None]


class TapeReport:
    """How good the tapes of a day are; of each only some ``subjects`` are told, ``None`` for all."""

    def __init__(self, infos: Sequence[TapeInfo], subjects: Collection[str] | None, reporter: Reporter) -> None:
        with progress_bar(reporter, "reading tapes", sum(info.size for info in infos)) as advance:
            self._qualities = [assess_tape(info, subjects, advance) for info in infos]
        twice = overlaps(infos)
        self.doubts = [
            f"{f'{info.path.name}: ' if len(infos) > 1 else ''}{doubt}"
            for info, quality in zip(infos, self._qualities, strict=True)
            for doubt in quality.doubts()
        ]
        self.doubts += [info.problem.message for info in infos if info.problem is not None]
        self.doubts += [
            f"{path_text(path)} overlaps {path_text(other)}: what both hold is played once"
            for path, other in twice.items()
        ]
        self.damage: list[DamagedFileError] = [error for quality in self._qualities for error in quality.damage]
        self.incomplete = bool(self.damage) or any(info.problem is not None for info in infos)

    def document(self) -> dict[str, Any]:
        """Return it as data."""
        return {"tapes": [_document(quality) for quality in self._qualities]}

    def print(self) -> None:
        """Print of each tape a column for each subject, then what the tape lacks, gaps and quiet stretches."""
        for quality in self._qualities:
            for line in _lines(quality):
                write(line)


def _lines(quality: TapeQuality) -> list[str]:
    info, subjects = quality.info, quality.subjects
    day = info.day or date_of(info.first_stored_ns)
    growing = ", being recorded, or cut off" if info.growing else ""
    lines = [f" {day:%a} {day}, {info.stream}, {path_text(info.path)}, {size_text(info.size)}{growing}"]
    names = [_short(subject.subject) for subject in subjects]
    rows = [[label, *(show(subject) for subject in subjects)] for label, show in _ROWS]
    rows[2:2] = [
        ["first ts_event, UTC", *(clock_on(subject.first_ns, day) for subject in subjects)],
        ["last ts_event, UTC", *(clock_on(subject.last_ns, day) for subject in subjects)],
    ]
    if subjects:
        lines += table(["", *names], rows, right=set(names))
    left_out = [(quality.no_events, "no events"), (quality.duplicates, "twice")]
    told = [count("lines", quality.lines), *(f"{number:,} {what}" for number, what in left_out)]
    told += [count("gap records", quality.gap_records), count("resets", quality.resets)]
    lines.append(f" tape     {', '.join(told)}")
    lines += [f" missing  {gap.text}" for gap in info.gaps]
    lines += [f" gap      {gap.feed:<{_NAME}} {_gap_text(gap, quality)}" for gap in quality.gaps[:_MAX_GAPS]]
    if (more := len(quality.gaps) - _MAX_GAPS) > 0:
        lines.append(f" gap      and {more:,} more; --json lists them")
    for subject in subjects:
        for from_ns, to_ns in subject.quiet:
            span = f"{clock_on(from_ns, day, digits=0)} → {clock_on(to_ns, day, digits=0)}"
            usual = ", the market is closed" if market_closed(subject.subject, from_ns, to_ns) else ""
            name = _short(subject.subject)
            lines.append(f" quiet    {name:<{_NAME}} {span} UTC, {duration_text(to_ns - from_ns)}{usual}")
    return lines


def _short(subject: str) -> str:
    return subject.partition("market.")[2]


def _gap_text(gap: Gap, quality: TapeQuality) -> str:
    day = quality.info.day or date_of(gap.from_ns)
    since = clock_on(gap.from_ns, day, digits=0)
    missing = f", {count('events', gap.events)} missing" if gap.events is not None else ""
    if gap.to_ns is None:
        return f"{since} UTC on, not closed, {gap.reason}{missing}"
    until, length = clock_on(gap.to_ns, day, digits=0), duration_text(gap.to_ns - gap.from_ns)
    return f"{since} → {until} UTC, {length}, {gap.reason}{missing}"


def _document(quality: TapeQuality) -> dict[str, Any]:
    info = quality.info
    return {
        **info.document(),
        "lines": quality.lines,
        "no_events": quality.no_events,
        "duplicates": quality.duplicates,
        "resets": quality.resets,
        "missing": [gap.document() for gap in info.gaps],
        "gap_records": quality.gap_records,
        "gaps": [asdict(gap) for gap in quality.gaps],
        "damage": [error.message for error in quality.damage],
        "by_subject": {subject.subject: _subject_document(subject) for subject in quality.subjects},
    }


def _subject_document(subject: SubjectQuality) -> dict[str, Any]:
    document = asdict(subject)
    del document["subject"], document["leads"]
    document["bytes"] = document.pop("size")
    document |= {"first_utc": utc_text(subject.first_ns), "last_utc": utc_text(subject.last_ns)}
    document["quiet"] = [
        {
            "from_ns": from_ns,
            "from_utc": utc_text(from_ns),
            "to_ns": to_ns,
            "to_utc": utc_text(to_ns),
            "closed": market_closed(subject.subject, from_ns, to_ns),
        }
        for from_ns, to_ns in subject.quiet
    ]
    return document
