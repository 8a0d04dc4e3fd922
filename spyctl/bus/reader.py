"""Reading a stream in order: one ordered consumer for all subjects, which fixes gaps and reconnects by itself."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence, Set
from contextlib import suppress
from typing import Any

import nats.errors
import nats.js.errors
from nats.js.api import ConsumerConfig

from spyctl.bus.arrivals import Arrivals
from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.contents import message_at, present_info, same_info
from spyctl.errors import BusError, StreamGoneError, UnreachableError
from spyctl.market.lines import StreamMessage
from spyctl.market.subjects import KINDS
from spyctl.timing.instants import utc_text

SILENCE_S = 10.0
LOOK_S = 2.0
_MAX_GATHERED = 16_000  # messages that may wait for a slow reader


async def follow(
    connection: Connection, stream: str, start: dict[str, Any], *, look_s: float = LOOK_S
) -> AsyncGenerator[list[StreamMessage], None]:
    """Yield the messages of a stream in its order, in batches as they come, until closed; nothing is changed there.

    An empty batch comes first where nothing is stored after the start.

    ``start`` holds the fields of a consumer's configuration that say where to begin (``deliver_policy``,
    ``opt_start_seq``, ``opt_start_time``) and which subjects are wanted (``filter_subjects``). What the client loses
    when it makes its consumer anew is read again. Raises :class:`UnreachableError` where the stream cannot be read, and
    :class:`StreamGoneError` where it was deleted meanwhile, which is looked for every ``look_s``.
    """
    wanted = start.get("filter_subjects") or [">"]
    last_seq = int(start["opt_start_seq"]) - 1 if "opt_start_seq" in start else None
    while True:
        batches = _followed(connection, stream, start, look_s)
        first = True
        try:
            async for batch, anew in batches:
                whole: list[StreamMessage] = []
                for message in batch:
                    begins, first = first or message.seq in anew, False
                    if begins and last_seq is not None and await _lost(connection, stream, wanted, last_seq, message):
                        break
                    whole.append(message)
                    last_seq = message.seq
                if whole or not batch:
                    yield whole
                if len(whole) < len(batch):
                    break
        finally:
            await batches.aclose()
        start = start | {"deliver_policy": "by_start_sequence", "opt_start_seq": (last_seq or 0) + 1}
        start.pop("opt_start_time", None)


async def _lost(
    connection: Connection, stream: str, wanted: Sequence[str], last_seq: int, message: StreamMessage
) -> bool:
    # Whether the stream holds something between two messages, or the second is none of what follows.
    if message.seq <= last_seq + 1:
        return message.seq <= last_seq
    for subject in wanted:
        there = await message_at(connection, stream, {"seq": last_seq + 1, "next_by_subj": subject})
        if there is not None and there.seq < message.seq:
            return True
    return False


async def _followed(
    connection: Connection, stream: str, start: dict[str, Any], look_s: float
) -> AsyncGenerator[tuple[list[StreamMessage], Set[int]], None]:
    # The messages of the client's ordered consumer, and with which of them it begins anew: what the client had
    # received before and not handed on may be missing there.
    try:
        born = str((await present_info(connection, stream)).get("created"))
        subscription = await connection.jetstream().subscribe(
            ">", stream=stream, ordered_consumer=True, config=ConsumerConfig(**start)
        )
        arrivals = Arrivals.of(subscription, _MAX_GATHERED)
    except (nats.errors.Error, nats.js.errors.Error, ApiError) as error:
        raise UnreachableError(f"stream {stream} at {connection.url} cannot be read: {error}") from None
    try:
        info = await subscription.consumer_info()
        if not info.num_pending and not (info.delivered and info.delivered.consumer_seq):
            yield [], frozenset()
        loop = asyncio.get_running_loop()
        looked_s = loop.time()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(look_s):
                    await arrivals.arrived.wait()
            if loop.time() - looked_s >= look_s:  # a consumer of a stream that is gone is silent
                await _refuse_other(connection, stream, born)
                looked_s = loop.time()
            if arrivals.arrived.is_set():
                yield arrivals.take(), arrivals.anew
    except (nats.errors.Error, nats.js.errors.Error) as error:
        raise UnreachableError(f"stream {stream} at {connection.url} cannot be read: {error}") from None
    finally:
        with suppress(nats.errors.Error, nats.js.errors.Error):
            await subscription.unsubscribe()


def subject_filter(connection: Connection, subjects: Collection[str]) -> dict[str, Any]:
    """Return the part of a consumer's configuration that has the server send some subjects only.

    There is none where all are wanted, and for an old server, which knows no filter by several subjects.
    """
    if len(subjects) == len(KINDS) or not connection.server_at_least(2, 10):
        return {}
    return {"filter_subjects": sorted(subjects)}


async def _refuse_other(connection: Connection, stream: str, born: str) -> None:
    try:
        await same_info(connection, stream, born)
    except StreamGoneError:
        raise
    except (ApiError, BusError):
        return  # an outage, after which it is looked for again


async def read_back(
    connection: Connection,
    stream: str,
    subjects: Collection[str],
    after_seq: int,
    last_seq: int,
    *,
    silence_s: float = SILENCE_S,
) -> AsyncIterator[list[tuple[int, str, bytes]]]:
    """Yield ``(seq, subject, payload)`` of what :func:`read_messages` yields."""
    async for batch in read_messages(connection, stream, subjects, after_seq, last_seq, silence_s=silence_s):
        yield [(message.seq, message.subject, message.payload) for message in batch]


async def read_messages(
    connection: Connection,
    stream: str,
    subjects: Collection[str],
    after_seq: int,
    last_seq: int,
    *,
    since_ns: int | None = None,
    silence_s: float = SILENCE_S,
) -> AsyncIterator[list[StreamMessage]]:
    """Yield what a stream holds on some subjects, in its order.

    Only messages with ``after_seq < seq <= last_seq`` count, and with ``since_ns`` (Unix ns) only those that were
    stored from then on. Raises :class:`UnreachableError` where the server sends nothing for ``silence_s`` before the
    last one.
    """
    if after_seq >= last_seq:
        return
    wanted, seq = frozenset(subjects), 0
    start: dict[str, Any] = {"deliver_policy": "by_start_sequence", "opt_start_seq": after_seq + 1}
    if since_ns is not None:
        start = {"deliver_policy": "by_start_time", "opt_start_time": utc_text(since_ns)}
        start |= subject_filter(connection, subjects)  # others may have published for hours
    batches = follow(connection, stream, start)
    try:
        while seq < last_seq:
            try:
                async with asyncio.timeout(silence_s):
                    batch = await anext(batches)
            except TimeoutError:
                raise UnreachableError(f"stream {stream} at {connection.url} fell silent while it was read") from None
            if not batch and since_ns is not None:
                return
            seq = batch[-1].seq if batch else seq
            yield [message for message in batch if message.subject in wanted and after_seq < message.seq <= last_seq]
            if since_ns is not None and not batch[-1].pending:
                return
    finally:
        await batches.aclose()
