"""The stream: make it, or say why the existing one does not fit."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.contents import last_on, stream_info
from spyctl.bus.store_mode import StoreMode, store_of, what_a_kill_loses
from spyctl.errors import (
    AccessDeniedError,
    AccountLimitError,
    NoSpaceError,
    OtherSourceError,
    OverlappingStreamError,
    UnfitStreamError,
)
from spyctl.market.subjects import STREAM_SUBJECTS, stream_name, with_prefix
from spyctl.timing.instants import DAY, MINUTE, SECOND

OWNER_KEY = "spyctl"  # a stream with this metadata key is ours to update
OWNER_VALUE = "1"
MAX_AGE_NS = DAY
DUPLICATE_WINDOW_NS = 2 * MINUTE
BUSY_NS = 60 * SECOND
LARGEST_MESSAGE = 2_048  # bytes of an event with its headers: ten levels of a book take 1.5 kB
OVERLAP = 10065  # the error code of a stream whose subjects another one captures
NO_SPACE = (10023, 10047)  # error codes of a server that has none
ACCOUNT_LIMITS = (10002, 10027, 10113, 10120, 10122)  # error codes of an account that may not have that


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

    def are_reached(self, messages: int, size: int) -> bool:
        """Whether a stream that holds so many messages and bytes refuses the next event."""
        full = self.max_messages and messages >= self.max_messages
        return self.refuses and bool(full or (self.max_bytes and size + LARGEST_MESSAGE > self.max_bytes))

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
    kill_loses: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its limits, and the way it keeps messages, mean for our events."""
        loss = [f"{self.name} {self.kill_loses}"] if self.kill_loses else []
        return (*self.limits.sentences(self.name), *loss)


def desired_config(
    prefix: str = "", *, batched: bool = False, store: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the configuration of a stream that we make; ``batched`` where the server knows batch publishing.

    ``store`` are the fields of a :class:`StoreMode`.
    """
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
        **(store or {}),
    }


def config_on(connection: Connection, prefix: str = "", mode: StoreMode = StoreMode.SAFE) -> dict[str, Any]:
    """Return the configuration of a stream that we make on a server, as far as its version knows that."""
    store = store_of(mode, knows_async=connection.server_at_least(2, 12))
    return desired_config(prefix, batched=connection.server_at_least(2, 14), store=store)


async def ensure_stream(connection: Connection, prefix: str = "", mode: StoreMode = StoreMode.SAFE) -> Stream:
    """Return the stream for our events, made where there is none.

    A stream of ours is brought up to date; anybody else's is never changed, nor how safely one keeps messages. Raises
    :class:`UnfitStreamError`, naming the difference, where the one that is there cannot hold our events.
    """
    wanted = config_on(connection, prefix, mode)
    name = wanted["name"]
    created = False
    try:
        info = await stream_info(connection, name)
    except ApiError as error:
        raise _unfit(connection, name, f"cannot be read: {error}") from None
    if info is None:
        info = await _create(connection, wanted)
        created = True
    config = info["config"]
    owned = OWNER_KEY in (config.get("metadata") or {})
    if problems := misfits(config, wanted["subjects"], mode):
        held = info["state"]["messages"]
        raise _unfit(connection, name, problems[0], f"nats stream rm {name} (it holds {held:,} messages)")
    if not created:
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
        kill_loses=what_a_kill_loses(config),
    )


def misfits(config: dict[str, Any], subjects: list[str], mode: StoreMode = StoreMode.SAFE) -> list[str]:
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
    if mode is StoreMode.SAFE and config.get("storage", "file") != "file":
        problems.append("keeps messages in memory; spyctl needs file")
    if mode is StoreMode.FAST and not what_a_kill_loses(config):
        problems.append("was made to keep messages safely, which cannot be changed")
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


def outdated(config: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an update changes in a stream of ours; empty for anybody else's."""
    if OWNER_KEY not in (config.get("metadata") or {}):
        return {}
    # Only what differs is set, on top of all that is there, so nothing somebody tuned is undone by accident.
    return {key: wanted.get(key) for key in ("max_age", "allow_batched") if config.get(key) != wanted.get(key)}


async def overlap(connection: Connection, subjects: Sequence[str]) -> OverlappingStreamError | None:
    """Return the error of making a stream of some subjects where others capture them.

    ``None`` where none does, and where we may not ask.
    """
    others: list[str] = []
    for subject in subjects:
        try:
            reply = await connection.api("STREAM.NAMES", {"subject": subject})
        except AccessDeniedError:
            return None
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
        if error.err_code == OVERLAP:
            others = await overlap(connection, wanted["subjects"])
            raise others or _unfit(connection, name, f"cannot be made: {error}") from None
        if error.err_code in NO_SPACE:
            raise NoSpaceError(f"{connection.url} has no room for stream {name}: {error.description}") from None
        if error.err_code in ACCOUNT_LIMITS:
            raise AccountLimitError(f"stream {name} at {connection.url} cannot be made: {error.description}") from None
        raise _unfit(connection, name, f"cannot be made: {error}") from None


async def _update(connection: Connection, info: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    if not (changes := outdated(info["config"], wanted)):
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
