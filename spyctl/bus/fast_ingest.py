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

from spyctl.bus.connection import Connection, refused
from spyctl.bus.frames import pub_frames
from spyctl.bus.publisher import Chunk, InFlight
from spyctl.bus.stream import Stream, count_after
from spyctl.errors import BusError, UnreachableError
from spyctl.times import SECOND

ACK_DEADLINE_S = 5.0
OUTAGE_S = 120.0
PING_S = 2.0
TEND_S = 0.5
ANSWER_S = 1.0  # a server that has just come back may lose a question; it is asked again
FLOW_FAST = 100
FLOW_PACED = 1
MAX_REFUSALS = 5
_REFUSAL_PAUSE_S = 0.25
_RETRY_PAUSE_S = 0.02
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


class FastIngest:
    """The batch acknowledgement protocol.

    ``flow`` is how many messages one acknowledgement covers. ``on_batch`` is told the name of each batch, the
    position of its first event, and what is stored before it, ahead of its first message; where it returns
    false, nothing is sent yet.
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
        ack_deadline_s: float = ACK_DEADLINE_S,
        outage_s: float = OUTAGE_S,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._subjects = tuple(subjects)
        self._flow = flow
        self._on_batch = on_batch or _unnoted
        self._ack_deadline_s = ack_deadline_s
        self._outage_s = outage_s
        self._batch: _Batch | None = None
        self._broken = asyncio.Event()
        self._refusal = ""
        self._refusals = 0
        self._attempt_ns = 0
        self._sent_ns = 0

    async def open(self, in_flight: InFlight, run_id: str) -> None:
        self._in_flight = in_flight
        self._run_id = run_id
        # An acknowledgement has to come before the bounds are reached.
        self._flow = max(1, min(self._flow, in_flight.max_messages // 4, in_flight.max_bytes // _LARGE))
        self._inbox = self._connection.inbox()
        await self._connection.subscribe(f"{self._inbox}.>", self._on_reply)
        self._connection.on_disconnect(self._on_disconnect)

    async def send(self, chunk: Chunk) -> None:
        if self._broken.is_set() or not await self._send(chunk):
            self._broken.set()

    async def trouble(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(TEND_S, self._ack_deadline_s)):
                await self._broken.wait()

    async def repair(self) -> None:
        if not self._broken.is_set() and not self._overdue(self._ack_deadline_s):
            await self._keep_alive()
            return
        self._broken.set()
        await self._connection.wait_connected(self._outage_s)
        if self._overdue(self._outage_s, since_attempt=False):
            raise UnreachableError(
                f"{self._connection.url} has acknowledged nothing for {self._outage_s:g} s",
                f"nats stream info {self._stream.name} tells more",
            )
        self._attempt_ns = time.monotonic_ns()
        if not await self._fence():
            await asyncio.sleep(_RETRY_PAUSE_S)
            return
        if self._refusal:
            self._refusals += 1
            if self._refusals > MAX_REFUSALS:
                raise refused(self._refusal)
            await asyncio.sleep(_REFUSAL_PAUSE_S * self._refusals)
        self._refusal = ""
        self._broken.clear()
        for chunk in self._in_flight.unacknowledged():
            if not await self._send(chunk):
                self._broken.set()
                break
            self._in_flight.delivery.resent += len(chunk.batch)

    async def finish(self) -> None:
        """Commit, which proves the count; where that fails, :meth:`repair` will fence and go on."""
        if self._batch is not None and not self._broken.is_set() and not await self._fence():
            self._broken.set()

    # --- batches

    async def _send(self, chunk: Chunk) -> bool:
        # Writes events into the open batch, beginning one where there is none.
        start, length = 0, len(chunk.batch)
        if self._batch is None:
            batch = _Batch(f"{self._run_id}-{secrets.token_hex(6)}", chunk.first)
            if not await self._on_batch(batch.name, batch.first, self._in_flight.anchor):
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

    async def _fence(self) -> bool:
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
            try:
                count, last_seq = await count_after(self._connection, self._stream.name, self._subjects, seq)
            except BusError:
                return False  # not ready yet; the outage has a limit of its own
            stored, last = position + count, last_seq
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
        if batch is None or not batch.sent or time.monotonic_ns() - self._sent_ns < PING_S * SECOND:
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
            self._refusal = error.get("description") or "no stream takes them"
            if reply.get("type") != "err":
                self._close(batch, None)  # it never began
            self._broken.set()

    def _close(self, batch: _Batch, answer: tuple[int, int] | None) -> None:
        batch.settled.set()
        if not batch.closed.done():
            batch.closed.set_result(answer)
        if answer is None or answer[0] < batch.sent:
            self._broken.set()  # closed by the server, not by our commit

    def _on_disconnect(self) -> None:
        self._in_flight.delivery.reconnects += 1
        self._broken.set()
        if self._batch is not None:
            self._batch.settled.set()

    def _overdue(self, limit_s: float, *, since_attempt: bool = True) -> bool:
        since = max(self._in_flight.progress_ns, self._attempt_ns if since_attempt else 0)
        return self._in_flight.count > 0 and time.monotonic_ns() - since > limit_s * SECOND
