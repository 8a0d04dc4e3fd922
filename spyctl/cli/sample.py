"""``spyctl sample``: write synthetic days to try things on."""

from pathlib import Path
from typing import Annotated

import typer

from spyctl.cli.options import DataDir, talk_of
from spyctl.errors import UsageError
from spyctl.terminal.text import size_text


def sample(
    context: typer.Context,
    data_dir: DataDir = Path("dbn-data"),
    date: Annotated[list[str] | None, typer.Option("--date", help="A UTC day, or D..D; repeatable.")] = None,
    start: Annotated[str, typer.Option("--start", help="Where the day begins; all for a whole UTC day.")] = "open-5m",
    length: Annotated[
        str | None, typer.Option("--length", help="How much of it, as 10m (the default) or 6h30m.")
    ] = None,
    rate: Annotated[float, typer.Option("--rate", min=0.1, max=20_000, help="Book changes per second.")] = 75.0,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes.")] = 7,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
) -> None:
    """Write a synthetic ES day: trades and mbp-10, DBN 1 in zstd, marked as synthetic.

    spyctl sample --date 2025-12-17    ten minutes around the open
    spyctl sample --date 2025-12-17 --start all    the whole day
    """
    from datetime import timedelta

    from spyctl.dbn.sample import FOLDERS, day_span, is_vendor_folder, write_day
    from spyctl.paths import path_text
    from spyctl.timing.instants import parse_date, parse_duration, parse_instant

    talk = talk_of(context)
    days, written = [], False
    for text in date or ["2025-12-16"]:
        first, _, last = text.partition("..")
        day, end = parse_date(first), parse_date(last or first)
        if end < day:
            raise UsageError(f"--date {text} ends before it begins", f"--date {end}..{day}")
        while day <= end:
            days.append(day)
            day += timedelta(days=1)
    if is_vendor_folder(data_dir):
        raise UsageError(
            f"{path_text(data_dir)} holds files that are not synthetic; the two are never mixed", "--data-dir DIR"
        )
    for day in days:
        if day.weekday() == 5:
            talk.warn(f"{day} is a Saturday: the market is closed, so there is no file")
            continue
        first_ns, last_ns = day_span(day)
        start_ns = first_ns if start == "all" else parse_instant(start, day)
        wanted_ns = last_ns if start == "all" and length is None else start_ns + parse_duration(length or "10m")
        end_ns = min(wanted_ns, last_ns)
        if not first_ns <= start_ns < end_ns:
            raise UsageError(
                f"--start {start} --length {length or '10m'} leaves nothing of the UTC day {day}", "--length 10m"
            )
        if end_ns < wanted_ns:
            talk.warn(f"{day}: --length {length} goes beyond the UTC day; it is cut at its end")
        present = [path for folder in FOLDERS.values() for path in (data_dir / folder).glob(f"*-{day:%Y%m%d}.*")]
        if present and not force:
            raise UsageError(f"{path_text(present[0])} is already there", "--force writes over it")
        written = True
        for file in write_day(data_dir, day, start_ns, end_ns, rate=rate, seed=seed):
            talk.line(f"{path_text(file.path)}  {file.records:,} records  {size_text(file.size)}")
    if not written:
        raise UsageError("nothing to write: the market is closed on Saturdays", "--date of another day")
