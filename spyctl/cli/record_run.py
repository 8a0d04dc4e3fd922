"""Recording: find the stream, go on where the tapes end, write, acknowledge, say what came of it."""

import asyncio
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from platform import node

from spyctl.bus.connection import Connection
from spyctl.bus.durable import DurableReader
from spyctl.bus.reader import LOOK_S
from spyctl.bus.target import Target, reach
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.screen import Show, show_progress
from spyctl.cli.framework.signals import Interruption
from spyctl.cli.record_view import Recorded, RecordView, print_record_summary
from spyctl.cli.replay_run import show_server
from spyctl.cli.source_stream import source_stream
from spyctl.errors import ExitCode, FullDiskError, SpyctlError
from spyctl.market.lines import StreamMessage
from spyctl.market.subjects import KINDS, STREAM_SUBJECTS, stream_name, with_prefix
from spyctl.replay.tapes.contents import Missing, Origin
from spyctl.replay.tapes.recording import Recording
from spyctl.summary import StopReason, signal_code
from spyctl.timing.instants import SECOND
from spyctl.timing.tasks import end_task

FLUSH_S = 1.0
FLUSH_BYTES = 4_000_000
_READ_S = 0.25
_GONE = "they were no longer in the stream when they were to be read"


@dataclass(frozen=True, slots=True)
class RecordRequest:
    """What the command line asks for; ``lasting_ns`` is ``None`` where it has no end of its own."""

    target: Target
    prefix: str
    subjects: tuple[str, ...]
    folder: Path
    lasting_ns: int | None
    until_end: bool
    as_json: bool


async def run_record(request: RecordRequest, reporter: Reporter) -> int:
    """Record until told to stop; returns the exit code. Raises :class:`SpyctlError`."""
    interruption = Interruption(reporter)
    try:
        async with reach(request.target, tell=reporter.line) as reached:
            show_server(reporter, reached, request.target)
            return await _record(request, reporter, reached.connection, interruption)
    except asyncio.CancelledError:
        if interruption.code is None:
            raise
        return interruption.code


async def _record(
    request: RecordRequest, reporter: Reporter, connection: Connection, interruption: Interruption
) -> int:
    begun_s = asyncio.get_running_loop().time()
    waits = None if request.until_end else reporter
    patience_s = request.lasting_ns / SECOND if request.lasting_ns is not None else math.inf
    remedy = "spyctl live, or spyctl live --sim"
    info = await source_stream(connection, stream_name(request.prefix), waits, patience_s=patience_s, remedy=remedy)
    stream, born, state = info["config"]["name"], info["created"], info["state"]
    origin = Origin(stream, born, request.prefix, _recorded_subjects(request))
    recording = await asyncio.to_thread(Recording, request.folder, origin)  # may read a tape of hours
    failure: SpyctlError | None = None
    try:
        for note in recording.notes:
            reporter.warn(note)
        next_seq = recording.next_seq or max(1, state["first_seq"])
        name = _consumer_name(request)
        reader = DurableReader(connection, stream, born, name, request.subjects, next_seq)
        recorder = Recorder(
            connection, recording, reader, reporter, end_seq=state["last_seq"] if request.until_end else None
        )
        interruption.hand_to(recorder.stop, lambda: recorder.unsafe)
        verb = "goes on behind" if recording.next_seq else "begins at"
        where = next_seq - 1 if recording.next_seq else next_seq
        reporter.block("record", f"{stream} into {request.folder}, {verb} seq {where:,}, consumer {name}")
        failure = await _until_ended(request, reporter, recorder, begun_s)
    finally:
        try:
            await asyncio.to_thread(recording.close)
        except FullDiskError as error:
            failure = failure or error
    print_record_summary(recording, recorder.recorded, recorder.stopped_by, as_json=request.as_json)
    if failure is not None:
        raise failure
    return recorder.exit_code


async def _until_ended(
    request: RecordRequest, reporter: Reporter, recorder: "Recorder", begun_s: float
) -> SpyctlError | None:
    # Records to the end; returns what ended it early.
    view = RecordView(recorder.recording, recorder.recorded)
    display = asyncio.create_task(show_progress(Show(view.draw, view.line), reporter))
    loop, timer = asyncio.get_running_loop(), None
    if request.lasting_ns is not None:
        timer = loop.call_at(begun_s + request.lasting_ns / SECOND, recorder.stop, StopReason.DURATION)
    try:
        await recorder.run()
    except SpyctlError as error:
        recorder.stopped_by = recorder.stopped_by or StopReason.ERROR
        return error
    finally:
        if timer is not None:
            timer.cancel()
        await recorder.reader.close()
        await end_task(display)
    return None


