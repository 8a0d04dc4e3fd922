"""Plays segment after segment: each event when it is due, each command between two events."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from spyctl.bus.in_flight import Sink
from spyctl.errors import ControlError, SpyctlError
from spyctl.market.encode import NOTHING_YET, EncodedBatch
from spyctl.replay.boundaries import Jump
from spyctl.replay.commands import Command, Pause, Resume, Step, Stop, Toggle
from spyctl.replay.control import Answer, Control, PlayState, refuse, settle
from spyctl.replay.director import Director
from spyctl.replay.pacing import Pacer
from spyctl.replay.pieces import in_turns
from spyctl.replay.progress import Progress
from spyctl.replay.script import Script
from spyctl.replay.segments import Journal, Segment
from spyctl.replay.sightings import Trouble
from spyctl.replay.track import Track
from spyctl.summary import StopReason
from spyctl.timing.instants import MAX_INSTANT, MS

_LOOK_NS = 50 * MS


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a replay needs of its surroundings.

    ``keep`` writes the journal down before a segment begins; ``held_back`` says why nothing may be published now,
    nothing where it may.
    """

    keep: Callable[[Mapping[str, Any]], Awaitable[None]]
    held_back: Callable[[], str]


async def keep_nothing(_: Mapping[str, Any]) -> None:
    """Keep no journal: where a run has no record, nobody can resume it."""


ALONE = Surroundings(keep_nothing, str)


