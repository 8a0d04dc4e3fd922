"""Obeys commands: what each of them changes, and where a jump goes."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from spyctl.dbn.sort_times import Int64s
from spyctl.errors import ControlError
from spyctl.market.encode import EncodedBatch
from spyctl.market.events import ResetReason
from spyctl.replay.boundaries import Boundaries, Jump
from spyctl.replay.commands import (
    Command,
    Find,
    GoTo,
    Loop,
    LoopHere,
    Mark,
    Pause,
    Resume,
    ScaleSpeed,
    Seek,
    SetSpeed,
    ShiftSpeed,
    Step,
    Toggle,
    Undo,
    Unit,
    scaled,
    shifted,
)
from spyctl.replay.control import TRANSITIONS, Answer, PlayEvent, PlayState, settle
from spyctl.replay.finder import Finder
from spyctl.replay.pacing import Pacer
from spyctl.replay.pieces import Source, Turn
from spyctl.replay.segments import BEGINNING, Cursor, Segment
from spyctl.replay.steps import Steps
from spyctl.replay.targets import Span
from spyctl.replay.waypoints import Waypoints
from spyctl.timing.clock import MAX_SPEED
from spyctl.timing.instants import SECOND


class Director:
    """Holds what a replay has been told: whether it plays, how fast, where to, and how far.

    ``place`` is where the next event is; ``quiet`` are the stretches without events. The whole plan is played ``loops``
    times.
    """

    def __init__(
        self,
        source: Source,
        pacer: Pacer,
        span: Span,
        ways: Waypoints,
        *,
        quiet: Sequence[tuple[int, int]] = (),
        warm_up_ns: int = 0,
        loops: int = 1,
    ) -> None:
        self.state = PlayState.PLAYING
        self.place = BEGINNING
        self.span = span
        self.ways = ways
        self.steps: Steps | None = None
        self.seeks = 0
        self._pacer = pacer
        self.finder = Finder(source, span, quiet)
        self._loops = loops
        self._boundaries = Boundaries(ways, span.begin_ns, warm_up_ns, loops)

    @property
    def event_ns(self) -> int:
        """The event time reached."""
        return self._here.sort_ns

    @property
    def _here(self) -> Cursor:
        return self.place if self.place != BEGINNING else Cursor(self.span.begin_ns)

    def on(self, event: PlayEvent) -> None:
        """Change the state. Raises :class:`ControlError` where that is not possible in this one."""
        if (self.state, event) not in TRANSITIONS:
            raise ControlError(f"the replay is {self.state}: {event} is not possible now", "wait for it to end")
        self.state = TRANSITIONS[self.state, event]

    @property
    def arrived(self) -> bool:
        """Whether nothing was published since the last jump."""
        return self._boundaries.arrived

    # --- commands

    async def obey(self, command: Command, answer: "asyncio.Future[Answer]", turn: Turn) -> Jump | None:
        """Do what a command says; returns the jump that it asks for. A step answers when it is done.

        Raises :class:`UsageError` and :class:`ControlError`, and what ``turn`` raises in a search.
        """
        match command:
            case Pause():
                self.pause()
            case Resume():
                self._resume()
            case Toggle():
                self._resume() if self.state is PlayState.PAUSED else self.pause()
            case Step(count, unit):
                return await self._step(count, unit, answer, turn)
            case SetSpeed(speed):
                self._pacer.set_speed(speed)
            case ShiftSpeed(rungs):
                self._pacer.set_speed(shifted(self._pacer.speed, rungs))
            case ScaleSpeed(factor):
                self._pacer.set_speed(scaled(self._pacer.speed, factor))
            case Seek(to):
                return self._seek(Cursor(self.span.find(to, self.event_ns, self.ways.marks)), answer)
            case GoTo(name):
                return self._seek(Cursor(self.ways.at(name)), answer)
            case Undo():
                return self._jump(self.ways.back(), answer)
            case Find():
                with self._searching():
                    place = await self.finder.find(
                        command, self.place, self.ways.marks.values(), turn, behind=self.arrived
                    )
                return self._seek(place, answer)
            case Mark(name):
                self.ways.mark(name, self.event_ns)
            case Loop(start, end):
                texts = (start, end) if start else ()
                ends = [self.span.find(text, self.event_ns, self.ways.marks) for text in texts]
                self.ways.set_loop(ends)
                if ends and self.event_ns >= ends[1]:  # it lies behind: go there
                    return self._seek(Cursor(ends[0]), answer)
            case LoopHere():
                self.ways.loop_here(self.event_ns)
        return None

    def pause(self) -> None:
        """Publish nothing from now on."""
        self.on(PlayEvent.PAUSE)
        self._pacer.hold()

    def _resume(self) -> None:
        self.on(PlayEvent.RESUME)
        self._pacer.go_on()

    async def _step(self, count: int, unit: Unit, answer: "asyncio.Future[Answer]", turn: Turn) -> Jump | None:
        if self.state is PlayState.PLAYING and self._pacer.speed == MAX_SPEED:
            raise ControlError("at max speed there is no next event to step to", "pause first, then step")
        self.on(PlayEvent.STEP)
        self._pacer.hold()
        if count > 0:
            self.steps = Steps(count, unit, self.event_ns + count * SECOND, answer)
            return None
        with self._searching():
            place = await self.finder.so_many_back(self._here, -count, unit, turn)
        return Jump(max(place, Cursor(self.span.begin_ns)), ResetReason.STEP, answer)

    @contextmanager
    def _searching(self) -> Iterator[None]:
        self.on(PlayEvent.JUMP)
        try:
            yield
        finally:
            self.on(PlayEvent.ARRIVE)

    def _seek(self, place: Cursor, answer: "asyncio.Future[Answer]") -> Jump:
        self.ways.left(self._here)
        return self._jump(place, answer)

    def _jump(self, place: Cursor, answer: "asyncio.Future[Answer]") -> Jump:
        self.seeks += 1
        return self._boundaries.seek(place, answer)

    # --- while it plays

    @property
    def warming_up(self) -> bool:
        """Whether what is published now only fills memories."""
        return self._boundaries.warm_up is not None

    @property
    def busy(self) -> bool:
        """Whether something is to be published even while it is paused: a step, or a warm-up."""
        return self.steps is not None or self.warming_up

    def begin(self, segment: Segment) -> None:
        """Take the place where a segment begins, or goes on in another process."""
        self.place = segment.cursor
        self._boundaries.begin(segment.cursor)
        self._boundaries.loops_left = self._loops - 1 - segment.lap
        if segment.until is not None:
            self._boundaries.warm_up = Jump(segment.cursor, ResetReason.WARM_UP, until=segment.until)

    def warm_up(self) -> Jump | None:
        """Return the jump to the warm-up before the start of the plan, where there is to be one."""
        return self._boundaries.before_start()

    def boundary(self, event_ns: int) -> Jump | None:
        """Return the jump that is due before an event: at the end of a warm-up, of a loop, of a plan played again."""
        return self._boundaries.due(event_ns, self.place)

    def limit(self, piece: EncodedBatch) -> int:
        """Return how many events of a piece come before the next boundary."""
        return self._boundaries.limit(piece, self.place)

    def moved(self, sort_ns: Int64s) -> None:
        """Note that events were published."""
        self.place = self.place.after(sort_ns)
        if self.place.sort_ns > self.span.last_ns:  # what is followed has grown
            self.span = replace(self.span, last_ns=self.place.sort_ns)
        self._boundaries.arrived = False

    def depart(self, jump: Jump, status: Callable[[], Answer]) -> None:
        """Note that a jump begins: a step that counts goes on in a loop, any other is left where it is."""
        counts = self.steps is not None and self.steps.unit is not Unit.SECONDS
        if jump.reason is not ResetReason.LOOP or not counts:
            self.end_step(status)
        warm_up = self._boundaries.warm_up
        if warm_up is not None and warm_up.answer is not None and warm_up.answer is not jump.answer:
            settle(warm_up.answer, status())  # another seek ends it
        self.on(PlayEvent.JUMP)

    def arrive(self, jump: Jump) -> "asyncio.Future[Answer] | None":
        """Note that a jump is at its place; returns who waits for that. A warm-up is answered at its end."""
        self.on(PlayEvent.ARRIVE)
        self._boundaries.arrive(jump)
        return jump.answer if jump.until is None else None

    def is_stepping(self, answer: "asyncio.Future[Answer]") -> bool:
        """Whether a command is a step that still goes on."""
        return self.steps is not None and self.steps.answer is answer

    def end_step(self, status: Callable[[], Answer]) -> None:
        """Answer the step that goes on, if there is one; the seconds that it has stepped over are behind."""
        if (steps := self.steps) is not None:
            self.steps = None
            if steps.done and steps.unit is Unit.SECONDS:
                self.place = max(self.place, Cursor(steps.end_ns))
            settle(steps.answer, status())
