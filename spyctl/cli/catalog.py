"""``spyctl discover`` and ``spyctl time-range``: what the data folder holds."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spyctl.cli.options import DataDir, Json, Quiet, Schema, schema_name
from spyctl.cli.talk import Talk, size_text
from spyctl.errors import ExitCode, NoDataError, UsageError

if TYPE_CHECKING:
    from spyctl.ingest import TimeRange
    from spyctl.sources.dbn_catalog import DBNFileInfo


def discover(
    data_dir: DataDir = Path("dbn-data"), schema: Schema = None, as_json: Json = False, quiet: Quiet = False
) -> int:
    """List what the data folder holds, one row a file.

    [dim]spyctl discover --schema mbp-10 --data-dir ~/es[/]
    """
    import orjson

    from spyctl.columns import SCHEMAS
    from spyctl.plan import shown
    from spyctl.sources.dbn_catalog import days, overlaps, scan

    schemas = [schema_name(text) for text in schema] if schema else list(SCHEMAS)
    infos, unreadable = scan(data_dir)
    infos = sorted((info for info in infos if info.schema in schemas), key=lambda info: info.first_date)
    if not infos and not unreadable:
        raise NoDataError(f"no {' or '.join(schemas)} data in {shown(data_dir)}", "spyctl discover lists all schemas")
    doubles = {id(left_out): kept for kept, left_out in overlaps(infos)}
    problems = [error.message for error in unreadable] + [info.problem.message for info in infos if info.problem]
    if as_json:
        document = {
            "data_dir": str(data_dir),
            "files": [_document(info, doubles.get(id(info))) for info in infos],
            "problems": problems,
        }
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        rows = [_row(info, doubles.get(id(info))) for info in infos]
        rows += [("·", "·", "·", "·", "·", "·", "·", f"unreadable: {Path(error.path).name}") for error in unreadable]
        if rows:
            for line in _table(("date", "schema", "symbol", "records", "size", "first → last, UTC", "v", "note"), rows):
                typer.echo(line)
        known = [info.records for info in infos]
        counted = f", {sum(n for n in known if n is not None):,} records" if None not in known else ""
        typer.echo(
            f" {_shown(data_dir)}, {', '.join(dict.fromkeys(info.dataset for info in infos)) or 'nothing readable'}: "
            f"{_count(len(days(infos)), 'date')}, {_count(len(infos) + len(unreadable), 'file')}{counted}, "
            f"{size_text(sum(info.size for info in infos))}"
            + ("   · large .zst: time-range reads it" if None in known else "")
        )
    talk = Talk(quiet)
    for problem in problems:
        talk.warn(problem)
    for info in infos:
        if id(info) in doubles:
            talk.warn(f"{info.path.name} holds what {doubles[id(info)].path.name} holds: it is not replayed")
    return ExitCode.INCOMPLETE if problems else ExitCode.OK


def _shown(path: Path) -> str:
    from spyctl.plan import shown

    return shown(path).removeprefix("./")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _row(info: "DBNFileInfo", double_of: "DBNFileInfo | None") -> tuple[str, ...]:
    from spyctl.times import clock_text

    span = "·"
    if info.first_ns is not None:
        last = clock_text(info.last_ns, digits=0) if info.last_ns is not None else "·"
        span = f"{clock_text(info.first_ns, digits=0)} → {last}"
    notes = []
    if info.synthetic:
        notes.append("synthetic")
    if info.compressed and info.records is None:
        notes.append(".zst")
    if info.problem is not None:
        notes.append("cut short" if "cut short" in info.problem.reason else "damaged")
    if double_of is not None:
        notes.append("overlaps")
    if info.records == 0:
        notes.append("no records")
    day = f"{info.first_date:%a} {info.first_date}"
    if info.last_date != info.first_date:
        day += f"..{info.last_date:%m-%d}"
    symbols = info.symbols[0] if len(info.symbols) == 1 else f"{len(info.symbols)} symbols"
    records = f"{info.records:,}" if info.records is not None else "·"
    return (
        day,
        info.schema,
        symbols,
        records,
        size_text(info.size),
        span,
        str(info.version),
        ", ".join(notes),
    )


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    right = {"records", "size"}
    widths = [max(len(head), *(len(row[i]) for row in rows)) for i, head in enumerate(heads)]
    return [
        " "
        + " ".join(
            cell.rjust(width) if head in right else cell.ljust(width)
            for head, cell, width in zip(heads, row, widths, strict=True)
        ).rstrip()
        for row in [heads, *rows]
    ]


def _document(info: "DBNFileInfo", double_of: "DBNFileInfo | None") -> dict[str, Any]:
    from spyctl.times import utc_text

    return {
        "path": str(info.path),
        "schema": info.schema,
        "dataset": info.dataset,
        "symbols": info.symbols,
        "version": info.version,
        "size": info.size,
        "compressed": info.compressed,
        "synthetic": info.synthetic,
        "first_date": info.first_date,
        "last_date": info.last_date,
        "records": info.records,
        "first_recv_ns": info.first_ns,
        "first_recv_utc": utc_text(info.first_ns) if info.first_ns is not None else None,
        "last_recv_ns": info.last_ns,
        "last_recv_utc": utc_text(info.last_ns) if info.last_ns is not None else None,
        "problem": info.problem.message if info.problem is not None else None,
        "overlaps": str(double_of.path) if double_of is not None else None,
    }


def time_range(
    date: Annotated[str, typer.Option("--date", envvar="REPLAY_DATE", help="A UTC day of the files.")],
    schema: Annotated[str, typer.Option("--schema", envvar="SPYCTL_SCHEMA", help="trades or mbp-10.")],
    data_dir: DataDir = Path("dbn-data"),
    as_json: Json = False,
) -> int:
    """Show the exact first and last event of a day.

    [dim]spyctl time-range --date 2025-12-16 --schema trades[/]
    """
    import time

    import orjson

    from spyctl.ingest import DBNIngestor
    from spyctl.plan import choose_dates, shown
    from spyctl.sources.dbn_catalog import days, scan
    from spyctl.times import duration_text, utc_text

    name = schema_name(schema)
    ingestor = DBNIngestor(data_dir)
    infos, unreadable = scan(data_dir)
    infos = [info for info in infos if info.schema == name]
    if unreadable and not infos:
        raise unreadable[0]
    if not infos:
        raise NoDataError(f"no {name} data in {shown(data_dir)}", "spyctl discover lists what there is")
    chosen = choose_dates([date], days(infos), data_dir)
    if len(chosen) > 1:
        raise UsageError(f"--date {date} means {len(chosen)} dates; time-range takes one", f"--date {chosen[0]}")
    day = chosen[0]
    started = time.perf_counter_ns()
    found = ingestor.get_time_range(day, name)
    took_ns = time.perf_counter_ns() - started
    if as_json:
        document: dict[str, Any] = {"date": day, "schema": name, **asdict(replace(found, damage=()))}
        document["damage"] = [error.message for error in found.damage]
        for key in ("first", "last", "first_recv", "last_recv"):
            ns = document[f"{key}_ns"]
            document[f"{key}_utc"] = utc_text(ns) if ns is not None else None
        document["span_s"] = (found.last_ns - found.first_ns) / 1e9 if found.first_ns and found.last_ns else None
        typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
        return _told(found)
    span = duration_text((found.last_ns or 0) - (found.first_ns or 0), 3)
    typer.echo(
        f" {day} {name}: {found.records:,} records in {_count(found.files, 'file')}, span {span}, "
        f"read in {duration_text(took_ns)}"
    )
    typer.echo(f"         {'UTC':<31}{'New York':<21}ts_event_ns")
    for label, ns in (("first", found.first_ns), ("last", found.last_ns)):
        typer.echo(_instant_row(label, ns))
    if found.snapshots:
        typer.echo(f" {found.snapshots:,} snapshot records are left out; ts_recv of all records:")
        for label, ns in (("first", found.first_recv_ns), ("last", found.last_recv_ns)):
            typer.echo(_instant_row(label, ns))
    return _told(found)


def _told(found: "TimeRange") -> ExitCode:
    for error in found.damage:
        Talk().error(error.message, f"{error.remedy}; the figures are of what lies before")
    if found.damage:
        return ExitCode.INCOMPLETE if found.records else ExitCode.FAILED
    return ExitCode.OK


def _instant_row(label: str, ns: int | None) -> str:
    from spyctl.times import NEW_YORK, clock_text, date_of

    if ns is None:
        return f" {label:<7} no such record"
    return f" {label:<7} {date_of(ns)} {clock_text(ns, digits=9)}  {clock_text(ns, NEW_YORK, 9)}   {ns}"