class Player:
    """Plays a script into a sink as a director says; see :class:`Replay`."""

    def __init__(
        self,
        script: Script,
        sink: Sink,
        director: Director,
        pacer: Pacer,
        track: Track,
        control: Control,
        progress: Progress,
        around: Surroundings,
    ) -> None:
        self.script = script
        self.progress = progress
        self.stopped_by: StopReason | None = None
        self.waiting_for = ""
        self._sink = sink
        self._director = director
        self._pacer = pacer
        self._track = track
        self._control = control
        self._around = around
        self._arriving: asyncio.Future[Answer] | None = None
        control.on_command = pacer.wake.set
        segment = track.journal.segments[track.journal.holding(track.base)]
        self._begin(segment, track.base + 1 - segment.first)

    def stop(self, reason: StopReason) -> None:
        """Read nothing more; the first reason stays."""
        self.stopped_by = self.stopped_by or reason
        self._pacer.wake.set()

    async def play_all(self, *, paused: bool) -> None:
        """Play until the input ends, or until told to stop. Raises what the sink raises."""
        if paused:
            self._director.pause()
        segment = self._track.current.segment
        await self._publish_prelude(segment, self._track.base + 1 - segment.first)
        jump = self._director.warm_up() if not self._track.base else None
        while True:
            if jump is not None:
                await self._jump(jump)
            jump = await self._play()
            if jump is None:
                return

    async def _play(self) -> Jump | None:
        # Plays a segment; returns the jump that ends it.
        stretch = self._track.current.stretch
        async for piece in in_turns(stretch.pieces(), self._pacer.clock):
            start = 0
            if stretch.skip and self._track.current.published == 0:
                self._director.place = stretch.place  # an earlier process has come so far
            if piece is NOTHING_YET:
                self._pacer.move()  # what comes next is not behind, however long it takes
                if (jump := await self._before(self._director.event_ns)) is not None:
                    return jump
            while start < len(piece) and self.stopped_by is None:
                if (jump := await self._before(int(piece.sort_ns[start]))) is not None:
                    return jump
                if self.stopped_by is None and (end := await self._due(piece, start)) > start:
                    await self._publish(piece[start:end] if (start, end) != (0, len(piece)) else piece)
                    start = end
            if self.stopped_by is not None:
                return None
        if stretch.cut:
            self.stopped_by = self.stopped_by or StopReason.COUNT
        if self.stopped_by is not None:
            return None
        return await self._before(MAX_INSTANT)

    async def _before(self, event_ns: int) -> Jump | None:
        # Obeys what was commanded before the next event, and waits while it must not be published; returns a jump.
        if self._arriving is not None:
            settle(self._arriving, self._control.status())
            self._arriving = None
        while True:
            self._pacer.wake.clear()
            while self._control.waiting and self.stopped_by is None:
                if self._director.busy and isinstance(self._control.next, Step):
                    break  # one step after the other, and behind a warm-up
                if (jump := await self._obey(*self._control.take())) is not None:
                    return jump
            if self.stopped_by is not None:
                return None
            paused, at_end = self._director.state is PlayState.PAUSED, event_ns == MAX_INSTANT
            goes_on = not paused or self._director.busy
            if goes_on and (jump := self._director.boundary(event_ns)) is not None:
                return jump
            if at_end and self._director.steps is not None:
                self._director.end_step(self._control.status)
                continue
            if paused and not goes_on:
                await self._pacer.wake.wait()
            elif paused or at_end or not await self._held():
                return None

    async def _held(self) -> bool:
        # Waits a moment where nothing may be published for now.
        self.waiting_for = self._around.held_back()
        if not self.waiting_for:
            if self._director.state is PlayState.PLAYING:
                self._pacer.go_on()
            return False
        self._pacer.hold()
        await self._pacer.clock.wait_until(self._pacer.clock.now_ns() + _LOOK_NS, self._pacer.wake)
        return True

    async def _obey(self, command: Command, answer: "asyncio.Future[Answer]") -> Jump | None:
        try:
            if isinstance(command, Stop):
                self.stop(StopReason.STOP_KEEP if command.keep else StopReason.STOP)
                jump = None
            else:
                jump = await self._director.obey(command, answer, self._turn)
        except SpyctlError as error:
            refuse(answer, error)
            return None
        if isinstance(command, Pause | Resume | Toggle):
            self._director.end_step(self._control.status)
        ways, journal = self._director.ways, self._track.journal
        if (noted := replace(journal, marks=dict(ways.marks), loop=ways.loop)) != journal:
            await self._note(noted)
        if jump is None and not self._director.is_stepping(answer):
            settle(answer, self._control.status())
        return jump

    async def _turn(self, _: float) -> None:
        # In a search: others go on meanwhile, and another command ends it.
        await asyncio.sleep(0)
        if self.stopped_by is not None:
            raise ControlError("the replay ended before the search did", "the same command in another replay")
        if self._control.waiting:
            raise ControlError("the search was ended by another command", "give the commands one after the other")

    async def _due(self, piece: EncodedBatch, start: int) -> int:
        limit = self._director.limit(piece)
        steps = self._director.steps
        if steps is not None or self._director.warming_up:
            end = steps.take(piece[:limit], start) if steps is not None else limit
            if end > start:
                self._pacer.out_of_turn(piece[start:end])
            elif steps is not None and steps.done:
                self._director.end_step(self._control.status)
            return end
        stalls = self._pacer.pace.stalls
        end = await self._pacer.due(piece[:limit] if limit < len(piece) else piece, start)
        if self._pacer.pace.stalls > stalls:
            self.progress.sightings.note(Trouble.STALL, [int(piece.sort_ns[start])])
        return end

    async def _publish(self, piece: EncodedBatch) -> None:
        with self._track.sending(piece):
            await self._sink.publish(piece)
        self._director.moved(piece.sort_ns)
        self.progress.add(piece, self._pacer.clock.now_ns())
        if self._director.steps is not None and self._director.steps.done:
            self._director.end_step(self._control.status)

    # --- segments

    async def _jump(self, jump: Jump) -> None:
        # Nothing of the new segment is sent before all of the last one is stored, and the new one written down.
        self._director.depart(jump, self._control.status)
        self._track.current.leave(self._director.place.sort_ns)
        await self._sink.drain()
        await asyncio.sleep(0)  # a short loop into a sink that never waits leaves others their turn
        await self.script.source.prepare()
        books = await asyncio.to_thread(self.script.source.books_before, jump.place) if jump.seeded else []
        journal = self._track.journal
        segment = Segment(
            journal.segments[-1].number + 1, self._track.position + 1, jump.place, jump.reason,
            self._director.event_ns, self._pacer.clock.time_ns(), len(books), jump.until,
            journal.segments[-1].lap + jump.lap,
        )  # fmt: skip
        await self._note(journal.with_segment(segment))
        self._begin(segment, 0)
        await self._publish_prelude(segment, 0)
        self._pacer.move()
        self._arriving = self._director.arrive(jump)

    async def _note(self, journal: Journal) -> None:
        self._track.journal = journal
        await self._around.keep(journal.document())

    def _begin(self, segment: Segment, stored: int) -> None:
        self._track.begin(segment, self.script.stretch(self._track.journal, segment, stored, self._track.reading))
        self._director.begin(segment)

    async def _publish_prelude(self, segment: Segment, stored: int) -> None:
        if stored >= segment.prelude:
            return
        piece = self.script.prelude(segment, self._track.journal.run_id)[stored:]
        await self._sink.publish(piece)
        await self._sink.drain()
        self._track.add_prelude(piece)
        self.progress.show(piece)
