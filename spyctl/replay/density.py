"""How busy each part of a plan was, as far as it has been played."""

from spyctl.replay.bins import BINS, Bins
from spyctl.timing.instants import SECOND


class Density:
    """Events per second of event time between two event times (Unix ns), in :data:`BINS` columns: ``values``."""

    def __init__(self, first_ns: int, last_ns: int) -> None:
        self.values = [0.0] * BINS
        self._bins = Bins(first_ns, last_ns)
        self._counted: tuple[int | None, int] = None, 0

    def note(self, event_ns: int | None, count: int) -> None:
        """Spread what was published since the last look over the event time that it took; ``count`` is all of it."""
        then_ns, before = self._counted
        if event_ns is None:
            return
        if then_ns is None or then_ns > event_ns:
            then_ns = event_ns  # the first look, or event time went back: how far it has come since is not known
        from_bin, to_bin = self._bins.at(then_ns), self._bins.at(event_ns)
        share = (count - before) / (to_bin - from_bin + 1) / (self._bins.width_ns / SECOND)
        for i in range(from_bin, to_bin + 1):
            self.values[i] += share
        self._counted = event_ns, count

    def move(self, event_ns: int | None, count: int) -> None:
        """Go on somewhere else: what was published up to now is counted."""
        self._counted = event_ns, count
