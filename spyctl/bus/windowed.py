"""Acknowledgement of every message: for any server with JetStream, and the only way before 2.14.

Each message carries ``Nats-Msg-Id`` and a reply subject ``<inbox>.<epoch>.<position>``, so one subscription
receives all acknowledgements and no future is made per message. At the first refusal, a missed deadline or a
reconnect, sending stops, what is outstanding is settled, and all that is missing is sent again in order, under
a new epoch; the server drops what it already holds by its id. Where that memory of ids may have run out
(its duplicate window), the stream itself is read instead.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

import orjson
from nats.aio.msg import Msg

from spyctl.bus.connection import ApiError, Connection, refused
from spyctl.bus.frames import hpub_frames
from spyctl.bus.publisher import Chunk, InFlight
from spyctl.bus.stream import StoredMessage, Stream
from spyctl.errors import UnreachableError
from spyctl.times import SECOND

ACK_DEADLINE_S = 5.0
OUTAGE_S = 120.0
TEND_S = 0.5
SETTLE_S = 1.0
MAX_REFUSALS = 5
_REFUSAL_PAUSE_S = 0.25
_RETRY_PAUSE_S = 0.02
_NO_MESSAGE = 10037
# How much of the duplicate window is left unused: clocks and queues are not exact.
_WINDOW_MARGIN_NS = 10 * SECOND


class Windowed:
    """The per-message acknowledgement protocol."""

    name = "per message"

    def __init__(
        self,
        connection: Connection,
        stream: Stream,
        subjects: Sequence[str],
        *,
        ack_deadline_s: float = ACK_DEADLINE_S,
        outage_s: float = OUTAGE_S,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._subjects = tuple(subjects)
        self._ack_deadline_s = ack_deadline_s
        self._outage_s = outage_s
        self._epoch = 0
        self._broken = asyncio.Event()
        self._refusal = ""
        self._refusals = 0
        self._attempt_ns = 0

    async def open(self, in_flight: InFlight, run_id: str) -> None:
        self._in_flight = in_flight
        self._run_id = run_id
        if self._stream.replicas > 1:
            in_flight.max_messages = 1  # a new leader may store what is in flight in another order
        self._inbox = self._connection.inbox()
        await self._connection.subscribe(f"{self._inbox}.*.*", self._on_ack)
        self._connection.on_disconnect(self._on_disconnect)

    async def send(self, chunk: Chunk) -> None:
        if not self._broken.is_set() and not await self._connection.write(self._frames(chunk)):
            self._broken.set()

    async def trouble(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(TEND_S, self._ack_deadline_s)):
                await self._broken.wait()

    async def repair(self) -> None:
        if not self._broken.is_set() and not self._overdue(self._ack_deadline_s):
            return
        self._broken.set()
        await self._connection.wait_connected(self._outage_s)
        if self._overdue(self._outage_s, since_attempt=False):
            raise UnreachableError(
                f"{self._connection.url} has acknowledged nothing for {self._outage_s:g} s",
                f"nats stream info {self._stream.name} tells more",
            )
        if self._refusal:
            await self._settle()
            self._refusals += 1
            if self._refusals > MAX_REFUSALS:
                raise refused(self._refusal)
            await asyncio.sleep(_REFUSAL_PAUSE_S * self._refusals)
        await self._resend()

    async def finish(self) -> None:
        """Nothing to do: every message is acknowledged by itself."""

    # --- acknowledgements

    async def _on_ack(self, message: Msg) -> None:
        epoch, _, position = message.subject[len(self._inbox) + 1 :].partition(".")
        reply = orjson.loads(message.data) if message.data else {}
        if "seq" in reply and "error" not in reply:
            self._refusals = 0
            self._in_flight.acknowledge(int(position), reply["seq"], duplicate=reply.get("duplicate", False))
        elif int(epoch) == self._epoch:
            self._refusal = (reply.get("error") or {}).get("description") or "no stream takes them"
            self._broken.set()

    def _on_disconnect(self) -> None:
        self._in_flight.delivery.reconnects += 1
        self._broken.set()

    def _overdue(self, limit_s: float, *, since_attempt: bool = True) -> bool:
        # Whether the oldest event has waited that long, while nothing moved or later ones passed it.
        oldest_ns = self._in_flight.oldest_ns
        if oldest_ns is None:
            return False
        since = max(oldest_ns, self._attempt_ns if since_attempt else 0)
        if not (since_attempt and self._in_flight.has_hole):
            since = max(since, self._in_flight.progress_ns)
        return time.monotonic_ns() - since > limit_s * SECOND

    async def _settle(self) -> None:
        # After a refusal the answers to what was sent behind it are still to come.
        with suppress(TimeoutError):
            while self._in_flight.count:
                self._in_flight.moved.clear()
                async with asyncio.timeout(min(SETTLE_S, self._ack_deadline_s)):
                    await self._in_flight.moved.wait()

    # --- sending

    def _frames(self, chunk: Chunk) -> bytearray:
        reply = f"{self._inbox}.{self._epoch}."
        return hpub_frames(chunk.batch, self._subjects, reply, chunk.first, f"{self._run_id}-")

    async def _resend(self) -> None:
        self._epoch += 1
        self._refusal = ""
        self._attempt_ns = time.monotonic_ns()
        oldest_ns = self._in_flight.oldest_ns
        if (
            oldest_ns is not None
            and self._attempt_ns - oldest_ns > self._stream.duplicate_window_ns - _WINDOW_MARGIN_NS
        ):
            await self._find_stored()
        self._broken.clear()
        for chunk in self._in_flight.unacknowledged():
            if not await self._connection.write(self._frames(chunk)):
                self._broken.set()
                await asyncio.sleep(_RETRY_PAUSE_S)
                break
            self._in_flight.delivery.resent += len(chunk.batch)

    async def _find_stored(self) -> None:
        # Reads what the stream got after what is certain, and takes our ids found there as acknowledged.
        prefix = f"{self._run_id}-"
        seq = self._in_flight.anchor[1] + 1
        while True:
            try:
                reply = await self._connection.api(
                    f"STREAM.MSG.GET.{self._stream.name}", {"seq": seq, "next_by_subj": ">"}
                )
            except ApiError as error:
                if error.err_code == _NO_MESSAGE or error.code == 404:
                    return
                raise UnreachableError(f"the stream cannot be read after an outage: {error}") from None
            stored = StoredMessage.of(reply["message"])
            seq = stored.seq + 1
            message_id = stored.header("Nats-Msg-Id") or ""
            if message_id.startswith(prefix):
                self._in_flight.acknowledge(int(message_id[len(prefix) :]), stored.seq)
