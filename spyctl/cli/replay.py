"""``spyctl replay``: read the options, print the plan, play it."""

from typing import TYPE_CHECKING

import typer

from spyctl.bus.store_mode import StoreMode
from spyctl.cli.framework.loading import loading
from spyctl.cli.framework.origin import Origin, is_flag, origin_of
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.streams import write_document
from spyctl.cli.nats_options import NatsOptions
from spyctl.cli.options import parse_address
from spyctl.cli.replay_options import (
    ControlOptions,
    DeliveryOptions,
    InputOptions,
    OrderKey,
    PlaybackOptions,
    ResultOptions,
    SinkKind,
    SourceOptions,
)
from spyctl.errors import ExitCode, NoDataError, UsageError

if TYPE_CHECKING:
    from spyctl.cli.replay_plan import Request
    from spyctl.replay.plan import Plan
    from spyctl.replay.session import ReplayOptions
    from spyctl.replay.tape_plan import TapePlan

_DATE_ORIGINS = {Origin.FLAG: "--date", Origin.ENVIRONMENT: "REPLAY_DATE"}


def replay(
    context: typer.Context,
    *,
    data: InputOptions,
    source: SourceOptions,
    playback: PlaybackOptions,
    control: ControlOptions,
    nats: NatsOptions,
    delivery: DeliveryOptions,
    result: ResultOptions,
) -> int:
    """Replay Databento files onto JetStream: ES trades and MBP-10 in event time, at any speed.

    spyctl replay --date 2025-12-16 --speed 10
    spyctl replay --date last --start open --end open+30m --speed max
    spyctl replay --source tapes --date 2025-12-16 --prefix REHEARSAL
    """
    with loading():
        from spyctl.bus.consumers import ConsumerLimit
        from spyctl.cli.replay_plan import InputRequest, Request, plan_document, plan_request, show_plan
        from spyctl.market.columns import SCHEMAS

    _refuse_contradictions(context, data, playback, control, delivery, result)
    _refuse_idle_options(context, source, playback)
    if delivery.store_mode is StoreMode.FAST and not nats.prefix:
        raise UsageError("--store-mode fast is for rehearsals", "--prefix NAME --store-mode fast")
    request = Request(
        input=InputRequest(
            data_dir=data.data_dir,
            dates=tuple(data.date or ()),
            origin="--trading-day" if data.trading_day else _DATE_ORIGINS.get(origin_of(context, "date"), "every date"),
            dataset=data.dataset,
            schemas=tuple(dict.fromkeys(data.schema)) if data.schema else SCHEMAS,
            start=data.start,
            end=data.end,
            zone=data.tz,
            trading_day=data.trading_day,
            duration=data.duration,
            session=data.session,
        ),
        options=_replay_options(data, playback, control, result, nats.prefix),
        target=nats.target(context),
        sink=delivery.sink,
        ack=delivery.ack,
        store_mode=delivery.store_mode,
        resume=playback.resume,
        verify=result.verify,
        force=delivery.force,
        metrics=parse_address(result.metrics) if result.metrics else None,
        as_json=result.as_json,
        raw=delivery.raw,
        keys=not control.no_keys,
        wait_for=ConsumerLimit.parse(control.wait_for) if control.wait_for is not None else None,
    )
    reporter = Reporter.of(context)
    if nats.embedded and nats.nats_url:
        reporter.line("note: --embedded overrides NATS_URL")
    if source.source is not None:
        return _replay_source(request, source, playback, result, reporter)
    plan = plan_request(request)
    show_plan(reporter, plan, request)
    if result.dry_run and result.as_json:
        write_document(plan_document(plan, request))
    if plan.volume.exact and plan.volume.first_ns is None and not any(info.problem for info in plan.infos):
        raise NoDataError("no event lies in that range", "spyctl time-range --date D --schema S shows what does")
    if result.dry_run:
        return ExitCode.OK

    return _run(request, plan, reporter)


def _run(request: "Request", plan: "Plan | TapePlan", reporter: Reporter) -> int:
    with loading():
        import asyncio

        from spyctl.cli.replay_run import run_replay
        from spyctl.timing.clock import precise_loop

    with asyncio.Runner(loop_factory=precise_loop) as runner:
        return runner.run(run_replay(request, plan, reporter))


