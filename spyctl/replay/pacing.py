"""Encoded batches → pieces that are due, on an absolute schedule."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np

from spyctl.market.encode import EncodedBatch
from spyctl.timing.clock import Clock, Speed, Timeline
from spyctl.timing.histogram import Histogram
from spyctl.timing.instants import MS, SECOND

MAX_QUIET_NS = 5 * SECOND
STALL_NS = SECOND
STEP_NS = MS // 2  # events due closer together than this are handed on together


@dataclass(slots=True)
class Pace:
    """Measurements of the pacing; event times and durations in ns, clock times monotonic.

    ``lateness_ns`` is how long after its due time an event was handed on. A quiet stretch that was shortened
    counts in ``quiet_event_ns`` (all of its event time) and ``quiet_clock_ns`` (how long it was waited for);
    ``quiet_skipped_ns`` is the event time that was not waited for.
    """

    first_ns: int | None = None
    last_ns: int | None = None
    started_ns: int = 0
    last_clock_ns: int = 0
    quiet_event_ns: int = 0
    quiet_clock_ns: int = 0
    quiet_skipped_ns: int = 0
    stalls: int = 0
    stalled_ns: int = 0
    behind_ns: int = 0
    quiet_to_ns: int | None = None  # while a quiet stretch is waited for: the event at its end
    quiet_due_ns: int = 0  # the clock time at which that event is due
    lateness_ns: Histogram = field(default_factory=Histogram)

    @property
    def event_ns(self) -> int:
        """Event time played, shortened quiet stretches left out."""
        if self.first_ns is None or self.last_ns is None:
            return 0
        return self.last_ns - self.first_ns - self.quiet_event_ns

    @property
    def clock_ns(self) -> int:
        """Wall time used for it, shortened quiet stretches left out."""
        return self.last_clock_ns - self.started_ns - self.quiet_clock_ns

    def achieved(self) -> float | None:
        """Return the achieved speed, ``None`` before there is one."""
        return self.event_ns / self.clock_ns if self.clock_ns > 0 else None


class Pacer:
    """Hands on what is due.

    A quiet stretch is waited for at most ``max_quiet_ns``; more than ``stall_ns`` behind, the schedule shifts
    instead of bursting. Setting ``stop`` ends the playing at the next event.
    """

    def __init__(
        self, speed: Speed, clock: Clock, *, max_quiet_ns: int = MAX_QUIET_NS, stall_ns: int = STALL_NS
    ) -> None:
        self.pace = Pace()
        self.stop = asyncio.Event()
        self._clock = clock
        self._timeline = Timeline(speed.rate) if speed.rate is not None else None
        self._max_quiet_ns = max_quiet_ns
        self._stall_ns = stall_ns

    async def play(self, batches: AsyncIterator[EncodedBatch]) -> AsyncIterator[EncodedBatch]:
        """Yield the events in order, each when it is due."""
        async for batch in batches:
            start = 0
            while start < len(batch):
                if self.stop.is_set():
                    return
                now_ns = self._clock.now_ns()
                self._begin(int(batch.sort_ns[start]), now_ns)
                if self._timeline is None:
                    end = len(batch)
                else:
                    now_ns = await self._wait(self._timeline, int(batch.sort_ns[start]), now_ns)
                    if self.stop.is_set():
                        return
                    reached_ns = self._timeline.event_at(now_ns)
                    end = max(start + 1, int(np.searchsorted(batch.sort_ns, reached_ns, side="right")))
                self.pace.last_ns = int(batch.sort_ns[end - 1])
                self.pace.last_clock_ns = now_ns
                self.pace.lateness_ns.add(self.pace.behind_ns, end - start)
                yield batch[start:end] if (start, end) != (0, len(batch)) else batch
                start = end

    def _begin(self, event_ns: int, now_ns: int) -> None:
        if self.pace.first_ns is None:
            self.pace.first_ns = event_ns
            self.pace.started_ns = now_ns
            if self._timeline is not None:
                self._timeline.anchor(event_ns, now_ns)

    async def _wait(self, timeline: Timeline, event_ns: int, now_ns: int) -> int:
        # Waits until an event is due; returns the time then, with how late that is in pace.behind_ns.
        pace = self.pace
        last_ns = pace.last_ns if pace.last_ns is not None else event_ns
        quiet_from_ns = timeline.due_ns(last_ns)
        due_ns = timeline.due_ns(event_ns)
        quiet = due_ns - quiet_from_ns > self._max_quiet_ns
        if quiet:
            due_ns = max(quiet_from_ns + self._max_quiet_ns, now_ns)
            timeline.anchor(event_ns, due_ns)
            pace.quiet_to_ns, pace.quiet_due_ns = event_ns, due_ns
        if now_ns < due_ns:
            await self._clock.wait_until(max(due_ns, pace.last_clock_ns + STEP_NS), self.stop)
            pace.quiet_to_ns = None
            now_ns = self._clock.now_ns()
            if self.stop.is_set():
                return now_ns
        if now_ns - due_ns > self._stall_ns:  # the server is slow, or the machine slept
            pace.stalls += 1
            pace.stalled_ns += now_ns - due_ns
            timeline.anchor(event_ns, now_ns)
            due_ns = now_ns
        if quiet:
            pace.quiet_skipped_ns += event_ns - last_ns - round(self._max_quiet_ns * timeline.rate)
            pace.quiet_event_ns += event_ns - last_ns
            pace.quiet_clock_ns += now_ns - pace.last_clock_ns
        pace.behind_ns = max(0, now_ns - due_ns)
        return now_ns
