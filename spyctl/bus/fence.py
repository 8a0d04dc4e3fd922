"""The fence around a process that publishes: what it still sends after another one took its lease is refused.

A process that was stopped, cut off or killed may have messages on their way for any length of time. So a message says
in a header what is stored last under a subject of its own lease, its *fence*: nothing at first. Whoever takes the lease
of one that may still be alive, or whose last batch may not have begun, stores a message there first, and the server
refuses what comes of the other one from then on. A process that must know that nothing comes any more of a broken
connection *shifts* its fence: it stores a message there itself, and says from then on that this one is the last.
"""

import nats.errors
import nats.js.errors
import orjson

from spyctl.bus.connection import Connection
from spyctl.bus.contents import last_on
from spyctl.errors import BusError
from spyctl.market.subjects import with_prefix
from spyctl.timing.instants import SECOND

STRAY_NS = 120 * SECOND  # so long a connection that is gone may still bring messages
FENCED = (10071, 10164)  # error codes of a message that the server refuses for its fence


def can_fence(connection: Connection) -> bool:
    """Whether the server compares the last sequence of another subject than the message's (2.11 or newer)."""
    return connection.server_at_least(2, 11)


def fence_subject(token: str, prefix: str = "") -> str:
    """Return the subject of the fence around the holder of a lease with this token."""
    return with_prefix(f"market.fences.{token}", prefix)


def fence_header(subject: str, last_seq: int = 0) -> bytes:
    """Return the lines of a header that has a message refused once the fence is closed behind ``last_seq``."""
    name = "Nats-Expected-Last-Subject-Sequence"
    return f"{name}:{last_seq}\r\n{name}-Subject:{subject}\r\n".encode()


async def close_fence(connection: Connection, subject: str, run_id: str) -> None:
    """Close a fence, for good. Raises :class:`BusError` where the server does not confirm it."""
    await _store(connection, subject, run_id, orjson.dumps({"run_id": run_id}))


async def shift_fence(connection: Connection, stream: str, subject: str, run_id: str) -> int | None:
    """Shift our fence; returns the sequence of its last message, ``None`` where another process has closed it.

    Raises :class:`ApiError`, and :class:`BusError` where the server does not confirm it.
    """
    ours = orjson.dumps({"run_id": run_id, "shifted": True})
    last = await last_on(connection, stream, subject)
    if last is not None and last.payload != ours:
        return None
    after = str(last.seq if last is not None else 0)
    return await _store(connection, subject, run_id, ours, {"Nats-Expected-Last-Subject-Sequence": after})


async def _store(
    connection: Connection, subject: str, run_id: str, payload: bytes, headers: dict[str, str] | None = None
) -> int:
    try:
        return (await connection.jetstream().publish(subject, payload, headers=headers)).seq
    except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
        raise BusError(
            f"run {run_id} may still be publishing, and {subject} takes no message that would stop it: {error}"
        ) from None
