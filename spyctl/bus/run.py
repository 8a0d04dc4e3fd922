"""A run that has begun: it keeps its leases and its record, and proves that nobody else goes on with it."""

import asyncio
import os
import secrets
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import nats.errors
import nats.js.errors

from spyctl.bus.checkpoint import Checkpoint, OpenBatch
from spyctl.bus.fence import fence_subject
from spyctl.bus.leases import Lease, Leases
from spyctl.bus.machine import here
from spyctl.bus.runs import BUCKET, RunRecord, Runs, RunState
from spyctl.bus.stream import NO_SPACE
from spyctl.errors import LeaseLostError, RefusedError, StreamBusyError
from spyctl.timing.clock import Clock, SystemClock
from spyctl.timing.instants import SECOND
from spyctl.timing.tasks import end_task

RENEW_S = 1.0
_AWAY_NS = 2 * SECOND  # so long a bucket may be away and nobody has to hear of it
_ATTEMPTS = 10
_FAILURES = (nats.errors.Error, nats.js.errors.Error, OSError)


class Run:
    """A run that has begun: keeps its leases and its record until it ends; ``fence`` is around this process.

    A run outlives its bucket: while nobody can be asked, nobody can take its leases either, and the server refuses
    whatever comes of it after its fence was closed. ``revision`` is that of the record of a new run.
    """

    def __init__(
        self, runs: Runs, record: RunRecord, *, prefix: str = "", clock: Clock | None = None, revision: int = 0
    ) -> None:
        self.record = record
        place = here()
        lease = Lease(
            secrets.token_hex(8), record.run_id, place.host, os.getpid(), record.started_ns, 0, place.boot, place.pids
        )
        self.leases = Leases(runs.bucket, lease, clock=clock)
        self.fence = fence_subject(lease.token, prefix)
        self._runs = runs
        self._revision = revision
        self._saving = asyncio.Lock()
        self._noted = False  # whether the record tells of a batch as the bucket holds it
        self._away_at = -1  # how much doubt there was when the bucket did not answer, though the server was there
        self._away_since_ns: int | None = None
        self._clock = clock or SystemClock()

    async def begin_at(self, checkpoint: Checkpoint) -> None:
        """Note that what the stream holds up to a checkpoint is not what this process publishes.

        Raises :class:`StreamBusyError` where another process went on with the run before it began.
        """
        if self._revision and await self._runs.revision(self.record.run_id) != self._revision:
            raise StreamBusyError(f"another process has gone on with run {self.record.run_id}", "end one of the two")
        self.record.checkpoint, self.record.batch = checkpoint, None
        await self._save()

    async def give_up(self, *, is_new: bool) -> None:
        """Return the leases of a run that could not begin; never raises for a server that is gone."""
        if is_new:
            self.record.state = RunState.REFUSED
            with suppress(*_FAILURES):  # another process may have gone on with it
                await self._runs.save(self.record, after=self._revision)
        with suppress(*_FAILURES):
            await self.leases.give_back()

    async def hold(self) -> bool:
        """Make sure that the leases are still ours; returns false where the server does not tell.

        Raises :class:`LeaseLostError` where one is not.
        """
        return await self._reached(self.leases.renew())

    async def prove(self, *, fenced: bool, anew: bool = False) -> bool:
        """Tell whether something may be published now: the leases are not in doubt, or a renewal has proved them.

        ``fenced`` says that the server refuses what comes from a holder that was overtaken: then a bucket that does not
        answer is no reason to wait, unless it is to be asked ``anew``. Where it does not, the last renewal must be
        recent. Raises :class:`LeaseLostError`.
        """
        self.leases.look()
        if not self.leases.in_doubt and (fenced or not self.leases.overdue):
            return True
        if fenced and self._bucket_away and not anew:
            return True  # the keeper goes on asking
        while await self.hold():
            if not self.leases.in_doubt:
                return True  # or this process slept while the answer waited for it: asked again
        return fenced and self._bucket_away

    async def keep(self, checkpoint: Callable[[], Checkpoint]) -> None:
        """Renew leases and checkpoint every second, until cancelled.

        Raises :class:`LeaseLostError` where another run has taken a lease from us.
        """
        looking = asyncio.create_task(self._keep_looking())
        try:
            while True:
                await asyncio.sleep(RENEW_S)
                await self._reached(self._renew(checkpoint))
        finally:
            await end_task(looking)

    async def _keep_looking(self) -> None:
        # Whatever is waited for: who slept meanwhile is in doubt, whether or not an answer came.
        while True:
            await asyncio.sleep(RENEW_S)
            self.leases.look()

    async def note_batch(self, batch: OpenBatch, checkpoint: Checkpoint) -> bool:
        """Write down that a batch begins, before its first event is sent; returns whether it may be sent.

        It may too while the bucket does not answer, where an earlier batch was written down: a successor then finds
        that the server has forgotten that one, and compares what is stored. Raises :class:`RefusedError` where the
        server will not store it, :class:`LeaseLostError` where another process goes on with the run.
        """
        self.record.batch, self.record.checkpoint = batch, checkpoint
        if self._noted and self._bucket_away:
            return True  # the keeper writes it down as soon as it can
        return await self._reached(self._note()) or (self._noted and self._bucket_away)

    async def note_journal(self, journal: dict[str, Any], checkpoint: Checkpoint) -> bool:
        """Write down what the run has to know to make its events again; returns whether the bucket answered."""
        self.record.journal, self.record.checkpoint = journal, checkpoint
        return await self._reached(self._note())

    async def end(self, state: RunState, checkpoint: Checkpoint, *, settled: bool) -> None:
        """Note how the run ended and return the leases; never raises for a server that is gone.

        ``settled`` says that the checkpoint covers all that was sent. Where it does not, the leases are left to become
        void, so that who takes them next counts what is stored.
        """
        leases = self.leases
        if leases.lost is not None and (not settled or leases.lost_to == self.record.run_id):
            return  # who took over has counted what is stored, or goes on with this very run
        record = self.record
        record.state, record.settled, record.checkpoint = state, settled, checkpoint
        record.batch = None if settled else record.batch
        with suppress(*_FAILURES, LeaseLostError):
            await (self._save() if leases.lost is None else self._runs.save(record))
            if settled:
                await leases.give_back()

    async def _reached(self, work: Coroutine[Any, Any, None]) -> bool:
        # Does something with the bucket; returns whether it answered.
        doubts = self.leases.doubts  # who sleeps meanwhile asks again
        try:
            await work
        except _FAILURES:
            self.leases.look()  # what failed to come may have failed because this process slept
            away = self._runs.connected
            self._away_at = doubts if away else -1
            self._away_since_ns = (self._away_since_ns or self._clock.now_ns()) if away else None
            return False
        self._away_at, self._away_since_ns = -1, None
        return True

    @property
    def trouble(self) -> str:
        """What to say of a bucket that has not answered for some seconds though the server is there, else nothing."""
        since_ns = self._away_since_ns
        if since_ns is None or self._clock.now_ns() - since_ns < _AWAY_NS:
            return ""
        return f"the bucket {BUCKET} does not answer: the run goes on, and could not be resumed after a crash"

    @property
    def _bucket_away(self) -> bool:
        return self._away_at == self.leases.doubts

    async def _note(self) -> None:
        try:
            await self._save()
        except nats.js.errors.APIError as error:
            if isinstance(error, nats.js.errors.ServiceUnavailableError) and error.err_code not in NO_SPACE:
                raise  # it has no leader
            raise RefusedError(str(error.description)) from None

    async def _renew(self, checkpoint: Callable[[], Checkpoint]) -> None:
        await self.leases.renew()
        self.record.checkpoint = checkpoint()
        await self._save()

    async def _save(self) -> None:
        # Writes the record, unless somebody else did meanwhile: whoever goes on with the run took its leases first.
        async with self._saving:
            for _ in range(_ATTEMPTS):
                try:
                    noted = self.record.batch is not None
                    self._revision = await self._runs.save(self.record, after=self._revision)
                    self._noted = noted
                    return
                except nats.js.errors.KeyWrongLastSequenceError:
                    newest = await self._runs.revision(self.record.run_id)
                    await self.leases.renew()
                    self._revision = newest
            raise nats.js.errors.KeyWrongLastSequenceError
