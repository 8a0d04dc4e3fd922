"""A mark: what tells the message at the end of a checkpoint from any other one that may take its place.

A server may lose the newest messages of a stream at a restart, and others may publish before anybody looks: then
sequences and counts are what they should be. What is lost is always an end of the stream, so all that was stored is
there while the last message that is known to be stored is.
"""

from hashlib import blake2b

from spyctl.bus.checkpoint import Checkpoint
from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.contents import message_at, stream_info
from spyctl.errors import UnreachableError


def mark_of(subject: str, payload: bytes) -> str:
    """Return the mark of a message."""
    return blake2b(subject.encode() + b"\0" + payload, digest_size=12).hexdigest()


async def mark_at(connection: Connection, stream: str, seq: int) -> str:
    """Return the mark of the message under a sequence, "" where there is none. Raises :class:`UnreachableError`."""
    if not seq:
        return ""
    try:
        stored = await message_at(connection, stream, {"seq": seq})
    except ApiError as error:
        raise UnreachableError(f"stream {stream} at {connection.url} cannot be read: {error}") from None
    return mark_of(stored.subject, stored.payload) if stored is not None else ""


async def keeps(connection: Connection, stream: str, checkpoint: Checkpoint) -> bool:
    """Tell whether a stream still holds what it held up to a checkpoint, or let it go by its limits or for a purge.

    Raises :class:`UnreachableError`, also where a new leader may not have stored it yet.
    """
    if not checkpoint.mark:
        return True
    if mark := await mark_at(connection, stream, checkpoint.seq):
        return mark == checkpoint.mark
    try:
        info = await stream_info(connection, stream)
    except ApiError as error:
        raise UnreachableError(f"stream {stream} at {connection.url} cannot be read: {error}") from None
    if info is None:
        return True  # which is told by its name
    if info["state"]["last_seq"] >= checkpoint.seq:
        return await mark_at(connection, stream, checkpoint.seq) in ("", checkpoint.mark)  # if not published just now
    if info["config"].get("num_replicas", 1) > 1:
        raise UnreachableError(f"stream {stream} at {connection.url} ends before seq {checkpoint.seq:,}")
    return False
