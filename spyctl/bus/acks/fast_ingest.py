"""Acknowledgement of a whole flow: JetStream's batch publishing, for nats-server 2.14 and newer.

Everything rides in the reply subject ``<inbox>.<batch>.<flow>.fail.<batch-seq>.<op>.$FI`` (ADR-50 of the NATS
architecture decisions): the server answers on it every ``flow`` messages with what it has stored. In gap mode
``fail`` it stores nothing behind a message that it missed, so the stored order is the sent order.

No message carries an identity. Instead a batch is *fenced* when its connection has broken: a commit from
whichever connection makes the server say how many messages of that batch it has stored, and refuse all that may
still come; one that may not have begun yet is refused from then on (:mod:`spyctl.bus.fence`). What is behind that count
is sent again, in a new batch. Where the server has forgotten the batch (it was restarted, or away for long), the stream
is asked how much it holds behind the last fence, and what was not acknowledged of it is compared with the events in
flight.

:data:`TRANSITIONS` is the life of a batch. It ends in ``closed``, where the server has said what it stored, or in
``forgotten``, where it no longer knows; answers that arrive after that change nothing.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum, StrEnum
from typing import Any

import orjson
from nats.aio.msg import Msg

from spyctl.bus.acks.base import USUAL, AckProtocol, Patience
from spyctl.bus.acks.forgotten import ForgottenBatches
from spyctl.bus.acks.kept import refuse_loss
from spyctl.bus.checkpoint import Checkpoint, OpenBatch
from spyctl.bus.connection import Connection
from spyctl.bus.frames import hpub_frame, pub_frames
from spyctl.bus.in_flight import Chunk
from spyctl.bus.recognition import EventsAfter
from spyctl.bus.run import Run
from spyctl.bus.runs import BUCKET
from spyctl.bus.stream import Stream
from spyctl.errors import BusError, LostTrackError, RefusedError, StreamBusyError
from spyctl.timing.instants import SECOND

PING_S = 2.0
COMMIT_S = 0.8
COMMIT_ROUND_TRIPS = 20  # between two commits: each delays what is sent meanwhile by two
ANSWER_S = 1.0  # a server that has just come back may lose a question; it is asked again
FLOW_FAST = 200
FLOW_PACED = 1
UNKNOWN_BATCH = 10208
_LARGE = 1 << 16  # bytes; no payload of ours comes near it


class Op(IntEnum):
    """What a message of a batch asks for."""

    START = 0
    ADD = 1
    LAST = 2  # commit with this message
    COMMIT = 3  # commit without one
    PING = 4


class BatchState(StrEnum):
    """The state of a batch."""

    NEW = "new"
    STARTED = "started"
    OPEN = "open"
    COMMITTING = "committing"
    CLOSED = "closed"
    FORGOTTEN = "forgotten"


class BatchEvent(StrEnum):
    """What we send, and what the server answers."""

    SEND = "first message sent"
    COMMIT = "commit sent"
    ACK = "acknowledged"
    COUNT = "count of what is stored"
    UNKNOWN = "batch unknown"


TRANSITIONS = {
    (BatchState.NEW, BatchEvent.SEND): BatchState.STARTED,
    (BatchState.STARTED, BatchEvent.ACK): BatchState.OPEN,
    (BatchState.STARTED, BatchEvent.COMMIT): BatchState.COMMITTING,
    (BatchState.STARTED, BatchEvent.COUNT): BatchState.CLOSED,
    (BatchState.STARTED, BatchEvent.UNKNOWN): BatchState.FORGOTTEN,
    (BatchState.OPEN, BatchEvent.ACK): BatchState.OPEN,
    (BatchState.OPEN, BatchEvent.COMMIT): BatchState.COMMITTING,
    (BatchState.OPEN, BatchEvent.COUNT): BatchState.CLOSED,  # by the server, not by our commit
    (BatchState.OPEN, BatchEvent.UNKNOWN): BatchState.FORGOTTEN,
    (BatchState.COMMITTING, BatchEvent.ACK): BatchState.COMMITTING,
    (BatchState.COMMITTING, BatchEvent.COMMIT): BatchState.COMMITTING,  # asked again
    (BatchState.COMMITTING, BatchEvent.COUNT): BatchState.CLOSED,
    (BatchState.COMMITTING, BatchEvent.UNKNOWN): BatchState.FORGOTTEN,
    (BatchState.CLOSED, BatchEvent.ACK): BatchState.CLOSED,
    (BatchState.CLOSED, BatchEvent.COUNT): BatchState.CLOSED,
    (BatchState.CLOSED, BatchEvent.UNKNOWN): BatchState.CLOSED,
    (BatchState.FORGOTTEN, BatchEvent.ACK): BatchState.FORGOTTEN,
    (BatchState.FORGOTTEN, BatchEvent.COUNT): BatchState.FORGOTTEN,
    (BatchState.FORGOTTEN, BatchEvent.UNKNOWN): BatchState.FORGOTTEN,
}
ENDS = (BatchState.CLOSED, BatchState.FORGOTTEN)


class Batch:
    """A batch: the events at positions ``first``, ``first`` + 1, …, of which ``sent`` were sent.

    ``stored`` is what the server said at the end: how many messages it stored, and the last sequence.
    """

    def __init__(self, name: str, first: int) -> None:
        self.name = name
        self.first = first
        self.sent = 0
        self.state = BatchState.NEW
        self.stored: tuple[int, int] | None = None
        self.begun = False  # whether the server has answered that there is such a batch
        # Whether its first message may come at any time, over a connection that is gone: before a server is asked for a
        # batch that it may not have met, it has to refuse what begins it.
        self.astray = False
        self.answered = asyncio.Event()  # set by the first answer, or by what makes it pointless to wait for one
        self.ended = asyncio.Event()

    def on(self, event: BatchEvent) -> None:
        """Move on; a move that :data:`TRANSITIONS` does not list is a :class:`KeyError`."""
        self.state = TRANSITIONS[self.state, event]
        if event not in (BatchEvent.SEND, BatchEvent.COMMIT):
            self.answered.set()
        self.begun = self.begun or event in (BatchEvent.ACK, BatchEvent.COUNT)
        self.astray = self.astray and event is not BatchEvent.COMMIT
        if self.state in ENDS:
            self.ended.set()

    def cut_off(self) -> None:
        """Note that the connection broke over which it was sent."""
        self.astray = self.astray or not self.begun
        self.answered.set()

    def end(self, event: BatchEvent, stored: tuple[int, int] | None) -> bool:
        """Note the server's last word; tell whether it ended the batch unasked, or holds less of it than was sent."""
        before = self.state
        self.on(event)
        if before in ENDS:
            return False
        self.stored = stored
        return before is not BatchState.COMMITTING or stored is None or stored[0] < self.sent


