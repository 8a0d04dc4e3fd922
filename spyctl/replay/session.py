"""A replay from its files to its sink: how it is to be played, what it has played, and how it ends."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

from spyctl.bus.in_flight import Delivery, Sink
from spyctl.bus.recognition import messages_of
from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.sort_times import Selection
from spyctl.errors import ControlError, MergeLimitError, SpyctlError
from spyctl.market.events import Reset
from spyctl.market.subjects import subject_of, subject_table, with_prefix
from spyctl.replay.control import Answer, Control, PlayEvent, PlayState
from spyctl.replay.director import Director
from spyctl.replay.file_source import FileSource
from spyctl.replay.pacing import MAX_QUIET_NS, Pace, Pacer
from spyctl.replay.pieces import REPLAYED_SUBJECTS, Source
from spyctl.replay.player import ALONE, Player, Surroundings
from spyctl.replay.progress import Progress
from spyctl.replay.script import Script
from spyctl.replay.segments import Journal
from spyctl.replay.sightings import Sightings
from spyctl.replay.source import Reading
from spyctl.replay.status import clock_of, status_of
from spyctl.replay.targets import Span
from spyctl.replay.track import Track
from spyctl.replay.verify import compare
from spyctl.replay.waypoints import Waypoints
from spyctl.summary import StopReason, Verified
from spyctl.terminal.process import keep_freed_memory
from spyctl.timing.clock import MAX_SPEED, REAL_TIME, Clock, Speed, SystemClock

LEASED_SUBJECTS = (*REPLAYED_SUBJECTS, subject_of(Reset))


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How to play.

    ``count`` ends after so many events (``None``: all); ``skip`` is how many messages an earlier process has published.
    The whole plan is played ``loops`` times. ``warm_up_ns`` of event time come before the start and after each seek, as
    fast as acknowledged. ``span`` is the event time of the plan, where it is known, and ``quiet`` are its stretches
    without events.
    """

    speed: Speed = REAL_TIME
    selection: Selection = field(default_factory=Selection)
    max_quiet_ns: int = MAX_QUIET_NS
    count: int | None = None
    prefix: str = ""
    strict: bool = False
    digest: bool = True
    skip: int = 0
    start_paused: bool = False
    loops: int = 1
    warm_up_ns: int = 0
    span: Span | None = None
    quiet: Sequence[tuple[int, int]] = ()


def leased_for(source: Source) -> tuple[str, ...]:
    """Return the subjects (without prefix) that a replay of a source publishes to."""
    return tuple(dict.fromkeys((*source.subjects, subject_of(Reset))))


