"""Ending background tasks, even those that miss a cancellation."""

import asyncio
from typing import Any

_INSIST_S = 0.2


async def end_task(task: "asyncio.Task[Any] | None") -> None:
    """Cancel a task and wait until it has ended; what it raised is dropped.

    Python 3.11's ``asyncio.wait_for``, which nats-py uses, may swallow a cancellation that arrives together with its
    result, so one ``cancel()`` is not always enough.
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_INSIST_S)
    if task is not None and not task.cancelled():
        task.exception()
