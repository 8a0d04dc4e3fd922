"""What both acknowledgement protocols have in common: patience, and the repair of whatever breaks."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from spyctl.bus.acks.kept import Kept, marked
from spyctl.bus.acks.line import Line
from spyctl.bus.acks.refusals import TAKEN_OVER, Refusals
from spyctl.bus.acks.silence import Silence, no_answer
from spyctl.bus.acks.writer import Writer
from spyctl.bus.checkpoint import Checkpoint
from spyctl.bus.connection import Connection
from spyctl.bus.in_flight import Chunk, InFlight
from spyctl.bus.run import Run
from spyctl.bus.stream import Stream
from spyctl.errors import RefusedError, UnreachableError
from spyctl.timing.clock import Clock
from spyctl.timing.instants import SECOND

_TEND_S = 0.5
_MUTE_S = 7.0
_REFUSAL_PAUSE_S = 0.25
_RETRY_PAUSE_S = 0.02
_ROUND_TRIPS = 6  # to begin a batch, to send and to be answered takes no more
_SLEPT_NS = 5 * SECOND  # no machine is so busy that a wait ends this late: the process slept


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an acknowledgement may take, a server be away, or a server refuse to store anything; in seconds."""

    ack_s: float = 5.0
    outage_s: float = 120.0
    refusal_s: float = 4.0


USUAL = Patience()


