"""``spyctl discover --report``: how good the data of a day is, as a table, as JSON, as a picture."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from spyctl.cli.framework.remedies import remedy_for
from spyctl.cli.framework.reporter import Reporter, progress_bar
from spyctl.cli.framework.streams import write, write_document
from spyctl.cli.tape_report import TapeReport, dated
from spyctl.dbn.catalog import Catalog, scan
from spyctl.dbn.choice import FileChoice, FileQuery, choose_files, matching_files, parse_days
from spyctl.dbn.file_info import days_of, may_hold
from spyctl.dbn.quality import Quality, assess, in_daily_break
from spyctl.dbn.quality_picture import draw_quality
from spyctl.errors import ExitCode, MissingDaysError, NoDataFolderError, UsageError, path_text
from spyctl.replay.tapes.catalog import TapeInfo, scan_tapes
from spyctl.terminal.tables import table
from spyctl.terminal.text import exact_duration
from spyctl.timing.instants import clock_text, duration_text, utc_text

_ROWS: list[tuple[str, Callable[[Quality], str]]] = [
    ("records", lambda quality: f"{quality.records:,}"),
    ("snapshots", lambda quality: f"{quality.snapshots:,}"),
    ("instruments", lambda quality: f"{quality.instruments:,}"),
    ("first ts_event, UTC", lambda quality: clock_text(quality.first_ns, digits=3) if quality.first_ns else "·"),
    ("last ts_event, UTC", lambda quality: clock_text(quality.last_ns, digits=3) if quality.last_ns else "·"),
    ("peak in a second", lambda quality: f"{quality.peak_per_s:,}"),
    ("latency p50", lambda quality: exact_duration(quality.latency_p50_ns)),
    ("latency p99", lambda quality: exact_duration(quality.latency_p99_ns)),
    ("latency, largest", lambda quality: exact_duration(quality.latency_max_ns)),
    ("received before it happened", lambda quality: f"{quality.received_before_event:,}"),
    ("sequence resets", lambda quality: f"{quality.sequence_resets:,}"),
    ("ts_event inversions", lambda quality: f"{quality.inversions:,}"),
    ("largest inversion", lambda quality: exact_duration(quality.largest_inversion_ns)),
    ("later than the 1 s window", lambda quality: f"{quality.late:,}"),
    ("BAD_TS_RECV", lambda quality: f"{quality.bad_ts_recv:,}"),
    ("MAYBE_BAD_BOOK", lambda quality: f"{quality.maybe_bad_book:,}"),
    ("crossed books", lambda quality: f"{quality.crossed:,}" if quality.schema == "mbp-10" else "·"),
    ("locked books", lambda quality: f"{quality.locked:,}" if quality.schema == "mbp-10" else "·"),
    (
        "unmatched trades",
        lambda quality: f"{quality.unmatched_trades:,}" if quality.unmatched_trades is not None else "·",
    ),
    ("quiet for a minute or more", lambda quality: f"{quality.quiets:,}"),
]


def show_report(
    root: Path,
    query: FileQuery,
    text: str,
    picture: Path | None,
    reporter: Reporter,
    *,
    subjects: Collection[str] | None,
    as_json: bool,
) -> int:
    """Print how good the data of the day that ``text`` names is, on files and tapes, and return the exit code.

    Of tapes ``subjects`` are reported (``None``: all). Raises what :func:`choose_files` raises, :class:`UsageError` for
    what does not name a single day, and for a picture of tapes.
    """
    infos = scan_tapes(root)
    try:
        catalog = scan(root)
    except NoDataFolderError:
        if not infos:
            raise
        catalog = Catalog(root)
    parts: list[FileReport | TapeReport] = []
    if infos:
        day, choice, infos = _of_day(catalog, query, text, dated(infos))
    else:
        choice = choose_files(catalog, replace(query, days=parse_days([text])))
        day = _one_day(text, choice.days)
    if choice is not None:
        parts.append(FileReport(choice, reporter, picture))
    elif picture is not None:
        raise UsageError(f"--picture draws DBN files, and {path_text(root)} has none of {day}", "no --picture")
    if infos:
        if query.symbols or query.dataset:
            reporter.line("note: --symbol and --dataset choose among DBN files; of a tape everything is reported")
        parts.append(TapeReport(infos, subjects, reporter))
    unread = [error for error in catalog.unreadable if choice is None and may_hold(Path(error.path), [day])]
    _print(day, parts, [error.message for error in unread], as_json=as_json)
    if picture is not None:
        reporter.line(f"note: picture written to {picture}")
    for damage in (error for part in parts for error in part.damage):
        reporter.error(damage.message, f"{remedy_for(damage)}; the figures are of what lies before")
    return ExitCode.INCOMPLETE if unread or any(part.incomplete for part in parts) else ExitCode.OK


def _print(day: date, parts: "Sequence[FileReport | TapeReport]", unread: Sequence[str], *, as_json: bool) -> None:
    doubts = [*unread, *(doubt for part in parts for doubt in part.doubts)]
    if as_json:
        document: dict[str, Any] = {"date": day, "condition": None, "doubts": doubts, "schemas": {}, "tapes": []}
        for part in parts:
            document |= part.document()
        write_document(document)
        return
    for part in parts:
        part.print()
    for doubt in doubts:
        write(f" ! {doubt}")
    if not doubts:
        write(" ✓ nothing to look at")


def _of_day(
    catalog: Catalog, query: FileQuery, text: str, infos: Sequence[TapeInfo]
) -> tuple[date, FileChoice | None, list[TapeInfo]]:
    # The one day that is meant, of those that there are files or tapes of, with its files and its tapes.
    files = matching_files(catalog, query)
    held = sorted({*days_of(files), *(info.day for info in infos if info.day is not None)})
    day = _one_day(text, sorted(parse_days([text]).among(held)))
    if day not in held:
        raise MissingDaysError([day], path_text(catalog.root), ", ".join(map(str, held)))
    choice = None
    if any(info.covers(day) for info in files):
        choice = choose_files(catalog, replace(query, days=parse_days([str(day)])))
    return day, choice, [info for info in infos if info.day == day]


def _one_day(text: str, days: Sequence[date]) -> date:
    """Return the day that ``text`` means; raises :class:`UsageError` where these are several."""
    day, *others = days
    if others:
        raise UsageError(f"--report {text} means {len(days)} dates; a report is of one", f"--report {day}")
    return day


class FileReport:
    """How good the DBN files of a day are; raises :class:`UsageError` where the ``picture`` cannot be written."""

    def __init__(self, choice: FileChoice, reporter: Reporter, picture: Path | None) -> None:
        day = choice.days[0]
        self._head = _head(choice)
        with progress_bar(reporter, "reading", sum(info.record_bytes for info in choice.files)) as advance:
            assessed = assess(choice.files, day, choice.query.symbols, advance)
        if picture is not None:
            try:
                picture.write_text(draw_quality(assessed, day, escape(self._head)), encoding="utf-8")
            except OSError as error:
                raise UsageError(f"{picture} cannot be written ({error.strerror})", "--picture FILE") from None
        self._qualities = [quality for quality, _ in assessed.values()]
        words = (word for info in choice.files for on, word in info.conditions if on == day)
        self._conditions = list(dict.fromkeys(words))
        self.doubts = [
            *(error.message for error in choice.unreadable),
            *(f"Databento calls {day} {word}" for word in self._conditions),
            *(doubt for quality in self._qualities for doubt in quality.doubts()),
        ]
        self.damage = [error for quality in self._qualities for error in quality.damage]
        self.incomplete = bool(choice.unreadable or self.damage)

    def document(self) -> dict[str, Any]:
        """Return it as data."""
        schemas = {quality.schema: _document(quality) for quality in self._qualities}
        return {"condition": next(iter(self._conditions), None), "schemas": schemas}

    def print(self) -> None:
        """Print a column for each schema, and the quiet stretches."""
        write(f" {self._head}")
        rows = [[label, *(show(quality) for quality in self._qualities)] for label, show in _ROWS]
        schemas = [quality.schema for quality in self._qualities]
        for line in table(["", *schemas], rows, right=set(schemas)):
            write(line)
        for quality in self._qualities:
            for from_ns, to_ns in quality.quiet:
                span = f"{clock_text(from_ns, digits=0)} → {clock_text(to_ns, digits=0)}"
                usual = ", the daily break" if in_daily_break(from_ns, to_ns) else ""
                write(f" quiet    {quality.schema:<7}{span} UTC, {duration_text(to_ns - from_ns)}{usual}")


def _head(choice: FileChoice) -> str:
    day, infos = choice.days[0], choice.files
    names = list(choice.query.symbols) or list(dict.fromkeys(name for info in infos for name in info.symbols))
    more = f" and {len(names) - 3:,} more" if len(names) > 3 and not choice.query.symbols else ""
    shown = names if choice.query.symbols else names[:3]
    synthetic = ", synthetic" if any(info.synthetic for info in infos) else ""
    datasets = ", ".join(dict.fromkeys(info.dataset for info in infos))
    return f"{day:%a} {day}, {datasets}, {', '.join(shown)}{more}{synthetic}"


def _document(quality: Quality) -> dict[str, Any]:
    document = asdict(replace(quality, damage=[])) | {"damage": [error.message for error in quality.damage]}
    document["twinless"] = document.pop("unmatched_trades")  # the key that users know
    document["quiet"] = [
        {
            "from_ns": from_ns,
            "from_utc": utc_text(from_ns),
            "to_ns": to_ns,
            "to_utc": utc_text(to_ns),
            "daily_break": in_daily_break(from_ns, to_ns),
        }
        for from_ns, to_ns in quality.quiet
    ]
    return document
