"""The summary of a replay: seven lines for a person, or one JSON document."""

import sys
from typing import TextIO

import orjson

from spyctl.bus.stream import Stream
from spyctl.cli.framework.talk import colours, labelled
from spyctl.live.session import Live
from spyctl.replay.plan import Plan
from spyctl.replay.player import Replay
from spyctl.terminal.text import size_text
from spyctl.timing.clock import achieved_text, speed_text
from spyctl.timing.instants import NEW_YORK, SECOND, clock_text, duration_text


def print_summary(replay: Replay, plan: Plan, stream: Stream | None, *, as_json: bool, to_stderr: bool) -> None:
    """Print what a replay came to, on stdout unless that carries the events."""
    out = sys.stderr if to_stderr else sys.stdout
    if as_json:
        document = replay.summary(stream.name if stream is not None else None)
        print(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode(), file=out, flush=True)
        return
    colour = colours(out)
    for label, *lines in _blocks(replay, plan, stream):
        print(labelled(label, *lines, colour=colour), file=out, flush=True)


def _blocks(replay: Replay, plan: Plan, stream: Stream | None) -> list[tuple[str, ...]]:
    pace, delivery, progress = replay.pace, replay.delivery, replay.progress
    summary = replay.summary()
    dates = str(plan.dates[0]) if len(plan.dates) == 1 else f"{plan.dates[0]} to {plan.dates[-1]}"
    head = f"{dates}, run {replay.run_id}"
    if pace.first_ns is not None and pace.last_ns is not None:
        span = f"{clock_text(pace.first_ns, NEW_YORK)} → {clock_text(pace.last_ns, NEW_YORK)} New York"
        head = f"{dates}  {span}, run {replay.run_id}"
    if replay.options.skip:
        head += f", resumed after {replay.options.skip:,}"
    rejected = sum(replay.reading.rejected.values())
    held = replay.held
    equation = f"{replay.read:,} read = {delivery.published:,} published"
    if rejected:
        equation += f" + {rejected:,} rejected"
    if held:
        equation += f" + {held:,} held"
    unacked = delivery.published - delivery.acked
    equation += f" = {delivery.acked:,} acked" if not (rejected or held or unacked) else f"; {delivery.acked:,} acked"
    by_schema = zip(("trades", "mbp-10"), replay.subjects, strict=True)
    counts = [f"{progress.by_subject[subject]:,} {schema}" for schema, subject in by_schema]
    trouble = [f"{progress.late:,} late", f"{rejected:,} rejected", "0 gaps"]
    for name, count in (
        ("reordered", delivery.reordered),
        ("unacknowledged", unacked),
        ("unresolved", summary["unresolved"]),
        ("damaged", len(replay.reading.damage)),
        ("stalls", pace.stalls),
        ("reconnects", delivery.reconnects),
    ):
        if count:
            trouble.append(f"{count:,} {name}")
    blocks: list[tuple[str, ...]] = [
        ("done", head) if replay.stopped_by is None else ("ended", head, f"by {replay.stopped_by}"),
        ("events", equation, " + ".join(reversed(counts))),
        ("trouble", "   ".join(trouble)),
    ]
    if pace.first_ns is not None:
        quiet = f", {duration_text(pace.quiet_skipped_ns)} of quiet left out" if pace.quiet_skipped_ns else ""
        achieved = f"asked {speed_text(replay.options.speed)}, achieved {achieved_text(pace.achieved())}"
        played = f"{duration_text(pace.event_ns, 3)} in {duration_text(pace.clock_ns, 3)}{quiet}"
        blocks.append(("speed", f"{achieved}: {played}"))
        rate = f"mean {summary['events_per_s'] or 0:,.0f} events/s, peak {summary['peak_events_per_s']:,}/s"
        ack = summary["ack_ms"]
        blocks.append(("rate", rate + (f"   ack p50 {ack['p50']:.1f} ms, p99 {ack['p99']:.1f} ms" if ack else "")))
    if stream is not None and delivery.first_seq is not None:
        span = f"seq {delivery.first_seq:,} to {delivery.last_seq:,}"
        size = size_text(delivery.payload_bytes)
        blocks.append(("stream", f"{stream.name}, {span}, {size}, acks {summary['acknowledged']}"))
    if (verified := replay.verified) is not None:
        verdict = "each equal to its event, encoded anew"
        if verified.missing or verified.differing:
            at = f", the first at seq {verified.first_difference:,}" if verified.first_difference else ""
            verdict = f"{verified.missing:,} missing, {verified.differing:,} messages are none of them{at}"
        blocks.append(("verify", f"{verified.stored:,} stored, {verdict}"))
    if summary["digest"] is not None:
        blocks.append(("digest", f"{summary['digest']}, the same for the same input"))
    return blocks


def print_live_summary(live: Live, title: str, stream: Stream, *, as_json: bool, out: TextIO) -> None:
    """Print what a live run came to."""
    summary = live.summary(stream.name)
    if as_json:
        print(orjson.dumps(summary, option=orjson.OPT_INDENT_2).decode(), file=out, flush=True)
        return
    manager, delivery = live.window.manager, live.delivery
    head = f"{title}, {manager.underlying} ±{manager.strike_range}, {duration_text(round(summary['wall_s']) * SECOND)}"
    equation = f"{live.intake.received:,} received = {live.published:,} published"
    for name in ("rejected", "duplicates", "dropped", "queued"):
        if summary[name]:
            equation += f" + {summary[name]:,} {name}"
    unacked = delivery.published - delivery.acked
    counts = zip(summary["by_subject"].values(), ("trades", "quotes", "option trades"), strict=False)
    trouble = [f"{live.gaps.count:,} gap{'' if live.gaps.count == 1 else 's'}"]
    trouble += [f"{summary[name]:,} {name}" for name in ("rejected", "dropped")]
    trouble += [f"{summary['reordered']:,} reordered"] if summary["reordered"] else []
    if summary["open_gaps"]:
        trouble[0] += f" (open: {', '.join(summary['open_gaps'])})"
    if summary["missing"]:
        trouble.append(f"{len(summary['missing']):,} topics never acknowledged")
    ack, latency = summary["ack_ms"], summary["latency_ms"]
    rate = f"mean {summary['events_per_s'] or 0:,.0f} events/s"
    if latency is not None and ack is not None:
        rate += f"   event to received p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms"
    blocks: list[tuple[str, ...]] = [
        ("done", f"{head}, run {live.run_id}, ended by {live.stopped_by}"),
        ("events", equation + ("; all acked" if not unacked else f"; {unacked:,} not acked"),
         " + ".join(f"{count:,} {name}" for count, name in counts)),
        ("trouble", "   ".join(trouble)),
        ("rate", rate, *([f"received to acked p50 {ack['p50']:.1f} ms, p99 {ack['p99']:.1f} ms"] if ack else [])),
    ]  # fmt: skip
    if delivery.first_seq is not None:
        records = f" (with {summary['gap_records']:,} gap records)" if summary["gap_records"] else ""
        blocks.append(("stream", f"{stream.name}, seq {delivery.first_seq:,} to {delivery.last_seq:,}{records}"))
    blocks += [("note", f"{clock_text(note.ns, NEW_YORK, 0)}  {note.text}") for note in list(live.notes)[-10:]]
    colour = colours(out)
    for label, *lines in blocks:
        print(labelled(label, *lines, colour=colour), file=out, flush=True)
