"""Waiting on a condition with a deadline."""

import asyncio
import time
from collections.abc import Callable


async def eventually(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait until a condition is true; the deadline is for a busy machine, and no measure of anything."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.005)


def eventually_sync(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Do the same without an event loop."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)