def _recorded_subjects(request: RecordRequest) -> tuple[str, ...]:
    # All of them are all that there will ever be, not those that this version knows.
    if len(request.subjects) < len(KINDS):
        return request.subjects
    return tuple(with_prefix(subject, request.prefix) for subject in STREAM_SUBJECTS)


def _consumer_name(request: RecordRequest) -> str:
    # The same for the same folder and subjects, so that a restart takes over its own.
    text = "\0".join((node(), str(request.folder.resolve()), *_recorded_subjects(request)))
    return f"record-{blake2b(text.encode(), digest_size=4).hexdigest()}"


class Recorder:
    """Takes messages from the reader to the recording: they are acknowledged when they are on disk.

    ``end_seq`` is the sequence at which it ends, ``None`` for never.
    """

    def __init__(
        self,
        connection: Connection,
        recording: Recording,
        reader: DurableReader,
        reporter: Reporter,
        *,
        end_seq: int | None = None,
    ) -> None:
        self.recording = recording
        self.reader = reader
        self.recorded = Recorded()
        self.stopped_by: StopReason | None = None
        self._connection = connection
        self._reporter = reporter
        self._end_seq = end_seq
        self._waiting: list[StreamMessage] = []
        self._size = 0
        self._holes = 0  # of the reader's, that the recording knows
        self._away = False

    @property
    def unsafe(self) -> int:
        """Messages that have come and are not on disk yet."""
        return len(self._waiting)

    @property
    def exit_code(self) -> int:
        """The code of a recording that ended without an error."""
        incomplete = ExitCode.INCOMPLETE if self.recording.gaps or self.recording.anew else ExitCode.OK
        return signal_code(self.stopped_by) or incomplete

    def stop(self, reason: StopReason) -> None:
        """End it when what has come is on disk; the first reason stays."""
        self.stopped_by = self.stopped_by or reason

    async def run(self) -> None:
        """Record until stopped, or to the end. Raises :class:`SpyctlError`, behind which what has come is on disk."""
        loop = asyncio.get_running_loop()
        flushed_s = looked_s = loop.time()
        while self.stopped_by is None and not self._at_end:
            try:
                self._take(await self.reader.read(_READ_S))
                now_s = loop.time()
                if now_s - looked_s >= LOOK_S or (self._end_seq is not None and not self._waiting):
                    looked_s = now_s
                    if await self.reader.look():
                        self.recorded.behind = 0
            except SpyctlError:
                await self._flush()
                raise
            self._tell_absence()
            if self._size >= FLUSH_BYTES or now_s - flushed_s >= FLUSH_S:
                await self._flush()
                flushed_s = loop.time()
        await self._flush()

    @property
    def _at_end(self) -> bool:
        return self._end_seq is not None and self.reader.read_to_seq >= self._end_seq

    def _take(self, messages: Sequence[StreamMessage]) -> None:
        self._waiting += messages
        self._size += sum(len(message.payload) for message in messages)
        self.recorded.behind = self.reader.pending + len(self._waiting)

    def _tell_absence(self) -> None:
        away = not self._connection.connected
        if away and not self._away:
            self._reporter.warn(f"{self._connection.absence}: recording continues when it is back")
        elif self._away and not away:
            self._reporter.line(f"{self._connection.url} is back")
        self._away = away

    async def _flush(self) -> None:
        messages, read_to_seq = self._waiting, self.reader.read_to_seq
        self._waiting, self._size = [], 0
        if self._end_seq is not None and read_to_seq > self._end_seq:
            messages = [message for message in messages if message.seq <= self._end_seq]
            read_to_seq = self._end_seq
        known = len(self.recording.gaps)
        await asyncio.to_thread(self._write, messages, read_to_seq)
        for gap in self.recording.gaps[known:]:
            self._reporter.error(gap.text)
        if messages:
            self.recorded.add(messages)
            self.recorded.behind = self.reader.pending
            await self.reader.acknowledge()

    def _write(self, messages: Sequence[StreamMessage], read_to_seq: int) -> None:
        for first_seq, last_seq in self.reader.holes[self._holes :]:
            before = bisect_left(messages, first_seq, key=lambda message: message.seq)
            if before:
                self.recording.write(messages[:before], messages[before - 1].seq)
                messages = messages[before:]
            self.recording.note_missing(Missing(first_seq, last_seq, _GONE))
            self._holes += 1
        self.recording.write(messages, read_to_seq)
