"""Errands: they end with the session, and a failure is told."""

import asyncio

from spyctl.live.errands import Errands
from tests.support.waiting import eventually


async def test_an_errand_that_fails_is_told_and_one_that_goes_on_is_cancelled() -> None:
    told: list[str] = []
    errands, cancelled = Errands(told.append), asyncio.Event()

    async def fail() -> None:
        raise KeyError("results")

    async def linger() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    errands.start(fail())
    errands.start(linger())
    await eventually(lambda: len(errands) == 1)
    assert told == ["the vendor's answer makes no sense: KeyError: 'results'"]
    await errands.end()
    assert cancelled.is_set()
    assert len(errands) == 0
    assert len(told) == 1
