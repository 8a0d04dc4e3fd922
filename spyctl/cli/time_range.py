"""``spyctl time-range``: the exact first and last event of days."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.remedies import remedy_for
from spyctl.cli.framework.reporter import Reporter, progress_bar
from spyctl.cli.framework.streams import write
from spyctl.cli.options import DataDir, Dataset, Json, Schema, Symbol
from spyctl.errors import ExitCode, NoDataError
from spyctl.terminal.tables import table

if TYPE_CHECKING:
    from spyctl.replay.source import TimeRange

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
    import orjson

    from spyctl.dbn.catalog import days, may_hold, refuse_mixture, scan
    from spyctl.market.columns import SCHEMAS, schema_name
    from spyctl.replay.plan import asked_days, asked_ranges, choose_dates, missing_days, shown, with_symbols
    from spyctl.replay.source import holding
    from spyctl.replay.source import time_range as exact_range
    from spyctl.timing.instants import days_text

    talk = Reporter.of(context)
    schemas = [schema_name(text) for text in schema] if schema else list(SCHEMAS)
    words = tuple(symbol or ())
    catalog = scan(data_dir)
    infos = [info for info in catalog.files if info.schema in schemas and dataset in (None, info.dataset)]
    if catalog.unreadable and not infos:
        raise catalog.unreadable[0]
    if not infos:
        raise NoDataError(f"no {' or '.join(schemas)} data in {shown(data_dir)}", "spyctl discover lists what there is")
    infos = with_symbols(infos, words, data_dir)
    chosen = choose_dates(date, days(infos), data_dir, catalog.unreadable)
    if absent := missing_days(asked_ranges(date or ()), chosen):
        talk.warn(f"no files for {days_text(absent)}")
    asked = asked_days(date)
    refuse_mixture([info for info in infos if any(info.covers(day) for day in chosen)], shown(data_dir))
    unread = [error for error in catalog.unreadable if asked is None or may_hold(Path(error.path), asked)]
    wanted = [
        (day, name, files)
        for day in chosen
        for name in schemas
        if (files := holding([info for info in infos if info.schema == name], day))
    ]
    found: list[tuple[Any, str, TimeRange]] = []
    started = time.perf_counter_ns()
    total = sum(info.record_bytes for _, _, files in wanted for info in files)
    with progress_bar(talk, "reading", total) as advance:
        for day, name, files in wanted:
            found.append((day, name, exact_range(files, day, words, advance)))
    took_ns = time.perf_counter_ns() - started
    if as_json:
        documents = [_document(*one) for one in found]
        document = documents[0] if len(documents) == 1 else {"ranges": documents}
        write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    elif len(found) == 1:
        _print_one(*found[0], took_ns)
    else:
        _print_all(found, took_ns)
    damage = [error for _, _, one in found for error in one.damage]
    for error in damage:
        talk.error(error.message, f"{remedy_for(error)}; the figures are of what lies before")
    for error in unread:
        talk.error(error.message, remedy_for(error))
    if damage or unread:
        return ExitCode.INCOMPLETE if any(one.records for _, _, one in found) else ExitCode.FAILED
    return ExitCode.OK


def _document(day: Any, schema: str, found: "TimeRange") -> dict[str, Any]:
    from spyctl.timing.instants import utc_text

    document: dict[str, Any] = {"date": day, "schema": schema, **asdict(replace(found, damage=()))}
    document["damage"] = [error.message for error in found.damage]
    for key in ("first", "last", "first_recv", "last_recv"):
        ns = document[f"{key}_ns"]
        document[f"{key}_utc"] = utc_text(ns) if ns is not None else None
    document["span_s"] = (found.last_ns - found.first_ns) / 1e9 if found.first_ns and found.last_ns else None
    return document


def _print_one(day: Any, schema: str, found: "TimeRange", took_ns: int) -> None:
    from spyctl.timing.instants import duration_text

    span = duration_text((found.last_ns or 0) - (found.first_ns or 0), 3)
    files = f"{found.files:,} file" + ("" if found.files == 1 else "s")
    write(f" {day} {schema}: {_records(found.records)} in {files}, span {span}, read in {duration_text(took_ns)}")
    write(_HEAD)
    for label, ns in (("first", found.first_ns), ("last", found.last_ns)):
        write(_instant_row(label, ns))
    if found.snapshots:
        were = "record is" if found.snapshots == 1 else "records are"
        write(f" {found.snapshots:,} snapshot {were} left out; ts_recv of all records:")
        for label, ns in (("first", found.first_recv_ns), ("last", found.last_recv_ns)):
            write(_instant_row(label, ns))


def _print_all(found: "list[tuple[Any, str, TimeRange]]", took_ns: int) -> None:
    from spyctl.timing.instants import clock_text, duration_text

    rows = [
        (
            f"{day:%a} {day}",
            schema,
            f"{one.records:,}",
            f"{one.snapshots:,}",
            clock_text(one.first_ns, digits=9) if one.first_ns is not None else "·",
            clock_text(one.last_ns, digits=9) if one.last_ns is not None else "·",
        )
        for day, schema, one in found
    ]
    heads = ("date", "schema", "records", "snapshots", "first, UTC", "last, UTC")
    for line in table(heads, rows, right={"records", "snapshots"}):
        write(line)
    firsts = [one.first_ns for _, _, one in found if one.first_ns is not None]
    lasts = [one.last_ns for _, _, one in found if one.last_ns is not None]
    records = sum(one.records for _, _, one in found)
    span = duration_text(max(lasts) - min(firsts), 3) if firsts else "0 s"
    write(f" all: {_records(records)}, span {span}, read in {duration_text(took_ns)}")
    write(_HEAD)
    write(_instant_row("first", min(firsts, default=None)))
    write(_instant_row("last", max(lasts, default=None)))


def _records(number: int) -> str:
    return f"{number:,} record" + ("" if number == 1 else "s")


def _instant_row(label: str, ns: int | None) -> str:
    from spyctl.timing.instants import NEW_YORK, clock_text, date_of

    if ns is None:
        return f" {label:<7} no such record"
    return f" {label:<7} {date_of(ns)} {clock_text(ns, digits=9)}  {clock_text(ns, NEW_YORK, 9)}   {ns}"
