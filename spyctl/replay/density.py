"""How busy each part of a plan was, as far as it has been played."""

from spyctl.replay.snapshot import BINS
from spyctl.timing.instants import SECOND


class Density:
    """Events per second of event time between two event times (Unix ns), in :data:`BINS` columns: ``values``."""

    def __init__(self, first_ns: int, last_ns: int) -> None:
        self.values = [0.0] * BINS
        self._first_ns = first_ns
        self._span_ns = max(1, last_ns - first_ns + 1)
        self._counted: tuple[int | None, int] = None, 0

    def note(self, event_ns: int | None, count: int) -> None:
        """Spread what was published since the last look over the event time that it took; ``count`` is all of it."""
        then_ns, before = self._counted
        if event_ns is None:
            return
        if then_ns is None or then_ns > event_ns:
            then_ns = event_ns  # the first look, or event time went back: how far it has come since is not known
        from_bin, to_bin = self._bin(then_ns), self._bin(event_ns)
        share = (count - before) / (to_bin - from_bin + 1) / (self._span_ns / BINS / SECOND)
        for i in range(from_bin, to_bin + 1):
            self.values[i] += share
        self._counted = event_ns, count

    def move(self, event_ns: int | None, count: int) -> None:
        """Go on somewhere else: what was published up to now is counted."""
        self._counted = event_ns, count

    def _bin(self, ns: int) -> int:
        return min(BINS - 1, max(0, (ns - self._first_ns) * BINS // self._span_ns))
