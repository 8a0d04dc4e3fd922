"""Virtual time: processes with an event loop each, and what happens between them, one thing after the other."""

import asyncio
import heapq
import math
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from spyctl.timing.clock import SystemClock
from tests.support.clock import WALL_NS

SECOND = 1_000_000_000
_MAX_TURNS = 20_000  # of one process without any time going by


class StuckError(AssertionError):
    """Nothing will ever happen again, or something happens for ever."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop that never waits: where it would, it stops and says in ``wake_ns`` until when."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        super().__init__()
        self.wake_ns: int | None = None
        self._now_ns = now_ns
        self._selector = self
        self._clock_resolution = 2e-9
        self._turns = 0
        self.set_exception_handler(lambda *_: None)

    def time(self) -> float:
        return self._now_ns() / SECOND

    def run_until_idle(self) -> None:
        self._turns = 0
        self.run_forever()

    def select(self, timeout: float | None) -> Sequence[Any]:
        self._turns += 1
        if self._turns > _MAX_TURNS:
            raise StuckError("a process goes round in circles")
        if timeout != 0 and not self._stopping:
            self.wake_ns = None if timeout is None else self._now_ns() + math.ceil(timeout * SECOND)
            self.stop()
        return ()

    def _process_events(self, _: Sequence[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class World:
    """``now_ns`` is the one time that there is. :meth:`tell` writes its history.

    ``strays`` is how many messages are on their way that nobody waits for.
    """

    def __init__(self) -> None:
        self.now_ns = SECOND
        self.history: list[str] = []
        self.running: Process | None = None
        self.processes: list[Process] = []
        self.strays = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._number = 0

    def tell(self, text: str) -> None:
        self.history.append(f"{(self.now_ns - SECOND) / SECOND:12.6f} s  {text}")

    def at(self, ns: int, happen: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._events, (max(ns, self.now_ns), self._number, happen))

    def after(self, ns: int, happen: Callable[[], None]) -> None:
        self.at(self.now_ns + ns, happen)

    def run(self, done: Callable[[], bool], until_ns: int) -> None:
        """Let everything happen in its order until ``done``. Raises :class:`StuckError`."""
        while not done():
            process = min(self.processes, key=lambda each: each.due_ns, default=None)
            due_ns = process.due_ns if process is not None else math.inf
            if self._events and self._events[0][0] <= due_ns:
                self.now_ns, _, happen = heapq.heappop(self._events)
                happen()
            elif process is not None and due_ns < math.inf:
                self.now_ns = max(self.now_ns, int(due_ns))
                process.step()
            else:
                raise StuckError("nothing will ever happen again")
            if self.now_ns > until_ns:
                raise StuckError("it never ends")


class ProcessClock(SystemClock):
    """The :class:`spyctl.timing.clock.Clock` of a process."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now_ns(self) -> int:
        return self._world.now_ns

    def time_ns(self) -> int:
        return self._world.now_ns + WALL_NS


class Process:
    """A process that may be frozen for a while, or killed; ``ended`` is called once ``work`` has come to its end."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.world = world
        self.loop = VirtualLoop(lambda: self._own_ns if self.dead else world.now_ns)
        self.clock = ProcessClock(world)
        self.dead = False
        self._own_ns = 0
        self._frozen_until_ns = 0
        self._ready = True
        world.processes.append(self)

    def start(self, work: Coroutine[Any, Any, None], ended: Callable[[asyncio.Task[None]], None]) -> None:
        self.loop.create_task(work).add_done_callback(ended)
        self._ready = True

    @property
    def due_ns(self) -> float:
        """When it has something to do next."""
        due_ns: float = math.inf if self.loop.wake_ns is None else self.loop.wake_ns
        return max(self.world.now_ns if self._ready else due_ns, self._frozen_until_ns)

    def step(self) -> None:
        self._ready = False
        self.world.running = self
        try:
            self.loop.run_until_idle()
        finally:
            self.world.running = None

    def call(self, function: Callable[..., object], *args: Any) -> None:
        """Have it do something as soon as it runs; a dead one does nothing."""
        if not self.dead:
            self.loop.call_soon(function, *args)
            self._ready = True

    def freeze(self, ns: int) -> None:
        """Stop it for a while, as SIGSTOP and a suspended machine do."""
        self._frozen_until_ns = max(self._frozen_until_ns, self.world.now_ns + ns)

    def end(self) -> None:
        """Be gone, at once. What is left of its tasks unwinds in a time of its own, and reaches nobody."""
        self.dead, self._own_ns = True, self.world.now_ns
        self.world.processes.remove(self)
        for _ in range(1_000):
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_idle()
            if not asyncio.all_tasks(self.loop):
                break
            self._own_ns = max(self._own_ns, self.loop.wake_ns or 0)
        else:
            raise StuckError("a process cannot be ended")
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
