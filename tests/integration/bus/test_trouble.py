"""Whatever keeps a run's events from being stored is told by its cause within ten seconds, while the run waits."""

import asyncio
import os
import resource
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from spyctl.bus.access import Access
from spyctl.bus.acks.mode import AckMode
from spyctl.bus.connection import Connection, connect
from spyctl.bus.publishing import Publishing, RunRequest, publishing
from spyctl.errors import AccessDeniedError, RefusedError, SpyctlError
from spyctl.market.subjects import rank_of
from tests.support.batches import numbered
from tests.support.identities import reload, user
from tests.support.servers import NatsServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
SUBJECTS = ("market.futures.trades", "market.futures.mbp10")
ACCESS = Access(user="ann", password="pw")
WITHIN_S = 10.0
PATIENCE_S = 60.0  # of a busy machine
Breaks = Callable[[NatsServer, Connection], Awaitable[None]]


async def delete_stream(_: NatsServer, admin: Connection) -> None:
    await admin.api("STREAM.DELETE.MARKET_DATA")


async def delete_bucket(_: NatsServer, admin: Connection) -> None:
    await admin.api("STREAM.DELETE.KV_SPYCTL")


async def fill_disk(server: NatsServer, _: Connection) -> None:
    # No file may grow any more, which to the server is what a full disk is.
    assert server.process is not None
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (4_096, 4_096))


async def revoke(server: NatsServer, _: Connection) -> None:
    reload(server, user(publish="market.>"))


async def change_password(server: NatsServer, _: Connection) -> None:
    reload(server, user("other"))


async def hang(server: NatsServer, _: Connection) -> None:
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGSTOP)


BUCKET = "the bucket SPYCTL does not"  # take what it is sent, or answer
CASES: dict[Breaks, tuple[tuple[str, ...], type[SpyctlError] | None]] = {
    delete_stream: (("stream MARKET_DATA was deleted",), RefusedError),
    delete_bucket: ((BUCKET,), None),
    fill_disk: (("answers, and stores nothing: its disk may be full", BUCKET), None),
    revoke: (('permissions violation for publish to "market.futures.trades"',), AccessDeniedError),
    change_password: (("refuses us: authorization violation",), None),
    hang: (("is connected and answers nothing",), None),
}


class OwnTime:
    """The time that this process had: where a busy machine leaves it waiting, a step counts no more than its most."""

    STEP_S, MOST_S = 0.05, 0.25

    def __init__(self) -> None:
        self.spent_s = 0.0

    async def count(self) -> None:
        while True:
            begun = time.monotonic()
            await asyncio.sleep(self.STEP_S)
            self.spent_s += min(time.monotonic() - begun, self.MOST_S)


async def tell_of(breaks: Breaks, mode: AckMode, folder: Path) -> str:
    """Break something under a run that publishes; returns what it then says, with an error that ends it."""
    expected, ends = CASES[breaks]
    server = NatsServer(folder / breaks.__name__, extra=user()).start()
    connection, admin = [await connect([server.url], access=ACCESS) for _ in range(2)]
    told: list[str] = []
    connection.on_refusal(told.append)

    async def work(run: Publishing) -> None:
        number = 0
        while True:
            await run.publisher.publish(numbered(range(number, number + 1), rank_of(SUBJECTS[0])))
            number += 1
            await asyncio.sleep(0.02)

    try:
        async with publishing(connection, RunRequest("replay", SUBJECTS, ack_mode=mode, paced=True)) as run:
            looking = asyncio.create_task(run.custody.keep_looking(told.append))
            working = asyncio.create_task(run.watch(work(run), lambda: None))
            await eventually(lambda: run.publisher.delivery.acked > 10)
            await breaks(server, admin)
            own = OwnTime()
            counting = asyncio.create_task(own.count())
            await eventually(lambda: working.done() or any(each in "\n".join(told) for each in expected), PATIENCE_S)
            counting.cancel()
            assert own.spent_s <= WITHIN_S, f"{breaks.__name__} is told after {own.spent_s:.1f} s"
            if ends is not None:
                (failure,) = await asyncio.gather(working, return_exceptions=True)
                assert isinstance(failure, ends), failure
                told.append(failure.message)
            for task in (working, looking):
                task.cancel()
            await asyncio.gather(working, looking, return_exceptions=True)
            if server.process is not None:
                os.kill(server.process.pid, signal.SIGCONT)
    finally:
        await connection.close()
        await admin.close()
        server.stop(kill=True)
    return "\n".join(told)


@pytest.mark.skipif(sys.platform != "linux", reason="the size of another process's files can be limited on Linux alone")
@pytest.mark.parametrize("mode", [AckMode.FAST, AckMode.MESSAGE])
async def test_the_cause_is_told_whatever_it_is(mode: AckMode, tmp_path: Path) -> None:
    told = await asyncio.gather(*(tell_of(breaks, mode, tmp_path) for breaks in CASES))
    for said, (expected, _) in zip(told, CASES.values(), strict=True):
        assert any(each in said for each in expected)
