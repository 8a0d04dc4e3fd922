"""What a stream holds, asked of its leader: its description, a message, how many messages there are.

Whether there is such a stream, or such a message, is told here and nowhere else.
"""

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from spyctl.bus.connection import ApiError, Connection
from spyctl.errors import LostTrackError, StreamGoneError, UnreachableError
from spyctl.timing.clock import Clock
from spyctl.timing.instants import SECOND

STABLE_S = 0.5
_NOT_THERE = 404  # of a stream and of a message
_HEARD_NS = 3 * SECOND  # followers answer every second


async def stream_info(connection: Connection, name: str) -> dict[str, Any] | None:
    """Return the configuration and state of a stream, ``None`` where there is no stream of that name.

    Raises :class:`ApiError` where the server refuses to tell, and :class:`BusError` where it does not answer.
    """
    return await _unless_missing(connection, f"STREAM.INFO.{name}", None)


async def present_info(connection: Connection, name: str, what: str = "read") -> dict[str, Any]:
    """Return the configuration and state of a stream that has to be there.

    Raises :class:`UnreachableError`, which says what cannot be done with it.
    """
    try:
        info = await stream_info(connection, name)
        why = "there is none"
    except ApiError as error:
        info, why = None, str(error)
    if info is None:
        raise UnreachableError(f"stream {name} at {connection.url} cannot be {what}: {why}")
    return info


async def same_info(connection: Connection, name: str, born: str) -> dict[str, Any]:
    """Return the configuration and state of the stream that was made at ``born``.

    Raises :class:`StreamGoneError` where it was deleted, or made anew, and what :func:`stream_info` does.
    """
    info = await stream_info(connection, name)
    if info is None:
        raise StreamGoneError(f"stream {name} at {connection.url} was deleted")
    if info.get("created") != born:
        raise StreamGoneError(f"stream {name} at {connection.url} was deleted and made anew")
    return info


async def message_at(connection: Connection, name: str, place: dict[str, Any]) -> "StoredMessage | None":
    """Return a message of a stream, ``None`` where there is none there, or no stream.

    ``place`` is ``seq``, with ``next_by_subj`` that or the next one on some subjects, or ``last_by_subj``. Raises
    :class:`ApiError` and :class:`BusError`.
    """
    answer = await _unless_missing(connection, f"STREAM.MSG.GET.{name}", place)
    return StoredMessage.of(answer["message"]) if answer is not None else None


async def last_on(connection: Connection, name: str, subject: str) -> "StoredMessage | None":
    """Return the newest message on a subject of a stream, ``None`` where there is none."""
    return await message_at(connection, name, {"last_by_subj": subject})


async def _unless_missing(
    connection: Connection, subject: str, request: dict[str, Any] | None
) -> dict[str, Any] | None:
    try:
        return await connection.api(subject, request)
    except ApiError as error:
        if error.code == _NOT_THERE:
            return None
        raise


async def stored_after(connection: Connection, name: str, subjects: Sequence[str], seq: int) -> tuple[int, int]:
    """Ask how many messages on some subjects were stored after a sequence, all of which must still be there.

    Returns the count and the sequence of the last message of the stream. Raises :class:`UnreachableError`, also where
    the leader of a replicated stream hears no majority, and :class:`LostTrackError` where messages have expired or were
    deleted meanwhile.
    """
    counted = await count_after(connection, name, subjects, seq)
    info = await present_info(connection, name, "counted")
    if not _hears_majority(info):  # what it has proposed may be stored once it does
        raise UnreachableError(f"stream {name} at {connection.url} has no quorum")
    state = info["state"]
    if state["first_seq"] > seq + 1:
        raise LostTrackError(
            f"messages after seq {seq:,} of stream {name} have expired", "play it again from the start"
        )
    if state.get("num_deleted"):
        raise LostTrackError(f"messages were deleted from stream {name}", "play it again from the start")
    return counted


def _hears_majority(info: dict[str, Any]) -> bool:
    followers = (info.get("cluster") or {}).get("replicas") or []
    heard = [each for each in followers if each.get("current") and each.get("active", 0) < _HEARD_NS]
    return 2 * (len(heard) + 1) > len(followers) + 1


async def stable_count(
    connection: Connection, name: str, subjects: Sequence[str], seq: int, clock: Clock
) -> tuple[int, int]:
    """Ask like :func:`stored_after` until nothing more is stored for half a second.

    What a dead connection still had in the server's buffers, or a new leader in its log, is stored within moments.
    """
    counted = await stored_after(connection, name, subjects, seq)
    while True:
        await clock.wait_until(clock.now_ns() + round(STABLE_S * SECOND))
        again = await stored_after(connection, name, subjects, seq)
        if again == counted:
            return counted
        counted = again


async def count_after(connection: Connection, name: str, subjects: Sequence[str], seq: int) -> tuple[int, int]:
    """Ask the stream's leader how many messages on some subjects it holds after a sequence.

    Returns the count and the sequence of the last message of the stream. Raises :class:`UnreachableError`.
    """
    if len(subjects) > 1 and not connection.server_at_least(2, 10):  # such a server filters by one subject
        counts = [await count_after(connection, name, [subject], seq) for subject in subjects]
        return sum(count for count, _ in counts), counts[-1][1]
    consumer = f"count-{uuid4().hex}"
    config = {
        "name": consumer,
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": seq + 1,
        "ack_policy": "none",
        "mem_storage": True,
        "inactive_threshold": 5 * SECOND,
        **({"filter_subjects": list(subjects)} if len(subjects) > 1 else {"filter_subject": subjects[0]}),
    }
    try:
        request = {"stream_name": name, "config": config}
        consumer_info = await connection.api(f"CONSUMER.CREATE.{name}.{consumer}", request)
        await connection.api(f"CONSUMER.DELETE.{name}.{consumer}")
    except ApiError as error:
        raise UnreachableError(f"stream {name} at {connection.url} cannot be counted: {error}") from None
    info = await present_info(connection, name, "counted")
    return consumer_info["num_pending"], info["state"]["last_seq"]


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as the stream holds it."""

    seq: int
    subject: str
    payload: bytes
    headers: bytes
    stored_ns: int

    @classmethod
    def of(cls, message: dict[str, Any]) -> "StoredMessage":
        """Read the answer of ``STREAM.MSG.GET``."""
        return cls(
            seq=message["seq"],
            subject=message["subject"],
            payload=b64decode(message.get("data") or ""),
            headers=b64decode(message.get("hdrs") or ""),
            stored_ns=_rfc3339_ns(message["time"]),
        )

    def header(self, name: str) -> str | None:
        """Return a header's value."""
        return header_of(self.headers, name)


def header_of(headers: bytes, name: str) -> str | None:
    """Return the value of a header, ``None`` where there is none."""
    prefix = name.encode() + b":"
    for line in headers.split(b"\r\n"):
        if line.startswith(prefix):
            return line[len(prefix) :].strip().decode()
    return None


def _rfc3339_ns(text: str) -> int:
    # Go writes up to nine decimals and drops trailing zeros.
    whole, _, rest = text.partition(".")
    fraction = rest.rstrip("Z") if rest else ""
    moment = datetime.fromisoformat(whole.rstrip("Z") + "+00:00")
    return int(moment.timestamp()) * SECOND + int(fraction.ljust(9, "0") or 0)
