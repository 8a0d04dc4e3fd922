"""The records of runs, in the KV bucket ``SPYCTL``.

A *run record* says what a run reads, how it orders it, where it stores it and how far it is known to have come
(a checkpoint at most a second old). It is what a later ``--resume`` stands on.
"""

import asyncio
import os
import platform
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

import nats.errors
import nats.js.errors
import orjson
from nats.js.kv import KeyValue

from spyctl.bus.access import Access
from spyctl.bus.answers import fits
from spyctl.bus.checkpoint import Checkpoint, OpenBatch
from spyctl.bus.client import DeniedError
from spyctl.bus.connection import MIN_PAYLOAD, ApiError, Connection, connect
from spyctl.bus.leases import watch_lease
from spyctl.bus.stream import ACCOUNT_LIMITS, NO_SPACE, OVERLAP, captures
from spyctl.errors import AccessDeniedError, AccountLimitError, BusError, NoSpaceError, UnfitStreamError
from spyctl.timing.instants import SECOND

BUCKET = "SPYCTL"
BUCKET_STREAM = f"KV_{BUCKET}"
BUCKET_SUBJECTS = f"$KV.{BUCKET}.>"
OTHER_SUBJECTS = "other subjects for that stream, or another server"
SEEN_NS = 3 * SECOND  # a living run renews its leases several times meanwhile
_LOOK_S, _ELECTION_LOOKS = 0.1, 100
_RECORD_TTL_S = 7 * 86_400
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


_SHAPE: dict[str, Any] = {
    "run_id": str, "command": str, "stream": str, "subjects": [str], "inputs": [{}], "options": {}, "started_ns": int,
    "stream_born?": str, "began_after?": int, "state": str, "checkpoint?": {"position": int, "seq": int, "mark?": str},
    "batch?": {"name": str, "first": int, "ends_seq?": int}, "settled?": bool, "journal?": {}, "host?": str,
    "pid?": int, "updated_ns?": int,
}  # fmt: skip


class RunState(StrEnum):
    """The state of a run; all but ``running`` are ends."""

    RUNNING = "running"
    COMPLETE = "complete"
    ENDED = "ended"  # stopped in order, before its end
    FAILED = "failed"
    CRASHED = "crashed"  # it never said how it ended
    STOPPED = "stopped"  # in order, and not to be resumed unless by name
    REFUSED = "refused"  # it never began


@dataclass(slots=True)
class RunRecord:
    """What is known of a run; times are Unix ns.

    The stream holds its first ``checkpoint.position`` events (``checkpoint`` is ``None`` until anything can have been
    sent). While the run is open it may hold more: those of ``batch``, or where that is ``None``, what lies behind the
    checkpoint on its subjects. ``settled`` says that it holds no more. ``stream_born`` tells a stream from one that was
    recreated under its name. All its events lie behind the sequence ``began_after`` (``None`` in old records).
    ``journal`` is what the run itself has to know to make its events again: where a replay jumped, and its marks.
    """

    run_id: str
    command: str
    stream: str
    subjects: list[str]
    inputs: list[dict[str, Any]]
    options: dict[str, Any]
    started_ns: int
    stream_born: str = ""
    began_after: int | None = None
    state: RunState = RunState.RUNNING
    checkpoint: Checkpoint | None = None
    batch: OpenBatch | None = None
    settled: bool = False
    journal: dict[str, Any] = field(default_factory=dict)
    host: str = field(default_factory=platform.node)
    pid: int = field(default_factory=os.getpid)
    updated_ns: int = 0

    @property
    def position(self) -> int:
        """How many of its events are known to be stored."""
        return self.checkpoint.position if self.checkpoint is not None else 0

    def taken_over(self) -> None:
        """Make it the record of this process, which goes on with the run."""
        self.host, self.pid = platform.node(), os.getpid()
        self.state, self.settled = RunState.RUNNING, False

    @classmethod
    def from_json(cls, payload: bytes) -> Self:
        """Read a record as the bucket holds it, also one of an older version.

        Raises :class:`KeyError`, :class:`TypeError` or :class:`ValueError` for anything else.
        """
        document = orjson.loads(payload)
        if not isinstance(document, dict):
            raise TypeError("it is no document")
        if "position" in document:
            document = _from_flat(document)
        if not fits(document, _SHAPE):
            raise TypeError("a field is of another type")
        checkpoint, batch = document.pop("checkpoint"), document.pop("batch")
        document = {key: value for key, value in document.items() if value is not None}
        return cls(
            **document | {"state": RunState(document["state"])},
            checkpoint=Checkpoint(**checkpoint) if checkpoint is not None else None,
            batch=OpenBatch(**batch) if batch is not None else None,
        )


