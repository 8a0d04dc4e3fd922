"""``spyctl fetch``: download missing days from Databento, after saying what they cost."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spyctl.cli.framework.reporter import Reporter, progress_bar
from spyctl.cli.framework.streams import write
from spyctl.cli.keys import DATABENTO_KEY, databento_key
from spyctl.cli.options import DataDir, Gateway, Json, Schema
from spyctl.errors import ExitCode, KeyRefusedError, SpyctlError, UsageError
from spyctl.terminal.tables import table
from spyctl.terminal.text import size_text

if TYPE_CHECKING:
    from datetime import date

    from spyctl.dbn.fetch import Fetched, Fetcher, FetchPlan, Order
    from spyctl.dbn.historical_api import DataRequest

_LOOK_S = 0.2
_UNPACKED = 10  # about what zstd saves, for the progress bar alone


def fetch(
    context: typer.Context,
    *,
    date: Annotated[
        list[str],
        typer.Option("--date", metavar="DAY", help="UTC day, or D..D; repeatable. Days that are there are left out."),
    ],
    schema: Schema = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", metavar="NAME", help="ES.c.0 unless named; ESZ5, ES.FUT, ALL_SYMBOLS; repeatable."),
    ] = None,
    dataset: Annotated[
        str, typer.Option("--dataset", envvar="SPYCTL_DATASET", metavar="NAME", help="The dataset to order from.")
    ] = "GLBX.MDP3",
    data_dir: DataDir = Path("dbn-data"),
    batch: Annotated[bool, typer.Option("--batch", help="Order a batch job instead of streaming.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Buy without asking.")] = False,
    max_cost: Annotated[
        float | None, typer.Option("--max-cost", min=0, metavar="USD", help="Buy nothing that costs more than this.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it comes to and stop.")] = False,
    gateway: Gateway = None,
    as_json: Json = False,
) -> int:
    """Download missing days from Databento (DATABENTO_API_KEY), after saying what they cost.

    spyctl fetch --date 2025-12-16 --dry-run
    spyctl fetch --date 2025-12-15..2025-12-19 --schema trades --max-cost 5 --yes
    """
    import orjson

    from spyctl.dbn.fetch import Fetcher, make_fetch_plan
    from spyctl.dbn.historical_api import GATEWAY, DatabentoApi
    from spyctl.market.columns import SCHEMAS, schema_name

    key = databento_key()
    if key is None:
        raise KeyRefusedError(f"no API key: {DATABENTO_KEY} is not set", f"export {DATABENTO_KEY}=…")
    talk = Reporter.of(context)
    schemas = [schema_name(text) for text in schema] if schema else list(SCHEMAS)
    api = DatabentoApi(key, gateway or GATEWAY)
    plan = make_fetch_plan(api, data_dir, dataset, symbol or ["ES.c.0"], list(dict.fromkeys(schemas)), _days(date))
    _show_plan(talk, plan, batch=batch)
    total = plan.total
    fetched: list[Fetched] = []
    if plan.orders and not dry_run:
        if max_cost is not None and total.cost > max_cost:
            raise SpyctlError(
                f"that costs ${total.cost:.2f}, more than --max-cost {max_cost:g}", "fewer days, or a higher --max-cost"
            )
        if not yes and not _agreed(talk, total.cost):
            return ExitCode.OK
        fetcher = Fetcher(api, plan, talk.line)
        for order in plan.orders:
            fetched += fetcher.batch(order.request) if batch else _stream(fetcher, order, talk)
    if as_json:
        document = _document(plan, fetched, dry_run=dry_run)
        write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    elif fetched:
        records, size = sum(one.records for one in fetched), sum(one.size for one in fetched)
        files = f"{len(fetched):,} file" + ("" if len(fetched) == 1 else "s")
        write(f"done     {files}, {records:,} records, {size_text(size)}, ${total.cost:.2f}, all checked")
    return ExitCode.OK


def _days(texts: list[str]) -> "list[date]":
    from datetime import date

    from spyctl.timing.instants import parse_date

    found: set[date] = set()
    for text in texts:
        first_text, _, last_text = text.partition("..")
        first, last = parse_date(first_text), parse_date(last_text or first_text)
        if last < first:
            raise UsageError(f"--date {text} ends before it begins", f"--date {last}..{first}")
        found.update(map(date.fromordinal, range(first.toordinal(), last.toordinal() + 1)))
    return sorted(found)


def _show_plan(talk: Reporter, plan: "FetchPlan", *, batch: bool) -> None:
    rows = [
        (
            _span(order.request),
            order.request.schema,
            ", ".join(order.request.symbols),
            f"{order.quote.records:,}",
            size_text(order.quote.size),
            f"${order.quote.cost:.2f}",
        )
        for order in plan.orders
    ]
    if rows:
        for line in table(("date", "schema", "symbol", "records", "size", "cost"), rows, {"records", "size", "cost"}):
            talk.line(line)
    for day, schema in plan.there:
        talk.line(f"note: {day} {schema} is there")
    for day, reason in plan.unavailable:
        talk.line(f"note: {day} is {reason}: Databento has no data of that day")
    for day, word in plan.conditions.items():
        if word not in ("available", "missing", "pending"):
            talk.warn(f"{day} is {word}, says Databento: data may be missing")
    total, how = plan.total, "a batch job a schema and run of days" if batch else "streaming, a file a day"
    what = f"{total.records:,} records, {size_text(total.size)} unpacked, ${total.cost:.2f}, by {how}"
    talk.block("plan", what if plan.orders else "nothing to download", f"into {plan.root}")


def _span(request: "DataRequest") -> str:
    return str(request.first) + (f"..{request.last:%m-%d}" if request.last != request.first else "")


def _agreed(talk: Reporter, cost: float) -> bool:
    if not (sys.stdin.isatty() and talk.stream.isatty()):
        raise UsageError("there is nobody to ask whether to buy this", "--yes, with --max-cost USD to be safe")
    return typer.confirm(f"download for ${cost:.2f}?", err=True)


def _stream(fetcher: "Fetcher", order: "Order", talk: Reporter) -> "list[Fetched]":
    from datetime import date

    request = order.request
    days = list(map(date.fromordinal, range(request.first.toordinal(), request.last.toordinal() + 1)))
    found = []
    for day in days:
        one = _watched(fetcher, request, day, order.quote.size // len(days), talk)
        talk.line(f"fetched  {one.path}, {one.records:,} records, {size_text(one.size)}")
        found.append(one)
    return found


def _watched(fetcher: "Fetcher", request: "DataRequest", day: "date", size: int, talk: Reporter) -> "Fetched":
    # The client tells nothing on its way, so a thread downloads and the growing file is looked at. Ctrl-C leaves
    # the thread behind: it must not keep the program from ending.
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
    with progress_bar(talk, f"{day} {request.schema}", size) as advance:
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
                "schema": order.request.schema,
                "first": order.request.first,
                "last": order.request.last,
                "symbols": order.request.symbols,
                "records": order.quote.records,
                "bytes": order.quote.size,
                "cost_usd": order.quote.cost,
            }
            for order in plan.orders
        ],
        "records": total.records,
        "bytes": total.size,
        "cost_usd": total.cost,
        "there": [{"date": day, "schema": schema} for day, schema in plan.there],
        "unavailable": {str(day): reason for day, reason in plan.unavailable},
        "dry_run": dry_run,
        "files": [{"path": str(one.path), "records": one.records, "size": one.size} for one in fetched],
    }
