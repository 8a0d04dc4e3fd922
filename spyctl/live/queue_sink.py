"""A sink that hands each event to a queue, too: for older programs that read a queue instead of the stream."""

import asyncio
from typing import Any

from spyctl.bus.in_flight import Sink
from spyctl.market.encode import EncodedBatch
from spyctl.market.events import Event, Gap
from spyctl.market.subjects import SUBJECTS, decode
from spyctl.timing.tasks import end_task

PATIENCE_S = 2.0


class QueueSink:
    """Publishes to a sink, then puts the events into a queue and waits while that is full.

    What waits meanwhile is bounded by the backlog before it. After :meth:`stop` it waits for ``patience_s`` once more:
    where nobody reads any more, ``missed`` counts the events that are not queued.
    """

    def __init__(self, sink: Sink, queue: "asyncio.Queue[Any]", *, patience_s: float = PATIENCE_S) -> None:
        self.delivery = sink.delivery
        self.missed = 0
        self._patience_s = patience_s
        self._sink = sink
        self._queue = queue
        self._stopped = asyncio.Event()

    @property
    def protocol(self) -> str:
        """How it is acknowledged."""
        return self._sink.protocol

    async def publish(self, batch: EncodedBatch) -> None:
        """Publish events, then queue them. Raises what the sink raises."""
        await self._sink.publish(batch)
        for rank, payload in zip(batch.ranks.tolist(), batch.payloads(), strict=True):
            event = decode(SUBJECTS[rank], payload)
            if not isinstance(event, Gap):
                await self._put(event)

    async def drain(self) -> None:
        """Wait until all is acknowledged. Raises what the sink raises."""
        await self._sink.drain()

    def stop(self) -> None:
        """Wait for the queue no more."""
        self._stopped.set()

    async def _put(self, event: Event) -> None:
        if not self._queue.full():
            self._queue.put_nowait(event)
            return
        if self.missed:  # nobody reads it any more
            self.missed += 1
            return
        putting, stopped = asyncio.create_task(self._queue.put(event)), asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait({putting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({putting}, timeout=self._patience_s)
            self.missed += not putting.done()
        finally:
            for task in (putting, stopped):
                await end_task(task)
