"""``spyctl replay``: choose source, clock and sink, start the replay, show it, say what came of it."""

from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spyctl.cli.options import (
    HOW,
    OUTPUT,
    WHERE,
    DataDir,
    Embedded,
    Json,
    NatsUrl,
    Port,
    Quiet,
    Schema,
    Store,
    nats_urls,
    schema_name,
)
from spyctl.cli.talk import Talk, drop_stdout, size_text
from spyctl.errors import ExitCode, NoDataError, NoSpaceError, ResumeError, SpyctlError, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from spyctl.bus.publisher import Publisher
    from spyctl.bus.runs import RunRecord, Runs
    from spyctl.bus.stream import Stream
    from spyctl.bus.target import Reached, Target
    from spyctl.cli.signals import Interruption
    from spyctl.plan import Plan
    from spyctl.replay import ReplayOptions, Sink

MIN_FREE_BYTES = 64_000_000
LAST_RUN = "last"  # what --resume means without a name
_ORDERS = ("event", "recv")
_SINKS = ("nats", "stdout")
_ACKS = ("auto", "fast", "message")


@dataclass(frozen=True, slots=True)
class _Request:
    # What the command line asked for, read and checked.
    data_dir: Path
    dates: tuple[str, ...]
    origin: str
    schemas: tuple[str, ...]
    start: str | None
    end: str | None
    zone: str
    trading_day: str | None
    options: "ReplayOptions"
    target: "Target"
    sink: str
    ack: str
    resume: str | None
    verify: bool
    force: bool
    as_json: bool


