"""What both acknowledgement protocols have in common: patience, and the repair of whatever breaks."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from spyctl.bus.connection import Connection
from spyctl.bus.fence import FENCED, can_fence, fence_header
from spyctl.bus.in_flight import Chunk, InFlight
from spyctl.bus.runs import Run
from spyctl.bus.stream import Stream
from spyctl.errors import RefusedError, UnreachableError
from spyctl.timing.clock import Clock
from spyctl.timing.instants import SECOND

_TEND_S = 0.5
_REFUSAL_PAUSE_S = 0.25
_RETRY_PAUSE_S = 0.02
_UNTAKEN = "no stream takes them"
_TAKEN_OVER = "another process goes on with this run"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an acknowledgement may take, a server be away, or a server refuse to store anything; in seconds."""

    ack_s: float = 5.0
    outage_s: float = 120.0
    refusal_s: float = 4.0


USUAL = Patience()


class AckProtocol(ABC):
    """A way to send events and to learn that they are stored.

    ``subjects`` are indexed by the ranks of the events. A replicated stream without a leader answers as a
    stream that is gone does (no responders), and its election takes 4 to 8 s: there that counts as an outage.
    A broken connection, a missed deadline and a refusal all stop the sending; then :meth:`repair` finds out
    what is stored and sends the rest again, in order.

    Nothing is written before ``run`` has proved that its leases hold, where they are in doubt; without one, nobody else
    may publish to ``subjects``.
    """

    name: str

    def __init__(
        self,
        connection: Connection,
        stream: Stream,
        subjects: Sequence[str],
        *,
        run: Run | None = None,
        patience: Patience = USUAL,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._subjects = tuple(subjects)
        self._run = run
        self._patience = patience
        self._broken = asyncio.Event()
        self._refusal = ""
        self._refusals = 0  # in a row
        self._refused_ns = 0  # since when
        self._attempt_ns = 0
        self._listening = AsyncExitStack()

    @property
    def settled(self) -> bool:
        """Whether the checkpoint covers all that is acknowledged."""
        return True

    @property
    def _clock(self) -> Clock:
        return self._in_flight.clock

    async def open(self, in_flight: InFlight, run_id: str) -> None:
        """Get ready to send."""
        self._in_flight = in_flight
        self._run_id = run_id
        self._inbox = self._connection.inbox()
        self._listening.push_async_callback(await self._listen())
        self._listening.callback(self._connection.on_disconnect(self._on_disconnect))

    async def close(self) -> None:
        """Listen no more; the connection may have others to serve."""
        await self._listening.aclose()

    async def send(self, chunk: Chunk) -> None:
        """Send events that follow those sent before; they are in flight already.

        What cannot be sent now is left to :meth:`repair`. Raises :class:`LeaseLostError`.
        """
        if self._broken.is_set() or not await self._send(chunk):
            self._broken.set()

    async def trouble(self) -> None:
        """Return when :meth:`repair` has something to do, and now and then."""
        await self._wait(min(_TEND_S, self._patience.ack_s), self._broken)

    async def repair(self) -> None:
        """Repair: wait for the server, find out what it holds, send the rest again.

        Returns at once where nothing is wrong. Raises :class:`RefusedError` or :class:`UnreachableError`
        where the server will not take what is in flight, and :class:`LeaseLostError`.
        """
        if not self._broken.is_set() and not self._overdue(self._patience.ack_s):
            await self._keep_alive()
            return
        self._broken.set()
        await self._connection.wait_connected(self._patience.outage_s)
        if self._overdue(self._patience.outage_s, since_attempt=False):
            raise UnreachableError(
                f"{self._connection.url} has acknowledged nothing for {self._patience.outage_s:g} s",
                f"nats stream info {self._stream.name} tells more",
            )
        self._attempt_ns = self._clock.now_ns()
        if not await self._settle():
            await self._wait(_RETRY_PAUSE_S)
            return
        if self._refusal:
            self._refusals += 1
            if self._refusals == 1:
                self._refused_ns = self._clock.now_ns()
            elif self._clock.now_ns() - self._refused_ns > self._refusal_limit_s() * SECOND:
                raise RefusedError(
                    f"the server refuses to store events: {self._refusal}",
                    f"nats stream info {self._stream.name} tells more",
                )
            await self._wait(_REFUSAL_PAUSE_S * min(self._refusals, 8))
        self._refusal = ""
        self._broken.clear()
        for chunk in self._in_flight.unacknowledged():
            if not await self._send(chunk):
                self._broken.set()
                await self._wait(_RETRY_PAUSE_S)
                break
            self._in_flight.delivery.resent += len(chunk.batch)

    @abstractmethod
    async def finish(self) -> None:
        """Have everything in flight acknowledged: no more is to come for now."""

    # --- what a protocol does in its own way

    @abstractmethod
    async def _listen(self) -> Callable[[], Awaitable[None]]:
        """Subscribe to the answers; returns what ends that."""

    @abstractmethod
    async def _send(self, chunk: Chunk) -> bool:
        """Write events; return whether they went out."""

    @abstractmethod
    async def _settle(self) -> bool:
        """Take as acknowledged what turns out to be stored; return false to be called again."""

    async def _keep_alive(self) -> None:  # noqa: B027
        """Do what has to be done now and then while all is well."""

    async def _wait(self, for_s: float, interrupt: asyncio.Event | None = None) -> None:
        await self._clock.wait_until(self._clock.now_ns() + round(for_s * SECOND), interrupt)

    # --- one writer

    async def _write(self, frames: bytes | bytearray) -> bool:
        # Writes events. Time may have passed since they were given to us, and with it our lease.
        return await self._proved() and await self._connection.write(frames)

    async def _proved(self, *, anew: bool = False) -> bool:
        if self._run is None:
            return True
        if anew:
            self._run.leases.doubt()
        return await self._run.prove(fenced=can_fence(self._connection))

    def _fence(self) -> bytes:
        # The lines of a header that has a message refused once another process has taken over.
        return fence_header(self._run.fence) if self._run is not None and can_fence(self._connection) else b""

    # --- what may break

    def _refused(self, error: Mapping[str, Any]) -> None:
        self._refusal = error.get("description") or _UNTAKEN
        if self._run is not None and error.get("err_code") in FENCED:
            self._refusal = _TAKEN_OVER
            self._run.leases.doubt()
        self._in_flight.delivery.refusals[self._refusal] += 1
        self._broken.set()

    def _refusal_limit_s(self) -> float:
        # There a message of ours that is still being agreed upon is refused as if another process had taken over.
        electing = self._refusal in (_UNTAKEN, _TAKEN_OVER) and self._stream.replicas > 1
        return max(self._patience.refusal_s, self._patience.outage_s) if electing else self._patience.refusal_s

    def _on_disconnect(self) -> None:
        if self._run is not None:
            self._run.leases.doubt()  # nobody knows for how long it was gone before we noticed
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
        return self._clock.now_ns() - since > limit_s * SECOND
