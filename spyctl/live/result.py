"""The result of a live session as a :class:`RunSummary`."""

from spyctl.live.aggressors import Aggressors
from spyctl.live.sender import GAPS
from spyctl.live.session import LiveSession
from spyctl.live.strike_manager import StrikeManager
from spyctl.market.subjects import with_prefix
from spyctl.summary import (
    Backfilled,
    EventCounts,
    LiveDetails,
    OptionQuotes,
    RunSummary,
    Timing,
    Waiting,
    WindowFigures,
)
from spyctl.timing.histogram import Percentiles


def summary_of(session: LiveSession, stream: str | None = None) -> RunSummary[LiveDetails]:
    """Return the result of a session, or its state so far; ``stream`` is ``None`` where it publishes to none."""
    ledger, delivery = session.ledger, session.ledger.delivery
    by_subject, prefix = session.sender.by_subject, session.options.prefix
    missing = ledger.queued or delivery.published - delivery.acked or delivery.lost
    return RunSummary(
        run_id=session.run_id,
        events=EventCounts(
            read=ledger.received,
            published=ledger.published,
            acked=ledger.acked,
            by_subject={with_prefix(subject, prefix): by_subject[subject] for subject in session.options.subjects},
            duplicates=ledger.duplicates,
            rejected_by_reason=session.filter.rejected,
            reordered=delivery.reordered,
            dropped=ledger.dropped,
            gaps=session.gaps.count,
            gaps_filled=session.gaps.filled,
        ),
        delivery=delivery.figures(session.sender.sink.protocol, stream),
        timing=Timing.real_time(ledger.started_ns or None, ledger.ended_ns or None, ledger.wall_ns, ledger.published),
        details=_details(session),
        complete=session.stopped_by is not None and session.stopped_by.orderly and not missing,
        stopped_by=session.stopped_by,
    )


def _details(session: LiveSession) -> LiveDetails:
    filler = session.intake.filler
    return LiveDetails(
        received=session.ledger.received,
        waiting=Waiting(session.ledger.queued, session.sender.backlog.spooled, session.sender.backlog.recovered),
        windows=[_window(window.manager) for window in session.windows.all],
        noted=session.filter.oddities,
        gap_records=session.sender.by_subject[GAPS],
        open_gaps=sorted([*session.gaps.open_now, *{gap.feed for gap in session.gaps.left_open}]),
        notes=list(session.notes.recent),
        backfill=Backfilled(
            (filler.filled if filler is not None else 0) + sum(feed.refilled for feed in session.feeds.values()),
            filler.unfilled if filler is not None else 0,
        ),
        feed_reconnects={name: feed.reconnects for name, feed in session.feeds.items()},
        refused=sorted(session.refused),
        missing=sorted(topic for feed in session.feeds.values() for topic in feed.missing),
        latency_ms=Percentiles.of(session.filter.lateness.latency_ns),
        quotes=_quotes(session.filter.aggressors),
    )


def _window(manager: StrikeManager) -> WindowFigures:
    return WindowFigures(
        manager.underlying, str(manager.expiry), manager.strike_range, manager.centre, len(manager.held)
    )


def _quotes(aggressors: Aggressors) -> OptionQuotes:
    return OptionQuotes(
        aggressors.use, aggressors.quotes, aggressors.wait_ns.count, aggressors.quoted, aggressors.sided,
        Percentiles.of(aggressors.wait_ns), aggressors.waiting,
    )  # fmt: skip
