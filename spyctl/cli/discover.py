"""``spyctl discover``: what the data folder holds, whether it is sound, and how good a day's data is."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.reporter import Reporter, progress_bar
from spyctl.cli.framework.streams import write
from spyctl.cli.options import DataDir, Dataset, Json, Schema, Symbol
from spyctl.errors import ExitCode, NoDataError
from spyctl.terminal.tables import table
from spyctl.terminal.text import size_text

if TYPE_CHECKING:
    from datetime import date

    from spyctl.dbn.catalog import Catalog, DBNFileInfo
    from spyctl.dbn.integrity import FileCheck
    from spyctl.dbn.overlaps import Double

_MOST_NOTES = 5


def discover(
    context: typer.Context,
    *,
    schema: Schema = None,
    symbol: Symbol = None,
    dataset: Dataset = None,
    data_dir: DataDir = Path("dbn-data"),
    check: Annotated[
        bool, typer.Option("--check", help="Read every file to its end; hold it to manifest.json.")
    ] = False,
    report: Annotated[
        str | None,
        typer.Option(
            "--report",
            metavar="DAY",
            help="How good the data of a day is, instead.",
            autocompletion=complete.dates,
        ),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="With --report: write an SVG picture of it too.")
    ] = None,
    as_json: Json = False,
) -> int:
    """List what the data folder holds, one row a file.

    spyctl discover --schema mbp-10 --data-dir ~/es
    spyctl discover --check    every byte, exit code 3 if one is wrong
    spyctl discover --report 2025-12-16 --picture day.svg
    """
    import orjson

    from spyctl.dbn.catalog import scan
    from spyctl.dbn.overlaps import without_doubles
    from spyctl.market.columns import SCHEMAS, schema_name
    from spyctl.replay.plan import shown, with_symbols

    schemas = [schema_name(text) for text in schema] if schema else list(SCHEMAS)
    talk = Reporter.of(context)
    catalog = scan(data_dir)
    infos = [info for info in catalog.files if info.schema in schemas and dataset in (None, info.dataset)]
    if not infos and not catalog.unreadable:
        raise NoDataError(f"no {' or '.join(schemas)} data in {shown(data_dir)}", "spyctl discover lists all schemas")
    infos = with_symbols(infos, tuple(symbol or ()), data_dir)
    if report is not None:
        from spyctl.cli.report import show_report

        return show_report(
            infos, report, tuple(symbol or ()), data_dir, picture, talk, as_json=as_json, unreadable=catalog.unreadable
        )
    infos.sort(key=lambda info: info.first_date)
    doubles = {id(double.other): double for double in without_doubles(infos)[1]}
    checks = _check(infos, talk) if check else {}
    problems = [error.message for error in catalog.unreadable]
    found = {info.path: checks[id(info)].problem if check else info.problem for info in infos}
    problems += [error.message for error in found.values() if error is not None]
    problems += [error.message for error in catalog.beside] if check else []
    if check:
        problems += [f"{path}: listed in manifest.json, and not there" for path in catalog.missing]
    holes = _holes(infos, schemas)
    if as_json:
        document = {
            "data_dir": str(data_dir),
            "files": [
                _document(info, doubles.get(id(info)), checks.get(id(info)))
                | ({"mappings": _in_force(info)} if talk.verbose else {})
                for info in infos
            ],
            "problems": problems,
            "holes": holes,
            "passed_over": [{"path": str(path), "reason": reason} for path, reason in catalog.passed_over],
            "missing": [str(path) for path in catalog.missing],
            "job_files": [error.message for error in catalog.beside],
        }
        write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(infos, catalog, doubles, checks, data_dir, verbose=talk.verbose)
    if not check:
        _notes(talk, [f"{error.message}: set aside" for error in catalog.beside], warn=True)
        _notes(talk, [f"{path.name} is listed in manifest.json, and not there" for path in catalog.missing], warn=True)
    _notes(talk, [f"note: {path.name} is passed over: {reason}" for path, reason in catalog.passed_over])
    for schema_of, missing in holes.items():
        days = ", ".join(map(str, missing[:4])) + (f" and {len(missing) - 4:,} more" if len(missing) > 4 else "")
        talk.warn(f"no {schema_of} file for {days}")
    for problem in problems:
        talk.warn(problem)
    _notes(talk, [told for info in infos for told in info.complaints()], warn=True)
    _notes(talk, [doubles[id(info)].text(data_dir) for info in infos if id(info) in doubles], warn=True)
    return ExitCode.INCOMPLETE if problems else ExitCode.OK


def _check(infos: "Sequence[DBNFileInfo]", talk: Reporter) -> "dict[int, FileCheck]":
    from spyctl.dbn.integrity import check_file, known_hashes

    hashes, found = known_hashes(), {}
    with progress_bar(talk, "checking", sum(info.size for info in infos)) as advance:
        for info in infos:
            found[id(info)] = check_file(info, hashes, advance)
    return found


def _notes(talk: Reporter, lines: Sequence[str], *, warn: bool = False) -> None:
    say = talk.warn if warn else talk.line
    for line in lines[:_MOST_NOTES]:
        say(line)
    if len(lines) > _MOST_NOTES:
        say(f"and {len(lines) - _MOST_NOTES:,} more of this kind; --json lists all")


def _holes(infos: "Sequence[DBNFileInfo]", schemas: Sequence[str]) -> dict[str, list[Any]]:
    # Weekdays between the first and the last date for which a schema has no file, though there are such files.
    from datetime import date

    from spyctl.dbn.catalog import days

    available = days(list(infos))
    if not available:
        return {}
    span = range(available[0].toordinal(), available[-1].toordinal() + 1)
    weekdays = [day for day in map(date.fromordinal, span) if day.weekday() < 5]
    held = {schema: set(days([info for info in infos if info.schema == schema])) for schema in schemas}
    return {
        schema: missing
        for schema, there in held.items()
        if there and (missing := [day for day in weekdays if day not in there])
    }


def _print(
    infos: "Sequence[DBNFileInfo]",
    catalog: "Catalog",
    doubles: "dict[int, Double]",
    checks: "dict[int, FileCheck]",
    data_dir: Path,
    *,
    verbose: bool,
) -> None:
    from spyctl.dbn.catalog import days
    from spyctl.replay.plan import shown

    held = {
        schema: set(days([info for info in infos if info.schema == schema and info.records != 0]))
        for schema in {info.schema for info in infos}
    }
    rows = [_row(info, held, doubles.get(id(info)), checks.get(id(info))) for info in infos]
    rows += [("·",) * 7 + (f"unreadable: {Path(error.path).name}",) for error in catalog.unreadable]
    heads = ("date", "schema", "symbol", "records", "size", "first → last, UTC", "v", "note")
    lines = table(heads, rows, right={"records", "size"}) if rows else []
    for i, line in enumerate(lines):
        write(line)
        if verbose and 0 < i <= len(infos):
            for text in _mapping_lines(infos[i - 1]):
                write(text)
    known = [info.records for info in infos]
    counted = f", {_count(sum(n for n in known if n is not None), 'record')}" if None not in known else ""
    unread = any(info.records is None and info.compressed and info.problem is None for info in infos)
    sizes = {info.path: info.size for info in infos}
    write(
        f" {shown(data_dir).removeprefix('./')}, "
        f"{', '.join(dict.fromkeys(info.dataset for info in infos)) or 'nothing readable'}: "
        f"{_count(len(days(list(infos))), 'date')}, {_count(len(sizes) + len(catalog.unreadable), 'file')}{counted}, "
        f"{size_text(sum(sizes.values()))}{'   · large .zst: time-range reads it' if unread else ''}"
    )
    if checks:
        good = Counter(found.by for found in checks.values() if found.problem is None)
        bad = len(checks) - good.total() + len(catalog.unreadable) + len(catalog.missing)
        by_archive = f"{good['archive']:,} by the archive beside, " if good["archive"] else ""
        write(
            f" checked: {good['sha256']:,} good by sha256, {by_archive}{good['reading']:,} by reading to the end, "
            f"{bad:,} not"
        )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _row(
    info: "DBNFileInfo",
    held: "Mapping[str, Collection[date]]",
    double_of: "Double | None",
    checked: "FileCheck | None",
) -> tuple[str, ...]:
    from spyctl.timing.instants import clock_text

    span = "·"
    if info.first_ns is not None:
        last = clock_text(info.last_ns, digits=0) if info.last_ns is not None else "·"
        span = f"{clock_text(info.first_ns, digits=0)} → {last}"
    day = f"{info.first_date:%a} {info.first_date}"
    if info.last_date != info.first_date:
        day += f"..{info.last_date:%m-%d}"
    return (
        day,
        info.schema,
        _symbols(info),
        f"{info.records:,}" if info.records is not None else "·",
        size_text(info.size),
        span,
        str(info.version),
        ", ".join(_words(info, held, double_of, checked)),
    )


def _symbols(info: "DBNFileInfo") -> str:
    if not info.symbols:
        return "all"
    return info.symbols[0] if len(info.symbols) == 1 else _count(len(info.symbols), "symbol")


def _words(
    info: "DBNFileInfo",
    held: "Mapping[str, Collection[date]]",
    double_of: "Double | None",
    checked: "FileCheck | None",
) -> list[str]:
    problem = checked.problem if checked is not None else info.problem
    other = {"trades": "mbp-10", "mbp-10": "trades"}[info.schema]
    words = [
        ("synthetic", info.synthetic),
        ("live capture", info.capture),
        ("gateway errors", bool(info.errors)),
        (".zst", info.compressed and info.records is None),
        (", ".join(dict.fromkeys(word for _, word in info.conditions)), bool(info.conditions)),
        ("overlaps", double_of is not None and double_of.wholly),
        ("overlaps in part", double_of is not None and not double_of.wholly),
        ("misnamed", info.misnamed),
        ("no records", info.records == 0 and problem is None),
        (f"no {other} that day", other in held and info.first_date not in held[other]),
        ("sha256 ✓", checked is not None and checked.by == "sha256" and problem is None),
        ("archive ✓", checked is not None and checked.by == "archive" and problem is None),
    ]
    found = [word for word, holds in words if holds]
    if problem is not None:
        short = any(word in problem.reason for word in ("cut short", "shorter than"))
        found.append(
            "archive damaged" if problem.reason.startswith("its archive") else "cut short" if short else "damaged"
        )
    return found


def _in_force(info: "DBNFileInfo") -> list[dict[str, Any]]:
    # The mappings that hold on the days of the file: what each symbol is there.
    from datetime import date, timedelta

    from spyctl.market.symbology import is_outright, is_spread
    from spyctl.timing.instants import day_number

    first, last = day_number(info.first_date), day_number(info.last_date)
    epoch = date(1970, 1, 1)
    found = []
    for mapping in info.mappings:
        if mapping.first > last or mapping.end <= first:
            continue
        kind = "spread" if is_spread(mapping.symbol) else "outright" if is_outright(mapping.symbol) else "other"
        known = mapping.end - mapping.first < 1 << 20
        found.append(
            {
                "symbol": mapping.symbol,
                "instrument_id": mapping.instrument_id,
                "kind": kind,
                "first_date": epoch + timedelta(mapping.first) if known else None,
                "last_date": epoch + timedelta(mapping.end - 1) if known else None,
            }
        )
    return found


def _mapping_lines(info: "DBNFileInfo") -> list[str]:
    found = []
    for one in _in_force(info):
        span = f"{one['first_date']} to {one['last_date']}" if one["first_date"] else "any day"
        found.append(f"     {one['symbol']:<16} instrument {one['instrument_id']:<10} {one['kind']:<8} {span}")
    return found or ["     no mapping: instrument ids stand for symbols"]


def _document(info: "DBNFileInfo", double_of: "Double | None", checked: "FileCheck | None") -> dict[str, Any]:
    from spyctl.timing.instants import utc_text

    problem = checked.problem if checked is not None else info.problem
    return {
        "path": str(info.path),
        "schema": info.schema,
        "dataset": info.dataset,
        "symbols": info.symbols,
        "version": info.version,
        "size": info.size,
        "compressed": info.compressed,
        "synthetic": info.synthetic,
        "live_capture": info.capture,
        "gateway_errors": info.errors,
        "first_date": info.first_date,
        "last_date": info.last_date,
        "misnamed": info.misnamed,
        "records": info.records,
        "first_recv_ns": info.first_ns,
        "first_recv_utc": utc_text(info.first_ns) if info.first_ns is not None else None,
        "last_recv_ns": info.last_ns,
        "last_recv_utc": utc_text(info.last_ns) if info.last_ns is not None else None,
        "conditions": {str(day): word for day, word in info.conditions},
        "problem": problem.message if problem is not None else None,
        "checked_by": checked.by if checked is not None else None,
        "overlaps": str(double_of.kept.path) if double_of is not None else None,
    }
