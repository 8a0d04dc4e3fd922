"""What the stream holds of a run that ended without recording its end."""

import asyncio
from typing import Any

import orjson
from nats.aio.msg import Msg

from spyctl.bus.acks.fast_ingest import UNKNOWN_BATCH, Op, batch_reply
from spyctl.bus.checkpoint import Checkpoint, OpenBatch
from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.runs import RunRecord
from spyctl.bus.stream import stable_count
from spyctl.errors import LostTrackError, ResumeError
from spyctl.timing.clock import Clock, SystemClock
from spyctl.timing.instants import SECOND

FENCE_TIMEOUT_S = 5.0
_BEHIND_ALL = 1 << 40  # a sequence behind any message of a batch


async def reconcile(connection: Connection, record: RunRecord, *, clock: Clock | None = None) -> None:
    """Find out how many events of a run are stored, and note it as its checkpoint.

    A batch is fenced first, so that nothing of the dead process can be stored later. Raises
    :class:`ResumeError` where the stream can no longer tell: recreated, or its messages expired or deleted.
    """
    try:
        info = await connection.api(f"STREAM.INFO.{record.stream}")
    except ApiError as error:
        raise _refusal(record, f"stream {record.stream} is gone ({error.description})") from None
    if record.stream_born and info.get("created") != record.stream_born:
        raise _refusal(record, f"stream {record.stream} was recreated since")
    if record.checkpoint is None:
        record.checkpoint = Checkpoint(0, info["state"]["last_seq"])
    else:
        record.checkpoint = await _stored(connection, record, record.checkpoint, clock or SystemClock())
    record.batch = None
    record.settled = True


async def _stored(connection: Connection, record: RunRecord, known: Checkpoint, clock: Clock) -> Checkpoint:
    fenced = await _fence(connection, record, record.batch, clock) if record.batch is not None else None
    if fenced is not None and record.batch is not None:
        count, seq = fenced
        return Checkpoint(record.batch.first + count - 1, seq)
    try:
        count, seq = await stable_count(connection, record.stream, record.subjects, known.seq, clock)
    except LostTrackError as error:
        raise _refusal(record, error.message) from None
    return Checkpoint(known.position + count, seq)


def _refusal(record: RunRecord, why: str) -> ResumeError:
    return ResumeError(f"run {record.run_id} cannot be continued: {why}")


async def _fence(connection: Connection, record: RunRecord, batch: OpenBatch, clock: Clock) -> tuple[int, int] | None:
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
        raise _refusal(record, f"{connection.url} does not answer the fence of its batch")
    return answer
