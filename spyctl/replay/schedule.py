"""How long a replay takes at its speed, and how much of that is left at an event time."""

from collections.abc import Sequence
from dataclasses import dataclass

from spyctl.timing.clock import Speed


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is to be played: the first and the last event (Unix ns), how many there are, at which speed.

    Of each of the ``quiet`` stretches (from, to; in order, apart from each other) at most ``max_quiet_ns`` of wall time
    are waited for. At max speed there is no schedule, and the events count instead.
    """

    first_ns: int
    last_ns: int
    events: int
    speed: Speed
    quiet: Sequence[tuple[int, int]] = ()
    max_quiet_ns: int = 0

    @property
    def wall_ns(self) -> int | None:
        """The wall time that it takes; ``None`` at max speed."""
        return self.left_ns(self.first_ns)

    def left_ns(self, event_ns: int, waited_ns: int = 0) -> int | None:
        """Return the wall time left at an event time; ``None`` at max speed.

        ``waited_ns`` is how long the quiet stretch that begins there has been waited for.
        """
        if self.speed.rate is None:
            return None
        shown_ns = round(self.max_quiet_ns * self.speed.rate)
        left_ns = max(0, self.last_ns - event_ns)
        for from_ns, to_ns in self.quiet:
            left_ns -= max(0, to_ns - max(from_ns, event_ns) - shown_ns)
        return max(0, round(left_ns / self.speed.rate) - waited_ns)

    def share(self, left_ns: int | None, events: int) -> float:
        """Return how much is done, 0 to 1, by the wall time left, at max speed by the events published so far."""
        if left_ns is None:
            return min(1.0, events / self.events) if self.events else 1.0
        wall_ns = self.wall_ns or 0
        return 1 - left_ns / wall_ns if wall_ns else 1.0

    def place(self, event_ns: int) -> float:
        """Return where between the first and the last event an event time is, 0 to 1."""
        span_ns = self.last_ns - self.first_ns
        return min(1.0, max(0.0, (event_ns - self.first_ns) / span_ns)) if span_ns > 0 else 1.0