def batch_reply(inbox: str, name: str, flow: int, number: int, op: Op) -> str:
    """Write the reply subject of one message."""
    return f"{inbox}.{name}.{flow}.fail.{number}.{op.value}.$FI"


class FastIngest(AckProtocol):
    """The batch acknowledgement protocol.

    ``flow`` is how many messages one acknowledgement covers. ``run`` is told of each batch ahead of its first message,
    and proves its leases before messages are counted instead of acknowledged; ``events`` yields its events again.
    """

    name = "fast ingest"

    def __init__(
        self,
        connection: Connection,
        stream: Stream,
        subjects: Sequence[str],
        *,
        flow: int = FLOW_FAST,
        run: Run | None = None,
        events: EventsAfter | None = None,
        patience: Patience = USUAL,
    ) -> None:
        super().__init__(connection, stream, subjects, run=run, patience=patience)
        self._events = events
        self._flow = flow
        self._counted = tuple(run.record.subjects) if run is not None else self._subjects
        self._batch: Batch | None = None
        self._takes_batches = False  # whether the server is known to take batches
        self._committed_ns = self._sent_ns = 0

    @property
    def settled(self) -> bool:
        """Whether no batch is open: its events are acknowledged before a commit moves the checkpoint past them."""
        return self._batch is None

    async def _listen(self) -> Callable[[], Awaitable[None]]:
        # An acknowledgement has to come before the bounds are reached.
        most = min(self._in_flight.max_messages // 4, self._in_flight.max_bytes // _LARGE)
        self._flow = max(1, min(self._flow, most))
        self._committed_ns = self._sent_ns = self._clock.now_ns()
        self._forgotten = ForgottenBatches(
            self._connection, self._stream, self._counted, self._subjects, self._in_flight, self._events
        )
        return await self._connection.subscribe(f"{self._inbox}.>", self._on_reply)

    @property
    def _ready(self) -> bool:
        return self._batch is not None

    async def _commit(self) -> bool:
        return await self._settle()  # proves the count; where that fails, the batch will be fenced

    # --- batches

    async def _send(self, chunk: Chunk) -> bool:
        # Writes events into the open batch, beginning one where there is none.
        start, length = 0, len(chunk.batch)
        if self._batch is None:
            batch = Batch(f"{self._run_id}-{secrets.token_hex(6)}", chunk.first)
            if not await self._noted(batch):
                return False
            self._batch = batch
            batch.on(BatchEvent.SEND)
            written = await self._put_part(batch, chunk, slice(0, 1), Op.START)
            if not written or not (self._takes_batches or await self._begun(batch)):
                return False
            start = 1
        return start == length or await self._put_part(self._batch, chunk, slice(start, length), Op.ADD)

    async def _noted(self, batch: Batch) -> bool:
        if self._run is None:
            return True
        # Said where it takes long enough to be a hindrance.
        self._refusals.stuck = f"the bucket {BUCKET} does not take the record of the run; the server's log says more"
        try:
            noted = await self._run.note_batch(OpenBatch(batch.name, batch.first), self.checkpoint())
            self._refusals.stuck = "" if noted else self._refusals.stuck
            return noted
        except RefusedError as error:
            self._refused({"description": error.message})
            return False

    async def _put_part(self, batch: Batch, chunk: Chunk, part: slice, op: Op) -> bool:
        # Who takes over ends the batch; only one that it cannot know of yet needs a fence.
        events, fence = chunk.batch[part], self._writer.fence if op is Op.START else b""
        if fence:
            reply = batch_reply(self._inbox, batch.name, self._flow, batch.sent + 1, op)
            frames: bytes | memoryview = hpub_frame(events, self._subjects, reply, fence)
        else:
            head, tail = f"{self._inbox}.{batch.name}.{self._flow}.fail.", f".{op.value}.$FI"
            frames = pub_frames(events, self._subjects, head, batch.sent + 1, tail)
        batch.sent += part.stop - part.start
        self._sent_ns = self._clock.now_ns()
        return await self._writer.write(frames)

    async def _ask(self, batch: Batch, number: int, op: Op) -> bool:
        reply = batch_reply(self._inbox, batch.name, self._flow, number, op)
        return await self._connection.write(f"PUB {self._counted[0]} {reply} 0\r\n\r\n".encode())

    async def _begun(self, batch: Batch) -> bool:
        # The first acknowledgement says that the server takes batches; sending more before it may be wasted.
        await self._wait(self._answer_s, batch.answered)
        return batch.state is BatchState.OPEN and not self._line.broken

    async def _settle(self) -> bool:
        # Ends the open batch; afterwards it is known exactly which events are stored.
        batch = self._batch
        if batch is None:
            return True
        if batch.state not in ENDS:
            if batch.astray and not await self._writer.fence_off():
                return False
            batch.on(BatchEvent.COMMIT)
            asked_ns = self._clock.now_ns()
            if not await self._ask(batch, batch.sent + 1, Op.COMMIT):
                return False
            await self._wait(self._answer_s, batch.ended)
            if not batch.ended.is_set():
                return False
            self._line.round_trip_ns = self._clock.now_ns() - asked_ns
        counted = Checkpoint(batch.first + batch.stored[0] - 1, batch.stored[1]) if batch.stored is not None else None
        stored = counted or await self._count(batch)
        if stored is None:
            return False
        known = self._in_flight.anchor
        if not stored.may_follow(known):
            await refuse_loss(self._connection, self._stream)
        if stored.position > known.position:
            self._in_flight.acknowledge_through(stored.position)
            # Others may publish to other subjects of the stream meanwhile, so the first of these is an estimate.
            self._in_flight.delivery.stored(stored.seq - (stored.position - known.position) + 1, stored.seq)
        if counted is not None:
            self._in_flight.close_at(stored)
        else:
            self._in_flight.anchor = stored
        self._takes_batches = not self._line.broken
        self._batch = None
        return True

    @property
    def _answer_s(self) -> float:
        return self._line.within_s(min(ANSWER_S, self._patience.ack_s), 2)

    async def _count(self, batch: Batch) -> Checkpoint | None:
        # The server no longer knows the batch.
        if not await self._writer.proved(anew=True):
            return None
        try:
            return await self._forgotten.stored(batch.first + batch.sent)
        except (LostTrackError, StreamBusyError):
            raise
        except BusError:
            return None  # not ready yet; the outage has a limit of its own

    async def _keep_alive(self) -> None:
        # The server forgets a batch that is silent for 10 s; a ping also repeats an acknowledgement that was lost.
        batch = self._batch
        if batch is None or not batch.sent:
            return
        due_s = self._line.within_s(COMMIT_S, COMMIT_ROUND_TRIPS)
        if self._clock.now_ns() - self._committed_ns > due_s * SECOND and self._sent_ns > self._committed_ns:
            # A commit tells position and sequence exactly: the checkpoint that a later resume stands on.
            if not await self._settle():
                self._line.break_off()
            self._committed_ns = self._clock.now_ns()
            return
        if self._clock.now_ns() - self._sent_ns >= PING_S * SECOND:
            self._sent_ns = self._clock.now_ns()
            await self._ask(batch, batch.sent, Op.PING)

    # --- answers

    async def _on_reply(self, message: Msg) -> None:
        name = message.subject[len(self._inbox) + 1 :].partition(".")[0]
        batch = self._batch
        if batch is None or name != batch.name:
            return  # of a batch that is fenced
        reply: dict[str, Any] = orjson.loads(message.data) if message.data else {"error": {}}
        if reply.get("type") == "ack":
            batch.on(BatchEvent.ACK)
            if reply["seq"]:
                self._refusals.stored()
                self._in_flight.acknowledge_through(batch.first + reply["seq"] - 1)
        elif reply.get("type") == "gap":
            self._line.break_off()  # nothing more is stored of this batch; its count follows
        elif "count" in reply:
            self._end(batch, BatchEvent.COUNT, (reply["count"], reply["seq"]))
        elif (error := reply.get("error")) is not None and error.get("err_code") == UNKNOWN_BATCH:
            self._end(batch, BatchEvent.UNKNOWN)
        elif error is not None:
            self._refused(error)
            if reply.get("type") != "err":
                self._end(batch, BatchEvent.UNKNOWN)  # it never began

    def _end(self, batch: Batch, event: BatchEvent, stored: tuple[int, int] | None = None) -> None:
        if batch.end(event, stored):
            self._line.break_off()

    def _on_disconnect(self) -> None:
        super()._on_disconnect()
        if self._batch is not None:
            self._batch.cut_off()
