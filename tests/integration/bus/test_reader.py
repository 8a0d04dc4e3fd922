"""Reading a real stream in order: its batches, where reading begins, and a server that falls silent."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from spyctl.bus import reader as reader_module
from spyctl.bus.arrivals import Arrivals, parse_reply
from spyctl.bus.connection import Connection, connect
from spyctl.bus.contents import header_of
from spyctl.bus.reader import _MAX_GATHERED, follow, read_back, read_messages
from spyctl.bus.stream import ensure_stream
from spyctl.errors import StreamGoneError, UnreachableError
from spyctl.timing.instants import SECOND
from tests.support.proxy import Proxy
from tests.support.servers import NatsServer

pytestmark = pytest.mark.integration
TRADES, BOOKS = "market.futures.trades", "market.futures.mbp10"
ALL = {"deliver_policy": "all"}


@pytest.fixture
async def stream(connection: Connection) -> str:
    return (await ensure_stream(connection)).name


async def publish(connection: Connection, count: int, subject: str = TRADES) -> None:
    frames = b"".join(b"PUB %s 6\r\n%6d\r\n" % (subject.encode(), i) for i in range(count))
    before = (await connection.api("STREAM.INFO.MARKET_DATA"))["state"]["messages"]
    assert await connection.write(frames)
    while (await connection.api("STREAM.INFO.MARKET_DATA"))["state"]["messages"] < before + count:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def read(connection: Connection, stream: str, after: int, last: int) -> list[tuple[int, str, bytes]]:
    return [row async for rows in read_back(connection, stream, [TRADES], after, last) for row in rows]


async def test_what_is_stored_comes_first_and_what_arrives_follows(connection: Connection, stream: str) -> None:
    await publish(connection, 20)
    sequences: list[int] = []
    async with aclosing(follow(connection, stream, ALL)) as batches, asyncio.timeout(30):
        async for batch in batches:
            sequences += [message.seq for message in batch]
            if len(sequences) == 20:
                await publish(connection, 5, BOOKS)
            if len(sequences) == 25:
                break
    assert sequences == list(range(1, 26))


async def test_an_empty_batch_comes_first_where_nothing_is_stored(connection: Connection, stream: str) -> None:
    async with aclosing(follow(connection, stream, ALL)) as batches, asyncio.timeout(30):
        assert await anext(batches) == []
        await publish(connection, 1)
        assert [message.payload for message in await anext(batches)] == [b"     0"]


async def test_a_slow_reader_loses_nothing(connection: Connection, stream: str) -> None:
    count = _MAX_GATHERED + 5_000
    await publish(connection, count)
    sequences: list[int] = []
    async with aclosing(follow(connection, stream, ALL)) as batches, asyncio.timeout(60):
        async for batch in batches:
            sequences += [message.seq for message in batch]
            if len(sequences) >= count:
                break
            for _ in range(200):  # others get their turn meanwhile
                await asyncio.sleep(0)
    assert sequences == list(range(1, count + 1))


async def test_a_message_that_did_not_arrive_is_asked_for_again(
    connection: Connection, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, lost = Arrivals.append, [7, 30, 31]

    def lossy(self: Arrivals, consumer: Any, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> bool:
        if lost and parse_reply(reply)[1] == lost[0]:
            del lost[0]
            return True
        return append(self, consumer, subject, reply, data, headers)

    monkeypatch.setattr(Arrivals, "append", lossy)
    await publish(connection, 50)
    assert [seq for seq, _, _ in await read(connection, stream, 0, 50)] == list(range(1, 51))
    assert not lost


async def test_messages_with_headers_keep_their_place_and_their_headers(connection: Connection, stream: str) -> None:
    for i in range(20):
        header = b"NATS/1.0\r\nNats-Msg-Id: r-%d\r\n\r\n" % i
        await connection.write(
            b"HPUB %s %d %d\r\n%s%d\r\n" % (TRADES.encode(), len(header), len(header) + 1, header, i % 9)
        )
        await publish(connection, 1)
    messages = [one async for batch in read_messages(connection, stream, [TRADES], 0, 40) for one in batch]
    assert [message.seq for message in messages] == list(range(1, 41))
    ids = [header_of(message.headers, "Nats-Msg-Id") for message in messages]
    assert ids == [f"r-{i // 2}" if i % 2 == 0 else None for i in range(40)]


async def test_reading_changes_nothing_in_the_stream(connection: Connection, stream: str) -> None:
    await publish(connection, 3)
    before = (await connection.api(f"STREAM.INFO.{stream}"))["state"]
    assert len(await read(connection, stream, 0, 3)) == 3
    after = (await connection.api(f"STREAM.INFO.{stream}"))["state"]
    assert {key: after[key] for key in ("messages", "first_seq", "last_seq")} == {
        key: before[key] for key in ("messages", "first_seq", "last_seq")
    }


async def test_what_is_read_back_lies_between_two_sequences_and_on_our_subjects(
    connection: Connection, stream: str
) -> None:
    await publish(connection, 3)
    await publish(connection, 2, BOOKS)
    await publish(connection, 3)
    rows = await read(connection, stream, 1, 7)
    assert rows == [(2, TRADES, b"     1"), (3, TRADES, b"     2"), (6, TRADES, b"     0"), (7, TRADES, b"     1")]
    assert await read(connection, stream, 7, 7) == []


async def test_a_server_that_falls_silent_is_unreachable(nats_server: NatsServer, stream: str) -> None:
    async with Proxy(nats_server.port) as proxy:
        connection = await connect([proxy.url])
        await publish(connection, 3)
        with pytest.raises(UnreachableError, match="fell silent while it was read"):
            async for _ in read_back(connection, stream, [TRADES], 0, 9, silence_s=0.2):  # nine were promised
                pass
        await connection.close()


async def test_a_stream_that_is_deleted_or_made_anew_is_named_instead_of_read_in_silence(
    connection: Connection, stream: str
) -> None:
    config = (await connection.api(f"STREAM.INFO.{stream}"))["config"]
    async with aclosing(follow(connection, stream, ALL, look_s=0.05)) as batches, asyncio.timeout(30):
        assert await anext(batches) == []
        await publish(connection, 1)
        assert len(await anext(batches)) == 1
        await connection.api(f"STREAM.DELETE.{stream}")
        await connection.api(f"STREAM.CREATE.{stream}", config)
        with pytest.raises(StreamGoneError, match=r"stream MARKET_DATA at .* was deleted and made anew"):
            await anext(batches)
    async with aclosing(follow(connection, stream, ALL, look_s=0.05)) as batches, asyncio.timeout(30):
        assert await anext(batches) == []
        await connection.api(f"STREAM.DELETE.{stream}")
        with pytest.raises(StreamGoneError, match="was deleted$"):
            await anext(batches)


async def test_a_stream_that_is_not_there_cannot_be_read(connection: Connection) -> None:
    with pytest.raises(UnreachableError, match="stream NONE at .* cannot be read"):
        await read(connection, "NONE", 0, 1)


async def test_reading_may_begin_with_what_was_stored_from_an_instant_on(connection: Connection, stream: str) -> None:
    async def since(ns: int) -> list[int]:
        batches = read_messages(connection, stream, [TRADES], 0, 8, since_ns=ns)
        return [message.seq async for batch in batches for message in batch]

    await publish(connection, 3)
    before_ns = time.time_ns()
    assert await since(before_ns + 60 * SECOND) == []
    await publish(connection, 2, BOOKS)
    await publish(connection, 5)
    assert await since(before_ns) == [6, 7, 8]
    assert await since(before_ns - 60 * SECOND) == [1, 2, 3, 6, 7, 8]
    await publish(connection, 5, BOOKS)  # which come behind the last one that is wanted
    batches = read_messages(connection, stream, [TRADES], 0, 15, since_ns=before_ns)
    assert sum([len(batch) async for batch in batches]) == 5


@pytest.mark.parametrize("filtered", [False, True])
async def test_what_the_client_loses_on_the_way_is_read_again(
    connection: Connection, stream: str, monkeypatch: pytest.MonkeyPatch, filtered: bool
) -> None:
    for _ in range(20):
        await publish(connection, 1)
        await publish(connection, 1, BOOKS)
    await connection.api("STREAM.MSG.DELETE.MARKET_DATA", {"seq": 5})
    begun: list[int] = []

    async def lossy(*given: Any) -> AsyncGenerator[Any, None]:
        # As the client's consumer is made anew: it begins again, and some messages are gone.
        begun.append(given[2].get("opt_start_seq", 1))
        async with aclosing(whole(*given)) as batches:
            async for batch, anew in batches:
                kept = [message for message in batch if len(begun) > 1 or not 10 < message.seq < 20]
                yield kept, anew | {min((message.seq for message in kept if message.seq > 10), default=0)}

    whole = reader_module._followed
    monkeypatch.setattr(reader_module, "_followed", lossy)
    start = ALL | ({"filter_subjects": [TRADES]} if filtered else {})
    found: list[int] = []
    async with aclosing(follow(connection, stream, start)) as batches, asyncio.timeout(30):
        async for batch in batches:
            found += [message.seq for message in batch]
            if found and found[-1] >= 39:
                break
    assert found == [seq for seq in range(1, found[-1] + 1) if seq != 5 and (seq % 2 or not filtered)]
    assert begun == [1, 10 if filtered else 11]
