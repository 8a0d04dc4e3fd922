"""The summary of a run: some labelled lines for a person, or one JSON document."""

import sys
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TextIO

from spyctl.cli.framework.streams import colours, write_document
from spyctl.summary import EventCounts, LiveDetails, ReplayDetails, RunSummary, StopReason
from spyctl.terminal.text import count, labelled, reasons_text, size_text
from spyctl.timing.clock import Speed, achieved_text
from spyctl.timing.instants import NEW_YORK, SECOND, clock_text, duration_text

Block = tuple[str, ...]  # a label and its lines
_LIVE_NAMES = {
    "stocks.trades": "trades", "stocks.quotes": "quotes", "options.trades": "option trades",
    "options.quotes": "option quotes",
    "futures.trades": "futures trades", "futures.mbp10": "books",
}  # fmt: skip
# What the events of a subject are called where others stand beside them.
_NAMES = {
    "stocks.trades": "stock trades", "stocks.quotes": "stock quotes", "options.trades": "option trades",
    "options.quotes": "option quotes", "futures.trades": "trades", "futures.mbp10": "mbp-10", "gaps": "gap records",
    "resets": "resets",
}  # fmt: skip


def print_summary(summary: RunSummary[ReplayDetails], dates: Sequence[date], *, as_json: bool, to_stderr: bool) -> None:
    """Print the result of a replay of some dates, on stdout unless that carries the events."""
    out = sys.stderr if to_stderr else sys.stdout
    if as_json:
        write_document(summary.document(), out)
        return
    colour = colours(out)
    for label, *lines in _blocks(summary, dates):
        print(labelled(label, *lines, colour=colour), file=out, flush=True)


def _blocks(summary: RunSummary[ReplayDetails], dates: Sequence[date]) -> Iterator[Block]:
    yield _head(summary, dates)
    yield _events(summary)
    yield _trouble(summary)
    details, delivery, timing = summary.details, summary.delivery, summary.timing
    if details.first_event_ns is not None:
        quiet = f", {duration_text(timing.quiet_skipped_ns)} of quiet skipped" if timing.quiet_skipped_ns else ""
        achieved = f"asked {Speed.of(timing.speed_asked)}, achieved {achieved_text(timing.speed_achieved)}"
        played = f"{duration_text(timing.event_ns, 3)} in {duration_text(details.paced_ns, 3)}{quiet}"
        yield "speed", f"{achieved}: {played}"
        rate = f"mean {timing.events_per_s or 0:,.0f} events/s, peak {details.peak_events_per_s:,}/s"
        ack = delivery.ack_ms
        yield "rate", rate + (f"   ack p50 {ack.p50:.1f} ms, p99 {ack.p99:.1f} ms" if ack is not None else "")
    if delivery.stream is not None and delivery.first_seq is not None:
        span = f"seq {delivery.first_seq:,} to {delivery.last_seq:,}"
        yield (
            "stream",
            f"{delivery.stream}, {span}, {size_text(delivery.payload_bytes)}, acks {delivery.acknowledged}",
        )
    if (verified := details.verified) is not None:
        verdict = "each identical to its event"
        if not verified.equal:
            at = f", the first at seq {verified.first_difference:,}" if verified.first_difference else ""
            verdict = f"{verified.missing:,} missing, {verified.differing:,} unexpected{at}"
        if verified.unchecked:
            verdict += f"; {verified.unchecked:,} before them not compared: it jumped more often than is kept"
        yield "verify", f"{verified.stored:,} stored, {verdict}"
    if summary.digest is not None and summary.stopped_by is not StopReason.ERROR:
        yield "digest", f"{summary.digest}, the same for the same input"


def _head(summary: RunSummary[ReplayDetails], dates: Sequence[date]) -> Block:
    span = str(dates[0]) if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    first_ns, last_ns = summary.details.first_event_ns, summary.details.last_event_ns
    if first_ns is not None and last_ns is not None:
        span += f"  {clock_text(first_ns, NEW_YORK)} → {clock_text(last_ns, NEW_YORK)} New York"
    head = f"{span}, run {summary.run_id}"
    if summary.resumed_at is not None:
        head += f", resumed after {summary.resumed_at:,}"
    return ("done", head) if summary.stopped_by is None else ("ended", head, f"by {summary.stopped_by}")


def _events(summary: RunSummary[ReplayDetails]) -> Block:
    events, held, skipped = summary.events, summary.details.held, summary.details.jumps.skipped
    equation = f"{events.read:,} read = {events.published:,} published"
    if events.rejected:
        equation += f" + {events.rejected:,} rejected"
    if held:
        equation += f" + {held:,} held"
    if skipped:
        equation += f" + {skipped:,} skipped"
    whole = not (events.rejected or held or skipped or summary.delivery.unacknowledged)
    equation += f" = {events.acked:,} acked" if whole else f"; {events.acked:,} acked"
    counts = [
        count(_NAMES.get(subject.partition("market.")[2], subject), number)
        for subject, number in events.by_subject.items()
        if number or not any(events.by_subject.values())
    ]
    return "events", equation, " + ".join(reversed(counts))


