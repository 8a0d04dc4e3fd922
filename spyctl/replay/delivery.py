"""What became of the events of a replay: counts, latency and the stream, in three lines or as a table."""

from spyctl.replay.snapshot import Snapshot
from spyctl.terminal.alarms import ACK_MS, STALLED_S
from spyctl.terminal.boxes import Lines
from spyctl.terminal.fields import Column, Field, figure, grid, row, word
from spyctl.terminal.panels import alarm, consumers_field, latency_fields
from spyctl.terminal.text import size_text
from spyctl.timing.instants import SECOND, duration_text


def delivery_lines(current: Snapshot, width: int) -> Lines:
    """Write three lines: where the events are, what went wrong, and the stream."""
    events, delivery, held = current.summary.events, current.summary.delivery, current.summary.details.held
    counts = planned_width(current)
    return [
        row(
            width,
            figure("read", f"{events.read:,}", rank=3, width=counts),
            figure("held", f"{held:,}", rank=4, width=min(7, counts)),
            figure("published", f"{events.published:,}", width=counts),
            figure("acked", f"{events.acked:,}", rank=1, width=counts),
            figure("in flight", f"{delivery.unacknowledged:,}", rank=2, width=5),
        ),
        row(
            width,
            figure("late", f"{events.late:,}", alarm(events.late)),
            figure("rejected", f"{events.rejected:,}", alarm(events.rejected), rank=1),
            figure("gaps", f"{events.gaps:,}", rank=4),
            *_stalls(current, rank=3),
            *latency_fields("ack", ACK_MS, current.server.ack_now_ms, delivery.ack_ms, (2, 6, 5)),
        ),
        row(
            width,
            figure("stream", delivery.stream or "·"),
            _sequences(current, rank=1),
            word(f"{size_text(delivery.payload_bytes):<7}", rank=3),
            consumers_field(current.server.consumers, rank=2),
            figure("acks", delivery.acknowledged, rank=4),
        ),
    ]


def _sequences(current: Snapshot, *, rank: int) -> Field:
    # The sequences of a batch are told when it is committed: until then the last one known is behind what is acked.
    first, last = current.summary.delivery.first_seq, current.summary.delivery.last_seq
    if first is None or last is None:
        return word("")
    is_newest = last - first + 1 >= current.summary.events.acked
    return figure("seq", f"{first:,} to {last:,}" if is_newest else f"from {first:,}", rank=rank)


def _stalls(current: Snapshot, *, rank: int) -> list[Field]:
    # Only where there were any.
    timing = current.summary.timing
    late = STALLED_S.alarm(timing.stalled_ns / SECOND)
    text = f"{timing.stalls:,}, {late.word or 'shifted'} {duration_text(timing.stalled_ns)}"
    return [figure("stalls", text, late.style, rank=rank)] if timing.stalls else []


def delivery_table(current: Snapshot, width: int) -> Lines:
    """Write the same as a table, with remarks."""
    events, delivery, held = current.summary.events, current.summary.delivery, current.summary.details.held
    skipped = current.summary.details.jumps.skipped
    timing, stalled = current.summary.timing, STALLED_S.alarm(current.summary.timing.stalled_ns / SECOND).style
    rows = [
        ("read", events.read, "", ""),
        ("  held", held, f"not yet due; {skipped:,} skipped" if skipped else "sorted, not yet due", ""),
        ("  published", events.published, "", ""),
        ("    acked", events.acked, "stored by NATS", ""),
        ("    in flight", delivery.unacknowledged, "", ""),
        ("late", events.late, "beyond the window", alarm(events.late)),
        ("rejected", events.rejected, "", alarm(events.rejected)),
        ("gaps", events.gaps, "", ""),
        ("reconnects", delivery.reconnects, "", alarm(delivery.reconnects)),
        ("stalls", timing.stalls, f"shifted {duration_text(timing.stalled_ns)}" if timing.stalls else "", stalled),
    ]
    lines = grid(
        width,
        Column("", [(label, "dim") for label, *_ in rows], width=13, flush="<"),
        Column("", [(f"{count:,}", style) for _, count, _, style in rows], width=max(9, planned_width(current))),
        Column("", [(remark, "dim") for *_, remark, _ in rows], 1, flush="<", gap=2),
    )
    return [
        *lines,
        row(width, *latency_fields("ack", ACK_MS, current.server.ack_now_ms, delivery.ack_ms, (0, 2, 1))),
        row(width, figure("acknowledged", delivery.acknowledged)),
        row(width, word(delivery.stream or "·", "dim", rank=2), _sequences(current, rank=0),
            word(size_text(delivery.payload_bytes), rank=1)),
    ]  # fmt: skip


def planned_width(current: Snapshot) -> int:
    """Return how many columns a count of the planned events takes."""
    return len(f"{current.scene.schedule.events:,}")
