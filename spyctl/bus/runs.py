"""Runs: their records and the leases on subjects, in the KV bucket ``SPYCTL``.

A *run record* says what a run reads, how it orders it, where it stores it and how far it is known to have come
(a checkpoint at most a second old). A *lease* says which run publishes to a subject; there is at most one, and
it must be renewed. Both are what a later ``--resume`` stands on.
"""

import asyncio
import os
import platform
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nats.errors
import nats.js.errors
import orjson
from nats.js.kv import KeyValue

from spyctl.bus.access import Access
from spyctl.bus.connection import ApiError, Connection, connect
from spyctl.bus.stream import FREE_SPACE, NO_SPACE
from spyctl.errors import BusError, NoSpaceError, RefusedError, SpyctlError, StreamBusyError
from spyctl.timing.instants import SECOND, duration_text

BUCKET = "SPYCTL"
LEASE_NS = 10 * SECOND
RENEW_S = 1.0
_RECORD_TTL_S = 7 * 86_400
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


@dataclass(slots=True)
class RunRecord:
    """What is known of a run; times are Unix ns.

    The stream holds its first ``position`` events, the last of them at or before the sequence ``seq`` (``None``
    until anything can have been sent). While
    the run is open it may hold more: those of ``batch``, whose first event has the position ``batch_first``, or
    where that is ``None``, what lies behind ``seq`` on its subjects. ``settled`` says that it holds no more.
    ``state`` is ``running``, ``complete`` or what ended the run; ``stream_born`` tells a stream from one that was
    made anew under its name.
    """

    run_id: str
    command: str
    stream: str
    subjects: list[str]
    inputs: list[dict[str, Any]]
    options: dict[str, Any]
    started_ns: int
    host: str = field(default_factory=platform.node)
    pid: int = field(default_factory=os.getpid)
    state: str = "running"
    position: int = 0
    seq: int | None = None
    batch: str | None = None
    batch_first: int = 0
    settled: bool = False
    stream_born: str = ""
    updated_ns: int = 0


