"""Waiting on a condition with a deadline, and time that a test moves by hand."""

import asyncio
import time
from collections.abc import Callable


async def eventually(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.005)


def eventually_sync(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)


class FakeClock:
    """Shows the time it was told; a wait moves it to the end of the wait, plus ``overshoot_ns``."""

    def __init__(self, now_ns: int = 1_000_000_000, overshoot_ns: int = 0) -> None:
        self.time_ns = now_ns
        self.overshoot_ns = overshoot_ns
        self.waits: list[int] = []

    def now_ns(self) -> int:
        return self.time_ns

    async def wait_until(self, ns: int, interrupt: asyncio.Event) -> None:
        self.waits.append(ns - self.time_ns)
        self.time_ns = max(self.time_ns, ns) + self.overshoot_ns
