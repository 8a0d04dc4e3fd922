"""How a key stands with the vendor: when a refusal or an eviction is permanent."""

from collections import deque

from spyctl.timing.clock import Clock
from spyctl.timing.instants import SECOND
from spyctl.timing.refusals import Refusals

EVICTIONS_WITHIN_NS = 600 * SECOND


class KeyStanding:
    """Counts what the vendor holds against a key on one feed.

    A refusal of a key that was good is permanent after ``refusals_ns``. A key has one connection a market: after
    ``max_evictions`` within ten minutes another process is using it.
    """

    def __init__(self, clock: Clock, *, max_evictions: int, refusals_ns: int) -> None:
        self._clock = clock
        self._refusals = Refusals(clock, refusals_ns)
        self._evictions: deque[int] = deque(maxlen=max_evictions)

    def accepted(self) -> None:
        """Note that the key was accepted."""
        self._refusals.accepted()

    def refused(self) -> bool:
        """Note that the key was refused; returns whether that is permanent."""
        return self._refusals.refused()

    def evicted(self) -> bool:
        """Note that another connection took over; returns whether that is an alarm.

        After a crash the old connection may still be counted, so the first time is none yet.
        """
        self._evictions.append(self._clock.now_ns())
        return self.recent_evictions > 1

    @property
    def recent_evictions(self) -> int:
        """How many there were within ten minutes."""
        now_ns = self._clock.now_ns()
        return sum(now_ns - at_ns < EVICTIONS_WITHIN_NS for at_ns in self._evictions)

    @property
    def taken(self) -> bool:
        """Whether another process uses the key."""
        return self.recent_evictions >= (self._evictions.maxlen or 0)
