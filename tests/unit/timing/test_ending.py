"""The first reason counts, and whoever waits learns of it at once."""

import asyncio

from spyctl.timing.clock import SystemClock
from spyctl.timing.ending import Ending


def test_the_first_reason_is_kept_until_it_is_taken() -> None:
    ending = Ending()
    assert not ending.asked
    ending.ask("reset")
    ending.ask("no quote for 15 s")
    assert (ending.asked, ending.take_reason(), ending.asked) == (True, "reset", False)


async def test_a_wait_ends_when_something_changes_and_a_pause_only_when_the_feed_is_to_stop() -> None:
    ending = Ending()
    waiting = asyncio.create_task(ending.wait(60))
    await asyncio.sleep(0)
    ending.ask("reset")
    await asyncio.wait_for(waiting, 5)
    pausing = asyncio.create_task(ending.pause(60, SystemClock()))
    await asyncio.sleep(0)
    ending.ask("a watchdog that came too late")
    await asyncio.sleep(0)
    assert not pausing.done()
    ending.stop()
    await asyncio.wait_for(pausing, 5)
    assert ending.reason == ""


async def test_a_pause_is_as_long_as_asked_for() -> None:
    clock = SystemClock()
    begun_ns = clock.now_ns()
    await Ending().pause(0.05, clock)
    assert clock.now_ns() - begun_ns >= 50_000_000


async def test_a_task_that_fails_ends_the_feed_and_one_that_is_cancelled_does_not() -> None:
    async def fail() -> None:
        raise ValueError

    ending = Ending()
    for task, ends in ((asyncio.create_task(asyncio.sleep(60)), False), (asyncio.create_task(fail()), True)):
        ending.watch(task)
        if not ends:
            task.cancel()
        await asyncio.wait({task})
        await asyncio.sleep(0)
        assert ending.stopping is ends
        assert task.cancelled() or task.exception()
