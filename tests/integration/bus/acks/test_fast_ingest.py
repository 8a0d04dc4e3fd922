"""Batches of a real server: one that it forgets, and one that is quiet."""

import time
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from spyctl.bus.access import Access
from spyctl.bus.acks.fast_ingest import FastIngest, Op, batch_reply
from spyctl.bus.connection import connect
from tests.support.proxy import Proxy
from tests.support.publishing import assert_stored, opened, publish, wait_stored
from tests.support.servers import NatsServer
from tests.support.stream import read_stream
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


async def test_a_stream_that_may_have_no_further_batch_now_is_waited_for(tmp_path: Path) -> None:
    limits = "limits { batch { max_inflight_per_stream: 1 } }"
    extra = f'jetstream {{ store_dir: "{tmp_path / "nats"}", {limits} }}'
    server = NatsServer(tmp_path / "nats", jetstream=False, extra=extra).start()
    try:
        async with opened(server.url, FastIngest, flow=1) as publisher:
            other, answers = await connect([server.url]), []

            async def on_answer(message: Msg) -> None:
                answers.append(message)

            async def ask(number: int, op: Op) -> None:
                reply, expected = batch_reply("_INBOX.other", "others", 1, number, op), len(answers) + 1
                await other.write(f"PUB market.gaps {reply} 0\r\n\r\n".encode())
                await eventually(lambda: len(answers) >= expected)

            await other.subscribe("_INBOX.other.>", on_answer)
            await ask(1, Op.START)
            await publish(publisher, range(100))
            await eventually(lambda: publisher.delivery.refusals["batch publish too many inflight"] > 0)
            await ask(2, Op.COMMIT)
            await publisher.drain()
            await other.close()
        assert [payload for _, _, payload, _ in await read_stream(server.url)][1:] == [
            b"event %d" % n for n in range(100)
        ]
    finally:
        server.stop()