class AckProtocol(ABC):
    """A way to send events and to learn that they are stored.

    ``subjects`` are indexed by the ranks of the events. A refusal that passes by itself, as during an election, is
    waited for as an outage is; the time that this process slept is no silence of the server. A broken connection, a
    missed deadline and a refusal all stop the sending; then :meth:`repair` finds out what is stored and sends the rest.

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
        self._writer = Writer(connection, run)
        self._patience = patience
        self._refusals = Refusals(stream.replicas)
        self._listening = AsyncExitStack()

    @property
    def settled(self) -> bool:
        """Whether the checkpoint covers all that is acknowledged."""
        return True

    def checkpoint(self) -> Checkpoint:
        """Return how far every event is stored."""
        return marked(self._in_flight, self._subjects, at_anchor=True)

    @property
    def _clock(self) -> Clock:
        return self._in_flight.clock

    async def open(self, in_flight: InFlight, run_id: str) -> None:
        """Get ready to send."""
        self._in_flight = in_flight
        self._run_id = run_id
        self._inbox = self._connection.inbox()
        self._silence = Silence(in_flight)
        self._kept = Kept(self._connection, self._stream, in_flight, self._subjects)
        self._line = Line(in_flight.anchor.position + 1)
        asked_ns = in_flight.clock.now_ns()
        self._listening.push_async_callback(await self._listen())
        self._line.round_trip_ns = self._clock.now_ns() - asked_ns
        self._listening.callback(self._connection.on_disconnect(self._on_disconnect))

    async def close(self) -> None:
        """Listen no more; the connection may have others to serve."""
        await self._listening.aclose()

    async def send(self, chunk: Chunk) -> None:
        """Send events that follow those sent before; they are in flight already.

        What cannot be sent at once is left to :meth:`repair`; nobody waits here. Raises :class:`LeaseLostError`.
        """
        if self._ready and self._line.may_send(chunk.first):
            async with self._line.alone():
                await self._put(chunk)
        else:
            self._line.call.set()

    @property
    def hindrance(self) -> str:
        """Why nothing has been acknowledged for some seconds, as far as can be told; nothing where all is well."""
        if not self._silence.hinders:
            return ""
        mute = self._silence.longer_than(_MUTE_S, since_attempt=False)  # it was asked before that
        return self._cause or (no_answer(self._connection) if mute else "")

    @property
    def _cause(self) -> str:
        connection = self._connection
        return (self._refusals.sentence or self._silence.why) if connection.connected else connection.absence

    async def trouble(self) -> None:
        """Return when :meth:`repair` has something to do, and now and then."""
        if not self._line.broken:
            await self._wait(min(_TEND_S, self._patience.ack_s), self._line.call)
        self._line.call.clear()

    async def repair(self) -> None:
        """Repair: wait for the server, find out what it holds, send the rest again; and send what was left.

        Returns at once where nothing is wrong. Raises :class:`LostTrackError`, :class:`LeaseLostError`, and where the
        server will not take what is in flight :class:`RefusedError` or :class:`UnreachableError`.
        """
        await self._kept.refuse_receded()
        async with self._line.alone():
            within_s = self._line.within_s(self._patience.ack_s, _ROUND_TRIPS)
            if not self._line.broken and not self._silence.longer_than(within_s):
                await self._keep_alive()
            else:
                self._line.break_off()
                await self._recover()
            await self._send_rest()

    async def finish(self) -> None:
        """Send what was left, and have all in flight acknowledged: no more is to come for now."""
        async with self._line.alone():
            await self._send_rest()
            if not self._line.broken and not await self._commit():
                self._line.break_off()

    async def _recover(self) -> None:
        await self._connection.wait_connected(self._patience.outage_s)
        self._refusals.connected()
        more = f"nats stream info {self._stream.name} says more"
        if self._silence.longer_than(self._patience.outage_s, since_attempt=False):
            what = f"{self._connection.url} has acknowledged nothing for {self._patience.outage_s:g} s"
            raise UnreachableError(f"{what}: {self._cause}" if self._cause else what, more)
        self._silence.attempt()
        await self._silence.ask(self._connection, self._stream.name)
        settled = await self._kept.proved() and await self._writer.fenced() and await self._settle()
        if (refusals := self._refusals).reason:
            if refusals.last_too_long(self._clock.now_ns(), self._patience.refusal_s, self._patience.outage_s):
                raise RefusedError(refusals.sentence, more)
            await self._wait(_REFUSAL_PAUSE_S * min(refusals.in_row, 8))
        if not settled or self._kept.in_doubt:  # it may have broken meanwhile
            await self._wait(_RETRY_PAUSE_S)
            return
        self._refusals.reason = ""
        self._line.mend(self._in_flight.oldest)

    async def _send_rest(self) -> None:
        # Sends all that is in flight and was not sent, or is to be sent again; more may be left meanwhile.
        while not self._line.broken and (chunks := self._in_flight.unacknowledged(self._line.next)):
            for chunk in chunks:
                if not await self._put(chunk):
                    await self._wait(_RETRY_PAUSE_S)
                    return

    async def _put(self, chunk: Chunk) -> bool:
        again = self._line.sending(chunk.first, chunk.end)
        if not await self._send(chunk):
            self._line.break_off()
        else:
            self._in_flight.delivery.resent += again
        return not self._line.broken

    # --- what a protocol does in its own way

    @property
    def _ready(self) -> bool:
        """Whether events can be sent without waiting for an answer."""
        return True

    @abstractmethod
    async def _listen(self) -> Callable[[], Awaitable[None]]:
        """Subscribe to the answers; returns what ends that."""

    @abstractmethod
    async def _send(self, chunk: Chunk) -> bool:
        """Write events; return whether they went out."""

    @abstractmethod
    async def _settle(self) -> bool:
        """Take as acknowledged what turns out to be stored; return false to be called again."""

    async def _commit(self) -> bool:
        """Have all that was sent acknowledged; return whether that worked."""
        return True

    async def _keep_alive(self) -> None:  # noqa: B027
        """Do what has to be done now and then while all is well."""

    async def _wait(self, for_s: float, interrupt: asyncio.Event | None = None) -> None:
        due_ns = self._clock.now_ns() + round(for_s * SECOND)
        await self._clock.wait_until(due_ns, interrupt)
        now_ns = self._clock.now_ns()
        if now_ns - due_ns > _SLEPT_NS:
            self._refusals.since_ns = now_ns
            self._silence.slept()

    # --- what may break

    def _refused(self, error: Mapping[str, Any]) -> None:
        reason, err_code = error.get("description"), error.get("err_code", 0)
        if self._writer.is_fenced(err_code):
            reason = TAKEN_OVER
            self._writer.refused()
        self._in_flight.delivery.refusals[self._refusals.note(reason, err_code)] += 1
        self._line.break_off()

    def _on_disconnect(self) -> None:
        self._writer.doubt()  # nobody knows for how long it was gone before we noticed
        self._kept.doubt()
        self._refusals.disconnected()
        self._in_flight.delivery.reconnects += 1
        self._line.break_off()
