"""How long after their own time events arrive: the latency of the feed, and whether a clock is wrong."""

from collections import deque

from spyctl.market.events import EventSource
from spyctl.market.feeds import LiveEvent
from spyctl.timing.histogram import Histogram
from spyctl.timing.instants import SECOND

SKEW_NS = 2 * SECOND
DELAYED_NS = 600 * SECOND
RECENT, ENOUGH = 1_000, 100  # events


class Lateness:
    """Measures receive time − event time of live events; a backfill's say nothing about now."""

    def __init__(self) -> None:
        self.latency_ns = Histogram()
        self._recent: deque[int] = deque(maxlen=RECENT)
        self._skewed = False

    def see(self, event: LiveEvent) -> None:
        """Take an event."""
        if event.source != EventSource.POLYGON_REST:
            self.add(event.ts_recv_ns - event.ts_event_ns)

    def add(self, late_ns: int) -> None:
        """Take how late a live event was."""
        self.latency_ns.add(late_ns)
        self._recent.append(late_ns)

    @property
    def latest_ns(self) -> int:
        """How late the latest of the last events was."""
        return max(self._recent, default=0)

    def complaint(self) -> str:
        """Say that events arrive before their time, or long after it; empty where they do not, or once it was said."""
        if len(self._recent) < ENOUGH:
            return ""
        median_ns = sorted(self._recent)[len(self._recent) // 2]
        was_skewed, self._skewed = self._skewed, median_ns < 0 or median_ns > SKEW_NS
        if not self._skewed or was_skewed:
            return ""
        why = "the feed is delayed" if median_ns > DELAYED_NS else "look at this machine's clock, or the network"
        return f"events arrive {median_ns / SECOND:+.3f} s after their time: {why}"
