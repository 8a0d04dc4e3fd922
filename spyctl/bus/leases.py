"""Leases: which run publishes to a subject, kept as entries of the KV bucket ``SPYCTL``.

At most one run holds the lease on a subject, and it renews it every second. A lease that was not renewed for 10 s is
void, and where its process can be seen to be dead, at once. No two clocks are compared: on one machine the age of a
lease is read from the clock that both share; elsewhere, whoever wants it watches for 10 s whether it is renewed. Every
change states the revision that it replaces, so of two runs that reach for a lease at the same time the bucket lets one
through.

Its holder is *in doubt* after it was stopped for half of that time (a suspended machine, ``SIGSTOP``) or its connection
broke: then it publishes nothing before a renewal has proved that the lease is still its own.

:data:`TRANSITIONS` is the whole life of a lease, as one run sees it: it takes what is free or void, is refused what
another one holds (unless forced), renews, and either returns the lease or learns that it was overtaken. A run that was
overtaken has lost its lease permanently: it stops publishing and never writes it again.
"""

from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from enum import StrEnum
from typing import Self

import nats.errors
import nats.js.errors
import orjson
from nats.js.kv import KeyValue

from spyctl.bus.machine import Place, here, is_dead
from spyctl.errors import KeyInUseError, LeaseHeldError, LeaseLostError, StreamBusyError
from spyctl.timing.clock import Clock, SystemClock
from spyctl.timing.instants import MS, SECOND, duration_text

LEASE_NS = 10 * SECOND
_LOOK_NS = 250 * MS
KEY_CLAIM = "key."  # before the digest of a vendor's key, which has one connection a market, whatever the prefix
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
    """A lease as the bucket holds it; ``renewed_ns`` (Unix ns, to be shown) is 0 once it was returned.

    ``token`` tells the processes apart that go on with one run, one after the other. ``boot`` and ``pids`` say with
    ``host`` where the process runs, ``ticked_ns`` is the monotonic time there when it was renewed.
    """

    token: str
    run_id: str
    host: str
    pid: int
    started_ns: int
    renewed_ns: int
    boot: str = ""
    pids: str = ""
    ticked_ns: int = 0

    @classmethod
    def from_json(cls, payload: bytes) -> Self:
        """Read a lease as the bucket holds it; one of an older version has no token and no place.

        Raises :class:`TypeError` or :class:`ValueError` for anything else.
        """
        lease = cls(**{"token": ""} | orjson.loads(payload))
        if not all(isinstance(value, kind) for value, kind in zip(astuple(lease), _KINDS, strict=True)):
            raise TypeError("a field is of another type")
        return lease

    @property
    def place(self) -> Place:
        """Where its process runs."""
        return Place(self.host, self.boot, self.pids)

    @property
    def is_dead(self) -> bool:
        """Whether its process certainly lives no more."""
        return here().sees(self.place) and is_dead(self.pid)


_KINDS = (str, str, str, int, int, int, str, str, int)  # of the fields of a lease, in their order


@dataclass(frozen=True, slots=True)
class Entry:
    """What the bucket holds for a subject: the lease (``None``: nothing, or what is none), and the revision.

    ``alive`` says that its run still publishes, as far as can be told.
    """

    lease: Lease | None
    revision: int
    alive: bool = False

    def state(self, token: str) -> LeaseState:
        """Return what this lease is to the holder of a token."""
        if self.lease is None or not self.lease.renewed_ns:
            return LeaseState.FREE
        if self.lease.token == token:
            return LeaseState.OURS
        return LeaseState.HELD if self.alive else TRANSITIONS[LeaseState.HELD, LeaseEvent.EXPIRE]


