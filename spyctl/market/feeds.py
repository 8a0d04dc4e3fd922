"""What a live feed is to the rest of the program: its states, and what it hands on.

A feed keeps one connection to one vendor's market up. :data:`TRANSITIONS` is its whole life: it connects, is up, loses
the connection and reconnects, any number of times; it ends ``refused`` where the vendor refuses the key permanently, or
``stopped`` where we end it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from spyctl.market.events import OptionQuote, OptionTrade, StockQuote, StockTrade

LiveEvent = StockTrade | StockQuote | OptionTrade | OptionQuote


class FeedState(StrEnum):
    """How a feed stands."""

    CONNECTING = "connecting"
    UP = "up"
    RECONNECTING = "reconnecting"
    REFUSED = "refused"
    STOPPED = "stopped"


class FeedEvent(StrEnum):
    """What may happen to it."""

    AUTHENTICATED = "authenticated"
    LOST = "connection lost"
    REFUSED = "refused permanently"
    STOP = "stop"


TRANSITIONS = {
    (FeedState.CONNECTING, FeedEvent.AUTHENTICATED): FeedState.UP,
    (FeedState.CONNECTING, FeedEvent.LOST): FeedState.RECONNECTING,
    (FeedState.CONNECTING, FeedEvent.REFUSED): FeedState.REFUSED,
    (FeedState.CONNECTING, FeedEvent.STOP): FeedState.STOPPED,
    (FeedState.UP, FeedEvent.LOST): FeedState.RECONNECTING,
    (FeedState.UP, FeedEvent.STOP): FeedState.STOPPED,
    (FeedState.RECONNECTING, FeedEvent.AUTHENTICATED): FeedState.UP,
    (FeedState.RECONNECTING, FeedEvent.LOST): FeedState.RECONNECTING,
    (FeedState.RECONNECTING, FeedEvent.REFUSED): FeedState.REFUSED,
    (FeedState.RECONNECTING, FeedEvent.STOP): FeedState.STOPPED,
}


@dataclass(frozen=True, slots=True)
class Reject:
    """What could not become an event: a reason out of a small set, and the start of what was met."""

    reason: str
    sample: str


@dataclass(frozen=True, slots=True)
class IndexValue:
    """The value of an index (``I:SPX``) at an instant (Unix ns); it is followed, not published."""

    symbol: str
    value: float
    ts_event_ns: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """What one frame of a feed held.

    ``events`` come with the vendor's identities; ``oddities`` name what is odd about some of them. ``clock_ns`` is when
    the frame arrived (monotonic). ``values`` are those of indices.
    """

    feed: str
    events: Sequence[tuple[LiveEvent, str]]
    rejects: Sequence[Reject]
    oddities: Sequence[str]
    clock_ns: int
    values: Sequence[IndexValue] = ()


@dataclass(frozen=True, slots=True)
class WrittenEvent:
    """An event as it will be published; a newer one makes an older one stale that ``conflates`` the same."""

    payload: bytes
    identity: str
    subject: str
    conflates: str | None = None


@dataclass(frozen=True, slots=True)
class WrittenArrival:
    """What a feed brought whose events are made a batch at a time, in their order.

    ``repeated`` counts events that had been handed on before, ``late_ns`` is how long after their own time the live
    ones arrived. ``clock_ns`` is when the bytes arrived (monotonic).
    """

    feed: str
    events: Sequence[WrittenEvent]
    rejects: Sequence[Reject]
    oddities: Sequence[str]
    clock_ns: int
    repeated: int = 0
    late_ns: Sequence[int] = ()


class FeedListener(Protocol):
    """Who is told what happens on a feed; none of these may block."""

    def arrived(self, arrival: Arrival | WrittenArrival) -> None:
        """Take what a frame held; what it raises ends the feed."""

    def lost(self, feed: str, from_ns: int, reason: str, waited: int) -> None:
        """Note that nothing has arrived since ``from_ns`` (Unix ns); ``waited`` frames had not been read by then."""

    def back(self, feed: str, to_ns: int, *, filled: bool = False) -> None:
        """Note that events arrive again; where the gap is ``filled``, all that was lost has come, too."""

    def short(self, feed: str, missing: int | None) -> None:
        """Note that the vendor has sent again what was lost, but not all: so many events are still missing.

        ``None`` is an unknown number. What is live arrives.
        """

    def note(self, feed: str, text: str) -> None:
        """Note what somebody should look at."""


class FeedLiveness(Protocol):
    """When a feed last came up, and when its last frame arrived (monotonic ns); ``None`` where it never did."""

    @property
    def up_since_ns(self) -> int | None: ...

    @property
    def last_frame_ns(self) -> int | None: ...


class LiveFeed(Protocol):
    """A feed as the live side uses it; counts and states may be read at any time.

    ``desired`` are the topics to hold, ``held`` those that the vendor has acknowledged, ``missing`` those that it does
    not acknowledge. ``words`` are the vendor's last words of complaint, ``refilled`` counts the events that were missed
    and that the feed itself has brought after all.
    """

    name: str
    reconnects: int
    refilled: int

    @property
    def words(self) -> str: ...

    @property
    def state(self) -> FeedState: ...

    @property
    def desired(self) -> frozenset[str]: ...

    @property
    def held(self) -> frozenset[str]: ...

    @property
    def missing(self) -> frozenset[str]: ...

    @property
    def liveness(self) -> FeedLiveness: ...

    def set_desired(self, topics: Collection[str]) -> None:
        """Change what is subscribed, now or as soon as there is a connection."""

    def reconnect(self, reason: str) -> None:
        """Drop the connection and make a new one."""

    def stop(self) -> None:
        """End :meth:`run`."""

    async def run(self, listener: FeedListener) -> None:
        """Keep the feed up until :meth:`stop`. Raises :class:`KeyRefusedError` where it is refused permanently."""
