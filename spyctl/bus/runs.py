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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import nats.errors
import nats.js.errors
import orjson
from nats.js.kv import KeyValue

from spyctl.bus.connection import Connection
from spyctl.errors import BusError, StreamBusyError
from spyctl.times import SECOND, duration_text

BUCKET = "SPYCTL"
LEASE_NS = 10 * SECOND
RENEW_S = 1.0
_RECORD_TTL_S = 7 * 86_400
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


@dataclass(slots=True)
class RunRecord:
    """What is known of a run; times are Unix ns.

    ``position`` events are acknowledged for certain, the last of them under ``seq``; ``state`` is
    ``running``, ``complete`` or what ended the run.
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
    updated_ns: int = 0


def new_run_id() -> str:
    """Make up a short id; :meth:`Runs.begin` sees to it that no other run has it."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(4))


class Runs:
    """The bucket on one server."""

    def __init__(self, bucket: KeyValue) -> None:
        self._bucket = bucket

    @classmethod
    async def open(cls, connection: Connection) -> "Runs":
        """Open the bucket, made where there is none. Raises :class:`BusError`."""
        jetstream = connection.jetstream()
        try:
            try:
                bucket = await jetstream.key_value(BUCKET)
            except nats.js.errors.NotFoundError:
                bucket = await jetstream.create_key_value(bucket=BUCKET, ttl=_RECORD_TTL_S)
        except (nats.js.errors.Error, nats.errors.Error) as error:
            raise BusError(f"the bucket {BUCKET} at {connection.url} cannot be used: {error}") from None
        return cls(bucket)

    async def begin(self, record: RunRecord, *, force: bool = False) -> "Run":
        """Register a run under an id that no other has, and lease its subjects.

        Raises :class:`StreamBusyError` where a living run holds one of them, unless ``force``, and
        :class:`BusError` where the bucket cannot be used.
        """
        try:
            return await self._begin(record, force=force)
        except (nats.js.errors.Error, nats.errors.Error) as error:
            raise BusError(f"the bucket {BUCKET} cannot be used: {error}", "nats kv info SPYCTL tells more") from None

    async def _begin(self, record: RunRecord, *, force: bool) -> "Run":
        while True:
            record.updated_ns = time.time_ns()
            try:
                revision = await self._bucket.create(f"run.{record.run_id}", orjson.dumps(record))
                break
            except nats.js.errors.KeyWrongLastSequenceError:
                record.run_id = new_run_id()
        run = Run(self._bucket, record, revision)
        try:
            for subject in record.subjects:
                await run.lease(subject, force=force)
        except StreamBusyError:
            await run.end("refused")
            raise
        return run


class Run:
    """A registered run: renews its leases and its checkpoint until it ends."""

    def __init__(self, bucket: KeyValue, record: RunRecord, revision: int) -> None:
        self._bucket = bucket
        self.record = record
        self._revision = revision
        self._leases: dict[str, int] = {}

    async def lease(self, subject: str, *, force: bool = False) -> None:
        """Take the lease on a subject. Raises :class:`StreamBusyError` where a living run holds it."""
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
            return
        raise StreamBusyError(f"the lease on {subject} changes hands too fast", "try again")

    async def keep(self, checkpoint: Callable[[], tuple[int, int | None]]) -> None:
        """Renew leases and checkpoint every second, for ever; ``checkpoint`` gives position and sequence.

        Raises :class:`StreamBusyError` where another run took a lease from us.
        """
        while True:
            await asyncio.sleep(RENEW_S)
            with suppress(nats.errors.Error, nats.js.errors.Error, OSError):
                await self._renew()
                self.record.position, self.record.seq = checkpoint()
                await self._save()

    async def end(self, state: str, checkpoint: tuple[int, int | None] | None = None) -> None:
        """Note how the run ended and give the leases back; never raises for a server that is gone."""
        self.record.state = state
        if checkpoint is not None:
            self.record.position, self.record.seq = checkpoint
        with suppress(nats.errors.Error, nats.js.errors.Error, OSError):
            await self._save()
            for subject, revision in self._leases.items():
                with suppress(nats.js.errors.KeyWrongLastSequenceError):
                    await self._write(f"lease.{subject}", self._lease_value(renewed_ns=0), revision)
        self._leases.clear()

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
                raise StreamBusyError(f"run {other} took over {subject} (--force)", "end one of the two") from None

    async def _save(self) -> None:
        self.record.updated_ns = time.time_ns()
        key = f"run.{self.record.run_id}"
        self._revision = await self._bucket.put(key, orjson.dumps(self.record))

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
    return True
