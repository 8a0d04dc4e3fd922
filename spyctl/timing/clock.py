"""Time as an argument: the clock that waits, the speed, and the timeline that says when an event is due."""

import asyncio
import math
import os
import selectors
import time
from dataclasses import dataclass
from typing import Protocol

from spyctl.errors import UsageError

_FASTEST = 1e6


class Clock(Protocol):
    """A clock that can be waited on, in nanoseconds: monotonic for durations, wall time for stamps."""

    def now_ns(self) -> int:
        """Return the monotonic time; only differences mean anything."""
        ...

    def time_ns(self) -> int:
        """Return the wall time, Unix ns UTC."""
        ...

    async def wait_until(self, ns: int, interrupt: asyncio.Event | None = None) -> None:
        """Wait until the monotonic time is ``ns``, or ``interrupt`` is set."""
        ...


_SELECTABLE = 1_024  # FD_SETSIZE
_SPARE = 256  # more than a run opens


def precise_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop whose timers are exact to some microseconds; epoll's go by whole milliseconds.

    Where so many files are open that select cannot take more, they go by milliseconds, too.
    """
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    few = descriptor < _SELECTABLE - _SPARE
    return asyncio.SelectorEventLoop(selectors.SelectSelector() if few else selectors.DefaultSelector())


class SystemClock:
    """The machine's clocks; with :func:`precise_loop` a wait ends some 0.1 ms late, never early."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def time_ns(self) -> int:
        return time.time_ns()

    async def wait_until(self, ns: int, interrupt: asyncio.Event | None = None) -> None:
        left_s = (ns - self.now_ns()) / 1e9
        if interrupt is None:
            await asyncio.sleep(left_s)
            return
        try:
            async with asyncio.timeout(left_s):
                await interrupt.wait()
        except TimeoutError:
            pass


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast event time passes: ``rate`` is event time per wall time, above 0 and at most 1,000,000.

    ``None`` is :data:`MAX_SPEED`, as fast as acknowledged: there is no schedule then, and so no :class:`Timeline`.
    Raises :class:`UsageError` for any other rate.
    """

    rate: float | None

    def __post_init__(self) -> None:
        if self.rate is not None and not 0 < self.rate <= _FASTEST:
            raise _not_a_speed(f"{self.rate:g}")

    @classmethod
    def of(cls, number: float) -> "Speed":
        """Return the speed for its number, where 0 is max. Raises :class:`UsageError`."""
        return cls(None if number == 0 else number)

    @property
    def number(self) -> float:
        """The speed as a number for the outside, where max is 0."""
        return self.rate if self.rate is not None else 0.0

    def __str__(self) -> str:
        """Write the speed as asked for: ``10×``, ``0.5×``, ``max``."""
        return "max" if self.rate is None else f"{self.rate:,.10g}×"


MAX_SPEED = Speed(None)
REAL_TIME = Speed(1.0)


def parse_speed(text: str) -> Speed:
    """Read ``10``, ``10x``, ``0.5``, ``max`` or ``0`` (max); raises :class:`UsageError`."""
    compact = text.strip().lower()
    if compact == "max":
        return MAX_SPEED
    try:
        return Speed.of(float(compact.removesuffix("x").removesuffix("×")))
    except (ValueError, UsageError):
        raise _not_a_speed(repr(text)) from None


def _not_a_speed(shown: str) -> UsageError:
    return UsageError(f"{shown} is not a speed", "write 1, 10x, 0.5 or max (0 means max)")


def achieved_text(speed: float | None) -> str:
    """Write a speed as achieved: two decimals below 100, thousands separated above; ``None`` (not yet) is ``·``."""
    if speed is None:
        return "·"
    return f"{speed:.2f}×" if speed < 100 else f"{speed:,.0f}×"


class Timeline:
    """When an event is due: a reference pair (event time, clock time) and a rate (event time per clock time).

    Due times are absolute, so errors never add up. A pause, a jump or another rate is a new reference pair.
    Raises :class:`ValueError` for a rate that is not above 0.
    """

    def __init__(self, rate: float) -> None:
        self._rate = _positive(rate)
        self._event_ns = 0
        self._clock_ns = 0

    @property
    def rate(self) -> float:
        """Event time per clock time."""
        return self._rate

    def anchor(self, event_ns: int, clock_ns: int) -> None:
        """Have the event time ``event_ns`` fall on the clock time ``clock_ns``."""
        self._event_ns, self._clock_ns = event_ns, clock_ns

    def set_rate(self, rate: float, clock_ns: int) -> None:
        """Change the rate from ``clock_ns`` on; the event time reached by then stays where it is."""
        _positive(rate)
        self.anchor(self.event_at(clock_ns), clock_ns)
        self._rate = rate

    def due_ns(self, event_ns: int) -> int:
        """Return the clock time at which an event is due."""
        return self._clock_ns + round((event_ns - self._event_ns) / self._rate)

    def event_at(self, clock_ns: int) -> int:
        """Return the event time that has been reached at a clock time."""
        return self._event_ns + math.floor((clock_ns - self._clock_ns) * self._rate)


def _positive(rate: float) -> float:
    if not rate > 0:
        raise ValueError(f"a timeline needs a rate above 0, not {rate}")
    return rate
