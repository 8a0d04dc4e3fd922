"""Backlog → sink: what waits is published in batches, and in the end waited for."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from spyctl.bus.in_flight import Sink
from spyctl.errors import UnreachableError
from spyctl.live.backlog import Backlog
from spyctl.live.pending import Pending
from spyctl.market.encode import encoded_events
from spyctl.market.events import Gap
from spyctl.market.subjects import rank_of, subject_of
from spyctl.timing.clock import Clock
from spyctl.timing.instants import SECOND
from spyctl.timing.tasks import end_task

BATCH = 512
GAPS = subject_of(Gap)
_LOOK_S = 0.005


@dataclass(frozen=True, slots=True)
class SenderTiming:
    """How long events wait to go together, and a server may stay away in the end without storing anything; seconds."""

    batch_delay: float = 0.001
    finish: float = 30.0


class Sender:
    """Publishes what waits in a backlog; ``by_subject`` counts what was sent, ``sent`` the events among it."""

    def __init__(self, backlog: Backlog, sink: Sink, clock: Clock, timing: SenderTiming) -> None:
        self.backlog = backlog
        self.sink = sink
        self.by_subject: Counter[str] = Counter()
        self.sent = 0
        self._clock = clock
        self._timing = timing
        self._filled, self._taken = asyncio.Event(), asyncio.Event()
        self._sending = self._published_before = 0
        if backlog.unsettled:
            self._filled.set()  # an earlier run has left something

    def append(self, event: Pending) -> None:
        """Have an event published."""
        self.backlog.append(event)
        self._filled.set()

    async def room(self) -> None:
        """Wait until the backlog is at most half full."""
        while len(self.backlog) > self.backlog.max_events // 2:
            self._taken.clear()
            await self._taken.wait()

    async def send_waiting(self) -> None:
        """Publish what waits; returns when all of it is sent. Raises what the sink raises."""
        while await self._settle() and (batch := self.backlog.take(BATCH)):
            self._sending, self._published_before = len(batch), self.sink.delivery.published
            self._taken.set()
            await self.sink.publish(
                encoded_events(
                    [event.payload for event in batch],
                    [rank_of(event.subject) for event in batch],
                    [event.identity.encode() for event in batch],
                    batch[0].received_ns,
                )
            )
            self.by_subject.update(event.subject for event in batch)
            self.sent += sum(event.subject != GAPS for event in batch)
            self._sending = 0

    async def _settle(self) -> bool:
        # Of what is on disk a block is in flight at a time, so that only one is in doubt after a kill.
        if self.backlog.unsettled:
            await self.sink.drain()
            self.backlog.settle(self.sink.delivery.last_seq)
        return True

    async def keep_sending(self) -> None:
        """Publish what is appended, until cancelled. Raises what the sink raises."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            await self.send_waiting()
            # What arrives meanwhile goes together, which costs a fraction.
            await self._clock.wait_until(self._clock.now_ns() + round(self._timing.batch_delay * SECOND))

    async def finish(self, sending: "asyncio.Task[None]", look: Callable[[], None]) -> None:
        """Wait until all is stored, while ``sending`` goes on; ``look`` may append what the end brings to light.

        Raises what the sink raises, and :class:`UnreachableError` where the server stores nothing for a while.
        """
        drained = asyncio.create_task(self._drain(sending, look))
        try:
            await self._wait_stored(drained)
            if sending.done():
                sending.result()
            await end_task(sending)
            if drained.done():
                drained.result()
                return
            await end_task(drained)
        finally:
            kept = self.backlog.keep()
        delivery = self.sink.delivery
        unsent = self._sending - (delivery.published - self._published_before) if self._sending else 0
        missing = len(self.backlog) + unsent + delivery.published - delivery.acked
        where = f"; {kept:,} of them wait on disk for the next run" if kept else ""
        raise UnreachableError(
            f"{missing:,} events or gap records could not be stored: NATS stays away{where}",
            "look at its log, and at the network",
        )

    async def _wait_stored(self, drained: "asyncio.Task[None]") -> None:
        # Waits as long as something is stored now and then.
        acked, since_ns = -1, self._clock.now_ns()
        while not drained.done() and self._clock.now_ns() - since_ns < self._timing.finish * SECOND:
            if self.sink.delivery.acked != acked:
                acked, since_ns = self.sink.delivery.acked, self._clock.now_ns()
            await asyncio.wait({drained}, timeout=10 * _LOOK_S)

    async def _drain(self, sending: "asyncio.Task[None]", look: Callable[[], None]) -> None:
        # NATS may come back meanwhile: the end of its gap is stored like everything else.
        while not sending.done():
            if not (len(self.backlog) or self._sending or self.backlog.unsettled):
                await self.sink.drain()
                look()
                if not len(self.backlog):
                    return
            self._filled.set()
            await asyncio.sleep(_LOOK_S)
