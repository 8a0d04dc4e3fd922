"""Leases: which run publishes to a subject, kept as entries of the KV bucket ``SPYCTL``.

At most one run holds the lease on a subject, and it renews it every second. A lease that was not renewed for 10 s is
void, and on the same machine a dead process voids its own at once. Every change states the revision that it
replaces, so of two runs that reach for a lease at the same time the bucket lets one through.

:data:`TRANSITIONS` is the whole life of a lease, as one run sees it: it takes what is free or void, is refused what
another one holds (unless forced), renews, and either returns the lease or learns that it was overtaken. A run that was
overtaken has lost its lease permanently: it stops publishing and never writes it again.
"""

import os
import platform
import time
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Self

import nats.errors
import nats.js.errors
import orjson
from nats.js.kv import KeyValue

from spyctl.errors import LeaseHeldError, LeaseLostError, StreamBusyError
from spyctl.timing.instants import SECOND, duration_text

LEASE_NS = 10 * SECOND
_ATTEMPTS = 10


class LeaseState(StrEnum):
    """What the lease on a subject is to one run."""

    FREE = "free"
    VOID = "void"
    HELD = "held by another run"
    OURS = "ours"
    LOST = "lost"


class LeaseEvent(StrEnum):
    """What may happen to it."""

    TAKE = "take"
    FORCE = "take by force"
    EXPIRE = "not renewed, or its process is dead"
    RENEW = "renew"
    OVERTAKEN = "another run wrote it"
    RETURN = "return"


