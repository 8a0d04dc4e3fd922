"""Following the stream: find it, find the place, show what comes."""

import asyncio
import fcntl
import os
import stat
import sys
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from rich.console import Console

from spyctl.bus.checkpoint import LAST_RUN
from spyctl.bus.connection import Connection
from spyctl.bus.contents import count_after
from spyctl.bus.reader import follow, subject_filter
from spyctl.bus.runs import RunState, stored_runs
from spyctl.bus.target import Target, reach
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.screen import Show, show_progress
from spyctl.cli.framework.signals import Interruption
from spyctl.cli.framework.streams import colours, drop, unguarded, write_document
from spyctl.cli.source_stream import source_stream
from spyctl.cli.tail_options import Place, PlaceKind, TailForm
from spyctl.errors import ExitCode, NoDataError, StreamGoneError
from spyctl.market.events import Gap
from spyctl.market.lines import StreamMessage, json_lines, payload_lines
from spyctl.market.subjects import prefix_of, stream_name, subject_of, with_prefix
from spyctl.terminal.event_lines import HEADING, EventFilter, TextLines
from spyctl.terminal.stream_stats import StreamStats
from spyctl.terminal.text import count
from spyctl.timing.instants import SECOND
from spyctl.timing.tasks import end_task

_PIPE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TailRequest:
    """What the command line asks for; ``count`` is ``None`` where the number of events is not limited.

    ``run`` names the run whose events are wanted; where it has ended, ``last_seq`` is where they end.
    """

    target: Target
    prefix: str
    wanted: EventFilter
    place: Place
    until_end: bool
    count: int | None
    form: TailForm
    as_json: bool
    run: str | None = None
    last_seq: int | None = None


async def run_tail(request: TailRequest, reporter: Reporter) -> int:
    """Show events until told to stop; returns the exit code. Raises :class:`SpyctlError`."""
    interruption = Interruption(reporter)
    writer = _EventWriter(request, colour=colours(sys.stdout) and not reporter.plain)
    try:
        async with reach(request.target, tell=reporter.line) as reached:
            if request.run is not None:
                request = await _of_run(request, request.run, reached.connection)
            follower = _Follower(request, reporter, reached.connection, writer)
            if request.form is not TailForm.STATS:
                await follower.run()
            else:
                display = asyncio.create_task(show_progress(Show(writer.stats.draw, writer.stats.line), reporter))
                try:
                    await follower.run()
                finally:
                    await end_task(display)
    except asyncio.CancelledError:
        if writer.reader_left:
            drop(sys.stdout)
            return ExitCode.OK
        if interruption.code is None:
            raise
    writer.close(reporter)
    return interruption.code if interruption.code is not None else ExitCode.OK


async def _of_run(request: TailRequest, run: str, connection: Connection) -> TailRequest:
    # The place and the subjects of a run, and where it ended.
    known = await stored_runs(connection)
    records = [record for record in known if run == record.run_id]
    if run == LAST_RUN:
        records = [record for record in known if prefix_of(record.stream) == request.prefix] or known
    if not records:
        raise NoDataError(f"there is no run {run} at {connection.url}", "spyctl runs lists them")
    record = records[-1]
    prefix = prefix_of(record.stream)
    if prefix != request.prefix:
        raise NoDataError(
            f"run {record.run_id} is in {record.stream}", f"--prefix {prefix}" if prefix else "no --prefix"
        )
    gaps = {with_prefix(subject_of(Gap), prefix)} if record.command == "live" else set()  # they are not leased
    ended = record.checkpoint is not None and record.state is not RunState.RUNNING
    return replace(
        request,
        place=Place(PlaceKind.SEQUENCE, (record.began_after or 0) + 1),
        wanted=replace(request.wanted, subjects=request.wanted.subjects & ({*record.subjects} | gaps)),
        last_seq=record.checkpoint.seq if record.checkpoint is not None and ended else None,
    )


