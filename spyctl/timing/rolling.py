"""Events of the last second, and the most in any one second."""

from collections import deque

from spyctl.timing.instants import SECOND


class RollingSecond:
    """Counts events over a second that ends now; ``peak`` is the most there have been in one."""

    def __init__(self) -> None:
        self.peak = 0
        self._recent: deque[tuple[int, int]] = deque()
        self._count = 0

    def add(self, clock_ns: int, events: int) -> None:
        """Count events at a monotonic time, which never goes back."""
        self._recent.append((clock_ns, events))
        self._count += events
        self.peak = max(self.peak, self.at(clock_ns))

    def at(self, clock_ns: int) -> int:
        """Return how many there were in the second that ends at a monotonic time."""
        while self._recent and self._recent[0][0] <= clock_ns - SECOND:
            self._count -= self._recent.popleft()[1]
        return self._count
