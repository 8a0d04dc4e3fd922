"""Live events that wait to be published: bounded, and when full, quotes give way before trades."""

from collections import Counter, deque
from dataclasses import dataclass

MAX_EVENTS = 50_000


@dataclass(frozen=True, slots=True)
class Pending:
    """An event as it will be published; ``feed`` is empty for a gap record, ``received_ns`` is monotonic.

    A newer one makes an older one stale that ``conflates`` the same.
    """

    payload: bytes
    identity: str
    subject: str
    feed: str
    received_ns: int
    conflates: str | None = None


@dataclass(frozen=True, slots=True)
class Drops:
    """What had to go: how many events, the oldest of which was received at ``from_ns`` (monotonic)."""

    count: int = 0
    from_ns: int = 0


NO_DROPS = Drops()


class Backlog:
    """A queue of at most ``max_events`` events; ``dropped`` counts by feed what had to go."""

    def __init__(self, max_events: int = MAX_EVENTS) -> None:
        self.max_events = max_events
        self.dropped: Counter[str] = Counter()
        self.high_water = 0
        self._events: deque[Pending] = deque()
        self._drops = NO_DROPS

    def __len__(self) -> int:
        return len(self._events)

    def append(self, event: Pending) -> None:
        """Add an event; where there is no room, make some."""
        self._events.append(event)
        self.high_water = max(self.high_water, len(self._events))
        if len(self._events) > self.max_events:
            self._conflate()

    def take(self, count: int) -> list[Pending]:
        """Remove and return the oldest events."""
        return [self._events.popleft() for _ in range(min(count, len(self._events)))]

    def take_drops(self) -> Drops:
        """Return what had to go since the last call."""
        drops, self._drops = self._drops, NO_DROPS
        return drops

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
