"""When events are due, on an absolute schedule that can be held, sped up, slowed down and moved."""

import asyncio
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
    ``quiet_skipped_ns`` is the event time that was not waited for. ``jumped_ns`` is event time that was jumped over
    (below 0: back), ``idle_ns`` wall time in which nothing was to be played: pauses, jumps, waits for a consumer.
    """

    first_ns: int | None = None
    last_ns: int | None = None
    started_ns: int = 0
    last_clock_ns: int = 0
    quiet_event_ns: int = 0
    quiet_clock_ns: int = 0
    quiet_skipped_ns: int = 0
    jumped_ns: int = 0
    idle_ns: int = 0
    stalls: int = 0
    stalled_ns: int = 0
    behind_ns: int = 0
    quiet_to_ns: int | None = None  # while a quiet stretch is waited for: the event at its end
    quiet_due_ns: int = 0  # the clock time at which that event is due
    lateness_ns: Histogram = field(default_factory=Histogram)

    @property
    def event_ns(self) -> int:
        """Event time played, without shortened quiet stretches and jumps."""
        if self.first_ns is None or self.last_ns is None:
            return 0
        return self.last_ns - self.first_ns - self.quiet_event_ns - self.jumped_ns

    @property
    def clock_ns(self) -> int:
        """Wall time used for it."""
        return self.last_clock_ns - self.started_ns - self.quiet_clock_ns - self.idle_ns

    def achieved(self) -> float | None:
        """Return the achieved speed, ``None`` before there is one."""
        return self.event_ns / self.clock_ns if self.clock_ns > 0 else None


class Pacer:
    """Says what is due; whoever sets ``wake`` ends its waiting.

    A quiet stretch is waited for at most ``max_quiet_ns``; more than ``stall_ns`` behind, the schedule shifts instead
    of bursting.
    """

    def __init__(
        self, speed: Speed, clock: Clock, *, max_quiet_ns: int = MAX_QUIET_NS, stall_ns: int = STALL_NS
    ) -> None:
        self.pace = Pace()
        self.wake = asyncio.Event()
        self.speed = speed
        self.clock = clock
        self._timeline = Timeline(speed.rate) if speed.rate is not None else None
        self._max_quiet_ns = max_quiet_ns
        self._stall_ns = stall_ns
        self._held_ns: int | None = None  # since when nothing is to be played
        self._idle_ns = 0  # that long since the last event
        self._reached_ns = 0  # the event time reached when the playing was held
        self._moved = False  # the next event begins a new schedule
        self._since = 0, 0  # event and wall time used when the speed was last changed

    def achieved(self) -> float | None:
        """Return the speed achieved since it was last changed, ``None`` before there is one."""
        event_ns, clock_ns = self.pace.event_ns - self._since[0], self.pace.clock_ns - self._since[1]
        return event_ns / clock_ns if clock_ns > 0 else None

    # --- control

    def hold(self) -> None:
        """Stop the schedule where it is; does nothing where it stands."""
        if self._held_ns is None:
            self._held_ns = self.clock.now_ns()
            self._reached_ns = self._timeline.event_at(self._held_ns) if self._timeline is not None else 0

    def go_on(self) -> None:
        """Let the schedule go on from where it was held: no jump in event time, and no burst."""
        if self._held_ns is None:
            return
        now_ns = self.clock.now_ns()
        self._idle_ns += now_ns - self._held_ns
        if self._timeline is not None:
            self._timeline.anchor(self._reached_ns, now_ns)
            if (quiet_to_ns := self.pace.quiet_to_ns) is not None:  # what was left of the wait is left
                self.pace.quiet_due_ns += now_ns - self._held_ns
                self._timeline.anchor(quiet_to_ns, self.pace.quiet_due_ns)
        self._held_ns = None

    def set_speed(self, speed: Speed) -> None:
        """Play at another speed from now on; the event time reached stays."""
        now_ns, pace = self.clock.now_ns(), self.pace
        if speed.rate is None:
            self._timeline = None
            pace.quiet_to_ns = None
        elif self._timeline is None:
            self._timeline = Timeline(speed.rate)
            self._reached_ns = pace.last_ns or 0
            self._timeline.anchor(self._reached_ns, now_ns)
        else:
            self._timeline.set_rate(speed.rate, now_ns)
            if pace.quiet_to_ns is not None:
                self._timeline.anchor(pace.quiet_to_ns, pace.quiet_due_ns)
        self.speed = speed
        self._since = pace.event_ns, pace.clock_ns

    def move(self) -> None:
        """Begin a new schedule with the next event, wherever that is in event time."""
        self._moved = self.pace.first_ns is not None
        self.pace.quiet_to_ns = None

    def out_of_turn(self, batch: EncodedBatch) -> None:
        """Count events that are handed on though the schedule is held: steps."""
        now_ns = self.clock.now_ns()
        self._begin(int(batch.sort_ns[0]), now_ns)
        last_ns = int(batch.sort_ns[-1])
        self.pace.jumped_ns += last_ns - (self.pace.last_ns if self.pace.last_ns is not None else last_ns)
        self.pace.quiet_to_ns = None
        self._idle_ns = now_ns - self.pace.last_clock_ns  # all since the last event
        self._held_ns = now_ns if self._held_ns is not None else None
        self._reached_ns = last_ns
        if self._timeline is not None:
            self._timeline.anchor(last_ns, now_ns)
        self._hand_on(last_ns, now_ns, 0)

    # --- playing

    async def due(self, batch: EncodedBatch, start: int) -> int:
        """Wait until the event at ``start`` is due; return the end of what is due then, ``start`` where woken before.

        At max speed everything is.
        """
        now_ns = self.clock.now_ns()
        event_ns = int(batch.sort_ns[start])
        self._begin(event_ns, now_ns)
        if self._timeline is None:
            end = len(batch)
        else:
            now_ns = await self._wait(self._timeline, event_ns, now_ns)
            if self.wake.is_set():
                return start
            reached_ns = self._timeline.event_at(now_ns)
            end = max(start + 1, int(np.searchsorted(batch.sort_ns, reached_ns, side="right")))
        self._hand_on(int(batch.sort_ns[end - 1]), now_ns, end - start)
        return end

    def _begin(self, event_ns: int, now_ns: int) -> None:
        pace = self.pace
        if self._moved and pace.last_ns is not None:
            self._moved = False
            pace.jumped_ns += event_ns - pace.last_ns
            pace.last_ns = event_ns
            self._idle_ns = now_ns - pace.last_clock_ns
        elif pace.first_ns is not None:
            return
        else:
            pace.first_ns = event_ns
            pace.started_ns = pace.last_clock_ns = now_ns
            self._idle_ns = 0
        self._held_ns = now_ns if self._held_ns is not None else None
        self._reached_ns = event_ns
        if self._timeline is not None:
            self._timeline.anchor(event_ns, now_ns)

    def _hand_on(self, last_ns: int, now_ns: int, count: int) -> None:
        pace = self.pace
        if self._held_ns is not None:
            self._idle_ns += now_ns - self._held_ns
            self._held_ns = now_ns
        pace.idle_ns += self._idle_ns
        self._idle_ns = 0
        pace.last_ns, pace.last_clock_ns = last_ns, now_ns
        if count:
            pace.lateness_ns.add(pace.behind_ns, count)

    async def _wait(self, timeline: Timeline, event_ns: int, now_ns: int) -> int:
        # Waits until an event is due; returns the time then, with how late that is in pace.behind_ns.
        pace = self.pace
        last_ns = pace.last_ns if pace.last_ns is not None else event_ns
        quiet_from_ns = max(timeline.due_ns(last_ns), pace.last_clock_ns + self._idle_ns)
        due_ns = timeline.due_ns(event_ns)
        quiet = pace.quiet_to_ns == event_ns  # it is waited for already
        if not quiet and due_ns - quiet_from_ns > self._max_quiet_ns:
            quiet = True
            due_ns = max(quiet_from_ns + self._max_quiet_ns, now_ns)
            timeline.anchor(event_ns, due_ns)
            pace.quiet_to_ns, pace.quiet_due_ns = event_ns, due_ns
        if now_ns < due_ns:
            await self.clock.wait_until(max(due_ns, pace.last_clock_ns + STEP_NS), self.wake)
            now_ns = self.clock.now_ns()
        if self.wake.is_set():
            return now_ns
        if now_ns - due_ns > self._stall_ns:  # the server is slow, or the machine slept
            pace.stalls += 1
            pace.stalled_ns += now_ns - due_ns
            timeline.anchor(event_ns, now_ns)
            due_ns = now_ns
        if quiet:
            pace.quiet_to_ns = None
            pace.quiet_skipped_ns += max(0, event_ns - last_ns - round(self._max_quiet_ns * timeline.rate))
            pace.quiet_event_ns += event_ns - last_ns
            pace.quiet_clock_ns += now_ns - pace.last_clock_ns - self._idle_ns
        pace.behind_ns = max(0, now_ns - due_ns)
        return now_ns
