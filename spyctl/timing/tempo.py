"""How many events a simulated market has had: so many a second, in quiet and busy phases."""

import math

FRAME_S = 0.01  # from one look to the next
PHASE_S = 20.0
LONGEST_STEP_S = 0.05
LONGEST_DEBT_S = 1.0  # after a pause the market does not catch up on all of it


class Tempo:
    """The events that are due; times are monotonic seconds."""

    def __init__(self, now_s: float) -> None:
        self._last_s = now_s
        self._due = 0.0

    def take(self, now_s: float, rate: float) -> int:
        """Return how many events happen now, at a mean ``rate`` a second since the last call; at 0 none does."""
        busy = 0.4 + 1.2 * (math.sin(2 * math.pi * now_s / PHASE_S) > 0)
        elapsed_s, self._last_s = now_s - self._last_s, now_s
        self._due = min(self._due + elapsed_s * rate * busy, max(1.0, rate * LONGEST_DEBT_S))
        count = min(int(self._due), max(1, int(rate * LONGEST_STEP_S))) if rate else 0
        self._due -= count
        return count

    def happened(self, more: int) -> None:
        """Note that ``more`` events happened than were due."""
        self._due -= more
