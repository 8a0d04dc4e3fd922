"""The replay: file → columns → merge → bytes → paced → acknowledged, and what it came to."""

import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain, islice
from typing import Any

import numpy as np

from spyctl.bus.in_flight import Delivery, Sink
from spyctl.dbn.catalog import DBNFileInfo
from spyctl.dbn.normalize import Selection
from spyctl.errors import ExitCode, MergeLimitError, SpyctlError
from spyctl.market.columns import EVENT_TYPES, SCHEMAS, Batch
from spyctl.market.encode import EncodedBatch, encode_batch
from spyctl.market.subjects import subject_of, subject_table, with_prefix
from spyctl.replay.pacing import MAX_QUIET_NS, Pace, Pacer
from spyctl.replay.source import Reading, read_batches
from spyctl.terminal.process import keep_freed_memory
from spyctl.timing.clock import MAX_SPEED, Clock, SystemClock
from spyctl.timing.histogram import Percentiles
from spyctl.timing.instants import SECOND, utc_text

REPLAYED_SUBJECTS = tuple(subject_of(EVENT_TYPES[schema]) for schema in SCHEMAS)


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How to play.

    ``speed`` 0 is as fast as acknowledged; ``count`` ends after so many events; ``skip`` leaves out the first
    events, which an earlier process has published.
    """

    speed: float = 1.0
    selection: Selection = field(default_factory=Selection)
    max_quiet_ns: int = MAX_QUIET_NS
    count: int | None = None
    prefix: str = ""
    strict: bool = False
    digest: bool = True
    skip: int = 0


_LOOK_AHEAD = 2_000  # events that may be missing in a row until verifying no longer knows where it is


@dataclass(slots=True)
class Verified:
    """What a comparison of the stream with its input has found.

    ``stored`` events are there, in order and equal to the byte; ``missing`` ones are not; ``differing`` messages on
    the run's subjects are none of its events. ``first_difference`` is the sequence where the first of either shows.
    """

    stored: int = 0
    missing: int = 0
    differing: int = 0
    first_difference: int | None = None


@dataclass(slots=True)
class Progress:
    """Counters of a replay while it runs; the display and the summary read them."""

    by_subject: Counter[str] = field(default_factory=Counter)
    late: int = 0
    encoded: int = 0
    peak_per_s: int = 0
    newest: dict[str, EncodedBatch] = field(default_factory=dict)  # where the last event of each subject is
    started_ns: int = 0
    ended_ns: int = 0
    _recent: deque[tuple[int, int]] = field(default_factory=deque)
    _in_second: int = 0

    def count_second(self, clock_ns: int, events: int) -> None:
        """Keep the highest number of events in any one second of wall time."""
        self._recent.append((clock_ns, events))
        self._in_second += events
        while self._recent[0][0] <= clock_ns - SECOND:
            self._in_second -= self._recent.popleft()[1]
        self.peak_per_s = max(self.peak_per_s, self._in_second)


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
        self.infos = tuple(infos)
        self.options = options
        self.run_id = run_id
        self.reading = Reading(options.strict)
        self.progress = Progress()
        self.stopped_by: str | None = None
        self.complete = False
        self.skipped = 0
        self.verified: Verified | None = None
        self._sink = sink
        self._clock = clock or SystemClock()
        self._pacer = Pacer(options.speed, self._clock, max_quiet_ns=options.max_quiet_ns)
        self.subjects = tuple(with_prefix(subject, options.prefix) for subject in REPLAYED_SUBJECTS)
        self._subject_table = subject_table(options.prefix)
        self._digest = blake2b(digest_size=16) if options.digest else None

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
        return self.reading.read - self.skipped

    def last_payload(self, subject: str) -> bytes | None:
        """Return the last event that was published on a subject, ``None`` before there is one."""
        piece = self.progress.newest.get(subject)
        return piece.last_payload(self._subject_table.index(subject)) if piece is not None else None

    @property
    def acknowledged(self) -> str:
        """How events are acknowledged: ``fast ingest`` or ``per message``."""
        return self._sink.protocol

    def stop(self, by: str) -> None:
        """End the replay: nothing more is read, what is in flight is waited for."""
        self.stopped_by = self.stopped_by or by
        self._pacer.stop.set()

    async def run(self) -> None:
        """Play all files, then wait for every acknowledgement.

        Raises what the sink raises, and with ``strict`` the first :class:`DamagedFileError`.
        """
        keep_freed_memory()
        self.progress.started_ns = time.time_ns()
        failure: SpyctlError | None = None
        try:
            try:
                async for piece in self._pacer.play(self._pieces(self.reading)):
                    await self._publish(piece)
            except MergeLimitError as error:
                failure = error  # what was read before is not lost
            await self._sink.drain()
            if self.options.speed == MAX_SPEED and self.pace.first_ns is not None:
                self.pace.last_clock_ns = self._clock.now_ns()  # as fast as acknowledged, the last ack included
        finally:
            self.progress.ended_ns = time.time_ns()
        if self.options.strict and self.reading.damage:
            failure = self.reading.damage[0]
        if failure is not None:
            raise failure
        self.complete = self.stopped_by is None and not self.reading.damage

    def _pieces(self, reading: Reading) -> Iterator[EncodedBatch]:
        left, skip = self.options.count, self.options.skip
        batches = read_batches(self.infos, self.options.selection, reading)
        if skip:
            self.skipped = 0
            batches = self._skipped(batches, skip)
            left = max(0, left - skip) if left is not None else None
        for piece in chain.from_iterable(map(encode_batch, batches)):
            if left is not None:
                piece = piece[:left]
                left -= len(piece)
            yield piece
            if left == 0:
                self.stopped_by = self.stopped_by or "--count"
                return

    def _skipped(self, batches: Iterator[Batch], skip: int) -> Iterator[Batch]:
        for batch in batches:
            here = min(len(batch), skip - self.skipped)
            self.skipped += here
            yield batch[here:] if here else batch

    async def _publish(self, piece: EncodedBatch) -> None:
        progress = self.progress
        await self._sink.publish(piece)
        if self._digest is not None:
            self._digest.update(piece.lines())
        for rank, count in enumerate(np.bincount(piece.ranks).tolist()):
            if count:
                progress.by_subject[self._subject_table[rank]] += count
                progress.newest[self._subject_table[rank]] = piece
        progress.late += int(piece.late.sum())
        progress.count_second(self._clock.now_ns(), len(piece))

    async def verify(self, stored: AsyncIterator[list[tuple[int, str, bytes]]]) -> None:
        """Compare what the stream holds of this replay with its events, read and encoded anew.

        Sets ``verified`` to what was found.
        """
        self.verified = found = Verified()
        events = (
            (self._subject_table[rank], payload)
            for piece in self._pieces(Reading())
            for rank, payload in zip(piece.ranks.tolist(), piece.payloads(), strict=True)
        )
        anew = islice(events, self.delivery.published)
        awaited: deque[tuple[str, bytes]] = deque()
        async for batch in stored:
            for seq, subject, payload in batch:
                if not awaited:
                    awaited.extend(islice(anew, 1))
                if awaited and awaited[0] == (subject, payload):
                    awaited.popleft()
                    found.stored += 1
                    continue
                found.first_difference = found.first_difference or seq
                awaited.extend(islice(anew, _LOOK_AHEAD - len(awaited)))
                if (subject, payload) in awaited:  # what comes before it there is missing in the stream
                    while awaited.popleft() != (subject, payload):
                        found.missing += 1
                    found.stored += 1
                else:
                    found.differing += 1
        found.missing += len(awaited) + sum(1 for _ in anew)

    def summary(self, stream: str | None = None) -> dict[str, Any]:
        """Return the summary of the run with the keys of the published contract.

        Durations are seconds (``*_s``), instants Unix ns (``*_ns``) and ISO text (``*_utc``). ``duplicates``
        counts retries that the server recognised and did not store again.
        """
        pace, delivery, progress = self.pace, self.delivery, self.progress
        wall_ns = max(0, (progress.ended_ns or time.time_ns()) - progress.started_ns)
        played_ns = pace.last_clock_ns - pace.started_ns
        mean = delivery.published / (played_ns / SECOND) if played_ns > 0 else None
        ack, lateness = Percentiles.of(delivery.ack_ns), Percentiles.of(pace.lateness_ns)
        return {
            "run_id": self.run_id,
            "events": delivery.published,
            "by_subject": {subject: progress.by_subject[subject] for subject in self.subjects},
            "read": self.read,
            "published": delivery.published,
            "acked": delivery.acked,
            "duplicates": delivery.duplicates,
            "held": self.held,
            "rejected": sum(self.reading.rejected.values()),
            "rejected_by_reason": self.reading.rejected,
            "late": progress.late,
            "reordered": delivery.reordered,
            "dropped": 0,
            "gaps": 0,
            "unresolved": sum(self.reading.unresolved.values()),
            "unresolved_ids": sorted(self.reading.unresolved),
            "rolls": [
                {"symbol": roll.symbol, "from_id": roll.from_id, "to_id": roll.to_id, "ts_ns": roll.ts_ns}
                for roll in self.reading.rolls
                if self.pace.last_ns is not None and roll.ts_ns <= self.pace.last_ns
            ],
            "damaged": [error.message for error in self.reading.damage],
            "resent": delivery.resent,
            "refusals": dict(delivery.refusals),
            "reconnects": delivery.reconnects,
            **_instant("first_event", pace.first_ns),
            **_instant("last_event", pace.last_ns),
            **_instant("started", progress.started_ns or None),
            **_instant("ended", progress.ended_ns or None),
            "wall_s": wall_ns / SECOND,
            "event_s": pace.event_ns / SECOND,
            "paced_s": pace.clock_ns / SECOND,
            "quiet_skipped_s": pace.quiet_skipped_ns / SECOND,
            "stalls": pace.stalls,
            "stalled_s": pace.stalled_ns / SECOND,
            "speed_asked": self.options.speed,
            "speed_achieved": pace.achieved(),
            "lateness_ms": {"p50": lateness.p50, "p99": lateness.p99} if lateness else None,
            "events_per_s": mean,
            "peak_events_per_s": max(progress.peak_per_s, round(mean or 0)),
            "bytes": delivery.payload_bytes,
            "ack_ms": {"p50": ack.p50, "p99": ack.p99} if ack else None,
            "stored": self.verified.stored if self.verified else None,
            "missing": self.verified.missing if self.verified else None,
            "differing": self.verified.differing if self.verified else None,
            "acknowledged": self._sink.protocol,
            "stream": stream,
            "first_seq": delivery.first_seq,
            "last_seq": delivery.last_seq,
            "digest": self._digest.hexdigest() if self._digest is not None else None,
            "resumed_at": self.options.skip or None,
            "complete": self.complete,
            "stopped_by": self.stopped_by,
        }

    def exit_code(self) -> ExitCode:
        """Return what the process ends with: 0, 3 where something is missing, 1 where nothing could be read."""
        if self.stopped_by == "Ctrl-C":
            return ExitCode.INTERRUPTED
        if self.stopped_by == "SIGTERM":
            return ExitCode.TERMINATED
        delivery = self.delivery
        if self.reading.damage and not self.reading.read:
            return ExitCode.FAILED
        missing = delivery.published - delivery.acked
        if self.verified is not None and (self.verified.differing or self.verified.missing):
            return ExitCode.INCOMPLETE
        if self.reading.damage or self.reading.rejected or self.progress.late or delivery.reordered or missing:
            return ExitCode.INCOMPLETE
        return ExitCode.OK


def _instant(name: str, ns: int | None) -> dict[str, Any]:
    return {f"{name}_ns": ns, f"{name}_utc": utc_text(ns) if ns is not None else None}
