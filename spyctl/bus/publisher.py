"""The one publisher: events get positions, are sent in order, and waited for until the server has stored them.

The positions are 1, 2, 3, …; ``<run_id>-<position>`` is the identity of an event. *How* events are sent and
acknowledged is an :class:`~spyctl.bus.acks.base.AckProtocol`.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import numpy as np

from spyctl.bus.acks.base import AckProtocol
from spyctl.bus.checkpoint import BEGINNING, Checkpoint
from spyctl.bus.in_flight import Chunk, Delivery, InFlight
from spyctl.errors import SpyctlError
from spyctl.market.encode import EncodedBatch
from spyctl.timing.clock import Clock
from spyctl.timing.tasks import end_task

MAX_IN_FLIGHT = 8_192
MAX_IN_FLIGHT_BYTES = 12 << 20


class Publisher:
    """Publishes events in order and waits for their acknowledgement.

    ``anchor`` is the checkpoint from which a run goes on. ``max_in_flight`` and ``max_bytes`` bound what is
    unacknowledged, and ``clock`` measures how long it stays so. Use :meth:`open` first, :meth:`drain` and :meth:`close`
    last.
    """

    def __init__(
        self,
        protocol: AckProtocol,
        run_id: str,
        *,
        anchor: Checkpoint = BEGINNING,
        max_in_flight: int = MAX_IN_FLIGHT,
        max_bytes: int = MAX_IN_FLIGHT_BYTES,
        clock: Clock | None = None,
    ) -> None:
        self.delivery = Delivery()
        self.run_id = run_id
        self._protocol = protocol
        self._base = anchor.position
        self._in_flight = InFlight(max_in_flight, max_bytes, self.delivery, anchor, clock)
        self._sending = asyncio.Lock()
        self._failure: Exception | None = None
        self._refusal: SpyctlError | None = None
        self._repairer: asyncio.Task[None] | None = None

    @property
    def protocol(self) -> str:
        """The name of the acknowledgement protocol in use."""
        return self._protocol.name

    @property
    def in_flight(self) -> int:
        """How many events are sent and not yet acknowledged."""
        return self._in_flight.count

    @property
    def hindrance(self) -> str:
        """Why nothing has been acknowledged for some seconds, as far as is known; nothing where all is well."""
        return self._protocol.hindrance

    @property
    def settled(self) -> bool:
        """Whether everything sent is acknowledged, and the checkpoint tells where."""
        return self._in_flight.count == 0 and self._protocol.settled

    def checkpoint(self) -> Checkpoint:
        """Return how far every event is stored."""
        return self._protocol.checkpoint()

    async def open(self) -> None:
        """Get ready to publish."""
        await self._protocol.open(self._in_flight, self.run_id)
        self._repairer = asyncio.create_task(self._keep_repairing())

    async def publish(self, batch: EncodedBatch) -> None:
        """Send events, waiting while too much is unacknowledged; returns once all are sent.

        Raises :class:`RefusedError`, :class:`UnreachableError`, and what :meth:`refuse` was given.
        """
        delivery, in_flight = self.delivery, self._in_flight
        while len(batch):
            await self._wait(partial(in_flight.has_room, batch))
            async with self._sending:
                if self._refusal is not None:
                    raise self._refusal
                count = in_flight.room(batch)
                piece, batch = batch[:count], batch[count:]
                if not count:
                    continue
                chunk = Chunk.of(self._base + delivery.published + 1, piece, in_flight.clock.now_ns())
                in_flight.add(chunk)
                delivery.published += len(piece)
                delivery.payload_bytes += int(piece.lengths.sum())
                delivery.ranks.update(np.flatnonzero(np.bincount(piece.ranks)).tolist())
                await self._protocol.send(chunk)

    def refuse(self, reason: SpyctlError) -> None:
        """Take no more events, for a reason; those in flight can still be waited for."""
        self._refusal = reason

    async def drain(self) -> None:
        """Wait until every event is acknowledged.

        Raises :class:`RefusedError` or :class:`UnreachableError`.
        """
        async with self._sending:
            await self._protocol.finish()
        await self._wait(lambda: self._in_flight.count == 0)

    async def close(self) -> None:
        """Stop; what is still unacknowledged stays so."""
        await end_task(self._repairer)
        await self._protocol.close()

    async def _wait(self, done: Callable[[], int]) -> None:
        while self._failure is None and not done():
            self._in_flight.moved.clear()
            await self._in_flight.moved.wait()
        if self._failure is not None:
            raise self._failure

    async def _keep_repairing(self) -> None:
        try:
            while True:
                await self._protocol.trouble()
                await self._protocol.repair()
        except Exception as error:  # whatever it is, those who wait for acknowledgements have to learn of it
            self._failure = error
            self._in_flight.moved.set()
