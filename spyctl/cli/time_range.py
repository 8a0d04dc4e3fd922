"""``spyctl time-range``: the exact first and last event of days."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.remedies import remedy_for
from spyctl.cli.framework.reporter import Reporter, progress_bar
from spyctl.cli.framework.streams import write, write_document
from spyctl.cli.options import DataDir, Dataset, Json, Schema, Symbol
from spyctl.cli.tape_listing import subject_ranges
from spyctl.errors import ExitCode, MissingDaysError, NoDataFolderError, path_text
from spyctl.terminal.tables import table
from spyctl.terminal.text import count

if TYPE_CHECKING:
    import datetime

    from spyctl.dbn.choice import DayChoice
    from spyctl.dbn.time_range import TimeRange
    from spyctl.replay.tapes.catalog import TapeInfo

    _DayRange = tuple[datetime.date, str, TimeRange]

_HEAD = f"         {'UTC':<31}{'New York':<21}ts_event_ns"


def time_range(
    context: typer.Context,
    *,
    date: Annotated[
        list[str],
        typer.Option(
            "--date",
            envvar="REPLAY_DATE",
            metavar="DAY",
            help="A UTC day of the files, D..D, all, last.",
            autocompletion=complete.dates,
        ),
    ],
    schema: Schema = None,
    symbol: Symbol = None,
    dataset: Dataset = None,
    data_dir: DataDir = Path("dbn-data"),
    as_json: Json = False,
) -> int:
    """Show the exact first and last event of a day, or of each day of a range.

    spyctl time-range --date 2025-12-16 --schema trades
    spyctl time-range --date 2025-12-14..2025-12-19
    """

    from spyctl.dbn.catalog import scan
    from spyctl.dbn.choice import FileQuery, choose_files, parse_days
    from spyctl.dbn.time_range import time_range as exact_range
    from spyctl.market.columns import SCHEMAS
    from spyctl.replay.tapes.catalog import scan_tapes
    from spyctl.timing.instants import days_text

    reporter = Reporter.of(context)
    symbols = tuple(symbol or ())
    schemas = tuple(dict.fromkeys(schema)) if schema else SCHEMAS
    try:
        catalog = scan(data_dir)
    except NoDataFolderError:
        if not (tapes := scan_tapes(data_dir)):
            raise
        return _of_tapes(tapes, data_dir, parse_days(date), schemas if schema else (), as_json=as_json)
    choice = choose_files(catalog, FileQuery(schemas, parse_days(date), symbols, dataset))
    if choice.absent:
        reporter.warn(f"no files for {days_text(choice.absent)}")
    if choice.empty:
        reporter.warn(f"no records on {days_text(choice.empty)}")
    parts = [(day, name, files) for day in choice.days for name in schemas if (files := choice.files_of(name, day))]
    ranges: list[_DayRange] = []
    started = time.perf_counter_ns()
    total = sum(info.record_bytes for _, _, files in parts for info in files)
    with progress_bar(reporter, "reading", total) as advance:
        for day, name, files in parts:
            ranges.append((day, name, exact_range(files, day, symbols, advance)))
    took_ns = time.perf_counter_ns() - started
    if as_json:
        documents = [_document(*day_range) for day_range in ranges]
        document = documents[0] if len(documents) == 1 else {"ranges": documents}
        write_document(document)
    elif len(ranges) == 1:
        _print_one(*ranges[0], took_ns)
    else:
        _print_all(ranges, took_ns)
    damage = [error for _, _, span in ranges for error in span.damage]
    for error in damage:
        reporter.error(error.message, f"{remedy_for(error)}; the figures are of what lies before")
    for error in choice.unreadable:
        reporter.error(error.message, remedy_for(error))
    if damage or choice.unreadable:
        return ExitCode.INCOMPLETE if any(span.records for _, _, span in ranges) else ExitCode.FAILED
    return ExitCode.OK


def _of_tapes(
    infos: "list[TapeInfo]", root: Path, days: "DayChoice", schemas: tuple[str, ...], *, as_json: bool
) -> int:
    # The first and last event of each subject on the tapes of some trading days.
    from spyctl.market.columns import EVENT_TYPES
    from spyctl.market.subjects import subject_of

    held = sorted({info.day for info in infos if info.day is not None})
    wanted = days.among(held)
    if missing := sorted(wanted.difference(held)):
        raise MissingDaysError(missing, path_text(root), ", ".join(map(str, held)))
    subjects = {subject_of(EVENT_TYPES[schema]) for schema in schemas}
    rows = [
        row
        for row in subject_ranges([info for info in infos if info.day in wanted])
        if not subjects or row[1] in subjects
    ]
    if as_json:
        keys = ("date", "subject", "records", "first_ns", "last_ns")
        write_document({"ranges": [dict(zip(keys, row, strict=True)) for row in rows]})
        return ExitCode.OK
    heads = ("trading day", "subject", "events", "first, UTC", "last, UTC")
    cells = [
        (f"{day:%a} {day}" if day is not None else "·", subject, f"{number:,}", *(_clock(ns, day) for ns in span))
        for day, subject, number, *span in rows
    ]
    for line in table(heads, cells, right={"events"}):
        write(line)
    return ExitCode.OK


def _clock(ns: int | None, day: "datetime.date | None") -> str:
    from spyctl.timing.instants import clock_on, date_of

    return clock_on(ns, day or date_of(ns), digits=9) if ns is not None else "·"


def _document(day: "datetime.date", schema: str, span: "TimeRange") -> dict[str, Any]:
    from spyctl.timing.instants import utc_text

    document: dict[str, Any] = {"date": day, "schema": schema, **asdict(replace(span, damage=()))}
    document["damage"] = [error.message for error in span.damage]
    for key in ("first", "last", "first_recv", "last_recv"):
        ns = document[f"{key}_ns"]
        document[f"{key}_utc"] = utc_text(ns) if ns is not None else None
    document["span_s"] = (span.last_ns - span.first_ns) / 1e9 if span.first_ns and span.last_ns else None
    return document


def _print_one(day: "datetime.date", schema: str, span: "TimeRange", took_ns: int) -> None:
    from spyctl.timing.instants import duration_text

    length = duration_text((span.last_ns or 0) - (span.first_ns or 0), 3)
    write(
        f" {day} {schema}: {count('records', span.records)} in {count('files', span.files)}, "
        f"span {length}, read in {duration_text(took_ns)}"
    )
    write(_HEAD)
    for label, ns in (("first", span.first_ns), ("last", span.last_ns)):
        write(_instant_row(label, ns))
    if span.snapshots:
        verb = "record is" if span.snapshots == 1 else "records are"
        write(f" {span.snapshots:,} snapshot {verb} left out; ts_recv of all records:")
        for label, ns in (("first", span.first_recv_ns), ("last", span.last_recv_ns)):
            write(_instant_row(label, ns))


def _print_all(ranges: "list[_DayRange]", took_ns: int) -> None:
    from spyctl.timing.instants import clock_on, duration_text

    rows = [
        (
            f"{day:%a} {day}",
            schema,
            f"{span.records:,}",
            f"{span.snapshots:,}",
            clock_on(span.first_ns, day, digits=9) if span.first_ns is not None else "·",
            clock_on(span.last_ns, day, digits=9) if span.last_ns is not None else "·",
        )
        for day, schema, span in ranges
    ]
    heads = ("date", "schema", "records", "snapshots", "first, UTC", "last, UTC")
    for line in table(heads, rows, right={"records", "snapshots"}):
        write(line)
    firsts = [span.first_ns for _, _, span in ranges if span.first_ns is not None]
    lasts = [span.last_ns for _, _, span in ranges if span.last_ns is not None]
    records = sum(span.records for _, _, span in ranges)
    length = duration_text(max(lasts) - min(firsts), 3) if firsts else "0 s"
    write(f" all: {count('records', records)}, span {length}, read in {duration_text(took_ns)}")
    write(_HEAD)
    write(_instant_row("first", min(firsts, default=None)))
    write(_instant_row("last", max(lasts, default=None)))


def _instant_row(label: str, ns: int | None) -> str:
    from spyctl.timing.instants import NEW_YORK, clock_on, date_of

    if ns is None:
        return f" {label:<7} no such record"
    day = date_of(ns)
    return f" {label:<7} {day} {clock_on(ns, day, digits=9)}  {clock_on(ns, day, NEW_YORK, 9)}   {ns}"