class _Follower:
    # Shows events from the place asked for until the end asked for.
    def __init__(
        self, request: TailRequest, reporter: Reporter, connection: Connection, writer: "_EventWriter"
    ) -> None:
        self.request = request
        self.reporter = reporter
        self.connection = connection
        self.writer = writer
        self._place = request.place
        self._left = request.count

    async def run(self) -> None:
        while True:
            try:
                await self._follow()
                return
            except StreamGoneError as gone:
                if self.request.until_end:
                    raise
                self.reporter.warn(f"{gone.message}: whatever is stored there next is shown from its beginning")
                self._place = Place(PlaceKind.START)

    async def _follow(self) -> None:
        request = self.request
        waits, remedy = None if self.request.until_end else self.reporter, "spyctl replay, or spyctl live --sim"
        info = await source_stream(self.connection, stream_name(self.request.prefix), waits, remedy=remedy)
        name, state = info["config"]["name"], info["state"]
        last_seq, until_end = state["last_seq"], request.until_end
        if request.last_seq is not None:
            last_seq, until_end = min(last_seq, request.last_seq), True
        start = await self._start(name, state)
        if until_end and (start is None or start.get("opt_start_seq", 1) > last_seq):
            self._say_nothing_stored()
            return
        begin = (start or {"deliver_policy": "new"}) | subject_filter(self.connection, request.wanted.subjects)
        async with aclosing(follow(self.connection, name, begin)) as batches:
            async for batch in batches:
                messages = _matching(request.wanted, batch)
                if until_end and messages and messages[-1].seq > last_seq:
                    messages = [message for message in messages if message.seq <= last_seq]
                if self._left is not None:
                    messages = messages[: self._left]
                    self._left -= len(messages)
                self._write(messages)
                if not batch and start is not None:
                    self._say_nothing_stored()
                at_end = not batch or batch[-1].seq >= last_seq or not batch[-1].pending
                if self._left == 0 or (until_end and at_end):
                    if batch:
                        self._say_nothing_stored()
                    return

    def _write(self, messages: list[StreamMessage]) -> None:
        if messages and self.request.form is TailForm.TEXT and not self.writer.any_written:
            self.reporter.line(HEADING)
        self.writer.write(messages)

    def _say_nothing_stored(self) -> None:
        # Instead of a heading with nothing below it.
        wanted = self.request.wanted
        if not self.writer.any_written:
            matching = " that match" if wanted.looks_inside else ""
            self.reporter.line(f"no {wanted.what}{matching} stored{'' if self.request.until_end else ' yet'}")

    async def _start(self, name: str, state: dict[str, Any]) -> dict[str, Any] | None:
        # Where the consumer begins; None where nothing that is stored is wanted.
        first, last = max(1, state["first_seq"]), state["last_seq"]
        match self._place:
            case Place(PlaceKind.NEW):
                return None
            case Place(PlaceKind.TIME, ns):
                text = f"{datetime.fromtimestamp(ns // SECOND, UTC):%Y-%m-%dT%H:%M:%S}.{ns % SECOND:09d}Z"
                return {"deliver_policy": "by_start_time", "opt_start_time": text}
            case Place(PlaceKind.LAST, number):
                seq = await self._seq_of_last(name, first, last, number)
            case Place(PlaceKind.START | PlaceKind.SEQUENCE, number):
                seq = max(first, number)
        return {"deliver_policy": "by_start_sequence", "opt_start_seq": seq}

    async def _seq_of_last(self, name: str, first: int, last: int, number: int) -> int:
        # The sequence from which on the stream holds the last `number` events of the subjects.
        subjects = sorted(self.request.wanted.subjects)
        low, high = first, last + 1
        while low < high:
            middle = (low + high) // 2
            stored, _ = await count_after(self.connection, name, subjects, middle - 1)
            low, high = (middle + 1, high) if stored > number else (low, middle)
        return low


def _matching(wanted: EventFilter, batch: list[StreamMessage]) -> list[StreamMessage]:
    messages = [message for message in batch if message.subject in wanted.subjects]
    return [message for message in messages if _matches(wanted, message.payload)] if wanted.looks_inside else messages


def _matches(wanted: EventFilter, payload: bytes) -> bool:
    try:
        event = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return False
    return isinstance(event, dict) and wanted.matches(event)


class _EventWriter:
    # Writes events to stdout in the form that is asked for; notices a reader of the pipe that leaves.
    def __init__(self, request: TailRequest, *, colour: bool = False) -> None:
        self.stats = StreamStats()
        self.reader_left = self.any_written = False
        self._form = request.form
        self._as_json = request.as_json
        self._lines = TextLines(colour=colour)
        descriptor = sys.stdout.fileno()
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            _widen(descriptor)
            self._watch(descriptor)

    def _watch(self, descriptor: int) -> None:
        # Nothing may come for hours, so that no write would tell that the reader has left.
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def left() -> None:
            loop.remove_reader(descriptor)
            self.reader_left = True
            if task is not None:
                task.cancel()

        with suppress(OSError, NotImplementedError):
            loop.add_reader(descriptor, left)

    def write(self, messages: list[StreamMessage]) -> None:
        self.any_written |= bool(messages)
        match self._form:
            case TailForm.STATS:
                for message in messages:
                    self.stats.add(message)
            case TailForm.TEXT:
                sys.stdout.write("".join(f"{self._lines.line(message)}\n" for message in messages))
                sys.stdout.flush()
            case TailForm.JSON:
                self._write_bytes(json_lines(messages))
            case TailForm.RAW:
                self._write_bytes(payload_lines(messages))

    @staticmethod
    def _write_bytes(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def close(self, reporter: Reporter) -> None:
        if self._form is TailForm.STATS and self._as_json:
            write_document(self.stats.document())
        elif self._form is TailForm.STATS:
            console = Console(file=unguarded(sys.stdout))
            console.print(self.stats.draw(console.width, len(self.stats.subjects) + 2))
        if self._lines.undecoded:
            reporter.warn(f"{count('messages', self._lines.undecoded)} not in our format")


def _widen(descriptor: int) -> None:
    # A pipe that holds more costs fewer changes between us and its reader. Only Linux knows how.
    with suppress(OSError, AttributeError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
