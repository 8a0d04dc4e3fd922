"""Live events that wait to be published: bounded in memory, then on disk, and at last quotes give way before trades."""

import time
from collections import Counter, deque
from dataclasses import dataclass
from itertools import islice

from spyctl.live.pending import Pending
from spyctl.live.spool import Spool

MAX_EVENTS = 50_000
BLOCK = 4_096  # events that go to disk together


@dataclass(frozen=True, slots=True)
class Drops:
    """What had to go: how many events, the oldest of which was received at ``from_ns`` (monotonic)."""

    count: int = 0
    from_ns: int = 0


NO_DROPS = Drops()


class Backlog:
    """A queue of at most ``max_events`` events in memory; ``dropped`` counts by feed what had to go.

    With a ``spool`` the older ones go to disk first, and from then on whatever comes, until all of it is published. The
    events of a block that is being published are in memory and on disk; :meth:`settle` is to be called after each.
    """

    def __init__(self, max_events: int = MAX_EVENTS, spool: Spool | None = None) -> None:
        self.max_events = max_events
        self.dropped: Counter[str] = Counter()
        self.high_water = 0
        self.recovered = spool.recovered if spool is not None else 0
        self._events: deque[Pending] = deque()
        self._block: deque[Pending] = deque()
        self._block_size = min(BLOCK, max(1, max_events // 2))
        self._drops = NO_DROPS
        self._spool = spool

    def __len__(self) -> int:
        return len(self._events) + self.spooled

    @property
    def spooled(self) -> int:
        """How many wait on disk."""
        return len(self._block) + (len(self._spool) if self._spool is not None else 0)

    @property
    def unsettled(self) -> bool:
        """Whether all that was taken has to be stored, and :meth:`settle` called, before more is taken."""
        return self._spool is not None and not self._spool.empty and not self._block

    def settle(self, last_seq: int | None) -> None:
        """Note that the stream holds all that was taken, up to ``last_seq``, and go on to the next block on disk."""
        if self._spool is None:
            return
        self._spool.acknowledge(last_seq)
        while self._spool.unread and not self._block:
            events, missing = self._spool.read()
            self._block.extend(events)
            if missing:
                self.dropped["spool"] += missing
                self._drops = Drops(self._drops.count + missing, self._drops.from_ns or time.monotonic_ns())
            if not events:
                self._spool.acknowledge(None)

    def append(self, event: Pending) -> None:
        """Add an event; where there is no room, make some."""
        self._events.append(event)
        self.high_water = max(self.high_water, len(self._events))
        if self._spool is not None:
            full = len(self._events) > self.max_events
            if full or (not self._spool.empty and len(self._events) % self._block_size == 0):
                self._spill(self._block_size)
        if len(self._events) > self.max_events:
            self._conflate()

    def keep(self) -> int:
        """Have all that waits survive the process, as far as there is room; returns how many events are on disk."""
        self._spill(1)
        return self.spooled

    def take(self, count: int) -> list[Pending]:
        """Remove and return the oldest events."""
        events = self._block or self._events
        return [events.popleft() for _ in range(min(count, len(events)))]

    def take_drops(self) -> Drops:
        """Return what had to go since the last call."""
        drops, self._drops = self._drops, NO_DROPS
        return drops

    def _spill(self, least: int) -> None:
        # The oldest go to disk, a block at a time, while there are at least so many and there is room.
        while self._spool is not None and len(self._events) >= least:
            block = list(islice(self._events, self._block_size))
            if not self._spool.append(block):
                return
            for _ in block:
                self._events.popleft()

    def _conflate(self) -> None:
        # Of the quotes the newest of each symbol stays; if that is not enough, the oldest trades go. Gap records stay.
        newest = {event.conflates: i for i, event in enumerate(self._events) if event.conflates is not None}
        stale = {
            i for i, event in enumerate(self._events) if event.conflates is not None and newest[event.conflates] != i
        }
        excess = len(self._events) - len(stale) - self.max_events * 9 // 10
        for i, event in enumerate(self._events):
            if excess <= 0:
                break
            if event.feed and i not in stale:
                stale.add(i)
                excess -= 1
        self.dropped.update(self._events[i].feed for i in stale)
        oldest_ns = min((self._events[i].received_ns for i in stale), default=0)
        self._drops = Drops(self._drops.count + len(stale), self._drops.from_ns or oldest_ns)
        self._events = deque(event for i, event in enumerate(self._events) if i not in stale)
