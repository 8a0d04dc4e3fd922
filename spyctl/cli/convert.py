"""``spyctl convert``: tapes as Parquet, CSV or DBN."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.reporter import Reporter, progress_bar
from spyctl.cli.framework.streams import write_document
from spyctl.cli.options import Json
from spyctl.errors import ExitCode, NoDataError, UsageError, path_text
from spyctl.terminal.text import count, size_text

if TYPE_CHECKING:
    from spyctl.replay.tapes.conversion import Conversion


class Form(StrEnum):
    """What a tape becomes."""

    PARQUET = "parquet"
    CSV = "csv"
    DBN = "dbn"


def convert(
    context: typer.Context,
    tapes: Annotated[list[Path], typer.Argument(metavar="TAPE", help="Tapes, or folders of them.")],
    *,
    form: Annotated[
        Form, typer.Option("--to", metavar="FORM", help="parquet, csv; dbn: futures as Databento's files.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for the files; created if missing.")
    ] = Path(),
    subject: Annotated[
        list[str] | None,
        typer.Option(
            "--subject", metavar="NAME", help="Only futures, options.trades, …", autocompletion=complete.subjects
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    as_json: Json = False,
) -> int:
    """Convert tapes: a Parquet or CSV file for each subject, or DBN files that replay reads.

    spyctl convert tapes/MARKET_DATA-2025-12-16.jsonl.zst --to parquet
    spyctl convert tapes --to dbn --out es
    """
    from spyctl.market.subjects import stream_name
    from spyctl.replay.tapes.catalog import grouped, scan_tapes
    from spyctl.replay.tapes.conversion import Conversion
    from spyctl.terminal.event_lines import subjects_of

    reporter = Reporter.of(context)
    subjects = frozenset(subjects_of(subject or []))
    infos = []
    for path in tapes:
        if not (found := scan_tapes(path)):
            raise NoDataError(f"{path_text(path)} is not a tape and holds none", "spyctl record makes tapes")
        infos += found
    if not out.is_dir():
        out.mkdir(parents=True)
    if form is Form.DBN and len(streams := sorted({info.prefix for info in infos})) > 1:
        names = " and ".join(map(stream_name, streams))
        raise UsageError(f"these tapes are of {names}, which hold the same events", "name those of one stream")
    parts = [grouped(infos)] if form is Form.DBN else [[[info.path]] for info in infos]  # days of futures are one input
    conversions = [Conversion(part, out, form.value, subjects, overwrite=force) for part in parts]
    targets = [path for conversion in conversions for path in conversion.targets]
    present = [path for path in targets if path.exists()]
    if present and not force:
        raise UsageError(f"{path_text(present[0])} already exists", "--force overwrites it")
    if len(set(targets)) < len(targets):
        raise UsageError("two of these tapes have the same name", "convert them one by one, with --out of its own")
    with progress_bar(reporter, "converting", sum(info.size for info in infos)) as advance:
        for conversion in conversions:
            try:
                conversion.run(advance)
            except FileExistsError as error:
                raise UsageError(f"{error.filename} already exists", "--force overwrites it") from None
    return _tell(reporter, conversions, as_json=as_json)


def _tell(reporter: Reporter, conversions: "list[Conversion]", *, as_json: bool) -> int:
    written = [file for conversion in conversions for file in conversion.written]
    if as_json:
        write_document(
            {
                "files": [
                    {"path": str(path), "events": events, "size": path.stat().st_size} for path, events in written
                ],
                "left_out": [conversion.left_out for conversion in conversions],
                "problems": [problem for conversion in conversions for problem in conversion.problems],
            }
        )
    else:
        for path, events in written:
            reporter.line(f"{path_text(path)}  {count('events', events)}  {size_text(path.stat().st_size)}")
    for conversion in conversions:
        for reason, number in conversion.left_out.items():
            reporter.line(f"note: {conversion.tapes[0].name}: {count('events', number)} left out: {reason}")
        for problem in conversion.problems:
            reporter.error(problem)
    if not written:
        raise NoDataError("none of these events can be converted to that", "another --to, or another --subject")
    return ExitCode.INCOMPLETE if any(conversion.problems for conversion in conversions) else ExitCode.OK
