"""What the stream holds of a run that ended without recording its end."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from typing import Any

import orjson
from nats.aio.msg import Msg

from spyctl.bus.acks.fast_ingest import UNKNOWN_BATCH, Op, batch_reply
from spyctl.bus.checkpoint import Checkpoint, OpenBatch
from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.contents import header_of, stable_count, stream_info
from spyctl.bus.fence import can_fence, close_fence
from spyctl.bus.mark import keeps, mark_at
from spyctl.bus.reader import read_messages
from spyctl.bus.recognition import Events, count_identified, count_own
from spyctl.bus.runs import RunRecord
from spyctl.errors import LostTrackError, ResumeError, UnreachableError
from spyctl.timing.clock import Clock, SystemClock
from spyctl.timing.instants import SECOND

FENCE_TIMEOUT_S = 5.0
MESSAGE_ID = "Nats-Msg-Id"
_BEHIND_ALL = 1 << 40  # a sequence behind any message of a batch


async def reconcile(
    connection: Connection,
    record: RunRecord,
    events: Events | None = None,
    *,
    fence: str | None = None,
    clock: Clock | None = None,
) -> None:
    """Find out how many events of a run are stored, and note it as its checkpoint; of a settled run it is known.

    A batch is committed first, so that nothing of the dead process can be stored later; where it may not have begun
    yet, the ``fence`` of that process is closed instead. Where the server has forgotten it, messages are compared with
    the run's ``events``. Raises :class:`ResumeError` where the stream can no longer tell
    (recreated, or messages expired, deleted or lost), and where it cannot be told which messages are the run's own:
    then the record notes behind which sequence there are none.
    """
    info = await refuse_broken(connection, record)
    if record.settled:
        return
    if record.checkpoint is None:
        stored = Checkpoint(0, info["state"]["last_seq"])
    else:
        stored = await _stored(connection, record, record.checkpoint, events, fence, clock or SystemClock())
        await refuse_broken(connection, record)  # it may have lost events just now
    record.checkpoint = replace(stored, mark=await mark_at(connection, record.stream, stored.seq))
    record.batch = None
    record.settled = True


async def refuse_broken(connection: Connection, record: RunRecord) -> dict[str, Any]:
    """Refuse a run whose stream is not the one that it published to, or lost what it acknowledged; returns its info.

    A server may lose at a restart what was not synced. A message that closes a fence hides that: ask before. Raises
    :class:`ResumeError`, and :class:`UnreachableError` where a new leader may not have stored it yet.
    """
    try:
        info = await stream_info(connection, record.stream)
    except ApiError as error:
        raise UnreachableError(f"stream {record.stream} cannot be read: {error.description}", "try again") from None
    if info is None:
        raise _refusal(record, f"stream {record.stream} is gone")
    if record.stream_born and info.get("created") != record.stream_born:
        raise _refusal(record, f"stream {record.stream} was recreated since")
    last_seq, known = info["state"]["last_seq"], record.checkpoint
    if known is None:
        return info
    if last_seq >= known.seq:
        if not await keeps(connection, record.stream, known):
            raise _refusal(record, f"stream {record.stream} has lost events that the server had acknowledged")
        return info
    why = f"stream {record.stream} ends at seq {last_seq:,}, and the server had acknowledged up to {known.seq:,}"
    if info["config"].get("num_replicas", 1) > 1:
        raise UnreachableError(why, "wait until all of its servers are up")
    raise _refusal(record, why)


async def _stored(
    connection: Connection, record: RunRecord, known: Checkpoint, events: Events | None, fence: str | None, clock: Clock
) -> Checkpoint:
    batch = record.batch
    if batch is not None and (committed := await _committed(connection, record, batch, clock)) is not None:
        count, seq = committed
        return Checkpoint(batch.first + count - 1, seq)
    found = await _counted(connection, record, known, events, clock)
    if batch is not None and found.position < batch.first and fence is not None and can_fence(connection):
        await close_fence(connection, fence, record.run_id)  # what begins it may still be on its way
        record.batch = batch
        found = await _counted(connection, record, known, events, clock)
    return found


async def _counted(
    connection: Connection, record: RunRecord, known: Checkpoint, events: Events | None, clock: Clock
) -> Checkpoint:
    # Counts the messages of a run that no batch tells of.
    try:
        count, last_seq = await stable_count(connection, record.stream, record.subjects, known.seq, clock)
    except LostTrackError as error:
        raise _refusal(record, error.message) from None
    batch = record.batch
    ends_seq = last_seq if batch is None or batch.ends_seq is None else batch.ends_seq
    record.batch = replace(batch, ends_seq=ends_seq) if batch is not None else None
    if not count:
        return Checkpoint(known.position, ends_seq)
    batches = read_messages(connection, record.stream, record.subjects, known.seq, ends_seq)
    if batch is None:  # every message has an identity
        ids = ([header_of(message.headers, MESSAGE_ID) or "" for message in read] async for read in batches)
        own = await count_identified(ids, record.run_id, known.position)
        why = "an event is missing before one that is stored"
    elif events is None:
        own, why = None, f"which of the {count:,} messages after seq {known.seq:,} are its own cannot be told"
    else:
        messages = ([(message.subject, message.payload) for message in read] async for read in batches)
        own = await count_own(messages, events(record.journal, known.position))
        why = "somebody else has published the same events meanwhile"
    if own is None:
        raise _refusal(record, why)
    return Checkpoint(known.position + own, ends_seq)


def _refusal(record: RunRecord, why: str) -> ResumeError:
    return ResumeError(f"run {record.run_id} cannot be continued: {why}")


async def _committed(
    connection: Connection, record: RunRecord, batch: OpenBatch, clock: Clock
) -> tuple[int, int] | None:
    # Commits the batch of a dead process; the answer is how many of its messages are stored, and the last sequence.
    answered = asyncio.Event()
    answer: tuple[int, int] | None = None  # None for a batch that the server no longer knows

    async def on_reply(message: Msg) -> None:
        nonlocal answer
        reply: dict[str, Any] = orjson.loads(message.data) if message.data else {}
        if answered.is_set():
            return
        if "count" in reply:
            answer = reply["count"], reply["seq"]
            answered.set()
        elif (reply.get("error") or {}).get("err_code") == UNKNOWN_BATCH:
            answered.set()

    inbox = connection.inbox()
    unsubscribe = await connection.subscribe(f"{inbox}.>", on_reply)
    reply = batch_reply(inbox, batch.name, 1, _BEHIND_ALL, Op.COMMIT)
    await connection.write(f"PUB {record.subjects[0]} {reply} 0\r\n\r\n".encode())
    await clock.wait_until(clock.now_ns() + round(FENCE_TIMEOUT_S * SECOND), answered)
    await unsubscribe()
    if not answered.is_set():
        raise UnreachableError(f"{connection.url} does not answer the fence around run {record.run_id}", "try again")
    return answer


async def stored_identities(
    connection: Connection,
    stream: str,
    subjects: Collection[str],
    after_seq: int,
    last_seq: int,
    *,
    since_ns: int | None = None,
) -> AsyncIterator[str]:
    """Yield the identities of what a stream holds on some subjects with ``after_seq < seq <= last_seq``.

    With ``since_ns`` (Unix ns), only of what was stored from then on. Raises :class:`UnreachableError`.
    """
    async for batch in read_messages(connection, stream, subjects, after_seq, last_seq, since_ns=since_ns):
        for message in batch:
            yield header_of(message.headers, MESSAGE_ID) or ""