def new_run_id() -> str:
    """Make up a short id; :meth:`Runs.begin` sees to it that no other run has it."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(4))


Settle = Callable[[RunRecord], Awaitable[None]]


class Runs:
    """The bucket on one server.

    ``settle`` finds out what the stream holds of a run that ended without saying so, and notes it in its
    record; a run is settled before another one publishes to its subjects.
    """

    def __init__(self, connection: Connection, bucket: KeyValue, settle: Settle) -> None:
        self._connection = connection
        self._bucket = bucket
        self._settle = settle

    @classmethod
    async def open(cls, connection: Connection, settle: Settle) -> "Runs":
        """Open the bucket, made where there is none. Raises :class:`BusError`."""
        jetstream = connection.jetstream()
        try:
            try:
                bucket = await jetstream.key_value(BUCKET)
            except nats.js.errors.NotFoundError:
                bucket = await jetstream.create_key_value(bucket=BUCKET, ttl=_RECORD_TTL_S)
        except (nats.js.errors.Error, nats.errors.Error) as error:
            raise _unusable(error) from None
        return cls(connection, bucket, settle)

    async def begin(self, record: RunRecord, *, force: bool = False) -> "Run":
        """Register a run under an id that no other has, and lease its subjects.

        Raises :class:`StreamBusyError` where a living run holds one of them, unless ``force``, and
        :class:`BusError` where the bucket cannot be used.
        """
        try:
            return await self._begin(record, force=force)
        except (nats.js.errors.Error, nats.errors.Error) as error:
            raise _unusable(error) from None

    async def _begin(self, record: RunRecord, *, force: bool) -> "Run":
        while True:
            record.updated_ns = time.time_ns()
            try:
                await self._bucket.create(f"run.{record.run_id}", orjson.dumps(record))
                break
            except nats.js.errors.KeyWrongLastSequenceError:
                record.run_id = new_run_id()
        try:
            run = await self._lease(record, force=force)
            await run.begin_at(await self._end_of(record.stream))
            return run
        except StreamBusyError:
            record.state = "refused"
            await self._bucket.put(f"run.{record.run_id}", orjson.dumps(record))
            raise

    async def _end_of(self, stream: str) -> int:
        try:
            return int((await self._connection.api(f"STREAM.INFO.{stream}"))["state"]["last_seq"])
        except ApiError as error:
            if error.code == 404:
                return 0  # it is made by the first run
            raise BusError(f"stream {stream} cannot be read: {error}") from None

    async def reopen(self, record: RunRecord) -> "Run":
        """Go on with a run that has ended, from ``record.position``; otherwise like :meth:`begin`."""
        try:
            run = await self._lease(record, force=False)
            if not record.settled:
                await self._settle(record)
            record.host, record.pid, record.state, record.settled = platform.node(), os.getpid(), "running", False
            await run.begin_at(await self._end_of(record.stream))
        except (nats.js.errors.Error, nats.errors.Error) as error:
            raise _unusable(error) from None
        return run

    async def _lease(self, record: RunRecord, *, force: bool) -> "Run":
        run = Run(self._bucket, record)
        orphans = {await run.lease(subject, force=force) for subject in record.subjects}
        for run_id in orphans - {None, record.run_id}:
            orphan = await self.find(str(run_id))
            if orphan is not None and orphan.state == "running" and not orphan.settled and not force:
                with suppress(SpyctlError):  # it can then not be resumed, which is no reason to stop us
                    await self._settle(orphan)
                orphan.state = "crashed"
                await self._bucket.put(f"run.{orphan.run_id}", orjson.dumps(orphan))
        return run

    async def find(self, run_id: str) -> RunRecord | None:
        """Return the record of a run."""
        return await _record(self._bucket, run_id)

    async def newest(self, command: str, stream: str) -> RunRecord | None:
        """Return the record of the run of a command that was begun last."""
        records = [await self.find(run_id) for run_id in await run_ids(self._connection)]
        found = [one for one in records if one and (one.command, one.stream) == (command, stream)]
        found = [one for one in found if one.state != "refused"]
        return max(found, key=lambda one: one.started_ns, default=None)


async def _record(bucket: KeyValue, run_id: str) -> RunRecord | None:
    try:
        entry = await bucket.get(f"run.{run_id}")
        return RunRecord(**orjson.loads(entry.value or b"{}"))
    except (nats.js.errors.KeyNotFoundError, TypeError):
        return None


async def run_ids(connection: Connection) -> list[str]:
    """List the ids of all runs that have a record on a server."""
    return [key.removeprefix("run.") for key in await _keys(connection, "run.")]


async def _keys(connection: Connection, prefix: str) -> list[str]:
    # nats-py's own way to list keys now and then finds none.
    under = f"$KV.{BUCKET}."
    try:
        info = await connection.api(f"STREAM.INFO.KV_{BUCKET}", {"subjects_filter": f"{under}{prefix}>"})
    except ApiError:
        return []
    return [subject.removeprefix(under) for subject in info["state"].get("subjects") or {}]


async def known_runs(urls: Sequence[str], access: Access) -> list[str]:
    """List the ids of the runs that a server knows, newest first; none where none answers at once."""
    try:
        connection = await connect(urls, access=access, timeout_s=0.3)
    except BusError:
        return []
    try:
        bucket = await connection.jetstream().key_value(BUCKET)
        records = [await _record(bucket, run_id) for run_id in await run_ids(connection)]
        replays = [one for one in records if one is not None and one.command == "replay"]
        return [one.run_id for one in sorted(replays, key=lambda one: -one.started_ns)]
    except (nats.js.errors.Error, nats.errors.Error):
        return []
    finally:
        await connection.close()


async def living_runs(connection: Connection) -> list[RunRecord]:
    """List the records of all runs that publish now, under whatever prefix; makes no bucket where there is none."""
    found: dict[str, RunRecord] = {}
    with suppress(nats.js.errors.Error, nats.errors.Error, KeyError):
        bucket = await connection.jetstream().key_value(BUCKET)
        for key in await _keys(connection, "lease."):
            lease = orjson.loads((await bucket.get(key)).value or b"{}")
            if lease["run_id"] not in found and _alive(lease):
                record = await _record(bucket, lease["run_id"])
                found |= {record.run_id: record} if record is not None else {}
    return list(found.values())


class Run:
    """A registered run: renews its leases and its checkpoint until it ends."""

    def __init__(self, bucket: KeyValue, record: RunRecord) -> None:
        self._bucket = bucket
        self.record = record
        self._lost: StreamBusyError | None = None
        self._leases: dict[str, int] = {}

    async def lease(self, subject: str, *, force: bool = False) -> str | None:
        """Take the lease on a subject; returns the run that held it and did not give it back.

        Raises :class:`StreamBusyError` where a living run holds it.
        """
        key = f"lease.{subject}"
        for _ in range(10):
            held, revision = await self._read(key)
            if held is not None and not force and _alive(held):
                age = duration_text(time.time_ns() - held["started_ns"])
                raise StreamBusyError(
                    f"run {held['run_id']} (process {held['pid']} on {held['host']}) has been publishing "
                    f"to {subject} for {age}",
                    "wait for it, --prefix NAME to publish beside it, or --force to take over from it",
                )
            try:
                if held is None:  # never held, or its entry was deleted
                    self._leases[subject] = await self._bucket.create(key, self._lease_value())
                else:
                    self._leases[subject] = await self._write(key, self._lease_value(), revision)
            except nats.js.errors.KeyWrongLastSequenceError:
                continue  # somebody was faster; look again
            return held["run_id"] if held is not None and held["renewed_ns"] else None
        raise StreamBusyError(f"the lease on {subject} changes hands too fast", "try again")

    async def begin_at(self, seq: int) -> None:
        """Note that what the stream holds up to a sequence is not what this process publishes."""
        self.record.seq, self.record.batch = seq, None
        await self.save()

    async def hold(self) -> None:
        """Make sure that the leases are still ours. Raises :class:`StreamBusyError` where one is not."""
        with suppress(nats.errors.Error, nats.js.errors.Error, OSError):
            await self._renew()

    async def keep(self, checkpoint: Callable[[], tuple[int, int]]) -> None:
        """Renew leases and checkpoint every second, for ever; ``checkpoint`` gives position and sequence.

        Raises :class:`StreamBusyError` where another run took a lease from us.
        """
        while True:
            await asyncio.sleep(RENEW_S)
            with suppress(nats.errors.Error, nats.js.errors.Error, OSError):
                await self._renew()
                self.record.position, self.record.seq = checkpoint()
                await self.save()

    async def note_batch(self, name: str, first: int, anchor: tuple[int, int]) -> bool:
        """Write down that a batch begins, before its first event is sent; returns whether that worked.

        Raises :class:`RefusedError` where the server will not store it.
        """
        record = self.record
        record.batch, record.batch_first = name, first
        record.position, record.seq = anchor
        try:
            await self.save()
        except nats.js.errors.APIError as error:
            raise RefusedError(str(error.description)) from None
        except (nats.errors.Error, nats.js.errors.Error, OSError):
            return False
        return True

    async def end(self, state: str, checkpoint: tuple[int, int], *, settled: bool) -> None:
        """Note how the run ended and give the leases back; never raises for a server that is gone.

        ``settled`` says that nothing was in flight.
        """
        record = self.record
        if self._lost is not None:
            return  # who took over has settled it
        record.state, record.settled = state, settled
        record.position, record.seq = checkpoint
        record.batch = None if settled else record.batch
        with suppress(nats.errors.Error, nats.js.errors.Error, OSError):
            await self.save()
            for subject, revision in self._leases.items():
                with suppress(nats.js.errors.KeyWrongLastSequenceError):
                    await self._write(f"lease.{subject}", self._lease_value(renewed_ns=0), revision)
        self._leases.clear()

    async def save(self) -> None:
        """Write the record down."""
        self.record.updated_ns = time.time_ns()
        await self._bucket.put(f"run.{self.record.run_id}", orjson.dumps(self.record))

    async def _renew(self) -> None:
        for subject, revision in self._leases.items():
            try:
                self._leases[subject] = await self._write(f"lease.{subject}", self._lease_value(), revision)
            except nats.js.errors.KeyWrongLastSequenceError:
                held, found = await self._read(f"lease.{subject}")
                if held is not None and held["run_id"] == self.record.run_id:
                    self._leases[subject] = found  # our own write, whose answer was lost
                    continue
                other = held["run_id"] if held else "another run"
                self._lost = StreamBusyError(f"run {other} took over {subject}", "end one of the two")
                raise self._lost from None

    async def _read(self, key: str) -> tuple[dict[str, Any] | None, int]:
        try:
            entry = await self._bucket.get(key)
        except nats.js.errors.KeyNotFoundError:
            return None, 0
        return orjson.loads(entry.value or b"{}"), int(entry.revision or 0)

    async def _write(self, key: str, value: bytes, revision: int) -> int:
        return await self._bucket.update(key, value, last=revision)

    def _lease_value(self, renewed_ns: int | None = None) -> bytes:
        record = asdict(self.record)
        held = {key: record[key] for key in ("run_id", "host", "pid", "started_ns")}
        return orjson.dumps(held | {"renewed_ns": time.time_ns() if renewed_ns is None else renewed_ns})


def _unusable(error: Exception) -> BusError:
    if getattr(error, "err_code", None) in NO_SPACE:
        return NoSpaceError(f"the server has no room left: {getattr(error, 'description', error)}", FREE_SPACE)
    return BusError(f"the bucket {BUCKET} cannot be used: {error}", "nats kv info SPYCTL tells more")


def _alive(lease: dict[str, Any]) -> bool:
    # A lease that was not renewed is void; on this very machine a dead process voids it at once.
    if time.time_ns() - lease["renewed_ns"] > LEASE_NS:
        return False
    if lease["host"] != platform.node():
        return True
    try:
        os.kill(lease["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not _is_zombie(lease["pid"])


def _is_zombie(pid: int) -> bool:
    # Dead, but its parent has not asked yet. Only Linux tells.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
