"""The stream: make it, or say why the existing one does not fit."""

import asyncio
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import orjson

from spyctl.bus.connection import ApiError, Connection
from spyctl.errors import (
    LostTrackError,
    NoSpaceError,
    OtherSourceError,
    OverlappingStreamError,
    UnfitStreamError,
    UnreachableError,
)
from spyctl.market.subjects import STREAM_SUBJECTS, stream_name, with_prefix
from spyctl.timing.clock import Clock
from spyctl.timing.instants import DAY, MINUTE, SECOND

OWNER_KEY = "spyctl"  # a stream with this metadata key is ours to update
OWNER_VALUE = "1"
MAX_AGE_NS = DAY
DUPLICATE_WINDOW_NS = 2 * MINUTE
BUSY_NS = 60 * SECOND
STABLE_S = 0.5
LARGEST_MESSAGE = 2_048  # bytes of an event with its headers: ten levels of a book take 1.5 kB
_HEARD_NS = 3 * SECOND  # followers answer every second
_NOT_FOUND = 10059
_NO_MESSAGE = 10037
_OVERLAP = 10065
NO_SPACE = (10023, 10047)  # error codes of a server that has none
FREE_SPACE = "free some: spyctl server reset, or nats stream purge"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a stream keeps: an age in ns, messages, bytes; 0 is no limit. ``refuses`` what would exceed them."""

    max_age_ns: int = 0
    max_messages: int = 0
    max_bytes: int = 0
    refuses: bool = False

    @classmethod
    def of(cls, config: dict[str, Any]) -> "Limits":
        """Read the limits of a stream's configuration."""
        ages, counts, sizes = (max(0, config.get(key) or 0) for key in ("max_age", "max_msgs", "max_bytes"))
        return cls(ages, counts, sizes, config.get("discard") == "new")

    def sentences(self, name: str) -> list[str]:
        """Say what the limits on messages and bytes mean."""
        kept = "takes no more than" if self.refuses else "keeps only the newest"
        limits = []
        if self.max_messages:
            limits.append(f"{name} {kept} {self.max_messages:,} messages")
        if self.max_bytes:
            limits.append(f"{name} {kept} {self.max_bytes / 1e6:,.0f} MB")
        return limits


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream that fits: its name, what it holds, and what its configuration means for publishing."""

    name: str
    first_seq: int
    last_seq: int
    messages: int
    size: int
    replicas: int
    duplicate_window_ns: int
    owned: bool
    created: bool
    batched: bool = False
    born: str = ""
    subjects: tuple[str, ...] = ()
    limits: Limits = Limits()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its limits mean for our events."""
        return tuple(self.limits.sentences(self.name))


def desired_config(prefix: str = "", *, batched: bool = False) -> dict[str, Any]:
    """Return the configuration of a stream that we make; ``batched`` where the server knows batch publishing."""
    return {
        "name": stream_name(prefix),
        "subjects": [with_prefix(subject, prefix) for subject in STREAM_SUBJECTS],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_age": MAX_AGE_NS,
        "duplicate_window": DUPLICATE_WINDOW_NS,
        "num_replicas": 1,
        "max_consumers": -1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
        "metadata": {OWNER_KEY: OWNER_VALUE},
        **({"allow_batched": True} if batched else {}),
    }