class Replay:
    """One replay of some files, or of another source, into a sink.

    :meth:`run` plays; :meth:`stop` ends it after what is in flight; ``control`` tells it what to do meanwhile; the
    counters may be read at any time.
    """

    def __init__(
        self,
        played: Source | Sequence[DBNFileInfo],
        sink: Sink,
        options: ReplayOptions,
        *,
        run_id: str,
        journal: Journal | None = None,
        around: Surroundings = ALONE,
        control: Control | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.options = options
        self.run_id = run_id
        self.control = control or Control()
        self.control.status = self.status
        self.complete = False
        self.verified: Verified | None = None
        source = FileSource(tuple(played), options.selection) if isinstance(played, Sequence) else played
        self.subjects = tuple(with_prefix(subject, options.prefix) for subject in source.subjects)
        self._subject_table = subject_table(options.prefix)
        self._sink = sink
        self._clock = clock or SystemClock()
        self._pacer = Pacer(options.speed, self._clock, max_quiet_ns=options.max_quiet_ns)
        journal = replace(journal or Journal(), run_id=run_id)
        self.track = Track(Reading(options.strict), sink.delivery, journal, options.skip, with_digest=options.digest)
        span = options.span or source.span()
        self.director = Director(
            source, self._pacer, span, Waypoints(journal.marks, journal.loop),
            quiet=options.quiet, warm_up_ns=options.warm_up_ns, loops=options.loops,
        )  # fmt: skip
        self._player = Player(
            Script(source, options.count), sink, self.director, self._pacer, self.track, self.control,
            Progress(self._subject_table, Sightings(span.first_ns, span.last_ns)), around,
        )  # fmt: skip

    # --- figures

    @property
    def progress(self) -> Progress:
        """Counters of what was published."""
        return self._player.progress

    @property
    def stopped_by(self) -> StopReason | None:
        """Why it ends before its end, ``None`` where it does not."""
        return self._player.stopped_by

    @property
    def state(self) -> PlayState:
        """What it is doing now."""
        return PlayState.FINISHING if self.stopped_by is not None or self.complete else self.director.state

    @property
    def pace(self) -> Pace:
        """Speed, event time, quiet stretches, stalls."""
        return self._pacer.pace

    @property
    def event_ns(self) -> int | None:
        """The event time reached (Unix ns): that of the last event, after a jump the new place; ``None`` before."""
        return self.director.event_ns if self.director.arrived else self.pace.last_ns

    @property
    def speed(self) -> Speed:
        """The speed asked for now."""
        return self._pacer.speed

    @property
    def delivery(self) -> Delivery:
        """What was published and acknowledged, resets and seeds included."""
        return self._sink.delivery

    @property
    def reading(self) -> Reading:
        """What was read, and what was wrong with it."""
        return self.track.reading

    @property
    def rolls(self) -> list[int]:
        """The event times at which a continuous symbol becomes another instrument, as far as they are known."""
        return sorted({*self.director.finder.rolls, *(roll.ts_ns for roll in self.reading.rolls)})

    @property
    def held(self) -> int:
        """Events read and sorted, but not yet due."""
        return self.track.held

    @property
    def read(self) -> int:
        """Records read, without those whose events an earlier process has published."""
        return self.track.read

    @property
    def waiting_for(self) -> str:
        """Why nothing is published now, though it is playing; nothing where that is not so."""
        return self._player.waiting_for

    @property
    def by_subject(self) -> Mapping[str, int]:
        """Events published so far, by subject, those of a piece included that is on its way."""
        counts = Counter(self.progress.by_subject)
        if (piece := self.track.on_its_way) is not None:
            counts.update(dict(self.progress.counts(piece)))
        return counts

    def last_payload(self, subject: str) -> bytes | None:
        """Return the last event that was published on a subject, ``None`` before there is one."""
        piece = self.progress.newest.get(subject)
        return piece.last_payload(self._subject_table.index(subject)) if piece is not None else None

    @property
    def acknowledged(self) -> str:
        """How events are acknowledged: ``fast ingest`` or ``per message``."""
        return self._sink.protocol

    @property
    def wall_ns(self) -> int:
        """How long it took, or has been going on."""
        return max(0, (self.progress.ended_ns or self._clock.time_ns()) - self.progress.started_ns)

    @property
    def digest(self) -> str | None:
        """The hash of the payloads published so far, each followed by a newline.

        ``None`` where none is computed, and for a replay that jumped: its segments have one each.
        """
        return self.track.digest

    def clock(self) -> dict[str, Any]:
        """Return what its clock says, as ``spyctl.clock`` carries it."""
        return clock_of(self.run_id, self.state, self.director, self._pacer, self.track)

    def status(self) -> Answer:
        """Say how things stand, as ``spyctl ctl status --json`` prints it."""
        return status_of(self.run_id, self.state, self.waiting_for, self.director, self._pacer, self.track)

    # --- playing

    def stop(self, reason: StopReason) -> None:
        """End the replay: nothing more is read, what is in flight is waited for. The first reason stays."""
        self._player.stop(reason)

    async def run(self) -> None:
        """Play all files, then wait for every acknowledgement.

        Raises what the sink raises, and with ``strict`` the first :class:`DamagedFileError`.
        """
        keep_freed_memory()
        self.progress.started_ns = self._clock.time_ns()
        failure: SpyctlError | None = None
        try:
            try:
                await self._player.play_all(paused=self.options.start_paused)
            except MergeLimitError as error:
                failure = error  # what was read before is not lost
            self.director.on(PlayEvent.END)
            if self.stopped_by is not None:
                self.track.current.end_at(self.director.place.sort_ns)
            await self._sink.drain()
            if self.speed == MAX_SPEED and self.pace.first_ns is not None:
                self.pace.last_clock_ns = self._clock.now_ns()  # as fast as acknowledged, the last ack included
        finally:
            self.progress.ended_ns = self._clock.time_ns()
            self.control.end(ControlError(f"run {self.run_id} has ended", "spyctl runs lists those still running"))
        if self.options.strict and self.reading.damage:
            failure = self.reading.damage[0]
        if failure is not None:
            raise failure
        self.complete = self.stopped_by is None and not self.reading.damage

    async def verify(self, stored: AsyncIterator[list[tuple[int, str, bytes]]]) -> None:
        """Compare what the stream holds of this replay with its messages, made anew; sets ``verified``."""
        journal, skip = self.track.journal, self.options.skip
        unchecked = max(0, journal.segments[0].first - 1 - skip)
        pieces = self._player.script.pieces(journal, skip + unchecked)
        messages = chain.from_iterable(messages_of(piece, self._subject_table) for piece in pieces)
        expected = islice(messages, self.delivery.published - unchecked)
        self.verified = await compare(stored, expected, unchecked)
