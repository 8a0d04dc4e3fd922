"""The result of a run, live or replayed: one record, one JSON document, one rule for the exit code.

A :class:`RunSummary` holds what both have in common; its ``details`` are those of a replay or of a live run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from spyctl.errors import ExitCode
from spyctl.timing.histogram import Percentiles
from spyctl.timing.instants import SECOND, utc_text
from spyctl.timing.notes import Note


class StopReason(StrEnum):
    """Why a run ended before its input did; the values are those of ``stopped_by`` in the summary."""

    CTRL_C = "Ctrl-C"
    SIGTERM = "SIGTERM"
    SIGHUP = "SIGHUP"
    DURATION = "--for"
    COUNT = "--count"
    STOP = "stop"
    STOP_KEEP = "stop keep"
    STOP_CALL = "stop()"
    LEASE_LOST = "another run"
    ERROR = "error"

    @property
    def orderly(self) -> bool:
        """Whether a run without an end of its own (a live one) is complete when it ends for this reason."""
        return self in _SIGNAL_CODES or self is StopReason.DURATION


_SIGNAL_CODES = {
    StopReason.CTRL_C: ExitCode.INTERRUPTED,
    StopReason.SIGTERM: ExitCode.TERMINATED,
    StopReason.SIGHUP: ExitCode.TERMINATED,
}


def signal_code(reason: StopReason | None) -> ExitCode | None:
    """Return the exit code of a run that a signal ended, ``None`` where none did."""
    return _SIGNAL_CODES.get(reason) if reason is not None else None


@dataclass(frozen=True, slots=True)
class EventCounts:
    """Where the events went. ``duplicates`` of a replay are retries that the server recognised.

    ``gaps_filled`` are those of the ``gaps`` of which nothing is missing in the end.
    """

    read: int
    published: int
    acked: int
    by_subject: Mapping[str, int]
    duplicates: int = 0
    rejected_by_reason: Mapping[str, int] = field(default_factory=dict)
    late: int = 0
    reordered: int = 0
    dropped: int = 0
    gaps: int = 0
    gaps_filled: int = 0
    unresolved: int = 0

    @property
    def rejected(self) -> int:
        """Records that are not events."""
        return sum(self.rejected_by_reason.values())

    def document(self) -> dict[str, Any]:
        return {
            "events": self.published,
            "by_subject": dict(self.by_subject),
            "read": self.read,
            "published": self.published,
            "acked": self.acked,
            "duplicates": self.duplicates,
            "rejected": self.rejected,
            "rejected_by_reason": dict(self.rejected_by_reason),
            "late": self.late,
            "reordered": self.reordered,
            "dropped": self.dropped,
            "gaps": self.gaps,
            "gaps_filled": self.gaps_filled,
            "unresolved": self.unresolved,
        }


@dataclass(frozen=True, slots=True)
class DeliveryFigures:
    """How the messages were delivered. ``acknowledged`` is the ack mode, ``unacknowledged`` messages still in flight.

    ``lost`` events were acknowledged, but at the end the stream did not hold them; ``expired`` ones fell out by the
    limits that it had from the beginning. ``stream`` is ``None`` where events went to no stream, a sequence ``None``
    before one is known.
    """

    acknowledged: str
    unacknowledged: int = 0
    stream: str | None = None
    first_seq: int | None = None
    last_seq: int | None = None
    payload_bytes: int = 0
    resent: int = 0
    refusals: Mapping[str, int] = field(default_factory=dict)
    reconnects: int = 0
    lost: int = 0
    expired: int = 0
    ack_ms: Percentiles | None = None

    def document(self) -> dict[str, Any]:
        return {
            "resent": self.resent,
            "refusals": dict(self.refusals),
            "reconnects": self.reconnects,
            "lost": self.lost,
            "expired": self.expired,
            "bytes": self.payload_bytes,
            "ack_ms": _percentiles(self.ack_ms),
            "acknowledged": self.acknowledged,
            "stream": self.stream,
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
        }


@dataclass(frozen=True, slots=True)
class Timing:
    """When a run took place, and how fast event time passed.

    Instants are Unix ns, ``None`` before they are known; durations are ns. Speeds are event time per wall time;
    ``speed_asked`` 0 is as fast as acknowledged, ``speed_achieved`` is ``None`` before there is one.
    """

    started_ns: int | None
    ended_ns: int | None
    wall_ns: int
    event_ns: int
    speed_asked: float
    speed_achieved: float | None
    events_per_s: float | None
    quiet_skipped_ns: int = 0
    stalls: int = 0
    stalled_ns: int = 0

    @classmethod
    def real_time(cls, started_ns: int | None, ended_ns: int | None, wall_ns: int, events: int) -> "Timing":
        """Return the timing of a live run, whose event time is the wall time."""
        return cls(
            started_ns=started_ns,
            ended_ns=ended_ns,
            wall_ns=wall_ns,
            event_ns=wall_ns,
            speed_asked=1.0,
            speed_achieved=1.0 if wall_ns else None,
            events_per_s=events / (wall_ns / SECOND) if wall_ns else None,
        )

    def document(self) -> dict[str, Any]:
        return {
            **_instant("started", self.started_ns),
            **_instant("ended", self.ended_ns),
            "wall_s": self.wall_ns / SECOND,
            "event_s": self.event_ns / SECOND,
            "quiet_skipped_s": self.quiet_skipped_ns / SECOND,
            "stalls": self.stalls,
            "stalled_s": self.stalled_ns / SECOND,
            "speed_asked": self.speed_asked,
            "speed_achieved": self.speed_achieved,
            "events_per_s": self.events_per_s,
        }


class Details(Protocol):
    """What only one kind of run has."""

    @property
    def nothing_read(self) -> bool:
        """Whether the input was there, and none of it could be read."""
        ...

    @property
    def incomplete(self) -> bool:
        """Whether something is missing that :class:`EventCounts` does not tell."""
        ...

    def document(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Jumps:
    """Where a replay went beside straight on. ``played`` are its last segments, where there is more than one.

    ``resets`` and ``seeds`` were published beside the events; ``skipped`` events were read ahead and left behind.
    """

    segments: int = 1
    seeks: int = 0
    resets: int = 0
    seeds: int = 0
    skipped: int = 0
    played: Sequence[Mapping[str, Any]] = ()

    def document(self) -> dict[str, Any]:
        return {
            "segments": self.segments,
            "seeks": self.seeks,
            "resets": self.resets,
            "seeds": self.seeds,
            "skipped": self.skipped,
            "played": [dict(segment) for segment in self.played],
        }


@dataclass(slots=True)
class Verified:
    """The result of ``--verify``: a stream compared with the events that it should hold.

    ``stored`` events are in the stream, in order and equal to the byte; ``missing`` ones are not; ``differing``
    messages on the run's subjects are none of its events. ``first_difference`` is the sequence where the first of
    either shows, ``None`` where nothing differs, or all that is missing was due behind the last message. The first
    ``unchecked`` messages were not compared.
    """

    stored: int = 0
    missing: int = 0
    differing: int = 0
    first_difference: int | None = None
    unchecked: int = 0

    @property
    def equal(self) -> bool:
        """Whether the stream holds exactly the events."""
        return not (self.missing or self.differing)

    def document(self) -> dict[str, Any]:
        return {
            "stored": self.stored,
            "missing": self.missing,
            "differing": self.differing,
            "unchecked": self.unchecked,
        }


@dataclass(frozen=True, slots=True)
class ReplayDetails:
    """What only a replay has.

    ``records`` were read by the process, those of events that an earlier process had published included.
    ``damaged`` are the messages of damaged files, ``verified`` is the result of ``--verify``, ``None`` without it.
    ``paced_ns`` is the wall time that the achieved speed refers to. ``encoder`` is ``compiled`` or ``numpy``, and
    ``encoder_reason`` says why numpy.
    """

    records: int
    held: int = 0
    jumps: Jumps = field(default_factory=Jumps)
    unresolved_ids: Sequence[int] = ()
    rolls: Sequence[Mapping[str, Any]] = ()
    damaged: Sequence[str] = ()
    first_event_ns: int | None = None
    last_event_ns: int | None = None
    paced_ns: int = 0
    lateness_ms: Percentiles | None = None
    peak_events_per_s: int = 0
    verified: Verified | None = None
    encoder: str | None = None
    encoder_reason: str | None = None

    @property
    def nothing_read(self) -> bool:
        return bool(self.damaged) and not self.records

    @property
    def incomplete(self) -> bool:
        return bool(self.damaged) or (self.verified is not None and not self.verified.equal)

    def document(self) -> dict[str, Any]:
        return {
            "held": self.held,
            **self.jumps.document(),
            "unresolved_ids": list(self.unresolved_ids),
            "rolls": [dict(roll) for roll in self.rolls],
            "damaged": list(self.damaged),
            **_instant("first_event", self.first_event_ns),
            **_instant("last_event", self.last_event_ns),
            "paced_s": self.paced_ns / SECOND,
            "lateness_ms": _percentiles(self.lateness_ms),
            "peak_events_per_s": self.peak_events_per_s,
            "encoder": self.encoder,
            "encoder_reason": self.encoder_reason,
            **(self.verified.document() if self.verified is not None else dict.fromkeys(Verified().document())),
        }


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many events wait to be published, how many of them on disk, and how many an earlier run had left there."""

    queued: int = 0
    spooled: int = 0
    recovered: int = 0


