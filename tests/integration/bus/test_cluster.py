"""A replicated stream whose leader dies: nothing lost, duplicated or reordered."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from spyctl.bus.acks.mode import AckMode
from spyctl.bus.acks.per_message import PerMessage
from spyctl.bus.connection import connect
from spyctl.bus.publisher import Publisher
from spyctl.bus.publishing import Publishing, RunRequest, publishing
from spyctl.bus.runs import BUCKET
from spyctl.bus.stream import ensure_stream
from spyctl.market.subjects import rank_of
from tests.support.batches import numbered
from tests.support.cluster import replicated, three_servers
from tests.support.publishing import SUBJECT, Protocol, each_protocol, publish
from tests.support.servers import NatsServer
from tests.support.stream import read_stream

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, NatsServer]]:
    with three_servers(tmp_path) as servers:
        yield servers


@each_protocol
async def test_a_replicated_stream_loses_and_duplicates_nothing_when_its_leader_dies(
    cluster: dict[str, NatsServer], protocol: Protocol
) -> None:
    count, piece = (3_000, 97) if protocol is PerMessage else (60_000, 500)
    connection = await connect([server.url for server in cluster.values()])
    leader = await replicated(connection)
    stream = await ensure_stream(connection)
    publisher = Publisher(protocol(connection, stream, [SUBJECT]), "run1")
    await publisher.open()
    sending = asyncio.create_task(publish(publisher, range(count), piece))
    while publisher.delivery.acked < count // 3:
        assert not sending.done(), sending.exception()
        await asyncio.sleep(0.005)
    cluster[leader].stop(kill=True)
    await sending
    await publisher.drain()
    delivery = publisher.delivery
    assert (delivery.published, delivery.acked, delivery.reordered) == (count, count, 0)
    await publisher.close()
    url = connection.url
    await connection.close()
    payloads = [payload for _, _, payload, _ in await read_stream(url)]
    assert payloads == [b"event %d" % n for n in range(count)]


async def test_a_run_goes_on_though_the_server_of_its_bucket_dies(cluster: dict[str, NatsServer]) -> None:
    connection = await connect([server.url for server in cluster.values()])
    await replicated(connection)
    await connection.jetstream().create_key_value(bucket=BUCKET)  # by an older version: one replica
    info = await connection.api(f"STREAM.INFO.KV_{BUCKET}")
    home = cluster[info["cluster"]["leader"]]
    await connection.close()
    connection = await connect([server.url for server in cluster.values() if server is not home])
    request = RunRequest("replay", [SUBJECT], ack_mode=AckMode.FAST, paced=True)
    async with publishing(connection, request) as run:
        info = await connection.api(f"STREAM.INFO.KV_{BUCKET}")
        assert info["config"]["num_replicas"] == 3
        await publish_futures(run, range(100))
        await run.publisher.drain()
        home.stop(kill=True)
        await publish_futures(run, range(100, 300))
        await run.publisher.drain()
    payloads = [payload for _, _, payload, _ in await read_stream(connection.url)]
    await connection.close()
    assert payloads == [b"event %d" % n for n in range(300)]


async def publish_futures(run: Publishing, numbers: range) -> None:
    await run.publisher.publish(numbered(numbers, rank_of(SUBJECT)))
