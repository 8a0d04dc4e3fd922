"""Time as an argument: the clock that waits, and the timeline that says when an event is due."""

import asyncio
import math
import selectors
import time
from typing import Protocol

from spyctl.errors import UsageError

MAX_SPEED = 0.0  # as fast as acknowledged


class Clock(Protocol):
    """A monotonic clock in nanoseconds that can be waited on."""

    def now_ns(self) -> int: ...

    async def wait_until(self, ns: int, interrupt: asyncio.Event) -> None:
        """Wait until the clock shows ``ns``, or ``interrupt`` is set."""
        ...


def precise_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop whose timers are exact to some microseconds; epoll's go by whole milliseconds."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


class SystemClock:
    """The machine's monotonic clock; with :func:`precise_loop` a wait ends some 0.1 ms late, never early."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    async def wait_until(self, ns: int, interrupt: asyncio.Event) -> None:
        try:
            async with asyncio.timeout((ns - time.monotonic_ns()) / 1e9):
                await interrupt.wait()
        except TimeoutError:
            pass


class Timeline:
    """When an event is due: a reference pair (event time, clock time) and a rate.

    Due times are absolute, so errors never add up. A pause, a jump or another rate is a new reference pair.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._event_ns = 0
        self._clock_ns = 0

    def anchor(self, event_ns: int, clock_ns: int) -> None:
        """Have the event time ``event_ns`` fall on the clock time ``clock_ns``."""
        self._event_ns, self._clock_ns = event_ns, clock_ns

    def set_rate(self, rate: float, clock_ns: int) -> None:
        """Change the rate from ``clock_ns`` on."""
        self.anchor(self.event_at(clock_ns), clock_ns)
        self.rate = rate

    def due_ns(self, event_ns: int) -> int:
        """Return the clock time at which an event is due."""
        return self._clock_ns + round((event_ns - self._event_ns) / self.rate)

    def event_at(self, clock_ns: int) -> int:
        """Return the event time that has been reached at a clock time."""
        return self._event_ns + math.floor((clock_ns - self._clock_ns) * self.rate)


def parse_speed(text: str) -> float:
    """Read ``10``, ``10x``, ``0.5`` or ``max`` (0); raises :class:`UsageError`."""
    compact = text.strip().lower()
    try:
        speed = MAX_SPEED if compact == "max" else float(compact.removesuffix("x").removesuffix("×"))
    except ValueError:
        speed = -1.0
    return checked_speed(speed, text)


def checked_speed(speed: float, text: str = "") -> float:
    """Return a speed that can be played at; raises :class:`UsageError` for any other."""
    if not 0 <= speed <= 1e6:
        raise UsageError(f"{text or str(speed)!r} is not a speed", "write 1, 10x, 0.5 or max (0 means max)")
    return speed


def speed_text(speed: float) -> str:
    """Write a speed as asked for: ``10×``, ``0.5×``, ``max``."""
    return "max" if speed == MAX_SPEED else f"{speed:,.10g}×"


def achieved_text(speed: float | None) -> str:
    """Write a speed as achieved: two decimals below 100, thousands separated above."""
    if speed is None:
        return "·"
    return f"{speed:.2f}×" if speed < 100 else f"{speed:,.0f}×"
