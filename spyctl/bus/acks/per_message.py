"""Acknowledgement of every message: for any server with JetStream, and the only way before 2.14.

Each message carries ``Nats-Msg-Id`` and a reply subject ``<inbox>.<epoch>.<position>``, so one subscription
receives all acknowledgements and no future is made per message. At the first refusal, a missed deadline or a
reconnect, sending stops, what is outstanding is settled, and all that is missing is sent again in order, under
a new epoch; the server drops what it already holds by its id. Where that memory of ids may have run out
(its duplicate window), the stream itself is read instead; where it is short, what a broken connection may still
bring is refused first (:mod:`spyctl.bus.fence`).
"""

from collections.abc import Awaitable, Callable

import orjson
from nats.aio.msg import Msg

from spyctl.bus.acks.base import AckProtocol
from spyctl.bus.client import Answer
from spyctl.bus.connection import ApiError
from spyctl.bus.contents import message_at
from spyctl.bus.fence import STRAY_NS
from spyctl.bus.frames import hpub_frames
from spyctl.bus.in_flight import Chunk
from spyctl.errors import BusError
from spyctl.timing.instants import SECOND

# A stream takes 10,000 messages that wait to be stored, and drops what comes behind them.
MAX_UNANSWERED = 4_096
SETTLE_S = 1.0
# How much of the duplicate window is left unused: clocks and queues are not exact.
_WINDOW_MARGIN_NS = 10 * SECOND


class PerMessage(AckProtocol):
    """The per-message acknowledgement protocol."""

    name = "per message"
    _epoch = 0
    _again_through = 0  # up to this position events may have been sent more than once
    _astray = False  # whether messages may still come over a connection that is gone

    async def _listen(self) -> Callable[[], Awaitable[None]]:
        # The new leader of a replicated stream may store what is in flight in another order.
        most = MAX_UNANSWERED if self._stream.replicas == 1 else 1
        self._in_flight.max_messages = min(self._in_flight.max_messages, most)
        return await self._connection.subscribe(f"{self._inbox}.*.*", self._on_ack, at_once=True)

    async def _on_ack(self, message: Answer | Msg) -> None:
        epoch, _, position = message.subject[len(self._inbox) + 1 :].partition(".")
        reply = orjson.loads(message.data) if message.data else {}
        if "seq" in reply and "error" not in reply:
            self._refusals.stored()
            first_time = int(position) > self._again_through
            self._in_flight.acknowledge(
                int(position), reply["seq"], duplicate=reply.get("duplicate", False), known=first_time
            )
            if self._in_flight.receded:
                self._line.break_off()
        elif int(epoch) == self._epoch:
            self._refused(reply.get("error") or {})

    async def _send(self, chunk: Chunk) -> bool:
        reply = f"{self._inbox}.{self._epoch}."
        frames = hpub_frames(
            chunk.batch, self._subjects, reply, chunk.first, f"{self._run_id}-", more=self._writer.fence
        )
        return await self._writer.write(frames)

    async def _settle(self) -> bool:
        oldest_ns = self._in_flight.oldest_ns
        if self._refusals.reason:
            await self._answers()
        if self._astray and not await self._writer.fence_off():
            return False
        self._astray = False
        self._epoch += 1
        self._again_through = max(self._again_through, self._in_flight.sent_through)
        # By the time it is now: the process may have slept since this repair began.
        remembered_ns = self._stream.duplicate_window_ns - _WINDOW_MARGIN_NS
        if oldest_ns is not None and self._clock.now_ns() - oldest_ns > remembered_ns:
            return await self._find_stored()
        return True

    def _on_disconnect(self) -> None:
        super()._on_disconnect()
        forgets = self._stream.duplicate_window_ns < STRAY_NS
        self._astray = self._astray or (forgets and self._in_flight.count > 0)

    async def _answers(self) -> None:
        # After a refusal the answers to what was sent behind it are still to come.
        moved = self._in_flight.moved
        while self._in_flight.count:
            moved.clear()
            await self._wait(min(SETTLE_S, self._patience.ack_s), moved)
            if not moved.is_set():
                return

    async def _find_stored(self) -> bool:
        # Reads what the stream got after what is certain, and takes our ids found there as acknowledged.
        positions = {
            self._identity(chunk, i): chunk.first + i
            for chunk in self._in_flight.unacknowledged()
            for i in range(len(chunk.batch))
        }
        seq = self._in_flight.anchor.seq + 1
        while True:
            try:
                stored = await message_at(self._connection, self._stream.name, {"seq": seq, "next_by_subj": ">"})
            except (ApiError, BusError):
                return False  # not ready yet; the outage has a limit of its own
            if stored is None:
                return True
            seq = stored.seq + 1
            position = positions.get(stored.header("Nats-Msg-Id") or "")
            if position is not None:
                self._in_flight.acknowledge(position, stored.seq)

    def _identity(self, chunk: Chunk, i: int) -> str:
        if chunk.batch.ids is None:
            return f"{self._run_id}-{chunk.first + i}"
        return chunk.batch.ids[i : i + 1].single()[0].decode()