def _replay_source(
    request: "Request", asked: SourceOptions, playback: PlaybackOptions, result: ResultOptions, reporter: Reporter
) -> int:
    # A replay of tapes, or of what a stream holds.
    from spyctl.cli.replay_tapes import SourceRequest, planned_source, show_tape_plan, tape_plan_document
    from spyctl.cli.tail_options import Place, PlaceKind, parse_place
    from spyctl.replay.tapes.order import TapeOrder
    from spyctl.terminal.event_lines import subjects_of

    source = SourceRequest(
        str(asked.source),
        parse_place(asked.place) if asked.place is not None else Place(PlaceKind.START),
        tuple(subjects_of(asked.subject)) if asked.subject else None,
        TapeOrder.STORED if playback.order is OrderKey.STORED else TapeOrder.EVENT,
        follow=asked.follow,
    )
    with planned_source(request, source, reporter) as plan:
        show_tape_plan(reporter, plan, request)
        if result.dry_run and result.as_json:
            write_document(tape_plan_document(plan, request))
        if plan.volume.exact and plan.volume.first_ns is None:
            raise NoDataError("no event lies in that range", "spyctl discover and spyctl time-range show what does")
        return ExitCode.OK if result.dry_run else _run(request, plan, reporter)


def _refuse_contradictions(
    context: typer.Context,
    data: InputOptions,
    playback: PlaybackOptions,
    control: ControlOptions,
    delivery: DeliveryOptions,
    result: ResultOptions,
) -> None:
    needing_nats = (
        ("--resume", playback.resume is not None),
        ("--verify", result.verify),
        ("--wait-for", control.wait_for is not None),
        ("--start-paused", control.start_paused),
        ("--store-mode fast", delivery.store_mode is StoreMode.FAST),
    )
    for option, given in needing_nats:
        if given and delivery.sink is not SinkKind.NATS:
            raise UsageError(f"{option} needs NATS", "leave --sink out")
    if delivery.raw and delivery.sink is not SinkKind.STDOUT:
        raise UsageError("--raw is for events on stdout", "--sink stdout --raw")
    if data.trading_day is not None and data.date and is_flag(context, "date"):
        raise UsageError("--trading-day and --date exclude each other", "--trading-day alone")
    if data.count is not None and control.loop > 1:
        raise UsageError("--count and --loop exclude each other", "--duration ends each of the loops")
    if data.duration is not None and data.end is not None:
        raise UsageError("--duration and --end exclude each other", "one of the two")


def _refuse_idle_options(context: typer.Context, source: SourceOptions, playback: PlaybackOptions) -> None:
    # What would do nothing is not taken in silence.
    of_files = (("--symbol", "symbol"), ("--schema", "schema"), ("--dataset", "dataset"), ("--session", "session"))
    if source.source is not None:
        for option, parameter in of_files:
            if is_flag(context, parameter):
                raise UsageError(f"{option} is for files", "--subject chooses among the events of a tape or a stream")
        if playback.order is OrderKey.RECV:
            raise UsageError("--order recv is for files", "--order event, or --order stored")
        return
    for option, given in (("--from", source.place is not None), ("--subject", bool(source.subject))):
        if given:
            raise UsageError(f"{option} is for tapes and streams", f"--source DIR {option} …")
    if source.follow:
        raise UsageError("--follow is for a stream", "--source stream --follow")
    if playback.order is OrderKey.STORED:
        raise UsageError("files have no stored order", "--order event, or --source DIR --order stored")


def _replay_options(
    data: InputOptions, playback: PlaybackOptions, control: ControlOptions, result: ResultOptions, prefix: str
) -> "ReplayOptions":
    from spyctl.dbn.sort_times import Selection
    from spyctl.replay.commands import checked_speed
    from spyctl.replay.session import ReplayOptions
    from spyctl.timing.instants import parse_duration

    selection = Selection(
        reorder_ns=parse_duration(playback.reorder_window),
        by_recv=playback.order is OrderKey.RECV,
        symbols=tuple(data.symbol or ()),
    )
    return ReplayOptions(
        speed=checked_speed(playback.speed),
        selection=selection,
        max_quiet_ns=parse_duration(playback.max_quiet),
        count=data.count,
        prefix=prefix,
        strict=data.strict,
        digest=not result.no_digest,
        start_paused=control.start_paused,
        loops=control.loop,
        warm_up_ns=parse_duration(control.warm_up) if control.warm_up is not None else 0,
    )
