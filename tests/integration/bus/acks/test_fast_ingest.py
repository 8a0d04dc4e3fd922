"""Batches of a real server: one that it forgets, and one that is quiet."""

import time
from pathlib import Path

import pytest

from spyctl.bus.access import Access
from spyctl.bus.acks.fast_ingest import FastIngest
from tests.support.proxy import Proxy
from tests.support.publishing import assert_stored, opened, publish, wait_stored
from tests.support.servers import NatsServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


async def test_the_messages_of_a_batch_that_the_server_forgot_are_counted_in_the_stream(tmp_path: Path) -> None:
    extra = 'jetstream { store_dir: "%s", limits { batch { timeout: "200ms" } } }' % (tmp_path / "nats")
    server = NatsServer(tmp_path / "nats", jetstream=False, extra=extra).start()
    try:
        async with Proxy(server.port) as proxy, opened(proxy.url, FastIngest, flow=1) as publisher:
            await publish(publisher, range(100))
            await eventually(lambda: publisher.in_flight == 0)
            proxy.replies.clear()
            await publish(publisher, range(100, 300))
            await wait_stored(server.url, 300)
            proxy.refuse()
            cut_at = time.monotonic()
            await eventually(lambda: time.monotonic() > cut_at + 0.5)  # the server has forgotten the batch
            proxy.replies.set()
            await proxy.listen()
            await publish(publisher, range(300, 500))
            await publisher.drain()
            assert publisher.delivery.resent <= 1
        await assert_stored(server.url, 500, FastIngest)
    finally:
        server.stop()


async def test_a_quiet_batch_is_kept_alive(tmp_path: Path) -> None:
    extra = 'jetstream { store_dir: "%s", limits { batch { timeout: "4s" } } }' % (tmp_path / "nats")
    server = NatsServer(tmp_path / "nats", jetstream=False, extra=extra).start()
    try:
        async with opened(server.url, FastIngest, flow=1) as publisher:
            await publish(publisher, range(5))
            begun = time.monotonic()
            await eventually(lambda: time.monotonic() > begun + 5)
            await publish(publisher, range(5, 10))
            await publisher.drain()
            assert (publisher.delivery.resent, publisher.delivery.reconnects) == (0, 0)
        await assert_stored(server.url, 10, FastIngest)
    finally:
        server.stop()


async def test_the_name_of_a_batch_is_found_behind_an_inbox_of_many_tokens(nats_server: NatsServer) -> None:
    access = Access(inbox_prefix="_MINE.of.many.tokens")
    async with opened(nats_server.url, FastIngest, flow=7, access=access) as publisher:
        await publish(publisher, range(300))
        await publisher.drain()
        assert publisher.delivery.acked == 300
    await assert_stored(nats_server.url, 300, FastIngest)
