"""The one publisher against a real server, over both protocols: every event stored once, in order, whatever breaks."""

import asyncio
import random

import pytest

from spyctl.bus.acks.base import Patience
from spyctl.bus.checkpoint import Checkpoint
from spyctl.bus.connection import connect
from spyctl.bus.stream import ensure_stream
from spyctl.errors import RefusedError, UnreachableError
from tests.support.batches import batch_of
from tests.support.proxy import Proxy
from tests.support.publishing import Protocol, assert_stored, each_protocol, opened, publish
from tests.support.servers import NatsServer
from tests.support.stream import read_stream
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@each_protocol
async def test_everything_is_stored_once_in_order_and_counted(nats_server: NatsServer, protocol: Protocol) -> None:
    async with opened(nats_server.url, protocol) as publisher:
        await publish(publisher, range(20_000))
        await publisher.drain()
        delivery = publisher.delivery

    assert (delivery.published, delivery.acked, delivery.reordered, delivery.resent) == (20_000, 20_000, 0, 0)
    assert (delivery.first_seq, delivery.last_seq) == (1, 20_000)
    assert delivery.ack_ns.count == 20_000
    assert publisher.checkpoint() == Checkpoint(20_000, 20_000)
    await assert_stored(nats_server.url, 20_000, protocol)


@each_protocol
async def test_unacknowledged_messages_are_bounded(nats_server: NatsServer, protocol: Protocol) -> None:
    async with Proxy(nats_server.port) as proxy, opened(proxy.url, protocol, limits={"max_in_flight": 50}) as publisher:
        proxy.replies.clear()
        sending = asyncio.create_task(publish(publisher, range(200)))
        await eventually(lambda: publisher.in_flight == 50)
        assert not sending.done()
        proxy.replies.set()
        await sending
        await publisher.drain()
    await assert_stored(nats_server.url, 200, protocol)


@each_protocol
async def test_unacknowledged_bytes_are_bounded(nats_server: NatsServer, protocol: Protocol) -> None:
    async with Proxy(nats_server.port) as proxy, opened(proxy.url, protocol, limits={"max_bytes": 1_000}) as publisher:
        proxy.replies.clear()
        sending = asyncio.create_task(publisher.publish(batch_of([b"x" * 400] * 9)))
        await eventually(lambda: publisher.in_flight == 3)
        proxy.replies.set()
        await sending
        await publisher.drain()
    assert len(await read_stream(nats_server.url)) == 9


@pytest.mark.parametrize("upward", [True, False], ids=["to the server", "to us"])
@each_protocol
async def test_a_connection_cut_at_any_byte_loses_and_duplicates_nothing(
    nats_server: NatsServer, protocol: Protocol, upward: bool
) -> None:
    rng = random.Random(11)
    async with Proxy(nats_server.port) as proxy, opened(proxy.url, protocol) as publisher:
        for start in range(0, 3_000, 300):
            # In a flow few answers come, so that every byte of one is worth a cut.
            proxy.cut_after[upward] = proxy.passed[upward] + rng.randrange(1, 15_000 if upward else 400)
            await publish(publisher, range(start, start + 300), piece=23)
            await publisher.drain()  # brings answers, and a commit's is one that must not be missed
        assert publisher.delivery.reconnects >= 5
        assert publisher.delivery.reordered == 0
    await assert_stored(nats_server.url, 3_000, protocol)


@pytest.mark.parametrize("kill", [False, True])
@each_protocol
async def test_a_server_restart_loses_and_duplicates_nothing(
    nats_server: NatsServer, protocol: Protocol, kill: bool
) -> None:
    async with opened(nats_server.url, protocol) as publisher:
        sending = asyncio.create_task(publish(publisher, range(6_000), piece=31, pause_s=0.002))
        for done in (500, 2_500):
            await eventually(lambda done=done: publisher.delivery.acked > done)  # type: ignore[misc]
            await asyncio.to_thread(nats_server.restart, kill=kill)
        await sending
        await publisher.drain()
        assert publisher.delivery.reconnects >= 2
        assert (publisher.delivery.published, publisher.delivery.acked, publisher.delivery.reordered) == (
            6_000,
            6_000,
            0,
        )
    await assert_stored(nats_server.url, 6_000, protocol)


@each_protocol
async def test_a_server_killed_ten_times_loses_and_duplicates_nothing(
    nats_server: NatsServer, protocol: Protocol
) -> None:
    rng = random.Random(5)
    async with opened(nats_server.url, protocol) as publisher:
        sending = asyncio.create_task(publish(publisher, range(8_000), piece=50, pause_s=0.001))
        for _ in range(10):
            target = min(7_900, publisher.delivery.published + rng.randrange(1, 700))
            await eventually(lambda target=target: publisher.delivery.published >= target)  # type: ignore[misc]
            await asyncio.to_thread(nats_server.restart, kill=True)
        await sending
        await publisher.drain()
        assert (publisher.delivery.acked, publisher.delivery.reordered) == (8_000, 0)
    await assert_stored(nats_server.url, 8_000, protocol)


@each_protocol
async def test_a_server_that_stays_away_is_an_error_naming_it(nats_server: NatsServer, protocol: Protocol) -> None:
    async with opened(nats_server.url, protocol, patience=Patience(outage_s=0.5)) as publisher:
        await publish(publisher, range(10))
        await publisher.drain()
        nats_server.stop()
        await publisher.publish(batch_of([b"lost"]))
        with pytest.raises(UnreachableError, match="did not come back"):
            await publisher.drain()
        assert publisher.in_flight == 1


@each_protocol
async def test_a_full_stream_is_an_error_in_the_servers_words(nats_server: NatsServer, protocol: Protocol) -> None:
    connection = await connect([nats_server.url])
    await ensure_stream(connection)
    config = (await connection.api("STREAM.INFO.MARKET_DATA"))["config"]
    await connection.api("STREAM.UPDATE.MARKET_DATA", config | {"max_msgs": 100, "discard": "new"})
    async with opened(nats_server.url, protocol, patience=Patience(ack_s=1.0)) as publisher:
        with pytest.raises(RefusedError, match="maximum messages exceeded"):  # noqa: PT012
            await publish(publisher, range(150))
            await publisher.drain()
        assert publisher.delivery.acked == 100
        assert publisher.in_flight == 50
    await connection.close()


@each_protocol
async def test_a_stream_that_was_full_for_a_while_holds_everything_in_order(
    nats_server: NatsServer, protocol: Protocol
) -> None:
    connection = await connect([nats_server.url])
    await ensure_stream(connection)
    config = (await connection.api("STREAM.INFO.MARKET_DATA"))["config"]
    await connection.api("STREAM.UPDATE.MARKET_DATA", config | {"max_msgs": 100, "discard": "new"})
    async with opened(nats_server.url, protocol, patience=Patience(ack_s=1.0)) as publisher:
        sending = asyncio.create_task(publish(publisher, range(250)))
        await eventually(lambda: publisher.delivery.acked == 100)
        await connection.api("STREAM.UPDATE.MARKET_DATA", config)
        await sending
        await publisher.drain()
        assert publisher.delivery.reordered == 0
        assert publisher.delivery.resent > 0
    await connection.close()
    await assert_stored(nats_server.url, 250, protocol)
