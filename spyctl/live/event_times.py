"""The market's time against ours: by how much a feed is late, told by what it brings.

Gaps, backfills and rolls go by the market's clock. A feed may be fifteen minutes late because that is what was
subscribed, some seconds because it is busy, and early where one of two clocks is wrong.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from spyctl.market.events import EventSource
from spyctl.market.feeds import LiveEvent

RECENT = 256  # events of a feed
ODD = 0.05  # of them, at either end, say nothing: late reports, a clock that was set


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when, Unix ns."""

    from_ns: int
    to_ns: int


class EventTimes:
    """How late the last events of each feed were; ``delay_ns`` is how late a feed is known to be."""

    def __init__(self, delay_ns: int = 0) -> None:
        self.delay_ns = delay_ns
        self._lags: dict[str, deque[int]] = {}

    def see(self, feed: str, events: Iterable[tuple[LiveEvent, str]]) -> None:
        """Take what arrived on a feed; what a backfill brings says nothing about that."""
        lags = self._lags.get(feed)
        if lags is None:
            lags = self._lags[feed] = deque(maxlen=RECENT)
        for event, _ in events:
            if event.source != EventSource.POLYGON_REST:
                lags.append(event.ts_recv_ns - event.ts_event_ns)

    def reached(self, feed: str, at_ns: int) -> Span:
        """Return from the earliest to the latest event time that a feed may have come to at an instant (Unix ns)."""
        lags = sorted(self._lags.get(feed, ()))
        if not lags:
            return Span(at_ns - self.delay_ns, at_ns - self.delay_ns)
        few = int(ODD * len(lags))
        return Span(at_ns - lags[-1 - few], at_ns - lags[few])
