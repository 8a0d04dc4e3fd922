"""The life of a run: stream, lease, record, publisher, keeper, and in the end the true state of it.

Whoever publishes events as a run does it inside ``async with publishing(…)``: ``replay``, ``live`` and the Python API.
The run's leases are renewed meanwhile; where one is lost, the publisher takes no more events and
:meth:`Publishing.watch` stops the work.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import nats.errors
import nats.js.errors

from spyctl.bus.acks.base import USUAL, Patience
from spyctl.bus.acks.choice import choose_protocol, uses_batches
from spyctl.bus.acks.mode import AckMode
from spyctl.bus.checkpoint import Checkpoint
from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.contents import present_info
from spyctl.bus.custody import Custody, Holdings
from spyctl.bus.fence import STRAY_NS, can_fence, close_fence, fence_subject
from spyctl.bus.mark import mark_at
from spyctl.bus.publisher import Publisher
from spyctl.bus.reader import read_back
from spyctl.bus.recognition import Events, EventsAfter
from spyctl.bus.reconcile import reconcile, refuse_broken
from spyctl.bus.resume import refuse_uncounted, run_to_resume
from spyctl.bus.run import Run
from spyctl.bus.runs import RunRecord, Runs, RunState, new_run_id, unusable
from spyctl.bus.store_mode import StoreMode
from spyctl.bus.stream import Stream, ensure_stream, refuse_busy
from spyctl.errors import SpyctlError, UnreachableError
from spyctl.market.subjects import subject_table
from spyctl.timing.clock import Clock, SystemClock
from spyctl.timing.instants import MS, SECOND
from spyctl.timing.tasks import end_task

_RETRY_NS = 100 * MS
SETTLE_S = 5.0  # how long a run that ends early may take to find out what is stored


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a run publishes, and as what.

    The run leases the subjects in ``leased``, prefix included. ``inputs`` and ``options`` are what makes its events; a
    run is resumed only where they are the same. ``events`` yields those behind a position again (``None``: nobody can),
    with which what is stored is compared. ``resume`` names the run to go on with.
    ``claims`` are leases on what is not published but used alone, such as a key.
    ``source`` refuses a stream that received another source's events a moment ago (``None``: never). ``force`` takes
    over leases.
    """

    command: str
    leased: Sequence[str]
    claims: Sequence[str] = ()
    prefix: str = ""
    inputs: list[dict[str, Any]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    events: Events | None = None
    resume: str | None = None
    source: str | None = None
    force: bool = False
    ack_mode: AckMode = AckMode.AUTO
    store_mode: StoreMode = StoreMode.SAFE
    paced: bool = False
    patience: Patience = USUAL


class Publishing:
    """A run that publishes; made by :func:`publishing`. ``position`` is how many of its events were stored before."""

    def __init__(
        self,
        connection: Connection,
        stream: Stream,
        run: Run,
        publisher: Publisher,
        custody: Custody,
        events: Events | None = None,
        *,
        patience: Patience = USUAL,
        clock: Clock | None = None,
    ) -> None:
        self.connection = connection
        self.custody = custody
        self.holdings: Holdings | None = None  # what the stream held of it at the end
        self.stream = stream
        self.publisher = publisher
        self.position = run.record.position
        self.state: RunState | None = None  # how it ended, once somebody knows better than the context manager
        self._run = run
        self._events = events
        self._clock = clock or SystemClock()
        self._outage_s = patience.outage_s
        self._began_after = run.record.checkpoint.seq if run.record.checkpoint is not None else 0
        self._stop: Callable[[], None] | None = None
        self._keeper = asyncio.create_task(run.keep(publisher.checkpoint))
        self._keeper.add_done_callback(self._kept)

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._run.record.run_id

    @property
    def began_after(self) -> int:
        """The last sequence of the stream before this process published."""
        return self._began_after

    async def prepare(self) -> None:
        """Prove the leases ahead of the first event, which else waits for that in time that is paced.

        Raises :class:`LeaseLostError`.
        """
        await self._run.hold()

    async def watch(self, work: Coroutine[Any, Any, None], stop: Callable[[], None]) -> None:
        """Do the work of the run to its end; where a lease is lost meanwhile, ``stop`` is to end it in order.

        At the end the stream is asked what it holds of the run: ``holdings``. Raises what the work raises,
        :class:`UnreachableError` where the stream does not tell, and :class:`LeaseLostError` once everything in flight
        is settled.
        """
        self._stop = stop
        if self._lost() is not None:
            stop()
        try:
            await work
            await self._run.prove(fenced=True)  # who slept at the end learns here of who went on meanwhile
            self.holdings = await self.custody.account()
        finally:
            self._stop = None
            if (lost := self._lost()) is not None:
                with suppress(SpyctlError, TimeoutError):
                    async with asyncio.timeout(SETTLE_S):
                        await self.publisher.drain()
                raise lost

    async def stored(self) -> AsyncIterator[list[tuple[int, str, bytes]]]:
        """Yield ``(seq, subject, payload)`` of what the stream holds of this process's events."""
        last_seq = self.publisher.delivery.last_seq or 0
        subjects = self._run.record.subjects
        async for batch in read_back(self.connection, self.stream.name, subjects, self._began_after, last_seq):
            yield batch

    @property
    def journal(self) -> dict[str, Any]:
        """What an earlier process of the run has noted."""
        return self._run.record.journal

    async def note(self, journal: Mapping[str, Any]) -> None:
        """Write down what the run has to know to make its events again, before any that follow from it are sent.

        Waits for a server that is away. Raises :class:`UnreachableError`, :class:`RefusedError` and
        :class:`LeaseLostError`.
        """
        until_ns = self._clock.now_ns() + round(self._outage_s * SECOND)
        while not await self._run.note_journal(dict(journal), self.publisher.checkpoint()):
            await self.connection.wait_connected(self._outage_s)
            if self._clock.now_ns() > until_ns:
                where = self.connection.url
                raise UnreachableError(f"{where} has not stored the run's journal for {self._outage_s:g} s")
            await self._clock.wait_until(self._clock.now_ns() + _RETRY_NS)

    async def end(self, state: RunState) -> None:
        """Stop publishing and note how the run ended, and how many of its events are stored."""
        await end_task(self._keeper)
        await self.publisher.close()
        run, checkpoint, settled = self._run, self.publisher.checkpoint(), self.publisher.settled
        if not settled and run.leases.lost is None and self.connection.connected:
            run.record.checkpoint = checkpoint
            with suppress(SpyctlError, ApiError, TimeoutError):
                async with asyncio.timeout(SETTLE_S):
                    await reconcile(self.connection, run.record, self._events, fence=run.fence, clock=self._clock)
                checkpoint, settled = run.record.checkpoint, True
        await run.end(self.state or state, checkpoint, settled=settled)

    def _lost(self) -> SpyctlError | None:
        if not self._keeper.done() or self._keeper.cancelled():
            return None
        error = self._keeper.exception()
        return error if isinstance(error, SpyctlError) else SpyctlError(f"the run lost its lease: {error}")

    def _kept(self, _: "asyncio.Task[None]") -> None:
        if (lost := self._lost()) is not None:
            if self._stop is not None:
                self._stop()
            self.publisher.refuse(lost)


@asynccontextmanager
async def publishing(
    connection: Connection, request: RunRequest, *, clock: Clock | None = None
) -> AsyncIterator[Publishing]:
    """Begin a run, or go on with one, and end it however the block ends.

    Its record says ``ended`` after a block that returns, ``failed`` after one that raises, unless
    :attr:`Publishing.state` was set. Raises :class:`BusError` and its kin where the run cannot begin, and
    :class:`ResumeError` where it cannot go on.
    """
    stream = await ensure_stream(connection, request.prefix, request.store_mode)
    if request.source is not None:
        await refuse_busy(connection, stream, subject_table(request.prefix), request.source, time.time_ns())
    uses_batches(connection, stream, request.ack_mode)  # or an error, before there is a run
    try:
        run = await _begin(connection, stream, request, clock)
    except (nats.js.errors.Error, nats.errors.Error) as error:
        raise unusable(error) from None
    assert run.record.checkpoint is not None
    protocol = choose_protocol(
        connection, stream, subject_table(request.prefix), asked=request.ack_mode, paced=request.paced, run=run,
        events=_events_of(run, request), patience=request.patience,
    )  # fmt: skip
    publisher = Publisher(protocol, run.record.run_id, anchor=run.record.checkpoint, clock=clock)
    began_after = run.record.checkpoint.seq
    custody = Custody(
        connection, stream, subject_table(request.prefix), publisher.delivery, began_after,
        checkpoint=publisher.checkpoint, trouble=lambda: _trouble(publisher, run), clock=clock,
    )  # fmt: skip
    published = Publishing(
        connection, stream, run, publisher, custody, request.events, patience=request.patience, clock=clock
    )
    state = RunState.FAILED
    try:
        await publisher.open()
        yield published
        state = RunState.ENDED
    finally:
        await published.end(state)


def _trouble(publisher: Publisher, run: Run) -> str:
    hindrance = publisher.hindrance
    return f"nothing is stored now: {hindrance}" if hindrance else run.trouble


def _events_of(run: Run, request: RunRequest) -> EventsAfter | None:
    events = request.events
    return (lambda position: events(run.record.journal, position)) if events is not None else None


async def _begin(connection: Connection, stream: Stream, request: RunRequest, clock: Clock | None) -> Run:
    runs = await Runs.open(connection, replicas=stream.replicas)
    now = record = RunRecord(
        run_id=new_run_id(),
        command=request.command,
        stream=stream.name,
        subjects=list(request.leased),
        inputs=request.inputs,
        options=request.options,
        started_ns=time.time_ns(),
        stream_born=stream.born,
    )
    revision = 0
    if request.resume is None:
        revision = await runs.register(record)
    else:
        record = await run_to_resume(runs, request.resume, now)
        await refuse_uncounted(runs, record)
        await refuse_broken(connection, record)
    run = Run(runs, record, prefix=request.prefix, clock=clock, revision=revision)
    try:
        for claim in request.claims:
            await run.leases.take(claim, force=request.force)
        fences: dict[str, str] = {}  # by the run of a former process
        for subject in record.subjects:
            former = await run.leases.take(subject, force=request.force)
            if former is None or former.run_id in fences:
                continue
            fence = fences[former.run_id] = fence_subject(former.token, request.prefix)
            # What a dead process has sent comes late, if at all, and is recognised by its id, where ids last.
            if can_fence(connection) and not (former.is_dead and stream.duplicate_window_ns >= STRAY_NS):
                await close_fence(connection, fence, former.run_id)
            if former.run_id != record.run_id:
                await _reconcile_former(connection, runs, former.run_id, fence, clock)
        if request.resume is not None:
            # Its last word, now that it has to be silent.
            run.record = record = await run_to_resume(runs, record.run_id, now)
            await reconcile(connection, record, request.events, fence=fences.get(record.run_id), clock=clock)
        record.taken_over()
        end = await _end_of(connection, stream.name)
        if request.resume is None:
            record.began_after = end.seq
        else:
            await refuse_broken(connection, record)  # whatever is lost from now on, the end of the stream tells
        await run.begin_at(replace(end, position=record.position))
    except BaseException:
        await run.give_up(is_new=request.resume is None)
        raise
    return run


async def _reconcile_former(connection: Connection, runs: Runs, run_id: str, fence: str, clock: Clock | None) -> None:
    # A run of which nobody knows how much is stored is reconciled before anybody else publishes to its subjects.
    former = await runs.find(run_id)
    if former is None or former.settled:
        return
    with suppress(SpyctlError):  # it may then never be resumed, which is no reason to stop us
        await reconcile(connection, former, fence=fence, clock=clock)
    if former.state is RunState.RUNNING:
        former.state = RunState.CRASHED
    await runs.save(former)


async def _end_of(connection: Connection, stream: str) -> Checkpoint:
    seq = int((await present_info(connection, stream))["state"]["last_seq"])
    return Checkpoint(0, seq, await mark_at(connection, stream, seq))