class Leases:
    """The leases that one run holds; ``lease`` says who it is, ``life_ns`` how long one lasts that is not renewed."""

    def __init__(self, bucket: KeyValue, lease: Lease, *, clock: Clock | None = None, life_ns: int = LEASE_NS) -> None:
        self.lost: LeaseLostError | None = None
        self.lost_to: str | None = None  # the id of the run that took one
        self._bucket = bucket
        self._lease = lease
        self._clock = clock or SystemClock()
        self._life_ns = life_ns
        self._states: dict[str, LeaseState] = {}  # by subject
        self._revisions: dict[str, int] = {}
        self._silent: str | None = None  # the token of a holder found void, whose other leases are void too
        self._seen = self._clock.now_ns(), self._clock.time_ns()
        self._doubts, self._cleared = 1, 0  # how often there was reason for doubt, and how much of that is cleared
        self._proved_ns = self._clock.now_ns()

    async def take(self, subject: str, *, force: bool = False) -> Lease | None:
        """Take the lease on a subject; returns the lease of who left it behind, or of who goes on with our very run.

        Raises :class:`LeaseHeldError` where another run holds it, unless ``force``: then that run learns of it, and
        counts its own events.
        """
        event = LeaseEvent.FORCE if force else LeaseEvent.TAKE
        for _ in range(_ATTEMPTS):
            entry = await watch_lease(
                self._bucket, subject, clock=self._clock, for_ns=self._life_ns, silent=self._silent
            )
            current, state = entry.lease, entry.state(self._lease.token)
            self._states[subject] = state
            if current is not None and state is LeaseState.VOID:
                self._silent = current.token
            if current is not None and TRANSITIONS[state, event] is LeaseState.HELD:
                raise _held(current, subject, self._clock.time_ns())
            try:
                await self._write(subject, entry.revision, self._clock.time_ns())
            except nats.js.errors.KeyWrongLastSequenceError:
                continue  # somebody was faster; look again
            self._on(subject, event)
            same_run = current is not None and current.run_id == self._lease.run_id
            return current if state is LeaseState.VOID or (state is LeaseState.HELD and same_run) else None
        raise StreamBusyError(f"the lease on {subject} changes hands too fast", "try again")

    def look(self) -> None:
        """Note that this process is awake; where it was not for a while, its leases are in doubt."""
        now = self._clock.now_ns(), self._clock.time_ns()
        # A suspended machine stops the one clock, and somebody may set the other.
        if max(now[0] - self._seen[0], now[1] - self._seen[1]) > self._life_ns // 2:
            self.doubt()
        self._seen = now

    def doubt(self) -> None:
        """Have the leases proved before anything is published."""
        self._doubts += 1

    @property
    def doubts(self) -> int:
        """How often there was reason for doubt."""
        return self._doubts

    @property
    def in_doubt(self) -> bool:
        """Whether something has happened since the last renewal through which the leases may be lost."""
        return self._doubts > self._cleared

    @property
    def overdue(self) -> bool:
        """Whether the last renewal is so long ago that another run may soon take the leases."""
        return self._clock.now_ns() - self._proved_ns > self._life_ns // 2

    async def renew(self) -> None:
        """Renew all leases. Raises :class:`LeaseLostError` where another run has taken one, now or before."""
        if self.lost is not None:
            raise self.lost
        self.look()
        doubts, begun_ns = self._doubts, self._clock.now_ns()
        for subject in self._ours():
            try:
                await self._replace(subject, self._clock.time_ns())
            except LeaseLostError as error:
                self.lost = error
                raise
            self._on(subject, LeaseEvent.RENEW)
        self.look()  # an answer may have waited for us to wake up
        self._cleared, self._proved_ns = doubts, begun_ns

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
                if current is not None and current.token != self._lease.token:
                    self._overtaken(subject)
                    self.lost_to = current.run_id
                    what = "the vendor's key" if subject.startswith(KEY_CLAIM) else subject
                    raise LeaseLostError(f"run {current.run_id} took over {what}", "end one of the two") from None
                self._revisions[subject] = newest
        raise nats.js.errors.KeyWrongLastSequenceError

    async def _write(self, subject: str, revision: int, renewed_ns: int) -> None:
        value = orjson.dumps(replace(self._lease, renewed_ns=renewed_ns, ticked_ns=self._clock.now_ns()))
        if revision:
            self._revisions[subject] = await self._bucket.update(f"lease.{subject}", value, last=revision)
        else:  # never held, or its entry was deleted
            self._revisions[subject] = await self._bucket.create(f"lease.{subject}", value)


def _held(lease: Lease, subject: str, now_ns: int) -> LeaseHeldError:
    who, age = (
        f"run {lease.run_id} (process {lease.pid} on {lease.host})",
        duration_text(max(0, now_ns - lease.started_ns)),
    )
    if subject.startswith(KEY_CLAIM):
        return KeyInUseError(f"{who} has been using this key for {age}, which has one connection a market")
    return LeaseHeldError(f"{who} has been publishing to {subject} for {age}")


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


async def watch_lease(
    bucket: KeyValue,
    subject: str,
    *,
    clock: Clock | None = None,
    for_ns: int = LEASE_NS,
    silent: str | None = None,
) -> Entry:
    """Return the lease on a subject, and whether its run is alive.

    Where only its own machine could tell how old it is, it is watched until it is renewed, or was not for ``for_ns``.
    ``silent`` is the token of a holder that is known not to be.
    """
    clock = clock or SystemClock()
    lease, revision = await read_lease(bucket, subject)
    if lease is None or not lease.renewed_ns or lease.token == silent or lease.is_dead:
        return Entry(lease, revision)
    if here().shares_clock(lease.place):
        return Entry(lease, revision, alive=clock.now_ns() - lease.ticked_ns <= for_ns)
    until_ns = clock.now_ns() + for_ns
    while clock.now_ns() < until_ns:
        await clock.wait_until(min(until_ns, clock.now_ns() + _LOOK_NS))
        newest, changed = await read_lease(bucket, subject)
        if changed != revision:
            return Entry(newest, changed, alive=True)
    return Entry(lease, revision)
