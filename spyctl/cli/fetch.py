"""``spyctl fetch``: download missing days from Databento, after showing what they cost."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.reporter import Reporter, progress_bar
from spyctl.cli.framework.streams import write, write_document
from spyctl.cli.keys import DATABENTO_KEY, databento_key
from spyctl.cli.options import DataDir, Gateway, Json, Schema
from spyctl.errors import ExitCode, KeyRefusedError, SpyctlError, UsageError
from spyctl.terminal.tables import table
from spyctl.terminal.text import count, size_text

if TYPE_CHECKING:
    from datetime import date

    from spyctl.dbn.fetch import Fetched, Fetcher, FetchPlan, MissingRange
    from spyctl.dbn.historical_api import DataRequest

_LOOK_S = 0.2
_UNPACKED = 10  # about what zstd saves, for the progress bar alone


def fetch(
    context: typer.Context,
    *,
    date: Annotated[
        list[str],
        typer.Option(
            "--date",
            metavar="DAY",
            help="UTC day, or D..D; repeatable. Days you already have are skipped.",
            autocompletion=complete.days,
        ),
    ],
    schema: Schema = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option(
            "--symbol",
            metavar="NAME",
            help="ES.c.0 (the default), ESZ5, ES.FUT, ALL_SYMBOLS; repeatable.",
            autocompletion=complete.futures,
        ),
    ] = None,
    dataset: Annotated[
        str, typer.Option("--dataset", envvar="SPYCTL_DATASET", metavar="NAME", help="Dataset to download from.")
    ] = "GLBX.MDP3",
    data_dir: DataDir = Path("dbn-data"),
    batch: Annotated[bool, typer.Option("--batch", help="Order a batch job instead of streaming.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Buy without asking.")] = False,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", min=0, metavar="USD", help="Refuse to buy if it costs more than this.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the cost and stop; without a key, what is missing.")
    ] = False,
    gateway: Gateway = None,
    as_json: Json = False,
) -> int:
    """Download missing days from Databento (DATABENTO_API_KEY), after showing what they cost.

    spyctl fetch --date 2025-12-16 --dry-run
    spyctl fetch --date 2025-12-15..2025-12-19 --schema trades --max-cost 5 --yes
    """

    from spyctl.dbn.choice import parse_dates
    from spyctl.dbn.fetch import Fetcher, make_fetch_plan
    from spyctl.dbn.historical_api import GATEWAY, DatabentoApi
    from spyctl.market.columns import SCHEMAS

    key = databento_key()
    if key is None and not dry_run:
        raise KeyRefusedError(f"no API key: {DATABENTO_KEY} is not set", f"export {DATABENTO_KEY}=…")
    reporter = Reporter.of(context)
    schemas = tuple(dict.fromkeys(schema)) if schema else SCHEMAS
    api = DatabentoApi(key, gateway or GATEWAY) if key is not None else None
    plan = make_fetch_plan(
        api, data_dir, dataset, symbol or ["ES.c.0"], list(dict.fromkeys(schemas)), parse_dates(date)
    )
    _show_plan(reporter, plan, batch=batch)
    total = plan.total
    fetched: list[Fetched] = []
    if plan.missing and not dry_run and api is not None:
        if max_cost is not None and total.cost > max_cost:
            raise SpyctlError(
                f"that costs ${total.cost:.2f}, more than --max-cost {max_cost:g}", "fewer days, or a higher --max-cost"
            )
        if yes or _agreed(reporter, total.cost):
            fetcher = Fetcher(api, plan, reporter.line)
            for missing in plan.missing:
                fetched += fetcher.batch(missing.request) if batch else _stream(fetcher, missing, reporter)
    if as_json:
        document = _document(plan, fetched, dry_run=dry_run)
        write_document(document)
    elif fetched:
        records, size = sum(file.records for file in fetched), sum(file.size for file in fetched)
        files = f"{len(fetched):,} file" + ("" if len(fetched) == 1 else "s")
        write(f"done     {files}, {count('records', records)}, {size_text(size)}, ${total.cost:.2f}, all verified")
    return ExitCode.OK


def _show_plan(reporter: Reporter, plan: "FetchPlan", *, batch: bool) -> None:
    rows = [
        (
            _span(missing.request),
            missing.request.schema,
            ", ".join(missing.request.symbols),
            f"{missing.estimate.records:,}",
            size_text(missing.estimate.size),
            f"${missing.estimate.cost:.2f}",
        )
        for missing in plan.missing
    ]
    heads = ("date", "schema", "symbol", "records", "size", "cost")
    columns = len(heads) if plan.priced else 3
    if rows:
        for line in table(heads[:columns], [row[:columns] for row in rows], {"records", "size", "cost"}):
            reporter.line(line)
    for day, schema in plan.present:
        reporter.line(f"note: you already have {day} {schema}")
    for day, reason in plan.unavailable:
        reporter.line(f"note: {day} is {reason}: {'Databento has no data of that day' if plan.priced else 'left out'}")
    for day, word in plan.conditions.items():
        if word not in ("available", "missing", "pending"):
            reporter.warn(f"Databento calls {day} {word}: data may be missing")
    total, how = plan.total, "one batch job per schema and run of days" if batch else "streaming, one file per day"
    what = f"what this costs is shown where {DATABENTO_KEY} is set"
    if plan.priced:
        what = f"{count('records', total.records)}, {size_text(total.size)} unpacked, ${total.cost:.2f}, by {how}"
    reporter.block("plan", what if plan.missing else "nothing to download", f"into {plan.root}")


def _span(request: "DataRequest") -> str:
    return str(request.first) + (f"..{request.last:%m-%d}" if request.last != request.first else "")


def _agreed(reporter: Reporter, cost: float) -> bool:
    if not (sys.stdin.isatty() and reporter.stream.isatty()):
        raise UsageError("there is nobody to ask whether to buy this", "--yes, with --max-cost USD to be safe")
    return typer.confirm(f"download for ${cost:.2f}?", err=True)


def _stream(fetcher: "Fetcher", missing: "MissingRange", reporter: Reporter) -> "list[Fetched]":
    from datetime import date

    request = missing.request
    days = list(map(date.fromordinal, range(request.first.toordinal(), request.last.toordinal() + 1)))
    fetched = []
    for day in days:
        file = _watched(fetcher, request, day, missing.estimate.size // len(days), reporter)
        reporter.line(f"fetched  {file.path}, {count('records', file.records)}, {size_text(file.size)}")
        fetched.append(file)
    return fetched


def _watched(fetcher: "Fetcher", request: "DataRequest", day: "date", size: int, reporter: Reporter) -> "Fetched":
    # The client reports no progress, so a thread downloads while the growing file is watched. Ctrl-C abandons
    # the thread: it must not keep the program from ending.
    from concurrent.futures import Future
    from threading import Thread

    done: Future[Fetched] = Future()

    def download() -> None:
        try:
            done.set_result(fetcher.stream(request, day))
        except BaseException as error:
            done.set_exception(error)

    part, shown = fetcher.part(request, day), 0
    Thread(target=download, daemon=True).start()
    with progress_bar(reporter, f"{day} {request.schema}", size) as advance:
        while not done.done():
            try:
                return done.result(timeout=_LOOK_S)
            except TimeoutError:
                reached = part.stat().st_size * _UNPACKED if part.exists() else 0
                advance(max(0, reached - shown))
                shown = max(shown, reached)
    return done.result()


def _document(plan: "FetchPlan", fetched: "list[Fetched]", *, dry_run: bool) -> dict[str, Any]:
    total = plan.total
    return {
        "orders": [
            {
                "schema": missing.request.schema,
                "first": missing.request.first,
                "last": missing.request.last,
                "symbols": missing.request.symbols,
                "records": missing.estimate.records if plan.priced else None,
                "bytes": missing.estimate.size if plan.priced else None,
                "cost_usd": missing.estimate.cost if plan.priced else None,
            }
            for missing in plan.missing
        ],
        "records": total.records if plan.priced else None,
        "bytes": total.size if plan.priced else None,
        "cost_usd": total.cost if plan.priced else None,
        "there": [{"date": day, "schema": schema} for day, schema in plan.present],
        "unavailable": {str(day): reason for day, reason in plan.unavailable},
        "dry_run": dry_run,
        "files": [{"path": str(file.path), "records": file.records, "size": file.size} for file in fetched],
    }
