"""The result of a replay as a :class:`RunSummary`."""

from spyctl.bus.runs import RunState
from spyctl.market.digest import ALGORITHM
from spyctl.market.kernel import encoder
from spyctl.replay.session import Replay
from spyctl.summary import EventCounts, Jumps, ReplayDetails, RunSummary, StopReason, Timing
from spyctl.timing.histogram import Percentiles
from spyctl.timing.instants import SECOND

_WHOLE = (None, StopReason.COUNT)  # it came to the end that was asked for


def end_state(stopped_by: StopReason | None) -> RunState:
    """Return how a replay that ended without an error ended; ``stopped_by`` is its own, ``None`` at its end."""
    if stopped_by in _WHOLE:
        return RunState.COMPLETE
    return RunState.STOPPED if stopped_by is StopReason.STOP else RunState.ENDED


def summary_of(replay: Replay, stream: str | None = None) -> RunSummary[ReplayDetails]:
    """Return the result of a replay, or its state so far; ``stream`` is ``None`` where it publishes to none."""
    delivery, by_subject = replay.delivery, replay.by_subject
    return RunSummary(
        run_id=replay.run_id,
        events=EventCounts(
            read=replay.read,
            published=replay.track.published,
            acked=replay.track.acked,
            by_subject={subject: by_subject[subject] for subject in replay.subjects},
            duplicates=delivery.duplicates,
            rejected_by_reason=replay.reading.rejected,
            late=replay.progress.late,
            reordered=delivery.reordered,
            unresolved=sum(replay.reading.unresolved.values()),
        ),
        delivery=delivery.figures(replay.acknowledged, stream),
        timing=_timing(replay),
        details=_details(replay),
        complete=replay.complete and not delivery.lost,
        stopped_by=replay.stopped_by,
        digest=replay.digest,
        digest_algorithm=ALGORITHM if replay.options.digest else None,
        resumed_at=replay.options.skip or None,
    )


def _mean_events_per_s(replay: Replay) -> float | None:
    played_ns = replay.pace.last_clock_ns - replay.pace.started_ns
    return replay.track.published / (played_ns / SECOND) if played_ns > 0 else None


def _timing(replay: Replay) -> Timing:
    pace = replay.pace
    return Timing(
        started_ns=replay.progress.started_ns or None,
        ended_ns=replay.progress.ended_ns or None,
        wall_ns=replay.wall_ns,
        event_ns=pace.event_ns,
        speed_asked=replay.speed.number,
        speed_achieved=pace.achieved(),
        events_per_s=_mean_events_per_s(replay),
        quiet_skipped_ns=pace.quiet_skipped_ns,
        stalls=pace.stalls,
        stalled_ns=pace.stalled_ns,
    )


def _details(replay: Replay) -> ReplayDetails:
    pace, reading = replay.pace, replay.reading
    return ReplayDetails(
        records=reading.read,
        held=replay.held,
        jumps=Jumps(
            segments=replay.track.segments,
            seeks=replay.director.seeks,
            resets=replay.track.resets,
            seeds=replay.track.seeds,
            skipped=replay.track.skipped,
            played=[played.document() for played in replay.track.played] if replay.track.segments > 1 else [],
        ),
        unresolved_ids=sorted(reading.unresolved),
        rolls=[
            {"symbol": roll.symbol, "from_id": roll.from_id, "to_id": roll.to_id, "ts_ns": roll.ts_ns}
            for roll in reading.rolls
            if pace.last_ns is not None and roll.ts_ns <= pace.last_ns
        ],
        damaged=[error.message for error in reading.damage],
        first_event_ns=pace.first_ns,
        last_event_ns=pace.last_ns,
        paced_ns=pace.clock_ns,
        lateness_ms=Percentiles.of(pace.lateness_ns),
        peak_events_per_s=max(replay.progress.second.peak, round(_mean_events_per_s(replay) or 0)),
        verified=replay.verified,
        encoder=encoder().name,
        encoder_reason=encoder().reason,
    )
