"""The one publisher: what is in flight, in order, until the server has acknowledged it.

Events are given to it in order and get positions 1, 2, 3, …; ``<run_id>-<position>`` is their identity. It
keeps each event until its acknowledgement, counts, and measures. *How* events are sent and acknowledged is an
:class:`AckProtocol`; the publisher alone knows what is missing when one breaks.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from spyctl.errors import SpyctlError
from spyctl.stats import Histogram

MAX_IN_FLIGHT = 4_096
MAX_IN_FLIGHT_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Message:
    """One event on its way: position in the run, subject, payload, and when it was first sent (monotonic ns)."""

    position: int
    subject: str
    payload: bytes
    sent_ns: int


@dataclass(slots=True)
class Delivery:
    """What has been delivered so far; written by the publisher alone."""

    published: int = 0
    acked: int = 0
    duplicates: int = 0
    reordered: int = 0
    resent: int = 0
    reconnects: int = 0
    payload_bytes: int = 0
    first_seq: int | None = None
    last_seq: int | None = None
    ack_ns: Histogram = field(default_factory=Histogram)


class InFlight:
    """The events that were sent and not yet acknowledged, oldest first; bounded in number and bytes."""

    def __init__(self, max_messages: int, max_bytes: int, delivery: Delivery) -> None:
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.delivery = delivery
        self.size = 0
        self.moved = asyncio.Event()  # set when something was acknowledged, or waiting has become pointless
        self.progress_ns = time.monotonic_ns()
        self._messages: dict[int, Message] = {}
        self._newest = (0, 0)  # the highest position acknowledged, and its sequence

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def room(self) -> bool:
        """Whether another event may be sent."""
        return len(self._messages) < self.max_messages and self.size < self.max_bytes

    def add(self, message: Message) -> None:
        """Keep an event until it is acknowledged."""
        if not self._messages:
            self.progress_ns = message.sent_ns  # nothing was awaited until now
        self._messages[message.position] = message
        self.size += len(message.payload)

    def oldest(self) -> Message | None:
        """Return the event that has waited longest, if any."""
        return next(iter(self._messages.values()), None)

    def messages(self) -> list[Message]:
        """Return all that is unacknowledged, in order."""
        return list(self._messages.values())

    def acknowledge(self, position: int, seq: int, *, duplicate: bool = False) -> None:
        """Note that the stream holds an event under ``seq``; saying so twice changes nothing."""
        message = self._messages.pop(position, None)
        if message is None:
            return
        self.progress_ns = time.monotonic_ns()
        self.size -= len(message.payload)
        delivery = self.delivery
        delivery.acked += 1
        delivery.duplicates += duplicate
        delivery.ack_ns.add(self.progress_ns - message.sent_ns)
        newest_position, newest_seq = self._newest
        if (position > newest_position) != (seq > newest_seq):
            delivery.reordered += 1  # a later event was stored before this one
        if position > newest_position:
            self._newest = (position, seq)
        if delivery.first_seq is None or seq < delivery.first_seq:
            delivery.first_seq = seq
        delivery.last_seq = max(delivery.last_seq or 0, seq)
        self.moved.set()


class AckProtocol(Protocol):
    """A way to send events and to learn that they are stored."""

    name: str

    async def open(self, in_flight: InFlight, run_id: str) -> None:
        """Get ready to send."""
        ...

    async def send(self, messages: Sequence[Message]) -> None:
        """Send events that follow those sent before; they are in flight already.

        What cannot be sent now is left to :meth:`repair`.
        """
        ...

    async def trouble(self) -> None:
        """Return when :meth:`repair` has something to do, and now and then."""
        ...

    async def repair(self) -> None:
        """Put things right: wait for the server, find out what it holds, send the rest again.

        Returns at once where nothing is wrong. Raises :class:`RefusedError` or :class:`UnreachableError`
        where the server will not take what is in flight.
        """
        ...

    async def close(self) -> None:
        """Finish; nothing is in flight any more."""
        ...


class Publisher:
    """Publishes events in order and waits for their acknowledgement.

    ``max_in_flight`` and ``max_bytes`` bound what is unacknowledged. Use :meth:`open` first, :meth:`drain`
    and :meth:`close` last.
    """

    def __init__(
        self,
        protocol: AckProtocol,
        run_id: str,
        *,
        max_in_flight: int = MAX_IN_FLIGHT,
        max_bytes: int = MAX_IN_FLIGHT_BYTES,
    ) -> None:
        self.delivery = Delivery()
        self.run_id = run_id
        self._protocol = protocol
        self._in_flight = InFlight(max_in_flight, max_bytes, self.delivery)
        self._sending = asyncio.Lock()
        self._failure: Exception | None = None
        self._mender: asyncio.Task[None] | None = None

    @property
    def protocol(self) -> str:
        """The name of the acknowledgement protocol in use."""
        return self._protocol.name

    @property
    def in_flight(self) -> int:
        """How many events are sent and not yet acknowledged."""
        return len(self._in_flight)

    def checkpoint(self) -> tuple[int, int | None]:
        """Return a position up to which every event is acknowledged, and the newest known sequence."""
        oldest = self._in_flight.oldest()
        position = oldest.position - 1 if oldest is not None else self.delivery.published
        return position, self.delivery.last_seq

    async def open(self) -> None:
        """Get ready to publish."""
        await self._protocol.open(self._in_flight, self.run_id)
        self._mender = asyncio.create_task(self._mend())

    async def publish(self, subjects: Sequence[str], payloads: Sequence[bytes]) -> None:
        """Send events, waiting while too much is unacknowledged; returns once all are sent.

        Raises :class:`RefusedError` or :class:`UnreachableError`.
        """
        delivery, in_flight = self.delivery, self._in_flight
        done = 0
        while done < len(payloads):
            await self._wait(lambda: in_flight.room)
            async with self._sending:
                now_ns = time.monotonic_ns()
                messages = []
                while done < len(payloads) and in_flight.room:
                    delivery.published += 1
                    delivery.payload_bytes += len(payloads[done])
                    message = Message(delivery.published, subjects[done], payloads[done], now_ns)
                    in_flight.add(message)
                    messages.append(message)
                    done += 1
                await self._protocol.send(messages)

    async def drain(self) -> None:
        """Wait until every event is acknowledged.

        Raises :class:`RefusedError` or :class:`UnreachableError`.
        """
        await self._wait(lambda: not len(self._in_flight))
        await self._protocol.close()

    async def close(self) -> None:
        """Stop; what is still unacknowledged stays so."""
        if self._mender is not None:
            self._mender.cancel()
            with suppress(asyncio.CancelledError):
                await self._mender

    async def _wait(self, done: Callable[[], bool]) -> None:
        while self._failure is None and not done():
            self._in_flight.moved.clear()
            await self._in_flight.moved.wait()
        if self._failure is not None:
            raise self._failure

    async def _mend(self) -> None:
        try:
            while True:
                await self._protocol.trouble()
                async with self._sending:
                    await self._protocol.repair()
        except SpyctlError as error:
            self._failure = error
            self._in_flight.moved.set()
