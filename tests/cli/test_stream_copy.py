"""Copies of a stream, once and while it grows."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from spyctl.bus.connection import Connection, connect
from spyctl.bus.stream import ensure_stream
from spyctl.cli.stream_copy import Copied, StreamCopy, first_seq_at
from spyctl.market.subjects import SUBJECTS
from spyctl.replay.tapes.contents import Origin
from tests.support.servers import NatsServer
from tests.support.tapes import messages, stored_on
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
async def connection(nats_server: NatsServer) -> AsyncIterator[Connection]:
    connection = await connect([nats_server.url])
    await ensure_stream(connection)
    yield connection
    await connection.close()


async def publish(connection: Connection, first: int, last: int) -> None:
    for one in messages(first, last):
        assert await connection.write(b"PUB %s %d\r\n%s\r\n" % (one.subject.encode(), len(one.payload), one.payload))

    async def stored() -> bool:
        return bool((await connection.api("STREAM.INFO.MARKET_DATA"))["state"]["last_seq"] >= last)

    await eventually(stored)


async def test_what_is_stored_is_copied_from_any_time_on_and_no_consumer_stays(
    connection: Connection, tmp_path: Path
) -> None:
    await publish(connection, 1, 60)
    info = await connection.api("STREAM.INFO.MARKET_DATA")
    origin = Origin("MARKET_DATA", info["created"], "", SUBJECTS)
    counted: list[float] = []
    copy = StreamCopy(Copied(origin, 1, 50), tmp_path / "all")
    await copy.run(connection, counted.append)
    copy.close()
    stored = stored_on(copy.recording.tapes[0])
    assert [one.payload for one in stored] == [one.payload for one in messages(1, 50)]
    assert sum(counted) == 50
    assert (await connection.api("CONSUMER.NAMES.MARKET_DATA"))["consumers"] in (None, [])
    for number in (0, 20, 49):
        found = await first_seq_at(connection, "MARKET_DATA", stored[number].stored_ns, info["state"])
        assert stored[found - 1].stored_ns == stored[number].stored_ns
        assert found == 1 or stored[found - 2].stored_ns < stored[number].stored_ns
    assert await first_seq_at(connection, "MARKET_DATA", stored[-1].stored_ns + 10**12, info["state"]) == 61
    futures = StreamCopy(
        Copied(Origin("MARKET_DATA", info["created"], "", ("market.futures.trades",)), 1, 60), tmp_path
    )
    await futures.run(connection, counted.append)
    futures.close()
    assert [one.seq for one in stored_on(futures.recording.tapes[0])] == list(range(3, 61, 6))
