"""Reading a stream back, in order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from spyctl.bus.connection import Connection
from spyctl.errors import UnreachableError

SILENCE_S = 10.0
_BATCH = 1_000
_AHEAD = 16


async def read_back(
    connection: Connection, stream: str, subjects: Sequence[str], after_seq: int, last_seq: int
) -> AsyncIterator[list[tuple[int, str, bytes]]]:
    """Yield ``(seq, subject, payload)`` of what a stream holds on some subjects, in its order.

    Only messages with ``after_seq < seq <= last_seq`` count. Raises :class:`UnreachableError` where the server
    falls silent before the last one.
    """
    wanted = frozenset(subjects)
    batches: asyncio.Queue[list[tuple[int, str, bytes]] | None] = asyncio.Queue(_AHEAD)
    gathered: list[tuple[int, str, bytes]] = []

    async def on_message(message: Msg) -> None:
        nonlocal gathered
        seq = message.metadata.sequence.stream
        if seq <= last_seq and message.subject in wanted:
            gathered.append((seq, message.subject, message.data))
        if len(gathered) == _BATCH or seq >= last_seq:
            await batches.put(gathered)
            gathered = []
        if seq >= last_seq:
            await batches.put(None)

    if after_seq >= last_seq:
        return
    try:
        subscription = await connection.jetstream().subscribe(
            ">",
            stream=stream,
            ordered_consumer=True,
            cb=on_message,
            config=ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=after_seq + 1),
        )
    except (nats.errors.Error, nats.js.errors.Error) as error:
        raise UnreachableError(f"stream {stream} at {connection.url} cannot be read: {error}") from None
    try:
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    batch = await batches.get()
            except TimeoutError:
                raise UnreachableError(f"stream {stream} at {connection.url} fell silent while it was read") from None
            if batch is None:
                return
            yield batch
    finally:
        with suppress(nats.errors.Error, nats.js.errors.Error):
            await subscription.unsubscribe()
