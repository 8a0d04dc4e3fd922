"""How long a feed waits before it connects again."""

import random
from typing import Protocol

from spyctl.timing.clock import Clock
from spyctl.timing.instants import SECOND


class BackoffTiming(Protocol):
    """Seconds: the first wait, the longest one, and how long a connection lasts that ends the doubling.

    ``jitter`` is the fraction by which a wait may be shorter or longer.
    """

    @property
    def first_wait(self) -> float: ...

    @property
    def longest_wait(self) -> float: ...

    @property
    def jitter(self) -> float: ...

    @property
    def stable(self) -> float: ...


class Backoff:
    """Waits that double from attempt to attempt; they start anew after a connection that was up and stable."""

    def __init__(self, clock: Clock, timing: BackoffTiming) -> None:
        self._clock = clock
        self._timing = timing
        self._wait_s = timing.first_wait
        self._begun_ns = 0

    def connecting(self) -> None:
        """Note that an attempt begins."""
        self._begun_ns = self._clock.now_ns()

    def pause_s(self, *, was_up: bool) -> float:
        """Return how long to wait (seconds) after a connection has ended, or none came about."""
        timing = self._timing
        if was_up and self._clock.now_ns() - self._begun_ns >= timing.stable * SECOND:
            self._wait_s = timing.first_wait
        pause_s = self._wait_s * random.uniform(1 - timing.jitter, 1 + timing.jitter)
        self._wait_s = min(timing.longest_wait, 2 * self._wait_s)
        return pause_s