@dataclass(frozen=True, slots=True)
class Backfilled:
    """How many events of gaps came after all, and of how many gaps some could not be fetched."""

    filled: int = 0
    unfilled: int = 0


@dataclass(frozen=True, slots=True)
class OptionQuotes:
    """What option quotes were good for: ``use`` (``off``, ``classify``, ``publish``), and how many arrived.

    Of the option trades, ``quoted`` had a quote in force and ``sided`` got a side from it; ``trades`` waited for one,
    ``wait_ms`` by our clock, and ``waiting`` events wait now.
    """

    use: str = "off"
    received: int = 0
    trades: int = 0
    quoted: int = 0
    sided: int = 0
    wait_ms: Percentiles | None = None
    waiting: int = 0

    @property
    def share(self) -> float | None:
        """Which share of the trades got a side; ``None`` before there is any."""
        return self.sided / self.trades if self.trades else None

    def document(self) -> dict[str, Any]:
        return {
            "option_quotes": self.use,
            "option_quotes_received": self.received,
            "options_quoted": self.quoted,
            "options_classified": self.sided,
            "options_classified_share": self.share,
            "options_wait_ms": _percentiles(self.wait_ms),
        }


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """A strike window: ``centre`` ± ``strike_range`` dollars of an expiry (ISO); no centre before there is a spot."""

    symbol: str
    expiry: str
    strike_range: int
    centre: int | None
    contracts: int = 0


