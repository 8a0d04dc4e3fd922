"""``spyctl discover``: what the data folder holds, whether it is sound, and how good a day's data is."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spyctl.cli.file_listing import FileListing, days_text, days_without_record
from spyctl.cli.framework import complete
from spyctl.cli.framework.reporter import Reporter, progress_bar
from spyctl.cli.framework.streams import write_document
from spyctl.cli.options import DataDir, Dataset, Json, Schema, Symbol
from spyctl.cli.tape_listing import TapeListing
from spyctl.errors import ExitCode, NoDataFolderError, UsageError

if TYPE_CHECKING:
    from spyctl.cli.file_listing import FileKey
    from spyctl.dbn.integrity import Checkable, FileCheck

_MAX_NOTES = 5


def discover(
    context: typer.Context,
    *,
    schema: Schema = None,
    symbol: Symbol = None,
    dataset: Dataset = None,
    data_dir: DataDir = Path("dbn-data"),
    check: Annotated[
        bool, typer.Option("--check", help="Read every file to its end; verify it against manifest.json.")
    ] = False,
    report: Annotated[
        str | None,
        typer.Option(
            "--report",
            metavar="DAY",
            help="Report the quality of one day's data instead.",
            autocompletion=complete.dates,
        ),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="With --report of DBN files: also draw it as SVG.")
    ] = None,
    as_json: Json = False,
) -> int:
    """List what a folder of DBN files or tapes holds, one row per file.

    spyctl discover --schema mbp-10 --data-dir ~/es
    spyctl discover --check    every byte, exit code 3 if one is wrong
    spyctl discover --report 2025-12-16 --picture day.svg
    """
    from spyctl.dbn.catalog import scan
    from spyctl.dbn.choice import FileQuery, matching_files, no_such_data, with_symbols
    from spyctl.market.columns import EVENT_TYPES, SCHEMAS
    from spyctl.market.subjects import subject_of
    from spyctl.replay.tapes.catalog import scan_tapes

    reporter = Reporter.of(context)
    _refuse_idle_options(report, picture, check=check)
    schemas = tuple(dict.fromkeys(schema)) if schema else SCHEMAS
    query = FileQuery(schemas, symbols=tuple(symbol or ()), dataset=dataset)
    if report is not None:
        from spyctl.cli.report import show_report

        subjects = {subject_of(EVENT_TYPES[name]) for name in schemas} if schema else None
        return show_report(data_dir, query, report, picture, reporter, subjects=subjects, as_json=as_json)
    tapes = TapeListing(scan_tapes(data_dir), check=check, reporter=reporter)
    try:
        catalog = scan(data_dir)
    except NoDataFolderError:
        if not tapes.infos:
            raise
        return _list_tapes(tapes, data_dir, reporter, as_json=as_json)
    infos = matching_files(catalog, query)
    nothing = no_such_data(catalog, query) if not infos and not catalog.unreadable else None
    infos = sorted(with_symbols(infos, query.symbols, data_dir), key=lambda info: info.first_date)
    checks = _check([*infos, *catalog.definitions], reporter) if check else {}
    listing = FileListing(catalog, infos, schemas, checks, checked=check)
    if as_json:
        document = listing.document(verbose=reporter.verbose)
        write_document(document | {"tapes": tapes.documents(), "problems": [*listing.problems, *tapes.problems]})
    elif nothing is None:
        listing.print(verbose=reporter.verbose)
        if tapes.infos:
            tapes.print()
    _say_what_is_wrong(reporter, listing, whole=nothing is not None)
    _notes(reporter, [*tapes.problems, *tapes.warnings], warn=True, unnamed=tapes.unnamed)
    if nothing is not None:
        raise nothing
    return ExitCode.INCOMPLETE if listing.problems or tapes.problems else ExitCode.OK


def _list_tapes(tapes: TapeListing, root: Path, reporter: Reporter, *, as_json: bool) -> int:
    # Of a folder without DBN files.
    if as_json:
        write_document({"data_dir": str(root), "files": [], "tapes": tapes.documents(), "problems": tapes.problems})
    else:
        tapes.print()
    _notes(reporter, [*tapes.problems, *tapes.warnings], warn=True, unnamed=tapes.unnamed)
    return ExitCode.INCOMPLETE if tapes.problems else ExitCode.OK


def _refuse_idle_options(report: str | None, picture: Path | None, *, check: bool) -> None:
    # What would do nothing is not taken in silence.
    if check and report is not None:
        raise UsageError("--report and --check exclude each other", "one of the two")
    if picture is None:
        return
    if report is None:
        raise UsageError("--picture draws the report of a day", f"--report DAY --picture {picture}")
    if picture.suffix.lower() != ".svg":
        raise UsageError(f"{picture} does not end in .svg", "--picture FILE.svg")


def _check(files: "Sequence[Checkable]", reporter: Reporter) -> "dict[FileKey, FileCheck]":
    from spyctl.dbn.integrity import check_file, known_hashes

    hashes = known_hashes()
    with progress_bar(reporter, "checking", sum(file.size for file in files)) as advance:
        return {file.key: check_file(file, hashes, advance) for file in files}


def _say_what_is_wrong(reporter: Reporter, listing: FileListing, *, whole: bool) -> None:
    # Where nothing can be played, all that is there is named.
    catalog = listing.catalog
    if not listing.checked:
        _notes(reporter, [f"{error.message}: ignored" for error in catalog.unreadable_sidecars], warn=True)
        _notes(
            reporter, [f"{path.name} is listed in manifest.json, but missing" for path in catalog.missing], warn=True
        )
    passed_over = [f"note: {path.name} is passed over: {reason}" for path, reason in catalog.passed_over]
    _notes(reporter, passed_over, limit=len(passed_over) if whole else _MAX_NOTES)
    for schema, missing in listing.holes.items():
        reporter.warn(f"no {schema} file for {days_text(missing)}")
    for info in listing.infos:
        if days := days_without_record(info):
            kind = f"{info.schema} record" if info.capture else "record"
            reporter.warn(f"{info.path.name} has no {kind} on {days_text(days)}")
    for problem in listing.problems:
        reporter.warn(problem)
    _notes(reporter, [warning for info in listing.infos for warning in info.gateway_warnings()], warn=True)
    overlaps = [listing.overlaps[info.key] for info in listing.infos if info.key in listing.overlaps]
    _notes(reporter, [overlap.text(catalog.root) for overlap in overlaps], warn=True)


def _notes(
    reporter: Reporter, lines: Sequence[str], *, warn: bool = False, limit: int = _MAX_NOTES, unnamed: int = 0
) -> None:
    # ``unnamed`` more of them were counted alone.
    say = reporter.warn if warn else reporter.line
    for line in lines[:limit]:
        say(line)
    if len(lines) > limit:
        listed = "the first of them" if unnamed else "all"
        say(f"and {len(lines) - limit + unnamed:,} more of this kind; --json lists {listed}")
