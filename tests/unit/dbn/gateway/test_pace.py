"""What is sent again waits for room, what is live for a millisecond."""

import asyncio

import pytest

from spyctl.dbn.gateway.pace import Pace
from spyctl.timing.instants import MS
from tests.support.clock import FakeClock, JumpingClock


async def test_only_a_refill_waits_and_says_so() -> None:
    free, refilling, clock = asyncio.Event(), [True], JumpingClock()

    async def room() -> None:
        await free.wait()

    pace = Pace(room, lambda: refilling[0], clock)
    waiting = asyncio.create_task(pace.wait())
    await asyncio.sleep(0)
    assert pace.waits
    free.set()
    await waiting
    assert not pace.waits
    assert clock.waits == []
    free.clear()
    refilling[0] = False
    await pace.wait()
    assert clock.waits == [MS]


async def test_who_is_cancelled_waits_no_more() -> None:
    pace = Pace(asyncio.Event().wait, lambda: True, FakeClock())  # type: ignore[arg-type]
    waiting = asyncio.create_task(pace.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not pace.waits


async def test_without_anybody_to_ask_nothing_waits() -> None:
    await Pace(None, lambda: True, FakeClock()).wait()
