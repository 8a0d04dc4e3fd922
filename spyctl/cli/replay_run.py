"""Playing: find the server, register or resume the run, play, show it, say how it ended."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spyctl import __version__
from spyctl.bus.account import account_of
from spyctl.bus.consumers import Backpressure, Consumers
from spyctl.bus.control_service import controlled
from spyctl.bus.publishing import Publishing, RunRequest, publishing
from spyctl.bus.recognition import Message
from spyctl.bus.runs import new_run_id
from spyctl.bus.target import Reached, Target, reach
from spyctl.cli.framework.remedies import RAISE_LIMITS, remedy_for
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.signals import Interruption
from spyctl.cli.framework.stdout_sink import StdoutSink
from spyctl.cli.framework.streams import drop, write_document
from spyctl.cli.replay_display import AnyPlan, Destination, show_damage, shown
from spyctl.cli.replay_options import SinkKind
from spyctl.cli.replay_plan import Request
from spyctl.cli.summary import print_summary
from spyctl.errors import (
    AccountLimitError,
    ExitCode,
    NoSpaceError,
    RunCompleteError,
    SpyctlError,
    path_text,
)
from spyctl.market.events import EventSource
from spyctl.market.subjects import stream_name, subject_table, with_prefix
from spyctl.replay.broadcast import CLOCK, keep_broadcasting
from spyctl.replay.player import Surroundings, keep_nothing
from spyctl.replay.result import end_state, summary_of
from spyctl.replay.script import Script
from spyctl.replay.segments import Journal
from spyctl.replay.session import Replay, leased_for
from spyctl.replay.tape_plan import TapePlan
from spyctl.summary import StopReason
from spyctl.terminal.text import count, size_text
from spyctl.timing.clock import MAX_SPEED
from spyctl.timing.tasks import end_task

if TYPE_CHECKING:
    pass

AFTER_LOSS = "--resume goes on after what is stored; where that is refused, play it again from the start"


async def run_replay(request: Request, plan: AnyPlan, reporter: Reporter) -> int:
    """Play what was asked for and return the exit code. Raises :class:`SpyctlError`."""
    interruption = Interruption(reporter)
    try:
        if request.sink is SinkKind.STDOUT:
            sink = StdoutSink(subject_table(request.options.prefix), raw=request.raw)
            return await _play(request, plan, reporter, interruption, Destination(sink, new_run_id()))
        async with reach(request.target, tell=reporter.line) as reached:
            return await _replay_to_nats(request, plan, reporter, interruption, reached)
    except RunCompleteError as end:
        return _nothing_left(request, reporter, end)
    except asyncio.CancelledError:
        if interruption.code is None:
            raise
        return interruption.code


def _nothing_left(request: Request, reporter: Reporter, end: RunCompleteError) -> int:
    # What was to go on has reached its end, which is what was wanted.
    reporter.block("resume", end.message)
    if request.as_json:
        document = {"run_id": end.run_id, "complete": True, "resumed_at": end.events, "published": 0, "acked": 0}
        write_document(document)
    return ExitCode.OK


async def _replay_to_nats(
    request: Request, plan: AnyPlan, reporter: Reporter, interruption: Interruption, reached: Reached
) -> int:
    show_server(reporter, reached, request.target)
    await _check_space(plan, request, reached)
    async with publishing(reached.connection, _run_request(request, plan, reached)) as run:
        for warning in run.stream.warnings:
            reporter.warn(warning)
        if request.resume is not None:
            request = replace(request, options=replace(request.options, skip=run.position))
            verb = "is" if run.position == 1 else "are"
            reporter.block("resume", f"run {run.run_id}, {count('events', run.position)} of which {verb} stored")
        acks = run.publisher.protocol
        reporter.detail(f"run {run.run_id} into {run.stream.name} after seq {run.began_after:,}, acks {acks}")
        where = "embedded" if reached.embedded is not None else reached.connection.url
        consumers = Consumers(reached.connection, run.stream.name)
        destination = Destination(run.publisher, run.run_id, where, run, consumers)
        await run.prepare()
        return await _play(request, plan, reporter, interruption, destination)


def _run_request(request: Request, plan: AnyPlan, reached: Reached) -> RunRequest:
    return RunRequest(
        command="replay",
        leased=[with_prefix(subject, request.options.prefix) for subject in leased_for(plan.source)],
        prefix=request.options.prefix,
        inputs=plan.inputs,
        options=plan.content | {"count": request.options.count},
        events=partial(_messages_after, request, plan),
        resume=request.resume,
        source=_event_source(request, plan) if reached.embedded is None and not request.force else None,
        force=request.force,
        ack_mode=request.ack,
        store_mode=request.store_mode,
        paced=request.options.speed != MAX_SPEED,
    )


def _messages_after(
    request: Request, plan: AnyPlan, journal: Mapping[str, Any], position: int
) -> AsyncIterator[list[Message]]:
    # The messages of a run behind a position, made again.
    script = Script(plan.source, request.options.count)
    return script.messages(Journal.of(journal), position, subject_table(request.options.prefix))


def _event_source(request: Request, plan: AnyPlan) -> EventSource | None:
    # Whose events may be the newest of the stream. A tape holds whatever was live: its own run has stored that, or a
    # rehearsal in a stream of its own.
    own = isinstance(plan, TapePlan) and (request.options.prefix or request.resume is not None)
    return None if own else EventSource.DIRECT_FEED


def show_server(reporter: Reporter, reached: Reached, target: Target) -> None:
    """Show which server is used and, for the embedded one, why; later on, that it refuses us."""
    reached.connection.on_refusal(reporter.warn)
    version = reached.connection.server_version
    embedded = reached.embedded
    if embedded is None or embedded.state is None:
        reporter.block("nats", f"{reached.connection.url}, nats-server {version}")
        return
    state = embedded.state
    verb = "starting" if embedded.started else "sharing"
    why = "--embedded" if target.embedded else reached.why
    reporter.block(
        "nats",
        f"{why}: {verb} nats-server {version} here",
        f"127.0.0.1:{state.port}, store {path_text(Path(state.store))}"
        + (", stopped at the end" if embedded.started else ""),
    )


async def _check_space(plan: AnyPlan, request: Request, reached: Reached) -> None:
    if reached.embedded is not None:
        free, more = reached.embedded.store.free_bytes(), "spyctl server reset"
        place = "the embedded server's store"
    else:
        account = await account_of(reached.connection, stream_name(request.options.prefix))
        if shortage := account.shortage(()):
            raise AccountLimitError(shortage)
        if account.free is None:
            return
        free, more = account.free, RAISE_LIMITS
        place = f"JetStream at {reached.connection.url}"
    loops = request.options.loops
    if not plan.fits(free // loops):
        about = "about" if plan.volume.known else "up to"
        raise NoSpaceError(
            f"{place} has {size_text(free)} free, this replay needs {about} {size_text(plan.stream_bytes * loops)}",
            f"--start and --end for less of the day, or {more}",
        )


async def _play(
    request: Request, plan: AnyPlan, reporter: Reporter, interruption: Interruption, destination: Destination
) -> int:
    run, limit = destination.run, request.wait_for
    options = replace(request.options, selection=plan.selection, span=plan.span, quiet=plan.quiet)
    backpressure = None
    if run is not None and limit is not None:
        delivery = run.publisher.delivery
        backpressure = Backpressure(run.connection, run.stream.name, limit, lambda: delivery.published)
    replay = Replay(
        plan.source, destination.sink, options, run_id=destination.run_id,
        journal=Journal.of(run.journal if run is not None else {}),
        around=Surroundings(
            run.note if run is not None else keep_nothing,
            lambda: backpressure.reason if backpressure is not None else "",
        ),
    )  # fmt: skip
    replay.reading.damage.extend(plan.unreadable)
    interruption.hand_to(replay.stop, lambda: replay.delivery.published - replay.delivery.acked)
    reporter.line()
    try:
        async with (
            _controlled(request, plan, replay, run, backpressure),
            shown(request, plan, reporter, replay, destination),
        ):
            failure = await _until_played(request, reporter, replay, run)
    except BrokenPipeError:
        drop(sys.stdout)
        return ExitCode.OK  # whoever read our lines has had enough
    summary = summary_of(replay, destination.stream)
    if run is not None and failure is None and not summary.details.nothing_read:
        run.state = end_state(replay.stopped_by)  # whether or not anybody reads the summary
    print_summary(summary, plan.dates, as_json=request.as_json, to_stderr=request.sink is SinkKind.STDOUT)
    for damage in replay.reading.damage:
        if failure is not damage:
            show_damage(reporter, damage, sorted(replay.reading.unresolved))
    if destination.run is not None:
        show_holdings(reporter, destination.run)
    if failure is not None:
        reporter.error(failure.message, remedy_for(failure, after_loss=AFTER_LOSS if run is not None else ""))
        return failure.exit_code
    return summary.exit_code


def show_holdings(reporter: Reporter, run: Publishing) -> None:
    """Say which acknowledged events the stream did not hold at the end."""
    if run.holdings is not None and run.holdings.sentence:
        (reporter.error if run.holdings.lost else reporter.warn)(run.holdings.sentence)


@asynccontextmanager
async def _controlled(
    request: Request, plan: AnyPlan, replay: Replay, run: Publishing | None, backpressure: Backpressure | None
) -> AsyncIterator[None]:
    # Meanwhile it can be controlled from elsewhere, and its clock followed.
    if run is None:
        yield
        return
    subject = with_prefix(CLOCK, request.options.prefix)

    async def send(payload: bytes) -> None:
        await run.connection.write(b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(payload), payload))

    about = {"source": f"{plan.dates[0]} {', '.join(plan.symbols[:3])}", "stream": run.stream.name}
    async with AsyncExitStack() as stack:
        clock = asyncio.create_task(keep_broadcasting(replay.clock, send))
        stack.push_async_callback(end_task, clock)
        if backpressure is not None:
            stack.push_async_callback(end_task, asyncio.create_task(backpressure.keep_looking()))
        await stack.enter_async_context(controlled(run.connection, run.run_id, __version__, about, replay.control.send))
        yield


async def _until_played(
    request: Request, reporter: Reporter, replay: Replay, run: Publishing | None
) -> SpyctlError | None:
    # Plays to the end; returns what ended it early.
    try:
        if run is None:
            await replay.run()
        else:
            await run.watch(replay.run(), partial(replay.stop, StopReason.LEASE_LOST))
            if request.verify:
                reporter.line("verifying: reading the events back")
                await replay.verify(run.stored())
    except SpyctlError as error:
        replay.stop(StopReason.ERROR)
        return error
    return None
