"""``spyctl sample``: write synthetic days to try things out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.reporter import Reporter, progress_bar
from spyctl.cli.framework.streams import write_document
from spyctl.cli.options import DataDir, Json
from spyctl.errors import NoSessionError, UsageError, path_text
from spyctl.terminal.text import count, size_text

if TYPE_CHECKING:
    import datetime

    from spyctl.dbn.sample import WrittenFile

_DAY = "2025-12-16"
_LONG_NS = 600 * 1_000_000_000  # of event time; ten minutes of it are written in seconds


def sample(
    context: typer.Context,
    *,
    data_dir: DataDir = Path("dbn-data"),
    date: Annotated[
        list[str] | None,
        typer.Option(
            "--date",
            metavar="DAY",
            help=f"UTC day, or D..D; repeatable; default: {_DAY}.",
            autocompletion=complete.days,
        ),
    ] = None,
    start: Annotated[
        str,
        typer.Option(
            "--start", metavar="TIME", help="When to begin; all for a whole UTC day.", autocompletion=complete.times
        ),
    ] = "open-5m",
    length: Annotated[
        str | None,
        typer.Option("--length", metavar="TIME", help="How much to write; default: 10m, with --start all the day."),
    ] = None,
    rate: Annotated[float, typer.Option("--rate", min=0.1, max=20_000, help="Book changes per second.")] = 75.0,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes.")] = 7,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    as_json: Json = False,
) -> None:
    """Write a synthetic ES day: trades and mbp-10, DBN 1 in zstd, marked as synthetic.

    spyctl sample --date 2025-12-17    ten minutes around the open
    spyctl sample --date 2025-12-17 --start all    the whole day
    """
    from spyctl.dbn.choice import parse_dates
    from spyctl.dbn.sample import FOLDERS, is_vendor_folder, write_day
    from spyctl.market.sessions import SATURDAY

    reporter = Reporter.of(context)
    days = parse_dates(date or [_DAY])
    if is_vendor_folder(data_dir):
        raise UsageError(
            f"{path_text(data_dir)} holds files that are not synthetic; the two are never mixed", "--data-dir DIR"
        )
    closed: list[UsageError] = []
    written: list[WrittenFile] = []
    for day in days:
        if day.weekday() == SATURDAY:
            closed.append(UsageError(f"{day} is a Saturday: the market is closed", "another --date"))
            continue
        try:
            start_ns, end_ns, cut = _span(day, start, length)
        except NoSessionError as error:
            closed.append(error)
            continue
        if cut:
            reporter.warn(f"{day}: --length {length} goes beyond the UTC day: cut at midnight")
        present = [path for folder in FOLDERS.values() for path in (data_dir / folder).glob(f"*-{day:%Y%m%d}.*")]
        if present and not force:
            raise UsageError(f"{path_text(present[0])} already exists", "--force overwrites it")
        with progress_bar(reporter, f"writing {day}", end_ns - start_ns, long=_LONG_NS, in_bytes=False) as advance:
            files = write_day(data_dir, day, start_ns, end_ns, rate=rate, seed=seed, progress=advance)
        for file in files:
            reporter.line(f"{path_text(file.path)}  {count('records', file.records)}  {size_text(file.size)}")
        written += files
    if len(closed) == len(days):
        raise closed[0]
    for no_file in closed:
        reporter.warn(f"{no_file.message}, so there is no file")
    first = next(day for day in days if any(f"{day:%Y%m%d}" in file.path.name for file in written))
    folder = "" if data_dir == Path("dbn-data") else f" --data-dir {path_text(data_dir)}"
    reporter.block("next", f"spyctl replay --date {first} --speed 10{folder}")
    if as_json:
        _write_document(written)


def _write_document(files: "list[WrittenFile]") -> None:

    document = {
        "files": [
            {"path": str(file.path), "schema": file.schema, "records": file.records, "size": file.size}
            for file in files
        ]
    }
    write_document(document)


def _span(day: "datetime.date", start: str, length: str | None) -> tuple[int, int, bool]:
    # Where the file of a day begins and ends, and whether the end of the UTC day cuts it short.
    from spyctl.dbn.sample import day_span
    from spyctl.market.sessions import parse_time
    from spyctl.timing.instants import parse_duration

    first_ns, last_ns = day_span(day)
    start_ns = first_ns if start == "all" else parse_time(start, day)
    wanted_ns = last_ns if start == "all" and length is None else start_ns + parse_duration(length or "10m")
    end_ns = min(wanted_ns, last_ns)
    if not first_ns <= start_ns < end_ns:
        raise UsageError(
            f"--start {start} --length {length or '10m'} leaves nothing of the UTC day {day}", "--length 10m"
        )
    return start_ns, end_ns, end_ns < wanted_ns
