"""``spyctl sample``: write synthetic days to try things on."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.options import DataDir
from spyctl.errors import UsageError
from spyctl.paths import path_text
from spyctl.terminal.text import count, size_text

if TYPE_CHECKING:
    from datetime import date

_DEFAULT_DAY, _DEFAULT_LENGTH, _WHOLE_DAY = "2025-12-16", "10m", "all"


def sample(
    context: typer.Context,
    *,
    data_dir: DataDir = Path("dbn-data"),
    date: Annotated[
        list[str] | None, typer.Option("--date", metavar="DAY", help="UTC day, or D..D; repeatable.")
    ] = None,
    start: Annotated[
        str,
        typer.Option(
            "--start", metavar="TIME", help="Start time: open, close-5m, 09:30, …; all for the whole UTC day."
        ),
    ] = "open-5m",
    length: Annotated[
        str | None, typer.Option("--length", metavar="TIME", help="How long: 10m (the default), 6h30m, ….")
    ] = None,
    rate: Annotated[float, typer.Option("--rate", min=0.1, max=20_000, help="Book changes per second.")] = 75.0,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes.")] = 7,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
) -> None:
    """Write a synthetic ES day: trades and mbp-10, DBN 1 in zstd, marked as synthetic.

    spyctl sample --date 2025-12-17    ten minutes around the open
    spyctl sample --date 2025-12-17 --start all    the whole day
    """
    from spyctl.dbn.sample import FOLDERS, is_vendor_folder, write_day

    reporter = Reporter.of(context)
    days = list(_days(date or [_DEFAULT_DAY]))
    if is_vendor_folder(data_dir):
        raise UsageError(
            f"{path_text(data_dir)} holds files that are not synthetic; the two are never mixed", "--data-dir DIR"
        )
    written = False
    for day in days:
        if day.weekday() == 5:
            reporter.warn(f"{day} is a Saturday: the market is closed, so there is no file")
            continue
        start_ns, end_ns = _span(reporter, day, start, length)
        present = [path for folder in FOLDERS.values() for path in (data_dir / folder).glob(f"*-{day:%Y%m%d}.*")]
        if present and not force:
            raise UsageError(f"{path_text(present[0])} already exists", "--force overwrites it")
        written = True
        for file in write_day(data_dir, day, start_ns, end_ns, rate=rate, seed=seed):
            reporter.line(f"{path_text(file.path)}  {count('record', file.records)}  {size_text(file.size)}")
    if not written:
        raise UsageError("nothing to write: the market is closed on Saturdays", "--date of another day")


def _days(texts: list[str]) -> "Iterator[date]":
    from datetime import timedelta

    from spyctl.timing.instants import parse_date

    for text in texts:
        first, _, last = text.partition("..")
        day, end = parse_date(first), parse_date(last or first)
        if end < day:
            raise UsageError(f"--date {text} ends before it begins", f"--date {end}..{day}")
        while day <= end:
            yield day
            day += timedelta(days=1)


def _span(reporter: Reporter, day: "date", start: str, length: str | None) -> tuple[int, int]:
    # From when to when the day is written.
    from spyctl.dbn.sample import day_span
    from spyctl.timing.instants import parse_duration, parse_instant

    first_ns, last_ns = day_span(day)
    if start == _WHOLE_DAY:
        start_ns = first_ns
        wanted_ns = first_ns + parse_duration(length) if length is not None else last_ns
    else:
        start_ns = parse_instant(start, day)
        wanted_ns = start_ns + parse_duration(length or _DEFAULT_LENGTH)
    end_ns = min(wanted_ns, last_ns)
    if not first_ns <= start_ns < end_ns:
        raise UsageError(
            f"--start {start} --length {length or _DEFAULT_LENGTH} leaves nothing of the UTC day {day}",
            f"--length {_DEFAULT_LENGTH}",
        )
    if end_ns < wanted_ns:
        reporter.warn(f"{day}: --length {length} goes beyond the UTC day and is cut there")
    return start_ns, end_ns