async def ensure_stream(connection: Connection, prefix: str = "") -> Stream:
    """Return the stream for our events, made where there is none.

    A stream of ours is brought up to date; anybody else's is never changed. Raises
    :class:`UnfitStreamError`, naming the difference, where the one that is there cannot hold our events.
    """
    wanted = desired_config(prefix, batched=connection.server_at_least(2, 14))
    name = wanted["name"]
    created = False
    try:
        info = await connection.api(f"STREAM.INFO.{name}")
    except ApiError as error:
        if error.err_code != _NOT_FOUND:
            raise _unfit(connection, name, f"cannot be read: {error}") from None
        info = await _create(connection, wanted)
        created = True
    config = info["config"]
    owned = OWNER_KEY in (config.get("metadata") or {})
    if problems := misfits(config, wanted["subjects"]):
        held = info["state"]["messages"]
        raise _unfit(connection, name, problems[0], f"nats stream rm {name} (it holds {held:,} messages)")
    if owned and not created:
        info = await _update(connection, info, wanted)
        config = info["config"]
    state = info["state"]
    return Stream(
        name=name,
        first_seq=state["first_seq"],
        last_seq=state["last_seq"],
        messages=state["messages"],
        size=state["bytes"],
        replicas=config.get("num_replicas", 1),
        duplicate_window_ns=config.get("duplicate_window", 0),
        owned=owned,
        created=created,
        batched=bool(config.get("allow_batched")),
        born=info.get("created", ""),
        subjects=tuple(config.get("subjects") or ()),
        limits=Limits.of(config),
    )


def misfits(config: dict[str, Any], subjects: list[str]) -> list[str]:
    """Say in which ways a stream's configuration cannot hold our events; nothing where it can."""
    problems = []
    missing = [subject for subject in subjects if not captures(config.get("subjects") or [], subject)]
    if config.get("mirror"):
        problems.append("is a mirror; spyctl needs a stream it can publish to")
    if missing and not config.get("mirror"):
        problems.append(f"does not capture {', '.join(missing)}")
    if config.get("subject_transform"):
        problems.append("transforms subjects; spyctl needs them as they are")
    if config.get("retention", "limits") != "limits":
        problems.append(f"has {config['retention']} retention; spyctl needs limits")
    if config.get("storage", "file") != "file":
        problems.append("keeps messages in memory; spyctl needs file")
    if config.get("no_ack"):
        problems.append("does not acknowledge; spyctl needs acks")
    if config.get("sealed"):
        problems.append("is sealed; nothing can be added")
    if config.get("max_msgs_per_subject", -1) > 0:
        problems.append(f"keeps only {config['max_msgs_per_subject']:,} messages a subject; spyctl needs no such limit")
    if 0 < config.get("max_msg_size", -1) < LARGEST_MESSAGE:
        problems.append(f"takes messages of {config['max_msg_size']:,} bytes at most; spyctl needs {LARGEST_MESSAGE:,}")
    return problems


def captures(patterns: Sequence[str], subject: str) -> bool:
    """Tell whether one of some patterns covers a subject, or another pattern."""
    return any(_covers(pattern.split("."), subject.split(".")) for pattern in patterns)


def _covers(pattern: list[str], subject: list[str]) -> bool:
    for i, token in enumerate(pattern):
        if token == ">":
            return len(subject) > i
        if i >= len(subject) or token not in ("*", subject[i]):
            return False
    return len(pattern) == len(subject)


async def overlap(connection: Connection, subjects: Sequence[str]) -> OverlappingStreamError | None:
    """Return the error of making a stream of some subjects where others capture them; ``None`` where none does."""
    others: list[str] = []
    for subject in subjects:
        reply = await connection.api("STREAM.NAMES", {"subject": subject})
        others += [other for other in reply.get("streams") or [] if other not in others]
    if not others:
        return None
    return OverlappingStreamError(
        f"stream {', '.join(others)} at {connection.url} already captures {' and '.join(subjects)}"
    )


async def _create(connection: Connection, wanted: dict[str, Any]) -> dict[str, Any]:
    name = wanted["name"]
    try:
        return await connection.api(f"STREAM.CREATE.{name}", wanted)
    except ApiError as error:
        if error.err_code == _OVERLAP:
            others = await overlap(connection, wanted["subjects"])
            raise others or _unfit(connection, name, f"cannot be made: {error}") from None
        if error.err_code in NO_SPACE:
            raise NoSpaceError(f"{connection.url} has no room for stream {name}: {error.description}") from None
        raise _unfit(connection, name, f"cannot be made: {error}") from None


