"""Acknowledgement of every message by a real server: lost answers, forgotten ids, replicas."""

import asyncio
import time

import pytest

from spyctl.bus.acks.per_message import PerMessage
from spyctl.bus.connection import connect
from spyctl.bus.stream import Stream, ensure_stream
from spyctl.timing.instants import SECOND
from tests.support.proxy import Proxy
from tests.support.publishing import assert_stored, opened, publish, wait_stored
from tests.support.servers import NatsServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


async def test_messages_whose_acks_were_lost_are_sent_again_and_recognised(nats_server: NatsServer) -> None:
    async with Proxy(nats_server.port) as proxy, opened(proxy.url, PerMessage) as publisher:
        await publish(publisher, range(10))
        await publisher.drain()
        proxy.replies.clear()  # stored, but the answers never arrive
        await publish(publisher, range(10, 500))
        await wait_stored(nats_server.url, 500)
        proxy.cut()
        proxy.replies.set()
        await publisher.drain()
        assert publisher.delivery.duplicates > 0
    await assert_stored(nats_server.url, 500, PerMessage)


async def test_an_outage_longer_than_the_duplicate_window_loses_and_duplicates_nothing(nats_server: NatsServer) -> None:
    connection = await connect([nats_server.url])
    stream = await ensure_stream(connection)
    config = (await connection.api(f"STREAM.INFO.{stream.name}"))["config"]
    await connection.api(f"STREAM.UPDATE.{stream.name}", config | {"duplicate_window": SECOND // 10})
    await connection.close()
    short = Stream(stream.name, 0, 0, 0, 0, 1, SECOND // 10, owned=True, created=False)
    async with Proxy(nats_server.port) as proxy, opened(proxy.url, PerMessage, stream=short) as publisher:
        proxy.replies.clear()
        await publish(publisher, range(300))
        await wait_stored(nats_server.url, 300)
        proxy.refuse()
        stored_at = time.monotonic()
        await eventually(lambda: time.monotonic() > stored_at + 0.3)  # the server has forgotten the ids
        proxy.replies.set()
        await proxy.listen()
        await publish(publisher, range(300, 400))
        await publisher.drain()
    await assert_stored(nats_server.url, 400, PerMessage)


async def test_a_replicated_stream_has_one_message_in_flight(nats_server: NatsServer) -> None:
    connection = await connect([nats_server.url])
    stream = await ensure_stream(connection)
    await connection.close()
    three = Stream(stream.name, 0, 0, 0, 0, 3, stream.duplicate_window_ns, owned=True, created=False)
    most = 0
    async with opened(nats_server.url, PerMessage, stream=three) as publisher:
        sending = asyncio.create_task(publish(publisher, range(100)))
        while not sending.done():
            most = max(most, publisher.in_flight)
            await asyncio.sleep(0)
        await publisher.drain()
    assert most == 1
    await assert_stored(nats_server.url, 100, PerMessage)