def _from_flat(document: dict[str, Any]) -> dict[str, Any]:
    # Until the autumn of 2026 a record had no parts, and its state was the reason of its end.
    position, seq, batch, first = (document.pop(key) for key in ("position", "seq", "batch", "batch_first"))
    ended = document["state"] not in tuple(RunState)
    return document | {
        "checkpoint": {"position": position, "seq": seq} if seq is not None else None,
        "batch": {"name": batch, "first": first} if batch is not None else None,
        "state": RunState.ENDED.value if ended else document["state"],
    }


def new_run_id() -> str:
    """Make up a short id; :meth:`Runs.register` sees to it that no other run has it."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(4))


class Runs:
    """The records of one server. Its methods raise :class:`BusError` where the bucket cannot be used."""

    def __init__(self, connection: Connection, bucket: KeyValue) -> None:
        self._connection = connection
        self.bucket = bucket

    @classmethod
    async def open(cls, connection: Connection, *, replicas: int = 1) -> "Runs":
        """Open the bucket, made where there is none. Raises :class:`BusError`.

        It should have as many ``replicas`` as the stream it serves; one with fewer gets them where the server agrees.
        """
        jetstream = connection.jetstream()
        try:
            try:
                bucket = await jetstream.key_value(BUCKET)
                await _replicate(connection, replicas)
            except nats.js.errors.NotFoundError:
                bucket = await jetstream.create_key_value(bucket=BUCKET, ttl=_RECORD_TTL_S, replicas=replicas)
        except (nats.js.errors.Error, nats.errors.Error) as error:
            raise unusable(error) from None
        return cls(connection, bucket)

    @property
    def connected(self) -> bool:
        """Whether the server can be reached at this moment."""
        return self._connection.connected

    async def register(self, record: RunRecord) -> int:
        """Write a new record down, under an id that no other run has; returns its revision.

        The servers of a cluster may still be electing the leader of a bucket that was just made: that is waited for.
        """
        looks = _ELECTION_LOOKS
        while True:
            record.updated_ns = time.time_ns()
            try:
                return await self.bucket.create(f"run.{record.run_id}", orjson.dumps(record))
            except nats.js.errors.KeyWrongLastSequenceError:
                record.run_id = new_run_id()
            except nats.js.errors.NoStreamResponseError:
                looks -= 1
                if looks == 0:
                    raise
                await asyncio.sleep(_LOOK_S)

    async def save(self, record: RunRecord, *, after: int | None = None) -> int:
        """Write a record down and return its revision; ``after`` is the one that must not have changed meanwhile."""
        record.updated_ns = time.time_ns()
        key, value = f"run.{record.run_id}", orjson.dumps(record)
        return await (self.bucket.put(key, value) if after is None else self.bucket.update(key, value, last=after))

    async def revision(self, run_id: str) -> int:
        """Return the revision of a run's record, 0 where there is none."""
        try:
            return int((await self.bucket.get(f"run.{run_id}")).revision or 0)
        except nats.js.errors.KeyNotFoundError:
            return 0

    async def find(self, run_id: str) -> RunRecord | None:
        """Return the record of a run."""
        return await _record(self.bucket, run_id)

    async def newest(self, command: str, stream: str) -> RunRecord | None:
        """Return the record of the run of a command into a stream that began last."""
        candidates = [
            record
            for record in await stored_runs(self._connection)
            if (record.command, record.stream) == (command, stream)
            and record.state not in (RunState.REFUSED, RunState.STOPPED)
        ]
        return max(candidates, key=lambda record: record.started_ns, default=None)


async def _replicate(connection: Connection, replicas: int) -> None:
    # As many replicas of the bucket as are wanted, or those that there are.
    with suppress(ApiError, BusError):
        config = (await connection.api(f"STREAM.INFO.{BUCKET_STREAM}"))["config"]
        if config.get("num_replicas", 1) >= replicas:
            return
        await connection.api(f"STREAM.UPDATE.{BUCKET_STREAM}", config | {"num_replicas": replicas})
        for _ in range(_ELECTION_LOOKS):
            if (await connection.api(f"STREAM.INFO.{BUCKET_STREAM}")).get("cluster", {}).get("leader"):
                return
            await asyncio.sleep(_LOOK_S)


