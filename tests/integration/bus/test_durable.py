"""Reading a real stream through a durable consumer: in order and once, whatever happens to the server."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from spyctl.bus.connection import Connection, connect
from spyctl.bus.durable import DurableReader
from spyctl.bus.stream import ensure_stream
from spyctl.errors import StreamGoneError
from spyctl.market.lines import StreamMessage
from spyctl.market.subjects import SUBJECTS
from tests.support.servers import NatsServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
TRADES, GAPS = "market.futures.trades", "market.gaps"


@pytest.fixture
async def born(connection: Connection) -> str:
    return (await ensure_stream(connection)).born


@pytest.fixture
async def reader(connection: Connection, born: str) -> AsyncIterator[DurableReader]:
    reader = DurableReader(connection, "MARKET_DATA", born, "record-1", SUBJECTS, 1)
    yield reader
    await reader.close()


async def store(connection: Connection, count: int, subject: str = TRADES) -> None:
    async def holds() -> int:
        return int((await connection.api("STREAM.INFO.MARKET_DATA"))["state"]["messages"])

    wanted = await holds() + count
    assert await connection.write(b"PUB %s 2\r\n{}\r\n" % subject.encode() * count)

    async def stored() -> bool:
        return await holds() >= wanted

    await eventually(stored)


async def read(reader: DurableReader, last_seq: int) -> list[StreamMessage]:
    found: list[StreamMessage] = []
    async with asyncio.timeout(60):
        while not found or found[-1].seq < last_seq:
            found += await reader.read(0.5)
    return found


async def unacknowledged(connection: Connection, count: int) -> bool:
    info = await connection.api("CONSUMER.INFO.MARKET_DATA.record-1")
    return bool(info["num_ack_pending"] == count)


async def test_messages_come_in_order_and_are_acknowledged_when_told(
    connection: Connection, reader: DurableReader
) -> None:
    await store(connection, 9_000)
    found = await read(reader, 9_000)
    assert [message.seq for message in found] == list(range(1, 9_001))
    assert found[0].subject == TRADES
    assert found[0].stored_ns > 0
    await store(connection, 10)
    await eventually(lambda: unacknowledged(connection, 9_010))
    await reader.acknowledge()  # what has come since was not returned, and so is not safe
    await eventually(lambda: unacknowledged(connection, 10))
    await read(reader, 9_010)
    await reader.acknowledge()
    await eventually(lambda: unacknowledged(connection, 0))
    assert (reader.restarts, reader.holes, reader.pending, reader.read_to_seq) == (0, [], 0, 9_010)


async def test_another_goes_on_where_it_is_told(connection: Connection, reader: DurableReader, born: str) -> None:
    await store(connection, 100)
    await read(reader, 100)
    await reader.close()  # nothing was acknowledged
    again = DurableReader(connection, "MARKET_DATA", born, "record-1", SUBJECTS, 61)
    assert [message.seq for message in await read(again, 100)] == list(range(61, 101))
    await again.close()


async def test_a_killed_server_costs_nothing(
    nats_server: NatsServer, connection: Connection, reader: DurableReader
) -> None:
    other = await connect([nats_server.url])
    await store(other, 3_000)
    found = await read(reader, 3_000)
    for _ in range(2):
        await asyncio.to_thread(nats_server.restart, kill=True)
        await other.wait_connected(30)
        await eventually(lambda: _up(other))
        await store(other, 1_000)
        found += await read(reader, found[-1].seq + 1_000)
    assert [message.seq for message in found] == list(range(1, 5_001))
    assert reader.restarts >= 2
    assert reader.holes == []
    await other.close()


async def _up(connection: Connection) -> bool:
    try:
        await connection.api("STREAM.INFO.MARKET_DATA")
    except Exception:
        return False
    return True


async def test_only_the_wanted_subjects_come_and_the_end_is_known(connection: Connection, born: str) -> None:
    reader = DurableReader(connection, "MARKET_DATA", born, "record-1", [GAPS], 1)
    await store(connection, 50)
    await store(connection, 2, GAPS)
    await store(connection, 30)
    assert [message.seq for message in await read(reader, 52)] == [51, 52]
    assert await reader.look()
    assert await reader.read(0.0) == []
    assert reader.read_to_seq == 82
    await reader.close()


async def test_messages_of_others_are_left_out(connection: Connection, reader: DurableReader) -> None:
    await store(connection, 3, "market.fences.x")
    await store(connection, 2)
    assert [message.seq for message in await read(reader, 5)] == [4, 5]
    assert reader.holes == []


async def test_what_is_gone_before_it_is_read_is_a_hole(connection: Connection, reader: DurableReader) -> None:
    await store(connection, 100)
    await connection.api("STREAM.PURGE.MARKET_DATA", {"seq": 41})
    found = await read(reader, 100)
    assert [message.seq for message in found] == list(range(41, 101))
    assert reader.holes == [(1, 40)]
    await store(connection, 20)
    await connection.api("STREAM.MSG.DELETE.MARKET_DATA", {"seq": 110})
    reader._session.drop()
    await read(reader, 120)
    assert all(hole in [(1, 40), (110, 110)] for hole in reader.holes)


async def test_what_fell_out_is_noticed_for_some_subjects_too(connection: Connection, born: str) -> None:
    reader = DurableReader(connection, "MARKET_DATA", born, "record-1", [GAPS], 1)
    await store(connection, 10, GAPS)
    await connection.api("STREAM.PURGE.MARKET_DATA", {"seq": 6})
    assert [message.seq for message in await read(reader, 10)] == [6, 7, 8, 9, 10]
    assert reader.holes == [(1, 5)]
    await reader.close()


@pytest.mark.parametrize("again", [False, True])
async def test_a_stream_that_is_deleted_is_told(connection: Connection, reader: DurableReader, again: bool) -> None:
    await store(connection, 5)
    await read(reader, 5)
    await connection.api("STREAM.DELETE.MARKET_DATA")
    if again:
        await ensure_stream(connection)
    with pytest.raises(StreamGoneError, match="was deleted and made anew" if again else "was deleted$"):
        await read(reader, 6)


@pytest.mark.parametrize(
    "place",
    [
        "1.3.3",  # the second one did not come
        "2.2.2",  # handed out again
        "1.1.2",  # it was here
    ],
)
async def test_a_message_out_of_turn_has_the_consumer_made_anew(
    connection: Connection, reader: DurableReader, place: str
) -> None:
    await store(connection, 1)
    await read(reader, 1)
    stray: Any = SimpleNamespace(reply=f"$JS.ACK.MARKET_DATA.record-1.{place}.99.0", subject=TRADES, data=b"{}")
    reader._take(stray)
    await store(connection, 2)
    assert [message.seq for message in await read(reader, 3)] == [2, 3]
    assert reader.restarts == 1


async def test_what_a_busy_server_has_not_told_its_consumer_is_not_passed_over(
    connection: Connection, reader: DurableReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(connection, 10)
    await read(reader, 10)
    known = await connection.api("CONSUMER.INFO.MARKET_DATA.record-1")
    assert known["num_pending"] == 0
    monkeypatch.setattr(reader._session, "expected", 0)  # what comes now is on its way
    monkeypatch.setattr(reader._session, "drop", lambda: None)
    await store(connection, 5)
    monkeypatch.setattr(reader._session, "expected", 11)
    api = type(connection).api

    async def stale(self: Connection, subject: str, *request: Any) -> Any:
        return known if subject.startswith("CONSUMER.INFO") else await api(self, subject, *request)

    monkeypatch.setattr(type(connection), "api", stale)
    assert not await reader.look()
    assert reader.next_seq == 11
    monkeypatch.setattr(type(connection), "api", api)
