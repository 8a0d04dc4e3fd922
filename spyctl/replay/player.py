"""The replay: file → columns → merge → bytes → paced → acknowledged."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from itertools import chain, islice

import numpy as np

from spyctl.bus.in_flight import Delivery, Sink
from spyctl.bus.recognition import Message, messages_of
from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.sort_times import Selection
from spyctl.errors import MergeLimitError, SpyctlError
from spyctl.market.columns import EVENT_TYPES, SCHEMAS
from spyctl.market.encode import EncodedBatch
from spyctl.market.subjects import subject_of, subject_table, with_prefix
from spyctl.replay.pacing import MAX_QUIET_NS, Pace, Pacer
from spyctl.replay.pieces import FileSource, in_turns
from spyctl.replay.source import Reading
from spyctl.replay.verify import Verified, compare
from spyctl.summary import StopReason
from spyctl.terminal.process import keep_freed_memory
from spyctl.timing.clock import MAX_SPEED, REAL_TIME, Clock, Speed, SystemClock
from spyctl.timing.rolling import RollingSecond

REPLAYED_SUBJECTS = tuple(subject_of(EVENT_TYPES[schema]) for schema in SCHEMAS)


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How to play.

    ``count`` ends after so many events (``None``: all); ``skip`` leaves out the first events, which an earlier
    process has published.
    """

    speed: Speed = REAL_TIME
    selection: Selection = field(default_factory=Selection)
    max_quiet_ns: int = MAX_QUIET_NS
    count: int | None = None
    prefix: str = ""
    strict: bool = False
    digest: bool = True
    skip: int = 0


class RunState(Enum):
    """What a replay is doing."""

    PLAYING = "playing"
    FINISHING = "finishing"  # nothing more is read; what is in flight is waited for


@dataclass(slots=True)
class Progress:
    """Counters of what was published, by the one that publishes; the display and the summary read them.

    ``newest`` is, for each subject, a piece that its last event is in; ``seconds`` is how busy each was, and ``second``
    all of them. ``started_ns`` and ``ended_ns`` are Unix ns, 0 before they are known.
    """

    by_subject: Counter[str] = field(default_factory=Counter)
    late: int = 0
    newest: dict[str, EncodedBatch] = field(default_factory=dict)
    second: RollingSecond = field(default_factory=RollingSecond)
    seconds: dict[str, RollingSecond] = field(default_factory=lambda: defaultdict(RollingSecond))
    started_ns: int = 0
    ended_ns: int = 0


async def events_after(
    infos: Sequence[DBNFileInfo], selection: Selection, options: ReplayOptions, position: int
) -> AsyncIterator[list[Message]]:
    """Read the events of a replay anew, those behind a position, as messages; others have their turns meanwhile."""
    source, table = FileSource(tuple(infos), selection, position, options.count), subject_table(options.prefix)
    async for piece in in_turns(source.pieces(Reading()), SystemClock()):
        yield messages_of(piece, table)