async def _update(connection: Connection, info: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    # Only what differs is set, on top of all that is there, so nothing somebody tuned is undone by accident.
    changes = {key: wanted[key] for key in ("max_age", "allow_batched") if info["config"].get(key) != wanted.get(key)}
    if not changes:
        return info
    try:
        return await connection.api(f"STREAM.UPDATE.{wanted['name']}", info["config"] | changes)
    except ApiError as error:
        raise _unfit(connection, wanted["name"], f"cannot be updated: {error}") from None


def _unfit(connection: Connection, name: str, difference: str, remedy: str = "") -> UnfitStreamError:
    tail = f", or {remedy}" if remedy else ""
    return UnfitStreamError(f"stream {name} at {connection.url} {difference}", f"another server{tail}")


async def refuse_busy(
    connection: Connection, stream: Stream, subjects: Sequence[str], source: str, now_ns: int
) -> None:
    """Raise :class:`StreamBusyError` where the newest event on some subjects came from another source a moment ago.

    What else is in the stream is not ours to judge.
    """
    if stream.messages == 0:
        return
    newest = await asyncio.gather(*(last_on(connection, stream.name, subject) for subject in subjects))
    stored = max((message for message in newest if message is not None), key=lambda each: each.seq, default=None)
    if stored is None:
        return
    try:
        other = orjson.loads(stored.payload).get("source")
    except (orjson.JSONDecodeError, AttributeError):
        return
    if other != source and now_ns - stored.stored_ns < BUSY_NS:
        raise OtherSourceError(
            f"stream {stream.name} at {connection.url} received events of {other} within the last minute"
        )


async def last_on(connection: Connection, name: str, subject: str) -> "StoredMessage | None":
    """Return the newest message on a subject of a stream, ``None`` where there is none."""
    try:
        reply = await connection.api(f"STREAM.MSG.GET.{name}", {"last_by_subj": subject})
    except ApiError as error:
        if error.err_code == _NO_MESSAGE:
            return None
        raise
    return StoredMessage.of(reply["message"])


async def stored_after(connection: Connection, name: str, subjects: Sequence[str], seq: int) -> tuple[int, int]:
    """Ask how many messages on some subjects were stored after a sequence, all of which must still be there.

    Returns the count and the sequence of the last message of the stream. Raises :class:`UnreachableError`, also where
    the leader of a replicated stream hears no majority, and :class:`LostTrackError` where messages have expired or were
    deleted meanwhile.
    """
    counted = await count_after(connection, name, subjects, seq)
    try:
        info = await connection.api(f"STREAM.INFO.{name}")
    except ApiError as error:
        raise UnreachableError(f"stream {name} at {connection.url} cannot be counted: {error}") from None
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


async def final_count(
    connection: Connection, stream: Stream, subjects: Sequence[str], seq: int, clock: Clock
) -> tuple[int, int]:
    """Ask like :func:`stored_after`; a new leader may not have stored yet what was agreed upon, and is asked again."""
    if stream.replicas > 1:
        return await stable_count(connection, stream.name, subjects, seq, clock)
    return await stored_after(connection, stream.name, subjects, seq)


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
        info = await connection.api(f"STREAM.INFO.{name}")
    except ApiError as error:
        raise UnreachableError(f"stream {name} at {connection.url} cannot be counted: {error}") from None
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
        prefix = name.encode() + b":"
        for line in self.headers.split(b"\r\n"):
            if line.startswith(prefix):
                return line[len(prefix) :].strip().decode()
        return None


def _rfc3339_ns(text: str) -> int:
    # Go writes up to nine decimals and drops trailing zeros.
    whole, _, rest = text.partition(".")
    fraction = rest.rstrip("Z") if rest else ""
    moment = datetime.fromisoformat(whole.rstrip("Z") + "+00:00")
    return int(moment.timestamp()) * SECOND + int(fraction.ljust(9, "0") or 0)