@dataclass(frozen=True, slots=True)
class LiveDetails:
    """What only a live run has.

    ``missing`` are the topics that a feed never acknowledged, ``refused`` the feeds that refused the key.
    ``latency_ms`` is from the event to its arrival here. There is at least one window.
    """

    received: int
    waiting: Waiting
    windows: Sequence[WindowFigures]
    noted: Mapping[str, int] = field(default_factory=dict)
    gap_records: int = 0
    open_gaps: Sequence[str] = ()
    notes: Sequence[Note] = ()
    backfill: Backfilled = Backfilled()
    feed_reconnects: Mapping[str, int] = field(default_factory=dict)
    refused: Sequence[str] = ()
    missing: Sequence[str] = ()
    latency_ms: Percentiles | None = None
    quotes: OptionQuotes = OptionQuotes()

    @property
    def nothing_read(self) -> bool:
        return False

    @property
    def incomplete(self) -> bool:
        return bool(self.refused or self.missing)

    def document(self) -> dict[str, Any]:
        return {
            "received": self.received,
            "queued": self.waiting.queued,
            "spooled": self.waiting.spooled,
            "recovered": self.waiting.recovered,
            "noted": dict(self.noted),
            "gap_records": self.gap_records,
            "open_gaps": list(self.open_gaps),
            "notes": [{"ns": note.ns, "text": note.text} for note in self.notes],
            "backfilled": self.backfill.filled,
            "unfilled": self.backfill.unfilled,
            "feed_reconnects": dict(self.feed_reconnects),
            "refused": list(self.refused),
            "missing": list(self.missing),
            "latency_ms": _percentiles(self.latency_ms),
            **self.quotes.document(),
            "expiry": self.windows[0].expiry,
            "strike_range": self.windows[0].strike_range,
            "centre": self.windows[0].centre,
            "windows": [asdict(window) for window in self.windows],
        }


D = TypeVar("D", bound=Details, covariant=True)


@dataclass(frozen=True, slots=True)
class RunSummary(Generic[D]):
    """The result of a run, or its state so far.

    ``complete`` says that the run did all that was asked, ``stopped_by`` why it ended early (``None``: it did not).
    ``digest`` is over the payloads that this process published, ``None`` where none was computed, like
    ``digest_algorithm``, which says how; ``resumed_at``
    the position of an earlier process at which this one went on.
    """

    run_id: str
    events: EventCounts
    delivery: DeliveryFigures
    timing: Timing
    details: D
    complete: bool
    stopped_by: StopReason | None = None
    digest: str | None = None
    digest_algorithm: str | None = None
    resumed_at: int | None = None

    def document(self) -> dict[str, Any]:
        """Return the summary with the keys of the published contract.

        Durations are seconds (``*_s``), instants Unix ns (``*_ns``) and ISO text (``*_utc``).
        """
        return {
            "run_id": self.run_id,
            **self.events.document(),
            **self.timing.document(),
            **self.delivery.document(),
            **self.details.document(),
            "digest": self.digest,
            "digest_algorithm": self.digest_algorithm,
            "resumed_at": self.resumed_at,
            "complete": self.complete,
            "stopped_by": self.stopped_by,
        }

    @property
    def exit_code(self) -> ExitCode:
        """The code of a run that ended without an error.

        A signal decides first, then that nothing could be read (1), then that something is missing or out of
        order (3).
        """
        if (code := signal_code(self.stopped_by)) is not None:
            return code
        if self.details.nothing_read:
            return ExitCode.FAILED
        events = self.events
        wrong = events.rejected or events.late or events.reordered or events.dropped or events.gaps
        if wrong or self.delivery.unacknowledged or self.delivery.lost or self.details.incomplete:
            return ExitCode.INCOMPLETE
        return ExitCode.OK


def _percentiles(figures: Percentiles | None) -> dict[str, float] | None:
    return asdict(figures) if figures is not None else None


def _instant(name: str, ns: int | None) -> dict[str, Any]:
    return {f"{name}_ns": ns, f"{name}_utc": utc_text(ns) if ns is not None else None}
