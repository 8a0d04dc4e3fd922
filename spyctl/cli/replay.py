"""``spyctl replay``: choose source, clock and sink, start the replay, show it, say what came of it."""

from pathlib import Path
from typing import Annotated

import typer

from spyctl.cli.framework import complete
from spyctl.cli.framework.help_page import OUTPUT
from spyctl.cli.framework.streams import write
from spyctl.cli.options import (
    HOW,
    WHERE,
    DataDir,
    Dataset,
    Embedded,
    Json,
    Metrics,
    NatsUrl,
    Port,
    Prefix,
    Schema,
    Store,
    Symbol,
    nats_target,
    talk_of,
)
from spyctl.errors import ExitCode, NoDataError, UsageError

_ORDERS = ("event", "recv")
_SINKS = ("nats", "stdout")
_ACKS = ("auto", "fast", "message")


def replay(
    context: typer.Context,
    date: Annotated[
        list[str] | None,
        typer.Option(
            "--date",
            envvar="REPLAY_DATE",
            metavar="DAY",
            help="UTC day: 2025-12-16, D..D, all, last.",
            autocompletion=complete.dates,
        ),
    ] = None,
    trading_day: Annotated[
        str | None,
        typer.Option(
            "--trading-day",
            metavar="DAY",
            help="18:00 on its eve to 17:00, New York.",
            autocompletion=complete.dates,
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--start", envvar="REPLAY_START", metavar="TIME", help="09:30, open, close-5m, ISO, ns; on the first date."
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--end", envvar="REPLAY_END", metavar="TIME", help="Likewise on the last date; itself left out."),
    ] = None,
    tz: Annotated[
        str, typer.Option("--tz", envvar="SPYCTL_TZ", metavar="ZONE", help="Zone of times that name none.")
    ] = "America/New_York",
    schema: Schema = None,
    symbol: Symbol = None,
    dataset: Dataset = None,
    count: Annotated[int | None, typer.Option("--count", min=1, metavar="N", help="End after so many events.")] = None,
    data_dir: DataDir = Path("dbn-data"),
    strict: Annotated[bool, typer.Option("--strict", help="Stop at a damaged file instead of going on.")] = False,
    speed: Annotated[
        str,
        typer.Option(
            "--speed",
            "-s",
            envvar="REPLAY_SPEED",
            metavar="X",
            help="1, 10x, 0.5; max (0): as fast as acknowledged.",
            autocompletion=complete.speeds,
            rich_help_panel=HOW,
        ),
    ] = "1",
    max_quiet: Annotated[
        str,
        typer.Option(
            "--max-quiet",
            envvar="REPLAY_MAX_QUIET",
            metavar="TIME",
            help="Longest wait through a quiet stretch.",
            rich_help_panel=HOW,
        ),
    ] = "5s",
    order: Annotated[
        str,
        typer.Option(
            "--order",
            envvar="REPLAY_ORDER",
            metavar="KEY",
            help="event: by ts_event. recv: by ts_recv.",
            rich_help_panel=HOW,
        ),
    ] = "event",
    reorder_window: Annotated[
        str,
        typer.Option(
            "--reorder-window",
            envvar="REPLAY_WINDOW",
            metavar="TIME",
            help="How far ts_event may stray from ts_recv.",
            rich_help_panel=HOW,
        ),
    ] = "1s",
    nats_url: NatsUrl = None,
    embedded: Embedded = False,
    store: Store = None,
    port: Port = 4222,
    prefix: Prefix = "",
    sink: Annotated[
        str, typer.Option("--sink", metavar="SINK", help="nats, or stdout for JSON lines.", rich_help_panel=WHERE)
    ] = "nats",
    ack: Annotated[
        str,
        typer.Option(
            "--ack",
            envvar="SPYCTL_ACK",
            metavar="HOW",
            help="auto; fast: a flow at a time; message: one by one.",
            rich_help_panel=WHERE,
        ),
    ] = "auto",
    force: Annotated[
        bool, typer.Option("--force", help="Publish even beside another run or source.", rich_help_panel=WHERE)
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="[RUN]",
            help="Go on after the last event that the stream holds, of RUN or of the newest run.",
            autocompletion=complete.runs,
            rich_help_panel=HOW,
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read the events back and compare each one.", rich_help_panel=OUTPUT)
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan and stop.", rich_help_panel=OUTPUT)
    ] = False,
    no_digest: Annotated[
        bool, typer.Option("--no-digest", help="Save the time for the digest of all payloads.", rich_help_panel=OUTPUT)
    ] = False,
    metrics: Metrics = None,
    as_json: Json = False,
) -> int:
    """Replay Databento files onto JetStream: ES trades and MBP-10 in event time, at any speed.

    spyctl replay --date 2025-12-16 --speed 10
    spyctl replay --date last --start open --end open+30m --speed max
    spyctl replay --trading-day 2025-12-16 --dry-run
    """
    import orjson

    from spyctl.cli.replay_plan import Request, plan_document, plan_request, show_plan
    from spyctl.dbn.normalize import Selection
    from spyctl.market.columns import SCHEMAS, schema_name
    from spyctl.metrics import parse_address
    from spyctl.replay.player import ReplayOptions
    from spyctl.timing.clock import parse_speed, precise_loop
    from spyctl.timing.instants import parse_duration

    _one_of("--order", order, _ORDERS)
    _one_of("--sink", sink, _SINKS)
    _one_of("--ack", ack, _ACKS)
    if resume is not None and sink != "nats":
        raise UsageError("--resume goes with NATS alone", "leave --sink out")
    if verify and sink != "nats":
        raise UsageError("--verify goes with NATS alone", "leave --sink out")
    if trading_day is not None and date and context.get_parameter_source("date").name == "COMMANDLINE":  # type: ignore[union-attr]
        raise UsageError("--trading-day and --date exclude each other", "--trading-day alone")
    source = context.get_parameter_source("date")
    origin = {"COMMANDLINE": "--date", "ENVIRONMENT": "REPLAY_DATE"}.get(source.name if source else "", "every date")
    request = Request(
        data_dir=data_dir,
        dates=tuple(date or ()),
        origin="--trading-day" if trading_day else origin,
        dataset=dataset,
        schemas=tuple(dict.fromkeys(map(schema_name, schema))) if schema else SCHEMAS,
        start=start,
        end=end,
        zone=tz,
        trading_day=trading_day,
        options=ReplayOptions(
            speed=parse_speed(speed),
            selection=Selection(
                reorder_ns=parse_duration(reorder_window), by_recv=order == "recv", symbols=tuple(symbol or ())
            ),
            max_quiet_ns=parse_duration(max_quiet),
            count=count,
            prefix=prefix,
            strict=strict,
            digest=not no_digest,
        ),
        target=nats_target(context, nats_url, embedded, port, store),
        sink=sink,
        ack=ack,
        resume=resume,
        verify=verify,
        force=force,
        metrics=parse_address(metrics) if metrics else None,
        as_json=as_json,
    )
    talk = talk_of(context)
    if embedded and nats_url:
        talk.line("note: --embedded sets NATS_URL aside")
    plan = plan_request(request)
    show_plan(talk, plan, request)
    if dry_run and as_json:
        write(orjson.dumps(plan_document(plan, request), option=orjson.OPT_INDENT_2).decode())
    if plan.exact and plan.first_ns is None and not any(info.problem for info in plan.infos):
        raise NoDataError("no event lies in that range", "spyctl time-range --date D --schema S shows what does")
    if dry_run:
        return ExitCode.OK
    import asyncio

    from spyctl.cli.replay_run import run_replay

    with asyncio.Runner(loop_factory=precise_loop) as runner:
        return runner.run(run_replay(request, plan, talk))


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{option} {value} is none of {', '.join(allowed)}", f"{option} {allowed[0]}")
