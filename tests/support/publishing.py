"""Publishing numbered events over one protocol to a real server, and what the stream then has to hold."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from spyctl.bus.access import Access
from spyctl.bus.acks.fast_ingest import FastIngest
from spyctl.bus.acks.per_message import PerMessage
from spyctl.bus.connection import connect
from spyctl.bus.publisher import Publisher
from spyctl.bus.stream import Stream, ensure_stream
from tests.support.batches import numbered
from tests.support.stream import read_stream
from tests.support.waiting import eventually

SUBJECT = "market.futures.trades"
Protocol = type[PerMessage] | type[FastIngest]
each_protocol = pytest.mark.parametrize("protocol", [PerMessage, FastIngest], ids=["per-message", "fast-ingest"])


@asynccontextmanager
async def opened(
    url: str,
    protocol: Protocol,
    *,
    limits: dict[str, Any] | None = None,
    stream: Stream | None = None,
    access: Access | None = None,
    **options: Any,
) -> AsyncIterator[Publisher]:
    """Open a publisher; ``options`` are the protocol's."""
    connection = await connect([url], access=access)
    try:
        stream = stream or await ensure_stream(connection)
        publisher = Publisher(protocol(connection, stream, [SUBJECT], **options), "run1", **(limits or {}))
        await publisher.open()
        yield publisher
        await publisher.close()
    finally:
        await connection.close()


async def publish(publisher: Publisher, numbers: range, piece: int = 97, pause_s: float = 0.0) -> None:
    """Publish an event for each number, ``piece`` at a time."""
    for start in range(numbers.start, numbers.stop, piece):
        await publisher.publish(numbered(range(start, min(start + piece, numbers.stop))))
        await asyncio.sleep(pause_s)


async def wait_stored(url: str, count: int) -> None:
    """Wait until the stream holds so many messages."""
    watcher = await connect([url])

    async def holds() -> bool:
        return bool((await watcher.api("STREAM.INFO.MARKET_DATA"))["state"]["messages"] >= count)

    await eventually(holds)
    await watcher.close()


async def assert_stored(url: str, count: int, protocol: Protocol) -> None:
    """Assert that the stream holds the events 0, 1, … in order, each once."""
    rows = await read_stream(url)
    assert [payload for _, _, payload, _ in rows] == [b"event %d" % n for n in range(count)]
    ids = [message_id for *_, message_id in rows]
    assert ids == [f"run1-{n + 1}" if protocol is PerMessage else "" for n in range(count)]