def _trouble(summary: RunSummary[ReplayDetails]) -> Block:
    events, delivery = summary.events, summary.delivery
    always = [("late", events.late), ("rejected", events.rejected), ("gaps", events.gaps)]
    if_any = [
        ("reordered", events.reordered),
        ("unacknowledged", delivery.unacknowledged),
        ("lost", delivery.lost),
        ("expired", delivery.expired),
        ("unresolved", events.unresolved),
        ("damaged", len(summary.details.damaged)),
        ("stalls", summary.timing.stalls),
        ("reconnects", delivery.reconnects),
    ]
    figures = [*always, *((name, number) for name, number in if_any if number)]
    told = "   ".join(count(name, number) for name, number in figures)
    return "trouble", told, *_reasons(events)


def _reasons(events: EventCounts) -> list[str]:
    rejected = events.rejected_by_reason
    return [f"{events.rejected:,} rejected: {reasons_text(rejected)}"] if rejected else []


def print_live_summary(summary: RunSummary[LiveDetails], title: str, what: str, *, as_json: bool, out: TextIO) -> None:
    """Print the result of a live run of some feeds (``what``)."""
    if as_json:
        write_document(summary.document(), out)
        return
    colour = colours(out)
    for label, *lines in _live_blocks(summary, title, what):
        print(labelled(label, *lines, colour=colour), file=out, flush=True)


def _live_blocks(summary: RunSummary[LiveDetails], title: str, what: str) -> Iterator[Block]:
    delivery, details = summary.delivery, summary.details
    lasted = duration_text(round(summary.timing.wall_ns / SECOND) * SECOND)
    yield "done", f"{title}, {what}, {lasted}, run {summary.run_id}, ended by {summary.stopped_by}"
    yield _live_events(summary)
    yield _live_trouble(summary)
    yield _live_rate(summary)
    if (share := details.quotes.share) is not None and (wait := details.quotes.wait_ms) is not None:
        told = f"{share:.1%} of {count('option trades', details.quotes.trades)}"
        waited = f"waited p50 {wait.p50:.1f} ms, p99 {wait.p99:.1f} ms"
        yield "sides", f"{told} by {count('option quotes', details.quotes.received)}   {waited}"
    if delivery.first_seq is not None:
        records = f" (with {count('gap records', details.gap_records)})" if details.gap_records else ""
        yield "stream", f"{delivery.stream}, seq {delivery.first_seq:,} to {delivery.last_seq:,}{records}"
    for note in list(details.notes)[-10:]:
        yield "note", f"{clock_text(note.ns, NEW_YORK, 0)}  {note.text}"


def _live_events(summary: RunSummary[LiveDetails]) -> Block:
    events, unacknowledged = summary.events, summary.delivery.unacknowledged
    equation = f"{summary.details.received:,} received = {events.published:,} published"
    for name, number in (
        ("rejected", events.rejected),
        ("duplicates", events.duplicates),
        ("dropped", events.dropped),
        ("queued", summary.details.waiting.queued),
    ):
        if number:
            equation += f" + {count(name, number)}"
    counts = [
        (number, _LIVE_NAMES[name])
        for subject, number in events.by_subject.items()
        if (name := subject.rpartition("market.")[2]) in _LIVE_NAMES
    ]
    return (
        "events",
        equation + (f"; {unacknowledged:,} not acked" if unacknowledged else "; all acked"),
        " + ".join(count(name, number) for number, name in counts),
    )


def _live_trouble(summary: RunSummary[LiveDetails]) -> Block:
    events, details = summary.events, summary.details
    gaps = [f"{events.gaps_filled:,} filled"] * (events.gaps_filled > 0)
    gaps += [f"open: {', '.join(details.open_gaps)}"] * bool(details.open_gaps)
    trouble = [count("gaps", events.gaps) + (f" ({'; '.join(gaps)})" if gaps else ""), f"{events.rejected:,} rejected"]
    trouble.append(f"{events.dropped:,} dropped")
    if events.reordered:
        trouble.append(f"{events.reordered:,} reordered")
    if summary.delivery.lost:
        trouble.append(f"{summary.delivery.lost:,} lost")
    if details.missing:
        trouble.append(f"{count('topics', len(details.missing))} never acknowledged")
    return "trouble", "   ".join(trouble), *_reasons(events)


def _live_rate(summary: RunSummary[LiveDetails]) -> Block:
    ack, latency = summary.delivery.ack_ms, summary.details.latency_ms
    rate = f"mean {summary.timing.events_per_s or 0:,.0f} events/s"
    if latency is not None and ack is not None:
        rate += f"   event to received p50 {latency.p50:.1f} ms, p99 {latency.p99:.1f} ms"
    received = (f"received to acked p50 {ack.p50:.1f} ms, p99 {ack.p99:.1f} ms",) if ack is not None else ()
    return "rate", rate, *received