TRANSITIONS = {
    (LeaseState.FREE, LeaseEvent.TAKE): LeaseState.OURS,
    (LeaseState.FREE, LeaseEvent.FORCE): LeaseState.OURS,
    (LeaseState.VOID, LeaseEvent.TAKE): LeaseState.OURS,
    (LeaseState.VOID, LeaseEvent.FORCE): LeaseState.OURS,
    (LeaseState.HELD, LeaseEvent.TAKE): LeaseState.HELD,
    (LeaseState.HELD, LeaseEvent.FORCE): LeaseState.OURS,
    (LeaseState.HELD, LeaseEvent.EXPIRE): LeaseState.VOID,
    (LeaseState.OURS, LeaseEvent.RENEW): LeaseState.OURS,
    (LeaseState.OURS, LeaseEvent.OVERTAKEN): LeaseState.LOST,
    (LeaseState.OURS, LeaseEvent.RETURN): LeaseState.FREE,
}


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as the bucket holds it; ``renewed_ns`` (Unix ns) is 0 once it was returned.

    ``token`` tells the processes apart that go on with one run, one after the other.
    """

    token: str
    run_id: str
    host: str
    pid: int
    started_ns: int
    renewed_ns: int

    @classmethod
    def from_json(cls, payload: bytes) -> Self:
        """Read a lease as the bucket holds it; one of an older version has no token.

        Raises :class:`TypeError` or :class:`ValueError` for anything else.
        """
        lease = cls(**{"token": ""} | orjson.loads(payload))
        if not all(isinstance(value, kind) for value, kind in zip(astuple(lease), _KINDS, strict=True)):
            raise TypeError("a field is of another type")
        return lease

    def state(self, token: str) -> LeaseState:
        """Return what this lease is to the holder of a token at this moment."""
        if not self.renewed_ns:
            return LeaseState.FREE
        if self.token == token:
            return LeaseState.OURS
        return LeaseState.HELD if self.alive else TRANSITIONS[LeaseState.HELD, LeaseEvent.EXPIRE]

    @property
    def alive(self) -> bool:
        """Whether its run still publishes, as far as can be told."""
        if time.time_ns() - self.renewed_ns > LEASE_NS:
            return False
        if self.host != platform.node():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return not _is_zombie(self.pid)


_KINDS = (str, str, str, int, int, int)  # of the fields of a lease, in their order


class Leases:
    """The leases that one run holds; ``lease`` says who it is."""

    def __init__(self, bucket: KeyValue, lease: Lease) -> None:
        self.lost: LeaseLostError | None = None
        self.lost_to: str | None = None  # the id of the run that took one
        self._bucket = bucket
        self._lease = lease
        self._states: dict[str, LeaseState] = {}  # by subject
        self._revisions: dict[str, int] = {}

    async def take(self, subject: str, *, force: bool = False) -> str | None:
        """Take the lease on a subject; returns the id of the run that left it behind, void.

        Raises :class:`LeaseHeldError` where another run holds it, unless ``force``: then that run learns of it, and
        counts its own events.
        """
        event = LeaseEvent.FORCE if force else LeaseEvent.TAKE
        for _ in range(_ATTEMPTS):
            current, revision = await read_lease(self._bucket, subject)
            state = self._states[subject] = current.state(self._lease.token) if current is not None else LeaseState.FREE
            if current is not None and TRANSITIONS[state, event] is LeaseState.HELD:
                age = duration_text(time.time_ns() - current.started_ns)
                raise LeaseHeldError(
                    f"run {current.run_id} (process {current.pid} on {current.host}) has been publishing "
                    f"to {subject} for {age}"
                )
            try:
                await self._write(subject, revision, time.time_ns())
            except nats.js.errors.KeyWrongLastSequenceError:
                continue  # somebody was faster; look again
            self._on(subject, event)
            return current.run_id if current is not None and state is LeaseState.VOID else None
        raise StreamBusyError(f"the lease on {subject} changes hands too fast", "try again")

    async def renew(self) -> None:
        """Renew all leases. Raises :class:`LeaseLostError` where another run has taken one, now or before."""
        if self.lost is not None:
            raise self.lost
        for subject in self._ours():
            try:
                await self._replace(subject, time.time_ns())
            except LeaseLostError as error:
                self.lost = error
                raise
            self._on(subject, LeaseEvent.RENEW)

    async def give_back(self) -> None:
        """Return all leases; those that another run has taken meanwhile stay with it."""
        for subject in self._ours():
            with suppress(LeaseLostError):
                await self._replace(subject, 0)
                self._on(subject, LeaseEvent.RETURN)

    def _ours(self) -> list[str]:
        return [subject for subject, state in self._states.items() if state is LeaseState.OURS]

    def _overtaken(self, subject: str) -> None:
        if self._states[subject] is LeaseState.OURS:  # the keeper and a batch that begins may both find out
            self._on(subject, LeaseEvent.OVERTAKEN)

    def _on(self, subject: str, event: LeaseEvent) -> None:
        self._states[subject] = TRANSITIONS[self._states[subject], event]

    async def _replace(self, subject: str, renewed_ns: int) -> None:
        # Writes a lease that is ours; a write of our own whose answer we never got may be in between.
        for _ in range(_ATTEMPTS):
            try:
                await self._write(subject, self._revisions[subject], renewed_ns)
                return
            except nats.js.errors.KeyWrongLastSequenceError:
                current, newest = await read_lease(self._bucket, subject)
                if current is None or current.token != self._lease.token:
                    self._overtaken(subject)
                    self.lost_to = current.run_id if current is not None else None
                    other = f"run {current.run_id}" if current is not None else "another run"
                    raise LeaseLostError(f"{other} took over {subject}", "end one of the two") from None
                self._revisions[subject] = newest

    async def _write(self, subject: str, revision: int, renewed_ns: int) -> None:
        value = orjson.dumps(replace(self._lease, renewed_ns=renewed_ns))
        if revision:
            self._revisions[subject] = await self._bucket.update(f"lease.{subject}", value, last=revision)
        else:  # never held, or its entry was deleted
            self._revisions[subject] = await self._bucket.create(f"lease.{subject}", value)


async def read_lease(bucket: KeyValue, subject: str) -> tuple[Lease | None, int]:
    """Return the lease on a subject and its revision, 0 where there is no entry; ``None`` for what is not a lease."""
    try:
        entry = await bucket.get(f"lease.{subject}")
    except nats.js.errors.KeyNotFoundError:
        return None, 0
    try:
        return Lease.from_json(entry.value or b""), int(entry.revision or 0)
    except (TypeError, ValueError):
        return None, int(entry.revision or 0)


def _is_zombie(pid: int) -> bool:
    # Dead, but its parent has not asked yet. Only Linux tells.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
