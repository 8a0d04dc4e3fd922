"""The one publisher against a real server, over both protocols: every event stored once, in order, whatever breaks."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spyctl.bus.acks.base import Patience
from spyctl.bus.acks.fast_ingest import FastIngest
from spyctl.bus.acks.per_message import PerMessage
from spyctl.bus.checkpoint import Checkpoint
from spyctl.bus.connection import connect
from spyctl.bus.publisher import Publisher
from spyctl.bus.stream import Stream, ensure_stream
from spyctl.errors import RefusedError, UnreachableError
from spyctl.market.encode import EncodedBatch
from spyctl.timing.instants import SECOND
from tests.support.proxy import Proxy
from tests.support.servers import NatsServer
from tests.support.stream import read_stream
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
SUBJECT = "market.futures.trades"


Protocol = type[PerMessage] | type[FastIngest]
both = pytest.mark.parametrize("protocol", [PerMessage, FastIngest], ids=["per-message", "fast-ingest"])


@asynccontextmanager
async def publisher(
    url: str, protocol: Protocol, *, limits: dict[str, Any] | None = None, stream: Stream | None = None, **options: Any
) -> AsyncIterator[Publisher]:
    connection = await connect([url])
    try:
        found = stream or await ensure_stream(connection)
        one = Publisher(protocol(connection, found, [SUBJECT], **options), "run1", **(limits or {}))
        await one.open()
        yield one
        await one.close()
    finally:
        await connection.close()


def batch_of(payloads: list[bytes]) -> EncodedBatch:
    rows = np.array(payloads).view(np.uint8).reshape(len(payloads), -1)
    none = np.zeros(len(payloads), np.uint8)
    lengths = np.array([len(payload) for payload in payloads], np.uint32)
    return EncodedBatch(rows, lengths, none, none.astype(np.int64), none.astype(bool))


async def publish(one: Publisher, numbers: range, piece: int = 97, pause_s: float = 0.0) -> None:
    for start in range(numbers.start, numbers.stop, piece):
        await one.publish(batch_of([b"event %d" % n for n in range(start, min(start + piece, numbers.stop))]))
        await asyncio.sleep(pause_s)


async def stored(url: str, count: int) -> None:
    """Wait until the stream holds so many messages."""
    watcher = await connect([url])
    deadline = time.monotonic() + 10
    while (await watcher.api("STREAM.INFO.MARKET_DATA"))["state"]["messages"] < count:
        assert time.monotonic() < deadline
    await watcher.close()


async def assert_stored(url: str, count: int, protocol: Protocol) -> None:
    found = await read_stream(url)
    assert [payload for _, _, payload, _ in found] == [b"event %d" % n for n in range(count)]
    ids = [message_id for *_, message_id in found]
    assert ids == [f"run1-{n + 1}" if protocol is PerMessage else "" for n in range(count)]


@both
async def test_everything_is_stored_once_in_order_and_counted(nats_server: NatsServer, protocol: Protocol) -> None:
    async with publisher(nats_server.url, protocol) as one:
        await publish(one, range(20_000))
        await one.drain()
        delivery = one.delivery

    assert (delivery.published, delivery.acked, delivery.reordered, delivery.resent) == (20_000, 20_000, 0, 0)
    assert (delivery.first_seq, delivery.last_seq) == (1, 20_000)
    assert delivery.ack_ns.count == 20_000
    assert one.checkpoint() == Checkpoint(20_000, 20_000)
    await assert_stored(nats_server.url, 20_000, protocol)


@both
async def test_unacknowledged_messages_are_bounded(nats_server: NatsServer, protocol: Protocol) -> None:
    async with Proxy(nats_server.port) as proxy, publisher(proxy.url, protocol, limits={"max_in_flight": 50}) as one:
        proxy.replies.clear()
        sending = asyncio.create_task(publish(one, range(200)))
        await eventually(lambda: one.in_flight == 50)
        assert not sending.done()
        proxy.replies.set()
        await sending
        await one.drain()
    await assert_stored(nats_server.url, 200, protocol)


@both
async def test_unacknowledged_bytes_are_bounded(nats_server: NatsServer, protocol: Protocol) -> None:
    async with Proxy(nats_server.port) as proxy, publisher(proxy.url, protocol, limits={"max_bytes": 1_000}) as one:
        proxy.replies.clear()
        sending = asyncio.create_task(one.publish(batch_of([b"x" * 400] * 9)))
        await eventually(lambda: one.in_flight == 3)
        proxy.replies.set()
        await sending
        await one.drain()
    assert len(await read_stream(nats_server.url)) == 9


@pytest.mark.parametrize("upward", [True, False], ids=["to the server", "to us"])
@both
async def test_a_connection_cut_at_any_byte_loses_and_duplicates_nothing(
    nats_server: NatsServer, protocol: Protocol, upward: bool
) -> None:
    rng = random.Random(11)
    async with Proxy(nats_server.port) as proxy, publisher(proxy.url, protocol) as one:
        for start in range(0, 3_000, 300):
            # In a flow few answers come, so that every byte of one is worth a cut.
            proxy.cut_after[upward] = proxy.passed[upward] + rng.randrange(1, 15_000 if upward else 400)
            await publish(one, range(start, start + 300), piece=23)
            if not upward:
                await one.drain()  # brings answers, and a commit's is one that must not be missed
        await one.drain()
        assert one.delivery.reconnects >= 5
        assert one.delivery.reordered == 0
    await assert_stored(nats_server.url, 3_000, protocol)


async def test_messages_whose_acks_were_lost_are_sent_again_and_recognised(nats_server: NatsServer) -> None:
    async with Proxy(nats_server.port) as proxy, publisher(proxy.url, PerMessage) as one:
        await publish(one, range(10))
        await one.drain()
        proxy.replies.clear()  # stored, but the answers never arrive
        await publish(one, range(10, 500))
        await stored(nats_server.url, 500)
        proxy.cut()
        proxy.replies.set()
        await one.drain()
        assert one.delivery.duplicates > 0
    await assert_stored(nats_server.url, 500, PerMessage)


@pytest.mark.parametrize("kill", [False, True])
@both
async def test_a_server_restart_loses_and_duplicates_nothing(
    nats_server: NatsServer, protocol: Protocol, kill: bool
) -> None:
    async with publisher(nats_server.url, protocol) as one:
        sending = asyncio.create_task(publish(one, range(6_000), piece=31, pause_s=0.002))
        for done in (500, 2_500):
            await eventually(lambda done=done: one.delivery.acked > done)  # type: ignore[misc]
            await asyncio.to_thread(nats_server.restart, kill=kill)
        await sending
        await one.drain()
        assert one.delivery.reconnects >= 2
        assert (one.delivery.published, one.delivery.acked, one.delivery.reordered) == (6_000, 6_000, 0)
    await assert_stored(nats_server.url, 6_000, protocol)


@both
async def test_a_server_killed_ten_times_loses_and_duplicates_nothing(
    nats_server: NatsServer, protocol: Protocol
) -> None:
    rng = random.Random(5)
    async with publisher(nats_server.url, protocol) as one:
        sending = asyncio.create_task(publish(one, range(8_000), piece=50, pause_s=0.001))
        for _ in range(10):
            target = min(7_900, one.delivery.published + rng.randrange(1, 700))
            await eventually(lambda target=target: one.delivery.published >= target)  # type: ignore[misc]
            await asyncio.to_thread(nats_server.restart, kill=True)
        await sending
        await one.drain()
        assert (one.delivery.acked, one.delivery.reordered) == (8_000, 0)
    await assert_stored(nats_server.url, 8_000, protocol)


async def test_the_messages_of_a_batch_that_the_server_forgot_are_counted_in_the_stream(tmp_path: Path) -> None:
    extra = 'jetstream { store_dir: "%s", limits { batch { timeout: "200ms" } } }' % (tmp_path / "nats")
    server = NatsServer(tmp_path / "nats", jetstream=False, extra=extra).start()
    try:
        async with Proxy(server.port) as proxy, publisher(proxy.url, FastIngest, flow=1) as one:
            await publish(one, range(100))
            await eventually(lambda: one.in_flight == 0)
            proxy.replies.clear()
            await publish(one, range(100, 300))
            await stored(server.url, 300)
            proxy.refuse()
            cut_at = time.monotonic()
            await eventually(lambda: time.monotonic() > cut_at + 0.5)  # the server has forgotten the batch
            proxy.replies.set()
            await proxy.listen()
            await publish(one, range(300, 500))
            await one.drain()
            assert one.delivery.resent <= 1
        await assert_stored(server.url, 500, FastIngest)
    finally:
        server.stop()


async def test_a_quiet_batch_is_kept_alive(tmp_path: Path) -> None:
    extra = 'jetstream { store_dir: "%s", limits { batch { timeout: "4s" } } }' % (tmp_path / "nats")
    server = NatsServer(tmp_path / "nats", jetstream=False, extra=extra).start()
    try:
        async with publisher(server.url, FastIngest, flow=1) as one:
            await publish(one, range(5))
            begun = time.monotonic()
            await eventually(lambda: time.monotonic() > begun + 5)
            await publish(one, range(5, 10))
            await one.drain()
            assert (one.delivery.resent, one.delivery.reconnects) == (0, 0)
        await assert_stored(server.url, 10, FastIngest)
    finally:
        server.stop()


async def test_an_outage_longer_than_the_duplicate_window_loses_and_duplicates_nothing(nats_server: NatsServer) -> None:
    connection = await connect([nats_server.url])
    stream = await ensure_stream(connection)
    config = (await connection.api(f"STREAM.INFO.{stream.name}"))["config"]
    await connection.api(f"STREAM.UPDATE.{stream.name}", config | {"duplicate_window": SECOND // 10})
    await connection.close()
    short = Stream(stream.name, 0, 0, 0, 0, 1, SECOND // 10, owned=True, created=False)
    async with Proxy(nats_server.port) as proxy, publisher(proxy.url, PerMessage, stream=short) as one:
        proxy.replies.clear()
        await publish(one, range(300))
        await stored(nats_server.url, 300)
        proxy.refuse()
        stored_at = time.monotonic()
        await eventually(lambda: time.monotonic() > stored_at + 0.3)  # the server has forgotten the ids
        proxy.replies.set()
        await proxy.listen()
        await publish(one, range(300, 400))
        await one.drain()
    await assert_stored(nats_server.url, 400, PerMessage)


@both
async def test_a_server_that_stays_away_is_an_error_naming_it(nats_server: NatsServer, protocol: Protocol) -> None:
    async with publisher(nats_server.url, protocol, patience=Patience(outage_s=0.5)) as one:
        await publish(one, range(10))
        await one.drain()
        nats_server.stop()
        await one.publish(batch_of([b"lost"]))
        with pytest.raises(UnreachableError, match="did not come back"):
            await one.drain()
        assert one.in_flight == 1


@both
async def test_a_full_stream_is_an_error_in_the_servers_words(nats_server: NatsServer, protocol: Protocol) -> None:
    connection = await connect([nats_server.url])
    await ensure_stream(connection)
    config = (await connection.api("STREAM.INFO.MARKET_DATA"))["config"]
    await connection.api("STREAM.UPDATE.MARKET_DATA", config | {"max_msgs": 100, "discard": "new"})
    async with publisher(nats_server.url, protocol, patience=Patience(ack_s=1.0)) as one:
        one._protocol._refusal_s = 1.0
        with pytest.raises(RefusedError, match="maximum messages exceeded"):  # noqa: PT012
            await publish(one, range(150))
            await one.drain()
        assert one.delivery.acked == 100
        assert one.in_flight == 50
    await connection.close()


@both
async def test_a_stream_that_was_full_for_a_while_holds_everything_in_order(
    nats_server: NatsServer, protocol: Protocol
) -> None:
    connection = await connect([nats_server.url])
    await ensure_stream(connection)
    config = (await connection.api("STREAM.INFO.MARKET_DATA"))["config"]
    await connection.api("STREAM.UPDATE.MARKET_DATA", config | {"max_msgs": 100, "discard": "new"})
    async with publisher(nats_server.url, protocol, patience=Patience(ack_s=1.0)) as one:
        sending = asyncio.create_task(publish(one, range(250)))
        await eventually(lambda: one.delivery.acked == 100)
        await connection.api("STREAM.UPDATE.MARKET_DATA", config)
        await sending
        await one.drain()
        assert one.delivery.reordered == 0
        assert one.delivery.resent > 0
    await connection.close()
    await assert_stored(nats_server.url, 250, protocol)


async def test_a_replicated_stream_has_one_message_in_flight(nats_server: NatsServer) -> None:
    connection = await connect([nats_server.url])
    stream = await ensure_stream(connection)
    await connection.close()
    three = Stream(stream.name, 0, 0, 0, 0, 3, stream.duplicate_window_ns, owned=True, created=False)
    most = 0
    async with publisher(nats_server.url, PerMessage, stream=three) as one:
        sending = asyncio.create_task(publish(one, range(100)))
        while not sending.done():
            most = max(most, one.in_flight)
            await asyncio.sleep(0)
        await one.drain()
    assert most == 1
    await assert_stored(nats_server.url, 100, PerMessage)
