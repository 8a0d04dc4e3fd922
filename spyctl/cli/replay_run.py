"""Playing: find the server, register or resume the run, play, show it, say what came of it."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spyctl.bus.acks.choice import choose_protocol
from spyctl.bus.consumers import Consumers
from spyctl.bus.in_flight import Sink
from spyctl.bus.publisher import Publisher
from spyctl.bus.reader import read_back
from spyctl.bus.reconcile import settle
from spyctl.bus.runs import RunRecord, Runs, new_run_id
from spyctl.bus.stream import Stream, ensure_stream, refuse_busy
from spyctl.bus.target import Reached, reach
from spyctl.cli.framework.remedies import remedy_for
from spyctl.cli.framework.signals import Interruption
from spyctl.cli.framework.stdout_sink import StdoutSink
from spyctl.cli.framework.talk import Talk, drop
from spyctl.cli.framework.watch import until_ended, watched
from spyctl.cli.replay import LAST_RUN
from spyctl.cli.replay_plan import Request
from spyctl.cli.summary import print_summary
from spyctl.errors import ExitCode, NoSpaceError, ResumeError, SpyctlError
from spyctl.market.encode import SUBJECTS
from spyctl.market.events import EventSource
from spyctl.market.subjects import with_prefix
from spyctl.replay.plan import Plan, fingerprints, shown
from spyctl.replay.player import Replay
from spyctl.replay.view import Scene, View
from spyctl.terminal.text import size_text
from spyctl.timing.clock import MAX_SPEED
from spyctl.timing.instants import SECOND, utc_text
from spyctl.timing.tasks import end_task

if TYPE_CHECKING:
    from spyctl.metrics import Figures

_LOOK_S = 0.1


async def run_replay(request: Request, plan: Plan, talk: Talk) -> int:
    """Play what was asked for and return the exit code. Raises :class:`SpyctlError`."""
    interruption = Interruption()
    try:
        return await _replay_to_sink(request, plan, talk, interruption)
    except asyncio.CancelledError:
        if interruption.code is None:
            raise
        return interruption.code


async def _replay_to_sink(request: Request, plan: Plan, talk: Talk, interruption: Interruption) -> int:
    if request.sink == "stdout":
        sink = StdoutSink([with_prefix(subject, request.options.prefix) for subject in SUBJECTS])
        return await _play(request, plan, talk, sink, new_run_id(), interruption, where="", stream=None)

    async with reach(request.target, tell=talk.line) as reached:
        return await _replay_to_nats(request, plan, talk, reached, interruption)


async def _replay_to_nats(
    request: Request, plan: Plan, talk: Talk, reached: Reached, interruption: Interruption
) -> int:
    connection, options = reached.connection, request.options
    show_server(talk, reached)
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
    else:
        record = await _former_run(runs, request.resume, record)
        run = await runs.reopen(record)
        options = replace(options, skip=record.position)
        request = replace(request, options=options)
        talk.block("resume", f"run {record.run_id}, {record.position:,} events of which are stored")
    began_after = record.seq or 0
    protocol = choose_protocol(
        connection, stream, record.subjects, asked=request.ack, paced=options.speed != MAX_SPEED, run=run
    )
    publisher = Publisher(protocol, record.run_id, anchor=(record.position, began_after))
    talk.detail(f"run {record.run_id} into {stream.name} after seq {began_after:,}, acks {protocol.name}")

    def stored() -> AsyncIterator[list[tuple[int, str, bytes]]]:
        last_seq = publisher.delivery.last_seq or 0
        return read_back(connection, stream.name, record.subjects, began_after, last_seq)

    state = "failed"
    try:
        await publisher.open()
        keeper = asyncio.create_task(run.keep(publisher.checkpoint))
        try:
            where = "embedded" if reached.embedded is not None else connection.url
            code = await _play(
                request, plan, talk, publisher, record.run_id, interruption,
                where=where, stream=stream, consumers=Consumers(connection, stream.name), beside=keeper,
                stored=stored if request.verify else None,
            )  # fmt: skip
            state = "complete" if code in (ExitCode.OK, ExitCode.INCOMPLETE) else "ended"
        finally:
            await end_task(keeper)
    finally:
        await publisher.close()
        await run.end(state, publisher.checkpoint(), settled=publisher.in_flight == 0)
    return code


async def _former_run(runs: Runs, asked: str, now: RunRecord) -> RunRecord:
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


def _content_options(request: Request, plan: Plan) -> dict[str, Any]:
    selection = plan.selection
    return {
        "dates": [str(day) for day in plan.dates],
        "schemas": list(request.schemas),
        "start_ns": selection.start_ns,
        "end_ns": selection.end_ns,
        "reorder_ns": selection.reorder_ns,
        "by_recv": selection.by_recv,
        "symbols": list(selection.symbols),
        "count": request.options.count,
    }


def show_server(talk: Talk, reached: Reached) -> None:
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


async def _check_space(plan: Plan, request: Request, reached: Reached) -> None:
    if reached.embedded is not None:
        free = reached.embedded.store.free_bytes()
        place = "the embedded server's store"
    else:
        info = await reached.connection.jetstream_info()
        limit = info.get("limits", {}).get("max_storage", -1)
        if limit < 0:
            return
        free, place = max(0, limit - info.get("storage", 0)), f"JetStream at {reached.connection.url}"
    if plan.stream_bytes > free:
        raise NoSpaceError(
            f"{place} has {size_text(free)} free, this replay needs about {size_text(plan.stream_bytes)}",
            "--start and --end for less of the day, or free some space (spyctl server reset)",
        )


async def _play(
    request: Request,
    plan: Plan,
    talk: Talk,
    sink: Sink | Publisher,
    run_id: str,
    interruption: Interruption,
    *,
    where: str,
    stream: Stream | None,
    consumers: Consumers | None = None,
    beside: "asyncio.Task[None] | None" = None,
    stored: "Callable[[], AsyncIterator[list[tuple[int, str, bytes]]]] | None" = None,
) -> int:

    replay = Replay(plan.infos, sink, replace(request.options, selection=plan.selection), run_id=run_id)
    replay.reading.damage.extend(plan.unreadable)

    def end(name: str) -> None:
        replay.stop(name)
        waiting = replay.delivery.published - replay.delivery.acked
        talk.line(f"\nstopping: {waiting:,} acks to come ({name} again leaves at once)")

    interruption.hand_to(end)
    scene = Scene(
        title=f"{plan.dates[0]}{f' … {plan.dates[-1]}' if len(plan.dates) > 1 else ''}",
        what=f"{' + '.join(name for name in request.schemas if plan.events[name])} of {', '.join(plan.symbols[:3])}",
        synthetic=plan.synthetic,
        where=where or "stdout",
        stream=stream.name if stream is not None else "·",
        first_ns=plan.first_ns or 0,
        last_ns=plan.last_ns or 0,
    )
    talk.line()
    view = View(replay, scene, (lambda: consumers.now) if consumers is not None else None)
    # Events that scroll by on the same terminal leave no place for a display.
    draw = view.draw if request.sink != "stdout" or not sys.stdout.isatty() else None
    figures = partial(_figures, replay, consumers, stream)
    async with watched(talk, draw, view.line, consumers, request.metrics, figures):
        try:
            failure = await _until_played(replay, talk, beside, stored)
        except BrokenPipeError:
            drop(sys.stdout)
            return ExitCode.OK  # whoever read our lines has had enough
    print_summary(replay, plan, stream, as_json=request.as_json, to_stderr=request.sink == "stdout")
    for damage in replay.reading.damage:
        if failure is not damage:
            _show_damage(talk, damage)
    if failure is not None:
        talk.error(failure.message, remedy_for(failure))
        return failure.exit_code
    return replay.exit_code()


async def _until_played(
    replay: Replay,
    talk: Talk,
    beside: "asyncio.Task[None] | None",
    stored: "Callable[[], AsyncIterator[list[tuple[int, str, bytes]]]] | None",
) -> SpyctlError | None:
    # Plays to the end; returns what ended it early.
    failure: SpyctlError | None = None
    notes = asyncio.create_task(_tell_rolls(replay, talk))
    try:
        failure = await until_ended(asyncio.create_task(replay.run()), beside, replay.stop)
        if stored is not None:
            talk.line("verifying: reading the events back")
            await replay.verify(stored())
    except SpyctlError as error:
        failure = error
        replay.stopped_by = replay.stopped_by or "error"
    finally:
        await end_task(notes)
    return failure


def _figures(replay: Replay, consumers: Consumers | None, stream: Stream | None) -> "Figures":
    from spyctl.metrics import Figures

    pace = replay.pace
    gauges = {"behind_seconds": pace.behind_ns / SECOND, "speed_asked": replay.options.speed, "held": replay.held}
    if (achieved := pace.achieved()) is not None:
        gauges["speed_achieved"] = achieved
    if pace.last_ns is not None:
        gauges["event_time_seconds"] = pace.last_ns / SECOND
    waiting = "the first event" if pace.last_ns is None else ""
    summary = replay.summary(stream.name if stream is not None else None)
    return Figures(summary, waiting, consumers.now if consumers is not None else (), gauges)


async def _tell_rolls(replay: Replay, talk: Talk) -> None:
    # Says a roll when its time is played; reading is ahead of that.
    told = 0
    try:
        while True:
            await asyncio.sleep(_LOOK_S)
            told = _tell_due_rolls(replay, talk, told)
    finally:
        _tell_due_rolls(replay, talk, told)


def _tell_due_rolls(replay: Replay, talk: Talk, told: int) -> int:
    for roll in replay.reading.rolls[told:]:
        if (replay.pace.last_ns or 0) < roll.ts_ns:
            break
        talk.line(
            f"note: {roll.symbol} rolls at {utc_text(roll.ts_ns)[:16]}Z, from instrument {roll.from_id} to "
            f"{roll.to_id}; prices are not adjusted"
        )
        told += 1
    return told


def _show_damage(talk: Talk, damage: Any) -> None:
    whole = f"; the {damage.records:,} records before that are published, acked" if damage.records else ""
    talk.error(damage.message, f"{remedy_for(damage)}{whole}")
