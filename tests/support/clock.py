"""Clocks that a test moves: one by hand, one that jumps to the end of each wait."""

import asyncio

SECOND = 1_000_000_000
WALL_NS = 1_765_895_400 * SECOND  # 2025-12-16 09:30 New York


class FakeClock:
    """A :class:`spyctl.timing.clock.Clock` that stands still until :meth:`advance` moves it.

    ``waits`` are the lengths in ns that were waited for.
    """

    def __init__(self, now_ns: int = SECOND, wall_ns: int = WALL_NS) -> None:
        self.waits: list[int] = []
        self._now_ns = now_ns
        self._wall_ns = wall_ns
        self._waiters: set[tuple[int, asyncio.Event]] = set()

    def now_ns(self) -> int:
        return self._now_ns

    def time_ns(self) -> int:
        return self._wall_ns

    def advance(self, ns: int) -> None:
        """Move both times on by ``ns``; who waits for a time that has come goes on when the loop runs next."""
        self._now_ns += ns
        self._wall_ns += ns
        for due_ns, reached in self._waiters:
            if due_ns <= self._now_ns:
                reached.set()

    def step_wall(self, ns: int) -> None:
        """Set the wall time forward or back by ``ns``, as an administrator or NTP does."""
        self._wall_ns += ns

    async def run(self, ns: int, step_ns: int) -> None:
        """Advance by ``ns`` in steps, and let everything that is ready run after each."""
        for _ in range(-(-ns // step_ns)):
            self.advance(step_ns)
            for _ in range(10):
                await asyncio.sleep(0)

    async def wait_until(self, ns: int, interrupt: asyncio.Event | None = None) -> None:
        self.waits.append(ns - self._now_ns)
        if ns <= self._now_ns:
            await asyncio.sleep(0)
            return
        waiter = (ns, asyncio.Event())
        self._waiters.add(waiter)
        events = [waiter[1], *([interrupt] if interrupt is not None else [])]
        tasks = [asyncio.create_task(event.wait()) for event in events]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiters.discard(waiter)
            for task in tasks:
                task.cancel()


class JumpingClock(FakeClock):
    """A clock that a wait moves to its end, plus ``overshoot_ns``: a replay of hours takes no time.

    A wait whose ``interrupt`` is set already moves nothing.
    """

    def __init__(self, now_ns: int = SECOND, wall_ns: int = WALL_NS, *, overshoot_ns: int = 0) -> None:
        super().__init__(now_ns, wall_ns)
        self.overshoot_ns = overshoot_ns

    async def wait_until(self, ns: int, interrupt: asyncio.Event | None = None) -> None:
        self.waits.append(ns - self._now_ns)
        if interrupt is not None and interrupt.is_set():
            return
        self.advance(max(0, ns - self._now_ns) + self.overshoot_ns)
