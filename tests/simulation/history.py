"""One history: a user who publishes a run and resumes it to its end, what befalls it, and whether that is true."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from spyctl.bus.acks.mode import AckMode
from spyctl.bus.checkpoint import LAST_RUN
from spyctl.bus.machine import Place
from spyctl.bus.publishing import Publishing, RunRequest, publishing
from spyctl.bus.recognition import Message, messages_of
from spyctl.bus.runs import RunState
from spyctl.errors import (
    BusError,
    LeaseHeldError,
    LeaseLostError,
    LostEventsError,
    NoRunError,
    RefusedError,
    ResumeError,
    RunCompleteError,
    SpyctlError,
    UnreachableError,
)
from spyctl.market.encode import EncodedBatch
from spyctl.market.subjects import SUBJECTS
from tests.simulation.jetstream import JetStream, Stored
from tests.simulation.judge import COMPLETE, STRANGER, Said, UntrueError, judge, numbers_of
from tests.simulation.network import LATE_NS, Line, SimulatedConnection
from tests.simulation.seed import Fault, Seed
from tests.simulation.world import SECOND, Process, World
from tests.support.batches import batch_of

LEASED = SUBJECTS[:2]
_ATTEMPTS = 20
_LONGEST_NS = 3_600 * SECOND
_AGAIN = (LeaseHeldError, LeaseLostError, UnreachableError, RefusedError)  # the user tries again


class OutOfOrderError(SpyctlError):
    """Some events are stored behind later ones: exit 3, as the command has it."""


def events(first: int, end: int) -> EncodedBatch:
    """Return the events of the run at some positions, the first of which is 1."""
    return batch_of([b"event %d" % n for n in range(first, end)], [n % len(LEASED) for n in range(first, end)])


def publish_foreign(server: JetStream, count: int, *, same: bool) -> None:
    """Have somebody else publish: what nobody would take for ours, or some of the ``same`` events."""
    for n in range(count):
        payload = b"event %d" % (2 * n + 1) if same else b"of somebody else"
        if payload == server.ever.get(server.last_seq + 1):
            payload = b"of somebody else"  # for nobody could tell the very same message in the very same place
        server.store(LEASED[1], payload, STRANGER)


def _has_own(held: Sequence[Stored], since_ns: int) -> bool:
    return any(each.stored_ns > since_ns for each in held if each.writer != STRANGER)


@contextmanager
def _surroundings(world: World, rng: random.Random, *, one_host: bool) -> Iterator[None]:
    def here() -> Place:
        name = world.running.name if world.running is not None and not one_host else "host"
        return Place(name, f"boot of {name}", f"processes of {name}")

    def pid() -> int:
        return int(world.running.name[1:]) if world.running is not None else 0

    def is_dead(pid: int) -> bool:
        return all(process.name != f"p{pid}" for process in world.processes)

    ids = rng.randbytes
    with (
        patch("spyctl.bus.run.here", here),
        patch("spyctl.bus.leases.here", here),
        patch("spyctl.bus.leases.is_dead", is_dead),
        patch("os.getpid", pid),
        patch("secrets.choice", rng.choice),
        patch("secrets.token_hex", lambda size: ids(size).hex()),
    ):
        yield


class History:
    """Lets a seed happen; :meth:`run` raises :class:`UntrueError` and its kin where the end is not true."""

    def __init__(self, seed: Seed) -> None:
        self.seed = seed
        self.world = World()
        self.verdict = ""  # how it ended, as the user was told
        self._rng = random.Random(seed.number + 1)
        self._server = JetStream(self.world, self._rng, seed.config)
        self._lines: dict[str, Line] = {}
        self._processes: list[Process] = []
        self._began = 0
        self._done = False
        self._reordered = set[Process]()
        self._told_of_order = False  # whether somebody has said that events are out of order
        self._asking_ns = 0  # when the stream was last to be asked what it holds
        self._lossy_ns = 0  # when it last lost something

    def run(self) -> None:
        with _surroundings(self.world, self._rng, one_host=self.seed.one_host):
            try:
                self._begin(resume=False)
                for fault in self.seed.faults:
                    self.world.at(SECOND + fault.at_ns, lambda fault=fault: self._befall(fault))  # type: ignore[misc]
                self.world.run(lambda: self._done and not (self._processes or self.world.strays), _LONGEST_NS)
            finally:
                for process in list(self._processes):
                    process.end()
        self.world.tell(f"the end: {self.verdict}")
        judge(self._ours(), [each.payload for each in self._server.held if each.subject in LEASED], self._said())

    # --- processes

    def _begin(self, *, resume: bool) -> None:
        self._began += 1
        process = Process(self.world, f"p{self._began}")
        self._processes.append(process)
        self._lines[process.name] = Line(self._rng, process, self.seed.delay_ns, self._server)
        connection = SimulatedConnection(process, self._lines[process.name], self._server)
        self.world.tell(f"{process.name} {'resumes' if resume else 'begins'}")
        process.start(self._work(process, connection, resume=resume), lambda task: self._ended(process, task))

    async def _work(self, process: Process, connection: SimulatedConnection, *, resume: bool) -> None:
        request = RunRequest(
            "replay", LEASED, events=self._events_after, ack_mode=self.seed.mode, resume=LAST_RUN if resume else None
        )
        async with publishing(connection.as_connection(), request, clock=process.clock) as run:
            stopped = asyncio.Event()
            try:
                await run.watch(self._play(run, stopped), stopped.set)
            finally:
                if run.publisher.delivery.reordered:
                    self._reordered.add(process)
            run.state = RunState.COMPLETE
        assert run.holdings is not None
        if run.holdings.lost or run.holdings.expired:
            raise LostEventsError(run.holdings.sentence)
        if process in self._reordered:
            raise OutOfOrderError(f"{run.publisher.delivery.reordered} reordered")

    async def _play(self, run: Publishing, stopped: asyncio.Event) -> None:
        seed, first, due_ns = self.seed, run.position + 1, self.world.now_ns
        while first <= seed.events and not stopped.is_set():
            end = min(first + seed.piece, seed.events + 1)
            await run.publisher.publish(events(first, end))
            due_ns = await _next_due(seed, self.world, due_ns)
            first = end
        await run.publisher.drain()
        self._asking_ns = self.world.now_ns

    async def _events_after(self, _: Mapping[str, Any], position: int) -> AsyncIterator[list[Message]]:
        if position < self.seed.events:
            yield messages_of(events(position + 1, self.seed.events + 1), SUBJECTS)

    def _ended(self, process: Process, task: "asyncio.Task[None]") -> None:
        if process.dead:
            return
        error = None if task.cancelled() else task.exception()
        said = "is complete" if error is None else f"{type(error).__name__}: {error}"
        self.world.tell(f"{process.name} {said}")
        self.world.after(0, lambda: self._after(process, error))

    def _after(self, process: Process, error: BaseException | None) -> None:
        if process.dead:
            return
        process.end()
        self._processes.remove(process)
        found = isinstance(error, ResumeError) and "is missing before one that is stored" in error.message
        self._told_of_order = self._told_of_order or found or process in self._reordered
        if error is not None and not isinstance(error, SpyctlError):
            raise UntrueError(f"{type(error).__name__} is no error of ours: {error}") from error
        if error is None or isinstance(error, RunCompleteError):
            self._conclude(COMPLETE if error is None else f"{COMPLETE} already")
        elif isinstance(error, NoRunError) and not self._ours():
            self._again(resume=False)
        elif isinstance(error, _AGAIN) or type(error) is BusError:
            self._again(resume=True)
        elif not (isinstance(error, ResumeError) and self._processes):  # where it is, another one goes on
            self._conclude(f"{type(error).__name__}: {error}")

    def _again(self, *, resume: bool) -> None:
        if self._done or self._processes:
            return
        if self._began >= _ATTEMPTS:
            self._conclude("given up")
            return
        pause_ns = self._rng.choice((SECOND // 10, SECOND, 12 * SECOND)) if self._began < 6 else 12 * SECOND
        n = self._began  # where another one is begun meanwhile, its end is what counts
        self.world.after(pause_ns, lambda: self._processes or self._began > n or self._begin(resume=resume))

    def _conclude(self, verdict: str) -> None:
        self._done, self.verdict = True, self.verdict or verdict

    # --- what befalls them

    def _befall(self, fault: Fault) -> None:
        if self._done:
            return
        self.world.tell(str(fault))
        process = self._processes[0] if self._processes else None
        line = self._lines[process.name] if process is not None else None
        server, now_ns = self._server, self.world.now_ns
        self._lossy_ns = now_ns if fault.kind in ("lose", "purge", "refill") else self._lossy_ns
        match fault.kind:
            case "restart" | "lose" | "refill":
                server.restart(fault.for_ns, fault.count if fault.kind != "restart" else 0)
                for each in () if server.config.elsewhere else self._processes:
                    # One of several may know a server that stayed, unless most of them went down at once.
                    if server.config.replicas == 1 or fault.kind != "restart" or self._rng.random() < 0.5:
                        self._lines[each.name].cut(fault.for_ns, late_ns=0)
            case "elect":
                server.elect(fault.for_ns, forgets=fault.count > 6)
            case "bucket":
                server.bucket.away_until_ns = now_ns + fault.for_ns
            case "foreign" | "same":
                self._publish_foreign(0 if server.away else fault.count, same=fault.kind == "same")
            case "purge":
                server.purge()
            case "second":
                self._begin(resume=True)
            case "usurp":
                self._follow(fault)
        if fault.kind == "refill":
            back_ns = server.away_until_ns - now_ns + 1
            self.world.after(back_ns, lambda: self._publish_foreign(fault.count, same=fault.count % 2 > 0))
        if process is None or line is None:
            return
        match fault.kind:
            case "cut":
                line.cut(fault.for_ns)
            case "deaf":
                line.deaf = True
                self.world.after(fault.for_ns, lambda: line.cut(SECOND // 10))
            case "swallow":
                line.swallows = True
                self.world.after(fault.for_ns, lambda: setattr(line, "swallows", False))
            case "freeze" | "usurp":
                process.freeze(fault.for_ns)
            case "suspend":
                process.freeze(fault.for_ns)
                line.cut(fault.for_ns)
            case "stall" if self.seed.mode is AckMode.FAST and fault.count % 4:
                line.on_start = lambda: self._stall(line, fault)
            case "stall":
                self._stall(line, fault)
            case "kill":
                line.cut(fault.for_ns, late_ns=fault.count * LATE_NS)
                process.end()
                self._processes.remove(process)
                self._again(resume=True)

    def _stall(self, line: Line, fault: Fault) -> None:
        line.stall(fault.for_ns)
        self._follow(fault)
        if (then := fault.then) is not None:
            self.world.after(then.at_ns, lambda: self._befall(then))

    def _follow(self, fault: Fault) -> None:
        # Has another process go on soon, where it sees the lease of the first no older than it is not too soon.
        soon_ns = fault.count * SECOND // 4 + (10 * SECOND if self.seed.one_host else 0)
        self.world.after(soon_ns, lambda: None if self._done else self._begin(resume=True))

    def _publish_foreign(self, count: int, *, same: bool) -> None:
        # Who publishes as much as was lost elsewhere, before anybody can notice, hides it.
        if not self._server.config.elsewhere or _has_own(self._server.held, self._lossy_ns):
            publish_foreign(self._server, count, same=same)

    def _ours(self) -> list[int]:
        return numbers_of(self._server.held, LEASED)

    def _said(self) -> Said:
        purged = any(fault.kind == "purge" for fault in self.seed.faults)
        return Said(
            self.verdict,
            self.seed.events,
            out_of_order=self._told_of_order or (self.seed.misses and self._began > 1),  # who knows may be killed
            excused=self._lossy_ns >= self._asking_ns,
            gentle=self.seed.gentle,
            may_fall_out=self._began > 1 and (purged or self.seed.config.max_messages > 0),
        )


def replay(number: int) -> History:
    """Let a seed happen, and return its history; the error says which seed it was, and what happened."""
    history = History(Seed.of(number))
    try:
        history.run()
    except Exception as error:
        told = "\n".join(history.world.history)
        raise UntrueError(
            f"{history.seed}\n{told}\n{type(error).__name__}: {error}\nagain: python -m tests.simulation {number}"
        ) from error
    return history


async def _next_due(seed: Seed, world: World, due_ns: int) -> int:
    # Waits until the next piece is due; who hurries and is late does not wait at all.
    due_ns = seed.pause_ns + (due_ns if seed.hurries else world.now_ns)
    if due_ns > world.now_ns or not seed.hurries:
        await asyncio.sleep((due_ns - world.now_ns) / SECOND)
    return due_ns
