"""Waiting on a condition; the deadlines are for a busy machine, and no measure of anything."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

DEADLINE_S = 30.0


async def eventually(condition: Callable[[], bool | Awaitable[bool]], timeout_s: float = DEADLINE_S) -> None:
    """Wait until a condition is true, which may have to be awaited."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if await value if inspect.isawaitable(value) else value:
            return
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.005)


def eventually_sync(condition: Callable[[], bool], timeout_s: float = DEADLINE_S) -> None:
    """Wait until a condition is true, without an event loop."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)