async def _record(bucket: KeyValue, run_id: str) -> RunRecord | None:
    try:
        entry = await bucket.get(f"run.{run_id}")
        return RunRecord.from_json(entry.value or b"{}")
    except (nats.js.errors.KeyNotFoundError, TypeError, ValueError, KeyError):
        return None


async def run_ids(connection: Connection) -> list[str]:
    """List the ids of all runs that have a record on a server."""
    return [key.removeprefix("run.") for key in await _keys(connection, "run.")]


async def _keys(connection: Connection, prefix: str) -> list[str]:
    # nats-py's own listing of keys sometimes misses them all.
    under = f"$KV.{BUCKET}."
    try:
        info = await connection.api(f"STREAM.INFO.{BUCKET_STREAM}", {"subjects_filter": f"{under}{prefix}>"})
    except ApiError:
        return []
    return [subject.removeprefix(under) for subject in info["state"].get("subjects") or {}]


async def known_runs(urls: Sequence[str], access: Access) -> list[str]:
    """List the ids of the replays that a server knows, newest first; none where no server answers at once."""
    try:
        connection = await connect(urls, access=access, timeout_s=0.3)
    except BusError:
        return []
    try:
        bucket = await connection.jetstream().key_value(BUCKET)
        records = [await _record(bucket, run_id) for run_id in await run_ids(connection)]
        replays = [record for record in records if record is not None and record.command == "replay"]
        return [record.run_id for record in sorted(replays, key=lambda record: -record.started_ns)]
    except (nats.js.errors.Error, nats.errors.Error):
        return []
    finally:
        await connection.close()


async def stored_runs(connection: Connection) -> list[RunRecord]:
    """List the records of all runs in the order in which they began; makes no bucket where there is none."""
    records: list[RunRecord | None] = []
    with suppress(nats.js.errors.NotFoundError):
        bucket = await connection.jetstream().key_value(BUCKET)
        records = [await _record(bucket, run_id) for run_id in await run_ids(connection)]
    return sorted((record for record in records if record is not None), key=lambda record: record.started_ns)


async def living_runs(connection: Connection) -> list[RunRecord]:
    """List the records of all runs that publish now, under whatever prefix; makes no bucket where there is none."""
    living: dict[str, RunRecord] = {}
    with suppress(nats.js.errors.Error, nats.errors.Error, KeyError):
        bucket = await connection.jetstream().key_value(BUCKET)
        subjects = [key.removeprefix("lease.") for key in await _keys(connection, "lease.")]
        entries = await asyncio.gather(*(watch_lease(bucket, subject, for_ns=SEEN_NS) for subject in subjects))
        for run_id in {entry.lease.run_id: None for entry in entries if entry.lease is not None and entry.alive}:
            record = await _record(bucket, run_id)
            living |= {record.run_id: record} if record is not None else {}
    return list(living.values())


def unusable(error: Exception) -> BusError:
    """Return our error for one of the bucket's."""
    what = f"the bucket {BUCKET} cannot be used"
    code, why = getattr(error, "err_code", None), getattr(error, "description", None)
    if isinstance(error, DeniedError):
        return AccessDeniedError(f"{what}: {error.words}")
    if code in NO_SPACE:
        return NoSpaceError(f"the server has no room left: {why}")
    if code in ACCOUNT_LIMITS:
        return AccountLimitError(f"{what}: {why}")
    if code == OVERLAP:
        return UnfitStreamError(f"{what}: another stream captures {BUCKET_SUBJECTS}", OTHER_SUBJECTS)
    if isinstance(error, nats.js.errors.BadBucketError):
        return BusError(f"{what}: stream {BUCKET_STREAM} is no bucket", f"nats stream rm {BUCKET_STREAM}")
    return BusError(f"{what}: {why or error}", f"nats kv info {BUCKET} says more")


def bucket_misfits(info: dict[str, Any]) -> list[str]:
    """Say in which ways the stream behind a bucket cannot hold records; nothing where it can."""
    config, held = info["config"], info["state"]["bytes"]
    problems = []
    if not captures(config.get("subjects") or [], BUCKET_SUBJECTS) or config.get("max_msgs_per_subject", -1) < 1:
        problems.append("is no bucket")
    if 0 < config.get("max_msg_size", -1) < MIN_PAYLOAD:
        problems.append(f"takes records of {config['max_msg_size']:,} bytes at most; spyctl needs {MIN_PAYLOAD:,}")
    if config.get("discard") == "new" and 0 < config.get("max_bytes", -1) < held + MIN_PAYLOAD:
        problems.append(f"is full: it takes no more than {config['max_bytes']:,} bytes")
    return problems
