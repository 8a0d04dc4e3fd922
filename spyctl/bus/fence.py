"""The fence around a process that publishes: what it still sends after another one took its lease is refused.

A process that was stopped, or cut off, may have messages on their way for any length of time. So a message says in a
header that nothing is stored under a subject of its own lease, its *fence*. Whoever takes the lease from a process that
may still live stores a message there first, and the server refuses what comes of the other one from then on.
"""

import nats.errors
import nats.js.errors
import orjson

from spyctl.bus.connection import Connection
from spyctl.errors import BusError
from spyctl.market.subjects import with_prefix

FENCED = (10071, 10164)  # error codes of a message that the server refuses for its fence


def can_fence(connection: Connection) -> bool:
    """Whether the server compares the last sequence of another subject than the message's (2.11 or newer)."""
    return connection.server_at_least(2, 11)


def fence_subject(token: str, prefix: str = "") -> str:
    """Return the subject of the fence around the holder of a lease with this token."""
    return with_prefix(f"market.fences.{token}", prefix)


def fence_header(subject: str) -> bytes:
    """Return the lines of a header that has a message refused once the fence is closed."""
    name = "Nats-Expected-Last-Subject-Sequence"
    return f"{name}:0\r\n{name}-Subject:{subject}\r\n".encode()


async def close_fence(connection: Connection, subject: str, run_id: str) -> None:
    """Close a fence, for good. Raises :class:`BusError` where the server does not confirm it."""
    try:
        await connection.jetstream().publish(subject, orjson.dumps({"run_id": run_id}))
    except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
        raise BusError(
            f"run {run_id} may still be publishing, and {subject} takes no message that would stop it: {error}"
        ) from None