class Replay:
    """One replay of some files into a sink.

    :meth:`run` plays; :meth:`stop` ends it after what is in flight; the counters may be read at any time.
    """

    def __init__(
        self,
        infos: Sequence[DBNFileInfo],
        sink: Sink,
        options: ReplayOptions,
        *,
        run_id: str,
        clock: Clock | None = None,
    ) -> None:
        self.options = options
        self.run_id = run_id
        self.reading = Reading(options.strict)
        self.progress = Progress()
        self.stopped_by: StopReason | None = None
        self.complete = False
        self.verified: Verified | None = None
        self.subjects = tuple(with_prefix(subject, options.prefix) for subject in REPLAYED_SUBJECTS)
        self._subject_table = subject_table(options.prefix)
        self._source = FileSource(tuple(infos), options.selection, options.skip, options.count)
        self._sink = sink
        self._clock = clock or SystemClock()
        self._pacer = Pacer(options.speed, self._clock, max_quiet_ns=options.max_quiet_ns)
        self._sending: tuple[EncodedBatch, int] | None = None  # a piece, and how much was published before it
        self._digest = blake2b(digest_size=16) if options.digest else None

    @property
    def state(self) -> RunState:
        """What it is doing now."""
        return RunState.FINISHING if self.stopped_by is not None or self.complete else RunState.PLAYING

    @property
    def pace(self) -> Pace:
        """Speed, event time, quiet stretches, stalls."""
        return self._pacer.pace

    @property
    def delivery(self) -> Delivery:
        """What was published and acknowledged."""
        return self._sink.delivery

    @property
    def held(self) -> int:
        """Events read and sorted, but not yet due."""
        return self.read - sum(self.reading.rejected.values()) - self.delivery.published

    @property
    def read(self) -> int:
        """Records read, without those whose events an earlier process has published."""
        return self.reading.read - self._source.skipped

    @property
    def by_subject(self) -> Mapping[str, int]:
        """Events published so far, by subject, those of a piece included that is on its way."""
        counts = Counter(self.progress.by_subject)
        if self._sending is not None:
            piece, before = self._sending
            counts.update(dict(self._counts(piece[: self.delivery.published - before])))
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
        """The hash of the payloads published so far, each followed by a newline; ``None`` where none is computed."""
        return self._digest.hexdigest() if self._digest is not None else None

    def stop(self, reason: StopReason) -> None:
        """End the replay: nothing more is read, what is in flight is waited for. The first reason stays."""
        self.stopped_by = self.stopped_by or reason
        self._pacer.stop.set()

    async def run(self) -> None:
        """Play all files, then wait for every acknowledgement.

        Raises what the sink raises, and with ``strict`` the first :class:`DamagedFileError`.
        """
        keep_freed_memory()
        self.progress.started_ns = self._clock.time_ns()
        failure: SpyctlError | None = None
        try:
            try:
                async for piece in self._pacer.play(in_turns(self._source.pieces(self.reading), self._clock)):
                    await self._publish(piece)
            except MergeLimitError as error:
                failure = error  # what was read before is not lost
            if self._source.cut:
                self.stopped_by = self.stopped_by or StopReason.COUNT
            await self._sink.drain()
            if self.options.speed == MAX_SPEED and self.pace.first_ns is not None:
                self.pace.last_clock_ns = self._clock.now_ns()  # as fast as acknowledged, the last ack included
        finally:
            self.progress.ended_ns = self._clock.time_ns()
        if self.options.strict and self.reading.damage:
            failure = self.reading.damage[0]
        if failure is not None:
            raise failure
        self.complete = self.stopped_by is None and not self.reading.damage

    async def _publish(self, piece: EncodedBatch) -> None:
        progress = self.progress
        self._sending = piece, self.delivery.published
        await self._sink.publish(piece)
        self._sending = None
        if self._digest is not None:
            self._digest.update(piece.lines())
        now_ns = self._clock.now_ns()
        for subject, count in self._counts(piece):
            progress.by_subject[subject] += count
            progress.newest[subject] = piece
            progress.seconds[subject].add(now_ns, count)
        progress.second.add(now_ns, len(piece))
        progress.late += int(piece.late.sum())

    def _counts(self, piece: EncodedBatch) -> list[tuple[str, int]]:
        counts = zip(self._subject_table, np.bincount(piece.ranks).tolist(), strict=False)
        return [(subject, count) for subject, count in counts if count]

    async def verify(self, stored: AsyncIterator[list[tuple[int, str, bytes]]]) -> None:
        """Compare what the stream holds of this replay with its events, read and encoded anew; sets ``verified``."""
        source = FileSource(self._source.infos, self.options.selection, self.options.skip, self.options.count)
        pieces = source.pieces(Reading())
        events = chain.from_iterable(messages_of(piece, self._subject_table) for piece in pieces)
        self.verified = await compare(stored, islice(events, self.delivery.published))
