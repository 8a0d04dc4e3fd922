"""Acknowledgement of a whole flow: JetStream's batch publishing, for nats-server 2.14 and newer.

Everything rides in the reply subject ``<inbox>.<batch>.<flow>.fail.<batch-seq>.<op>.$FI`` (ADR-50 of the NATS
architecture decisions): the server answers on it every ``flow`` messages with what it has stored. In gap mode
``fail`` it stores nothing behind a message that it missed, so the stored order is the sent order.

No message carries an identity. Instead a batch is *fenced* when its connection has broken: a commit from
whichever connection makes the server say how many messages of that batch it has stored, and refuse all that may
still come. What is behind that count is sent again, in a new batch. Where the server has forgotten the batch (it
was restarted, or away for long), the stream is asked how much it holds behind the last fence.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import orjson
from nats.aio.msg import Msg

from spyctl.bus.acks.base import ACK_DEADLINE_S, OUTAGE_S, AckProtocol
from spyctl.bus.connection import Connection
from spyctl.bus.frames import pub_frames
from spyctl.bus.in_flight import Chunk
from spyctl.bus.stream import Stream, stored_after
from spyctl.errors import BusError, LostTrackError, RefusedError, StreamBusyError
from spyctl.timing.instants import SECOND

PING_S = 2.0
COMMIT_S = 0.8
ANSWER_S = 1.0  # a server that has just come back may lose a question; it is asked again
FLOW_FAST = 200
FLOW_PACED = 1
START, ADD, LAST, COMMIT, PING = range(5)
UNKNOWN_BATCH = 10208
_LARGE = 1 << 16  # bytes; no payload of ours comes near it


class _Batch:
    # Messages first, first + 1, … in the server's eyes 1, 2, …; sent counts them.
    def __init__(self, name: str, first: int) -> None:
        self.name = name
        self.first = first
        self.sent = 0
        self.begun = False
        self.settled = asyncio.Event()  # set by the first answer, or by what makes it pointless to wait for one
        # How many messages the server stored, None where it does not know the batch (any more).
        self.closed: asyncio.Future[tuple[int, int] | None] = asyncio.get_running_loop().create_future()


async def _unnoted(name: str, first: int, anchor: tuple[int, int]) -> bool:
    return True


async def _unasked() -> None:
    pass


class FastIngest(AckProtocol):
    """The batch acknowledgement protocol.

    ``flow`` is how many messages one acknowledgement covers. ``on_batch`` is told the name of each batch, the
    position of its first event, and what is stored before it, ahead of its first message; where it returns
    false, nothing is sent yet. ``on_count`` is awaited before messages are counted instead of acknowledged; it
    raises where they may be somebody else's.
    """

    name = "fast ingest"

    def __init__(
        self,
        connection: Connection,
        stream: Stream,
        subjects: Sequence[str],
        *,
        flow: int = FLOW_FAST,
        on_batch: Callable[[str, int, tuple[int, int]], Awaitable[bool]] | None = None,
        on_count: Callable[[], Awaitable[None]] | None = None,
        ack_deadline_s: float = ACK_DEADLINE_S,
        outage_s: float = OUTAGE_S,
    ) -> None:
        super().__init__(connection, stream, subjects, ack_deadline_s=ack_deadline_s, outage_s=outage_s)
        self._flow = flow
        self._on_batch = on_batch or _unnoted
        self._on_count = on_count or _unasked
        self._committed_ns = time.monotonic_ns()
        self._batch: _Batch | None = None
        self._sent_ns = 0

    async def _listen(self) -> None:
        # An acknowledgement has to come before the bounds are reached.
        most = min(self._in_flight.max_messages // 4, self._in_flight.max_bytes // _LARGE)
        self._flow = max(1, min(self._flow, most))
        await self._connection.subscribe(f"{self._inbox}.>", self._on_reply)

    async def finish(self) -> None:
        """Commit, which proves the count; where that fails, :meth:`repair` will fence and go on."""
        if self._batch is not None and not self._broken.is_set() and not await self._settle():
            self._broken.set()

    # --- batches

    async def _send(self, chunk: Chunk) -> bool:
        # Writes events into the open batch, beginning one where there is none.
        start, length = 0, len(chunk.batch)
        if self._batch is None:
            batch = _Batch(f"{self._run_id}-{secrets.token_hex(6)}", chunk.first)
            try:
                if not await self._on_batch(batch.name, batch.first, self._in_flight.anchor):
                    return False
            except RefusedError as error:
                self._refused(error.message)
                return False
            self._batch = batch
            if not await self._write(self._batch, chunk, slice(0, 1), START):
                return False
            if not await self._begun(self._batch):
                return False
            start = 1
        return start == length or await self._write(self._batch, chunk, slice(start, length), ADD)

    async def _write(self, batch: _Batch, chunk: Chunk, part: slice, op: int) -> bool:
        frames = pub_frames(
            chunk.batch[part],
            self._subjects,
            f"{self._inbox}.{batch.name}.{self._flow}.fail.",
            batch.sent + 1,
            f".{op}.$FI",
        )
        batch.sent += part.stop - part.start
        self._sent_ns = time.monotonic_ns()
        return await self._connection.write(frames)

    async def _begun(self, batch: _Batch) -> bool:
        # The first acknowledgement says that the server takes batches; flooding before it would be lost labour.
        with suppress(TimeoutError):
            async with asyncio.timeout(min(ANSWER_S, self._ack_deadline_s)):
                await batch.settled.wait()
        return batch.begun and not self._broken.is_set()

    async def _settle(self) -> bool:
        # Ends the open batch; afterwards it is known exactly which events are stored.
        batch = self._batch
        if batch is None:
            return True
        if not batch.closed.done():
            reply = f"{self._inbox}.{batch.name}.{self._flow}.fail.{batch.sent + 1}.{COMMIT}.$FI"
            frame = f"PUB {self._subjects[0]} {reply} 0\r\n\r\n".encode()
            if not await self._connection.write(frame):
                return False
            try:
                async with asyncio.timeout(min(ANSWER_S, self._ack_deadline_s)):
                    await asyncio.shield(batch.closed)
            except TimeoutError:
                return False
        answer = batch.closed.result()
        if answer is None:
            position, seq = self._in_flight.anchor
            await self._on_count()
            try:
                count, last_seq = await stored_after(self._connection, self._stream.name, self._subjects, seq)
            except LostTrackError:
                raise
            except BusError:
                return False  # not ready yet; the outage has a limit of its own
            stored, last = position + count, last_seq
            if stored > batch.first + batch.sent - 1:
                raise StreamBusyError(
                    f"somebody else has published to {self._subjects[0]} or its like meanwhile", "end one of the two"
                )
        else:
            count, last = answer
            stored = batch.first + count - 1
        known = self._in_flight.anchor[0]
        if stored > known:
            self._in_flight.acknowledge_through(stored)
            # Others may publish to other subjects of the stream meanwhile, so the first of these is an estimate.
            self._in_flight.delivery.stored(last - (stored - known) + 1, last)
        self._in_flight.anchor = (stored, last)
        self._batch = None
        return True

    async def _keep_alive(self) -> None:
        # The server forgets a batch that is silent for 10 s; a ping also repeats an acknowledgement that was lost.
        batch = self._batch
        if batch is None or not batch.sent:
            return
        if time.monotonic_ns() - self._committed_ns > COMMIT_S * SECOND and self._sent_ns > self._committed_ns:
            # A commit tells position and sequence exactly: the checkpoint that a later resume stands on.
            if not await self._settle():
                self._broken.set()
            self._committed_ns = time.monotonic_ns()
            return
        if time.monotonic_ns() - self._sent_ns < PING_S * SECOND:
            return
        self._sent_ns = time.monotonic_ns()
        reply = f"{self._inbox}.{batch.name}.{self._flow}.fail.{batch.sent}.{PING}.$FI"
        await self._connection.write(f"PUB {self._subjects[0]} {reply} 0\r\n\r\n".encode())

    # --- answers

    async def _on_reply(self, message: Msg) -> None:
        name = message.subject[len(self._inbox) + 1 :].partition(".")[0]
        batch = self._batch
        if batch is None or name != batch.name:
            return  # of a batch that is fenced
        reply: dict[str, Any] = orjson.loads(message.data) if message.data else {"error": {}}
        if reply.get("type") == "ack":
            batch.begun = True
            batch.settled.set()
            if reply["seq"]:
                self._refusals = 0
                self._in_flight.acknowledge_through(batch.first + reply["seq"] - 1)
        elif "count" in reply:
            self._close(batch, (reply["count"], reply["seq"]))
        elif (error := reply.get("error")) is not None and error.get("err_code") == UNKNOWN_BATCH:
            self._close(batch, None)
        elif error is not None:
            self._refused(error.get("description"))
            if reply.get("type") != "err":
                self._close(batch, None)  # it never began

    def _close(self, batch: _Batch, answer: tuple[int, int] | None) -> None:
        batch.settled.set()
        if not batch.closed.done():
            batch.closed.set_result(answer)
        if answer is None or answer[0] < batch.sent:
            self._broken.set()  # closed by the server, not by our commit

    def _on_disconnect(self) -> None:
        super()._on_disconnect()
        if self._batch is not None:
            self._batch.settled.set()
