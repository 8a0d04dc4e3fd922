"""The line to the server: how far events were sent over it, how long it is, and whether it is broken."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from spyctl.timing.instants import SECOND


class Line:
    """Events are sent over it one after the other, by position; who sends has it :meth:`alone`.

    ``next`` is the position to be sent next, ``end`` the one behind all that were ever sent. ``call`` is set when
    somebody has to look after the line: it is broken, or events were left. ``round_trip_ns`` is how long the server's
    answer takes at least.
    """

    def __init__(self, first: int) -> None:
        self.next = self.end = first
        self._turn = asyncio.Lock()
        self._users = 0  # who has the line, and who waits for it
        self.call = asyncio.Event()
        self.broken = False
        self.round_trip_ns = 0

    def may_send(self, position: int) -> bool:
        """Whether an event may be sent at once: nothing is wrong, nobody sends, and nothing before it was left."""
        return not self.broken and not self._users and position == self.next

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Have the line alone, after whoever has it or waits for it: its state may be another one by then."""
        self._users += 1
        try:
            async with self._turn:
                yield
        finally:
            self._users -= 1

    def sending(self, first: int, end: int) -> int:
        """Note that events are sent; returns how many of them were sent before."""
        again = max(0, min(end, self.end) - first)
        self.next, self.end = end, max(self.end, end)
        return again

    def break_off(self) -> None:
        """Note that what was sent may be lost."""
        self.broken = True
        self.call.set()

    def mend(self, oldest: int | None) -> None:
        """Go on with the oldest event that is not stored, if there is one."""
        self.broken = False
        self.next = self.end if oldest is None else oldest

    def within_s(self, least_s: float, round_trips: int) -> float:
        """Return a time in seconds: so many round trips, ``least_s`` at least."""
        return max(least_s, round_trips * self.round_trip_ns / SECOND)
