"""Background tasks end, whatever they do about it."""

import asyncio
from contextlib import suppress

from spyctl.timing.tasks import end_task


async def test_a_task_that_waits_is_ended() -> None:
    task = asyncio.create_task(asyncio.Event().wait())
    await end_task(task)
    assert task.cancelled()


async def test_a_task_that_swallows_its_first_cancellation_is_ended_too() -> None:
    cancellations = 0

    async def stubborn() -> None:
        nonlocal cancellations
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancellations += 1
                if cancellations == 2:
                    raise

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await end_task(task)
    assert (task.cancelled(), cancellations) == (True, 2)


async def test_what_a_task_raised_is_dropped() -> None:
    async def failing() -> None:
        raise ValueError("dropped")

    task = asyncio.create_task(failing())
    with suppress(ValueError):
        await task
    await end_task(task)
    assert isinstance(task.exception(), ValueError)


async def test_no_task_is_no_work() -> None:
    await end_task(None)
