"""The clock that others follow: four times a second, and at each change."""

import asyncio
from typing import Any

import orjson

from spyctl.replay.broadcast import keep_broadcasting
from spyctl.timing.instants import MS, SECOND
from spyctl.timing.tasks import end_task
from tests.support.clock import FakeClock


async def test_it_is_sent_four_times_a_second_and_at_each_change() -> None:
    clock, sent = FakeClock(), []
    now: dict[str, Any] = {"event_ns": 0, "state": "playing"}

    async def send(payload: bytes) -> None:
        sent.append(orjson.loads(payload))

    def read() -> dict[str, Any]:
        now["event_ns"] += 1
        return dict(now)

    task = asyncio.create_task(keep_broadcasting(read, send, clock))
    await clock.run(SECOND, 25 * MS)
    assert 4 <= len(sent) <= 5
    before = len(sent)
    now["state"] = "paused"
    await clock.run(50 * MS, 25 * MS)
    assert sent[before]["state"] == "paused"
    assert len(sent) - before <= 2
    await end_task(task)
