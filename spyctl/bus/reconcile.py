"""What the stream holds of a run that ended without saying so."""

import asyncio
from contextlib import suppress
from typing import Any

import orjson
from nats.aio.msg import Msg

from spyctl.bus.acks.fast_ingest import COMMIT, UNKNOWN_BATCH
from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.runs import RunRecord
from spyctl.bus.stream import stored_after
from spyctl.errors import LostTrackError, ResumeError

FENCE_TIMEOUT_S = 5.0
STABLE_S = 0.5
_FAR = 1 << 40  # behind any message of a batch


async def settle(connection: Connection, record: RunRecord) -> None:
    """Find out how many events of a run are stored, and note it as its position.

    A batch is fenced first, so that nothing of the dead process can be stored later. Raises
    :class:`ResumeError` where the stream no longer tells: made anew, or its messages expired or deleted.
    """
    try:
        info = await connection.api(f"STREAM.INFO.{record.stream}")
    except ApiError as error:
        raise _refusal(record, f"stream {record.stream} is gone ({error.description})") from None
    if record.stream_born and info.get("created") != record.stream_born:
        raise _refusal(record, f"stream {record.stream} was made anew since")
    if record.seq is None:
        record.seq, record.settled = info["state"]["last_seq"], True
        return
    fenced = await _fence(connection, record) if record.batch is not None else None
    if fenced is not None:
        count, record.seq = fenced
        record.position = record.batch_first + count - 1
    else:
        try:
            count, record.seq = await _stable_count(connection, record, record.seq)
        except LostTrackError as error:
            raise _refusal(record, error.message) from None
        record.position += count
    record.batch = None
    record.settled = True


def _refusal(record: RunRecord, why: str) -> ResumeError:
    return ResumeError(f"run {record.run_id} cannot be continued: {why}", "leave --resume out to play it anew")


async def _stable_count(connection: Connection, record: RunRecord, seq: int) -> tuple[int, int]:
    # What a dead connection still had in the server's buffers is stored within moments.
    found = await stored_after(connection, record.stream, record.subjects, seq)
    while True:
        await asyncio.sleep(STABLE_S)
        again = await stored_after(connection, record.stream, record.subjects, seq)
        if again == found:
            return found
        found = again


async def _fence(connection: Connection, record: RunRecord) -> tuple[int, int] | None:
    # Commits the batch of a dead process; the answer is how many of its messages are stored, and the last sequence.
    answer: asyncio.Future[tuple[int, int] | None] = asyncio.get_running_loop().create_future()

    async def on_reply(message: Msg) -> None:
        reply: dict[str, Any] = orjson.loads(message.data) if message.data else {}
        if answer.done():
            return
        if "count" in reply:
            answer.set_result((reply["count"], reply["seq"]))
        elif (reply.get("error") or {}).get("err_code") == UNKNOWN_BATCH:
            answer.set_result(None)

    inbox = connection.inbox()
    await connection.subscribe(f"{inbox}.>", on_reply)
    reply = f"{inbox}.{record.batch}.1.fail.{_FAR}.{COMMIT}.$FI"
    await connection.write(f"PUB {record.subjects[0]} {reply} 0\r\n\r\n".encode())
    with suppress(TimeoutError):
        async with asyncio.timeout(FENCE_TIMEOUT_S):
            return await answer
    raise _refusal(record, f"{connection.url} does not answer the fence of its batch")
