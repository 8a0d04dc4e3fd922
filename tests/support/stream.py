"""Reading a stream back over a raw connection, independent of the code under test."""

import asyncio
import time

import nats
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError, ServiceUnavailableError


async def read_stream(url: str, name: str = "MARKET_DATA") -> list[tuple[int, str, bytes, str]]:
    """Return ``(seq, subject, payload, message id)`` of all that a stream holds, in its order.

    A cluster that has just lost a server may leave a request without an answer: it is read again.
    """
    deadline = time.monotonic() + 60
    while True:
        client = await nats.connect(url)
        try:
            return await _read(client.jetstream(), name)
        except (ServiceUnavailableError, TimeoutError):  # TimeoutError: nats-py's own derives from it
            if time.monotonic() > deadline:
                raise
        finally:
            await client.close()
        await asyncio.sleep(0.1)


async def _read(jetstream: JetStreamContext, name: str) -> list[tuple[int, str, bytes, str]]:
    info = await jetstream.stream_info(name)
    rows: list[tuple[int, str, bytes, str]] = []
    if info.state.messages == 0:
        return rows
    subscription = await jetstream.subscribe(
        ">", stream=name, ordered_consumer=True, config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
        pending_msgs_limit=0, pending_bytes_limit=0,
    )  # fmt: skip
    while len(rows) < info.state.messages:
        message = await subscription.next_msg(timeout=10)
        message_id = (message.headers or {}).get("Nats-Msg-Id", "")
        rows.append((message.metadata.sequence.stream, message.subject, message.data, message_id))
    return rows


async def stored_by_subject(url: str, name: str = "MARKET_DATA") -> dict[str, int]:
    """Return how many messages a stream holds of each subject, nothing where there is no stream."""
    client = await nats.connect(url)
    try:
        return (await client.jetstream().stream_info(name, subjects_filter=">")).state.subjects or {}
    except NotFoundError:
        return {}
    finally:
        await client.close()