def replay(
    context: typer.Context,
    date: Annotated[
        list[str] | None,
        typer.Option(
            "--date",
            envvar="REPLAY_DATE",
            metavar="DAY",
            help="UTC day of the files: 2025-12-16, D..D, all, last; repeatable.",
        ),
    ] = None,
    trading_day: Annotated[
        str | None,
        typer.Option("--trading-day", metavar="DAY", help="Instead: 18:00 the evening before to 17:00 New York."),
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
    prefix: Annotated[
        str,
        typer.Option(
            "--prefix",
            envvar="SPYCTL_PREFIX",
            metavar="P",
            help="Publish as P.market.… into P_MARKET_DATA.",
            rich_help_panel=WHERE,
        ),
    ] = "",
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
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Replay Databento files onto JetStream: ES trades and MBP-10 in event time, at any speed.

    [dim]spyctl replay --date 2025-12-16 --speed 10[/]

    [dim]spyctl replay --date last --start open --end open+30m --speed max[/]

    [dim]spyctl replay --trading-day 2025-12-16 --dry-run[/]
    """
    from spyctl.bus.embedded import default_store
    from spyctl.bus.target import Target
    from spyctl.clock import parse_speed, precise_loop
    from spyctl.columns import SCHEMAS
    from spyctl.normalize.dbn import Selection
    from spyctl.replay import ReplayOptions
    from spyctl.times import parse_duration

    _one_of("--order", order, _ORDERS)
    _one_of("--sink", sink, _SINKS)
    _one_of("--ack", ack, _ACKS)
    if prefix and not prefix.replace("_", "").replace("-", "").isalnum():
        raise UsageError(f"--prefix {prefix!r} is no subject token", "letters, digits, - and _ alone")
    if resume is not None and sink != "nats":
        raise UsageError("--resume goes with NATS alone", "leave --sink out")
    if verify and sink != "nats":
        raise UsageError("--verify goes with NATS alone", "leave --sink out")
    if trading_day is not None and date and context.get_parameter_source("date").name == "COMMANDLINE":  # type: ignore[union-attr]
        raise UsageError("--trading-day and --date exclude each other", "--trading-day alone")
    source = context.get_parameter_source("date")
    origin = {"COMMANDLINE": "--date", "ENVIRONMENT": "REPLAY_DATE"}.get(source.name if source else "", "every date")
    request = _Request(
        data_dir=data_dir,
        dates=tuple(date or ()),
        origin="--trading-day" if trading_day else origin,
        schemas=tuple(dict.fromkeys(map(schema_name, schema))) if schema else SCHEMAS,
        start=start,
        end=end,
        zone=tz,
        trading_day=trading_day,
        options=ReplayOptions(
            speed=parse_speed(speed),
            selection=Selection(reorder_ns=parse_duration(reorder_window), by_recv=order == "recv"),
            max_quiet_ns=parse_duration(max_quiet),
            count=count,
            prefix=prefix,
            strict=strict,
            digest=not no_digest,
        ),
        target=Target(
            urls=nats_urls(nats_url, context),
            embedded=embedded,
            port=port,
            store=store or default_store(),
        ),
        sink=sink,
        ack=ack,
        resume=resume,
        verify=verify,
        force=force,
        as_json=as_json,
    )
    talk = Talk(quiet)
    if embedded and nats_url:
        if context.get_parameter_source("nats_url").name == "COMMANDLINE":  # type: ignore[union-attr]
            raise UsageError("--embedded and --nats-url exclude each other", "one of the two")
        talk.line("note: --embedded sets NATS_URL aside")
    plan = _plan(request)
    _show_plan(talk, plan, request)
    if dry_run and as_json:
        _print_json(_plan_document(plan, request))
    if plan.exact and plan.first_ns is None and not any(info.problem for info in plan.infos):
        raise NoDataError("no event lies in that range", "spyctl time-range --date D --schema S shows what does")
    if dry_run:
        return ExitCode.OK
    import asyncio

    with asyncio.Runner(loop_factory=precise_loop) as runner:
        return runner.run(_replay(request, plan, talk))


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{option} {value} is none of {', '.join(allowed)}", f"{option} {allowed[0]}")


# --- the plan


def _plan(request: _Request) -> "Plan":
    from spyctl.plan import choose_dates, make_plan
    from spyctl.sources.dbn_catalog import days, scan
    from spyctl.times import parse_date, parse_instant, parse_zone, trading_day

    zone = parse_zone(request.zone)
    selection = request.options.selection
    span = trading_day(parse_date(request.trading_day)) if request.trading_day else None
    if request.start is not None or request.end is not None:
        if request.trading_day:
            dates: tuple[Any, ...] = (parse_date(request.trading_day),)
        else:
            infos, _ = scan(request.data_dir)
            dates = choose_dates(
                request.dates, days([i for i in infos if i.schema in request.schemas]), request.data_dir
            )
        if request.start is not None and dates:
            selection = replace(selection, start_ns=parse_instant(request.start, dates[0], zone))
        if request.end is not None and dates:
            selection = replace(selection, end_ns=parse_instant(request.end, dates[-1], zone))
        if selection.start_ns >= selection.end_ns:
            raise _wrong_order(request, selection.start_ns, selection.end_ns)
    return make_plan(
        request.data_dir,
        request.dates,
        request.origin,
        selection,
        schemas=request.schemas,
        trading_day=span,
        speed=request.options.speed,
        max_quiet_ns=request.options.max_quiet_ns,
        count=request.options.count,
    )


def _wrong_order(request: _Request, start_ns: int, end_ns: int) -> UsageError:
    from spyctl.times import clock_text, date_of

    if start_ns == end_ns:
        return UsageError(f"--start {request.start} and --end {request.end} are the same instant", "a later --end")
    first, last = (clock_text(ns, digits=0)[:5] for ns in (start_ns, end_ns))
    message = f"--start {request.start} ({first} UTC) is after --end {request.end} ({last} UTC)"
    if date_of(start_ns) == date_of(end_ns) and str(request.start) < str(request.end):
        # The clock readings are in order; it is the UTC day of the files that ends between them.
        return UsageError(
            f"{message}: a UTC day ends at 19:00 or 20:00 New York", "two dates, or --trading-day of the next day"
        )
    return UsageError(message, f"--start {request.end} --end {request.start}")


def _free_bytes(target: "Target") -> int | None:
    # The embedded server's disk; what a named server has free is asked of that server.
    from spyctl.bus.embedded import Store as EmbeddedStore

    return None if target.urls and not target.embedded else EmbeddedStore(target.store).free_bytes()


def _events_text(plan: "Plan") -> str:
    parts = [f"{plan.events[schema]:,} {schema}" for schema in reversed(plan.events) if plan.events[schema]]
    about = "" if plan.exact else "about "
    of = f" of {', '.join(plan.symbols[:3])}" if plan.symbols else ""
    tail = ", synthetic" if plan.synthetic else ""
    return f"{about}{sum(plan.events.values()):,} events: {' + '.join(parts) or 'none'}{of}{tail}"


def _show_plan(talk: Talk, plan: "Plan", request: _Request) -> None:
    from spyctl.clock import speed_text
    from spyctl.times import NEW_YORK, duration_text, span_text, whole_seconds

    dates = ", ".join(map(str, plan.dates[:3])) + (f" … {plan.dates[-1]}" if len(plan.dates) > 3 else "")
    if len(plan.dates) > 3:
        dates += f" ({len(plan.dates)} dates)"
    lines = []
    if plan.first_ns is None or plan.last_ns is None:
        lines.append(f"{dates}  no events in range")
    else:
        start_ns, end_ns = whole_seconds(plan.first_ns, plan.last_ns)
        start_ns = plan.selection.start_ns if request.start is not None else start_ns
        end_ns = plan.selection.end_ns if request.end is not None else end_ns
        utc, new_york = span_text(start_ns, end_ns, UTC), span_text(start_ns, end_ns, NEW_YORK)
        if len(plan.dates) == 1 and len(utc) <= 19 and len(new_york) <= 19:
            lines.append(f"{dates}  {utc} UTC  ({new_york} New York)")
        else:
            lines += [dates, f"{utc} UTC", f"{new_york} New York"]
        lines.append(_events_text(plan))
        span, about = duration_text(plan.last_ns - plan.first_ns), "" if plan.exact else "about "
        takes = f"takes {about}{duration_text(plan.wall_ns)} and " if plan.wall_ns is not None else "takes "
        free = _free_bytes(request.target)
        room = f" ({size_text(free)} free)" if free is not None else ""
        lines.append(
            f"{span} at {speed_text(request.options.speed)} {takes}{size_text(plan.stream_bytes)} of the stream{room}"
        )
    if request.origin == "every date":
        lines.append("no --date: every date there is")
    if plan.missing:
        shown_days = ", ".join(map(str, plan.missing[:3])) + (" …" if len(plan.missing) > 3 else "")
        lines.append(f"no files for {shown_days}")
    talk.block("plan", *lines)
    for info in plan.infos:
        if info.problem is not None:
            talk.warn(f"{info.problem.message}: what is whole is played")
    for error in plan.unreadable:
        talk.warn(f"{error.message}: left out")
    for kept, left_out in plan.left_out:
        talk.warn(f"{left_out.path.name} holds what {kept.path.name} holds: left out")


def _plan_document(plan: "Plan", request: _Request) -> dict[str, Any]:
    from spyctl.times import utc_text

    return {
        "dates": plan.dates,
        "origin": plan.origin,
        "files": [str(info.path) for info in plan.infos],
        "left_out": [str(info.path) for _, info in plan.left_out],
        "unreadable": [error.message for error in plan.unreadable],
        "synthetic": plan.synthetic,
        "symbols": plan.symbols,
        "first_ns": plan.first_ns,
        "first_utc": utc_text(plan.first_ns) if plan.first_ns is not None else None,
        "last_ns": plan.last_ns,
        "last_utc": utc_text(plan.last_ns) if plan.last_ns is not None else None,
        "events": sum(plan.events.values()),
        "by_schema": plan.events,
        "exact": plan.exact,
        "speed_asked": request.options.speed,
        "wall_s": plan.wall_ns / 1e9 if plan.wall_ns is not None else None,
        "stream_bytes": plan.stream_bytes,
        "free_bytes": _free_bytes(request.target),
    }


def _print_json(document: dict[str, Any]) -> None:
    import orjson

    typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())


# --- playing


async def _replay(request: _Request, plan: "Plan", talk: Talk) -> int:
    import asyncio

    from spyctl.cli.signals import Interruption

    interruption = Interruption()
    try:
        return await _replay_to_sink(request, plan, talk, interruption)
    except asyncio.CancelledError:
        if interruption.code is None:
            raise
        return interruption.code


async def _replay_to_sink(request: _Request, plan: "Plan", talk: Talk, interruption: "Interruption") -> int:
    if request.sink == "stdout":
        from spyctl.bus.runs import new_run_id
        from spyctl.cli.stdout_sink import StdoutSink
        from spyctl.encode import SUBJECTS
        from spyctl.wire import with_prefix

        subjects = [with_prefix(subject, request.options.prefix) for subject in SUBJECTS]

        sink = StdoutSink(subjects)
        return await _play(request, plan, talk, sink, new_run_id(), interruption, where="", stream=None)
    from spyctl.bus.target import reach

    async with reach(request.target, tell=talk.line) as reached:
        return await _replay_to_nats(request, plan, talk, reached, interruption)


async def _replay_to_nats(
    request: _Request, plan: "Plan", talk: Talk, reached: "Reached", interruption: "Interruption"
) -> int:
    import asyncio
    import time
    from functools import partial

    from spyctl.bus.acknowledgement import choose_protocol
    from spyctl.bus.publisher import Publisher
    from spyctl.bus.reader import read_back
    from spyctl.bus.runs import RunRecord, Runs, new_run_id
    from spyctl.bus.settle import settle
    from spyctl.bus.stream import ensure_stream, refuse_busy
    from spyctl.clock import MAX_SPEED
    from spyctl.encode import SUBJECTS
    from spyctl.events import EventSource
    from spyctl.plan import fingerprints
    from spyctl.tasks import end_task
    from spyctl.wire import with_prefix

    connection, options = reached.connection, request.options
    _show_server(talk, reached)
    await _check_space(plan, request, reached)
    stream = await ensure_stream(connection, options.prefix)
    for warning in stream.warnings:
        talk.warn(warning)
    if reached.embedded is None and not request.force:
        await refuse_busy(connection, stream, EventSource.DIRECT_FEED, time.time_ns())
    runs = await Runs.open(connection, partial(settle, connection))
    record = RunRecord(
        run_id=new_run_id(),
        command="replay",
        stream=stream.name,
        subjects=[with_prefix(subject, options.prefix) for subject in SUBJECTS],
        inputs=fingerprints(plan.infos),
        options=_content_options(request, plan),
        started_ns=time.time_ns(),
        stream_born=stream.born,
    )
    if request.resume is None:
        run = await runs.begin(record, force=request.force)
        record.seq = (await ensure_stream(connection, options.prefix)).last_seq  # ours alone from here on
    else:
        record = await _former_run(runs, request.resume, record)
        run = await runs.reopen(record)
        options = replace(options, skip=record.position)
        request = replace(request, options=options)
        talk.block("resume", f"run {record.run_id}, {record.position:,} events of which are stored")
    protocol = choose_protocol(
        connection, stream, record.subjects, asked=request.ack, paced=options.speed != MAX_SPEED, run=run
    )
    publisher = Publisher(protocol, record.run_id, anchor=(record.position, record.seq))

    def stored() -> "AsyncIterator[list[tuple[int, str, bytes]]]":
        last_seq = publisher.delivery.last_seq or 0
        return read_back(connection, stream.name, record.subjects, began_after, last_seq)

    began_after = record.seq
    state = "failed"
    try:
        await publisher.open()
        keeper = asyncio.create_task(run.keep(publisher.checkpoint))
        try:
            where = "embedded" if reached.embedded is not None else connection.url
            code = await _play(
                request, plan, talk, publisher, record.run_id, interruption,
                where=where, stream=stream, beside=keeper, stored=stored if request.verify else None,
            )  # fmt: skip
            state = "complete" if code in (ExitCode.OK, ExitCode.INCOMPLETE) else "ended"
        finally:
            await end_task(keeper)
    finally:
        await publisher.close()
        await run.end(state, publisher.checkpoint(), settled=publisher.in_flight == 0)
    return code


async def _former_run(runs: "Runs", asked: str, now: "RunRecord") -> "RunRecord":
    # Finds the run to go on with, and refuses one whose events would not be these.
    record = await (runs.newest(now.command, now.stream) if asked == LAST_RUN else runs.find(asked))
    if record is None:
        raise ResumeError(f"there is no run to resume in {now.stream}", "leave --resume out to begin one")
    if record.state == "complete":
        raise ResumeError(f"run {record.run_id} is complete", "leave --resume out to play it anew")
    for what, former, present in (
        ("files", record.inputs, now.inputs),
        ("options", record.options, now.options),
        ("stream", [record.stream, record.subjects], [now.stream, now.subjects]),
    ):
        if former != present:
            raise ResumeError(
                f"run {record.run_id} had other {what}: {_difference(former, present)}",
                "the same files and options, or leave --resume out",
            )
    return record


def _difference(former: Any, present: Any) -> str:
    if isinstance(former, dict):
        key = next(key for key in present if former.get(key) != present[key])
        return f"{key} was {former.get(key)}, is {present[key]}"
    if [one.get("path") if isinstance(one, dict) else one for one in former] != [
        one.get("path") if isinstance(one, dict) else one for one in present
    ]:
        return f"{len(former)} then, {len(present)} now, or other names"
    return next(f"{one['path']} has changed" for one, other in zip(former, present, strict=True) if one != other)


def _content_options(request: _Request, plan: "Plan") -> dict[str, Any]:
    selection = plan.selection
    return {
        "dates": [str(day) for day in plan.dates],
        "schemas": list(request.schemas),
        "start_ns": selection.start_ns,
        "end_ns": selection.end_ns,
        "reorder_ns": selection.reorder_ns,
        "by_recv": selection.by_recv,
        "count": request.options.count,
    }


def _show_server(talk: Talk, reached: "Reached") -> None:
    from spyctl.plan import shown

    version = reached.connection.server_version
    embedded = reached.embedded
    if embedded is None or embedded.state is None:
        talk.block("nats", f"{reached.connection.url}, nats-server {version}")
        return
    state = embedded.state
    verb = "starting" if embedded.started else "sharing"
    talk.block(
        "nats",
        f"{reached.why}: {verb} nats-server {version} here",
        f"127.0.0.1:{state.port}, store {shown(Path(state.store))}"
        + (", stopped at the end" if embedded.started else ""),
    )


async def _check_space(plan: "Plan", request: _Request, reached: "Reached") -> None:
    if reached.embedded is not None:
        free = reached.embedded.store.free_bytes()
        place = "the embedded server's store"
    else:
        info = await reached.connection.jetstream_info()
        limit = info.get("limits", {}).get("max_storage", -1)
        if limit < 0:
            return
        free, place = max(0, limit - info.get("storage", 0)), f"JetStream at {reached.connection.url}"
    if plan.stream_bytes + MIN_FREE_BYTES > free:
        raise NoSpaceError(
            f"{place} has {size_text(free)} free, this replay needs about {size_text(plan.stream_bytes)}",
            "--start and --end for less of the day, or free some space (spyctl server reset)",
        )


async def _play(
    request: _Request,
    plan: "Plan",
    talk: Talk,
    sink: "Sink | Publisher",
    run_id: str,
    interruption: "Interruption",
    *,
    where: str,
    stream: "Stream | None",
    beside: "Any" = None,
    stored: "Callable[[], AsyncIterator[list[tuple[int, str, bytes]]]] | None" = None,
) -> int:
    import asyncio
    import sys

    from spyctl.cli.screen import show_progress
    from spyctl.cli.summary import print_summary
    from spyctl.display import Scene
    from spyctl.replay import Replay
    from spyctl.tasks import end_task

    replay = Replay(plan.infos, sink, replace(request.options, selection=plan.selection), run_id=run_id)
    replay.reading.damage.extend(plan.unreadable)

    def end(name: str) -> None:
        replay.stop(name)
        waiting = replay.delivery.published - replay.delivery.acked
        talk.line(f"\nstopping: {waiting:,} acks to come ({name} again leaves at once)")

    interruption.hand_to(end)
    scene = Scene(
        title=f"{plan.dates[0]}{f' … {plan.dates[-1]}' if len(plan.dates) > 1 else ''}"
        + ("   synthetic" if plan.synthetic else ""),
        where=where or "stdout",
        stream=stream.name if stream is not None else "·",
        first_ns=plan.first_ns or 0,
        last_ns=plan.last_ns or 0,
    )
    talk.line()
    # Events that scroll by on the same terminal leave no place for a display.
    watched = Talk(quiet=talk.quiet or (request.sink == "stdout" and sys.stdout.isatty()))
    failure: SpyctlError | None = None
    viewer = asyncio.create_task(show_progress(replay, scene, watched))
    player = asyncio.create_task(replay.run())
    try:
        await asyncio.wait({player, *([beside] if beside is not None else [])}, return_when=asyncio.FIRST_COMPLETED)
        if beside is not None and beside.done() and not player.done():
            replay.stop("another run")
            reason = beside.exception()
            failure = reason if isinstance(reason, SpyctlError) else SpyctlError(f"the run's lease is lost: {reason}")
        await player
        if stored is not None:
            talk.line("verifying: reading the events back")
            await replay.verify(stored())
    except BrokenPipeError:
        drop_stdout()
        return ExitCode.OK  # whoever read our lines has had enough
    except SpyctlError as error:
        failure = error
        replay.stopped_by = replay.stopped_by or "error"
    finally:
        await end_task(viewer)
    print_summary(replay, plan, stream, as_json=request.as_json, to_stderr=request.sink == "stdout")
    for damage in replay.reading.damage:
        if failure is not damage:
            _show_damage(talk, damage)
    if failure is not None:
        talk.error(failure.message, failure.remedy)
        return failure.exit_code
    return replay.exit_code()


def _show_damage(talk: Talk, damage: Any) -> None:
    whole = f"; the {damage.records:,} records before that are published, acked" if damage.records else ""
    talk.error(damage.message, f"{damage.remedy}{whole}")
