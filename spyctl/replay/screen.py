"""What a replay looks like while it runs.

:func:`render` draws a snapshot for a terminal (80×24 and up; from 120×34 on with more of everything),
:func:`progress_line` says the same in one plain line. Both are pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.text import Text

from spyctl.bus.consumers import Consumer
from spyctl.market.events import MBP10, FuturesTrade
from spyctl.market.sessions import session_place
from spyctl.replay.player import RunState
from spyctl.summary import ReplayDetails, RunSummary
from spyctl.terminal.boxes import (
    Lines,
    bar_left,
    bar_right,
    box,
    chart,
    line,
    pairs,
    progress,
    rule,
    screen,
    side_by_side,
    spark,
    spread,
)
from spyctl.terminal.event_lines import SIDES
from spyctl.terminal.panels import alarm, consumer_rows, note_rows, process_rows
from spyctl.terminal.process import Usage
from spyctl.terminal.text import size_text
from spyctl.timing.clock import MAX_SPEED, Speed, achieved_text
from spyctl.timing.instants import (
    MS,
    NEW_YORK,
    clock_text,
    duration_text,
    whole_seconds,
)
from spyctl.timing.notes import Note

WIDE, TALL = 120, 34
BINS = 110
SPARK_S = 60
_CHART_ROWS = 4
_LATE_NS = 100 * MS  # behind by this much is worth a warning
_STATES = {RunState.PLAYING: "▶ playing", RunState.FINISHING: "■ finishing"}
_FOOTER = " Ctrl-C ends the replay after what is in flight   Ctrl-Z suspends it"


@dataclass(frozen=True, slots=True)
class Subject:
    """One subject: its events, events/s over the last second, the highest events/s, and those of the seconds before."""

    name: str
    events: int
    now: float
    peak: float
    rates: Sequence[float]


@dataclass(frozen=True, slots=True)
class Scene:
    """What does not change while a replay runs; ``stream`` is ``None`` where it publishes to none."""

    title: str
    what: str
    synthetic: bool
    where: str
    stream: str | None
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Position:
    """Where in event time a replay is (Unix ns), ``None`` before the first event.

    In a quiet stretch ``quiet_to_ns`` is the event at its end, due in ``quiet_left_ns``. ``wall_ns`` is how long it
    has been playing.
    """

    event_ns: int | None
    quiet_to_ns: int | None = None
    quiet_left_ns: int = 0
    wall_ns: int | None = None


@dataclass(frozen=True, slots=True)
class SpeedNow:
    """The speed asked for, the speed over the last second, and how overdue the next event is."""

    asked: Speed
    now: float | None
    behind_ns: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A replay at one moment.

    ``consumers`` is ``None`` where there is no stream; ``density`` holds events per second of event time over the
    plan, in :data:`BINS` columns; ``notes`` are the newest last.
    """

    scene: Scene
    state: RunState
    summary: RunSummary[ReplayDetails]
    position: Position
    speed: SpeedNow
    subjects: Sequence[Subject]
    book: MBP10 | None
    trade: FuturesTrade | None
    consumers: Sequence[Consumer] | None
    density: Sequence[float]
    notes: Sequence[Note]
    warnings: int
    usage: Usage

    @property
    def share(self) -> float:
        """How much of the planned event time has been played, 0 to 1."""
        event_ns, first_ns = self.position.event_ns, self.scene.first_ns
        span = self.scene.last_ns - first_ns
        if event_ns is None:
            return 0.0
        return min(1.0, max(0.0, (event_ns - first_ns) / span)) if span > 0 else 1.0


def render(current: Snapshot, width: int = 80, height: int = 24) -> Text:
    """Draw a snapshot; every line fits, and there are never more lines than ``height``."""
    wide = width >= WIDE and height >= TALL
    return screen((_wide if wide else _narrow)(current, width, height)[:height])


def _narrow(current: Snapshot, width: int, height: int) -> Lines:
    room = height - 19
    levels = max(0, min(10, room, 5 if room < 12 else 10))
    top = [
        _title(current, width),
        rule(width),
        _event_time(current, width),
        _progress(current, width),
        _speed(current, width),
        Text(),
        *_subjects(current, width, sizes=False),
        Text(),
        *_book(current, width, levels),
        Text(),
        *_delivery(current),
    ]
    notes = _notes(current, max(1, height - len(top) - 2), width)
    return [*top, *notes, rule(width), line((_FOOTER, "dim"))]


def _wide(current: Snapshot, width: int, height: int) -> Lines:
    left, middle = 56, 48
    right = width - left - middle
    place = [_event_time(current, width - 2, share=True), *_day(current, width - 2)]
    asked = "   ".join(f"{label} {figure}".lstrip() for label, figure in _speeds(current))
    top = [
        _title(current, width),
        *box("where we are", place, width, right="events per second of event time"),
        *box("events", _subjects(current, width - 2, sizes=True), width, right=asked),
        *side_by_side(
            box("ES book" if current.book is None else f"{current.book.symbol} book",
                _book(current, left - 2, 10), left, height=12),
            box("delivery", _delivery_table(current), middle, height=12),
            box("consumers", _consumer_table(current, right - 2), right, height=12),
        ),
    ]  # fmt: skip
    rows = max(1, height - len(top) - 3)
    notes = box("notes", note_rows(current.notes, rows), width, right=f"warnings {current.warnings:,}", height=rows)
    return [*top, *notes, line((_FOOTER, "dim"))]


def _title(current: Snapshot, width: int) -> Text:
    left = line(
        " spyctl replay  ", (current.scene.title, "bold"), "   ", (_STATES[current.state], "green"),
        ("   synthetic" if current.scene.synthetic else "", "dim"),
    )  # fmt: skip
    return spread(left, line((f"run {current.summary.run_id}   NATS {current.scene.where} ", "dim")), width)


def _event_time(current: Snapshot, width: int, *, share: bool = False) -> Text:
    position = current.position
    if position.event_ns is None:
        return line((" event time   ", "dim"), "waiting for the first event")
    place = session_place(position.event_ns)
    if position.quiet_to_ns is not None:
        place = f"quiet to {clock_text(position.quiet_to_ns, NEW_YORK, 0)}, in {duration_text(position.quiet_left_ns)}"
    times = line(
        (" event time   ", "dim"), (clock_text(position.event_ns, NEW_YORK), "bold"), (" New York   ", "dim"),
        clock_text(position.event_ns), (" UTC", "dim"),
    )  # fmt: skip
    return spread(times, line(f"{place}   {_how_far(current)}" if share else place, " "), width)


def _how_far(current: Snapshot) -> str:
    done = f"{current.share * 100:3.0f} %"
    wall_ns = current.position.wall_ns
    if wall_ns is None or current.share < 0.001:
        return done
    if current.speed.asked == MAX_SPEED:
        return f"{done}   {duration_text(wall_ns)}"
    return f"{done}   {duration_text(wall_ns)} of {duration_text(round(wall_ns / current.share))}"


def _progress(current: Snapshot, width: int) -> Text:
    first_ns, last_ns = whole_seconds(current.scene.first_ns, current.scene.last_ns)
    start, end = (clock_text(ns, NEW_YORK, 0)[:5] for ns in (first_ns, last_ns))
    tail = f" {end} {_how_far(current):>24} "
    return line(f" {start} ", progress(current.share, width - len(start) - len(tail) - 2), tail)


def _speeds(current: Snapshot) -> list[tuple[str, str]]:
    # Label and figure of each; the last one depends on whether there is a schedule.
    speed = current.speed
    shown = [("asked", str(speed.asked)), ("achieved", achieved_text(current.summary.timing.speed_achieved))]
    if speed.asked == MAX_SPEED:
        return [*shown, ("", f"{sum(subject.now for subject in current.subjects):,.0f} events/s")]
    behind = duration_text(speed.behind_ns) if speed.behind_ns >= MS else "0 ms"
    return [*shown, ("now", achieved_text(speed.now)), ("behind", behind)]


def _speed(current: Snapshot, width: int) -> Text:
    left_ns, wall_ns = 0, current.position.wall_ns
    if wall_ns is not None and current.share > 0.001:
        left_ns = round(wall_ns / current.share * (1 - current.share))
    late = current.speed.behind_ns >= _LATE_NS
    shown = line((" speed       ", "dim"))
    for label, figure in _speeds(current):
        style = "yellow" if label == "behind" and late else ""
        shown.append(f"{label} " if label else "", "dim").append(f"{figure}   ", style)
    return spread(shown, line(("left ", "dim"), f"{duration_text(left_ns) if left_ns else '·'} "), width)


def _subjects(current: Snapshot, width: int, *, sizes: bool) -> Lines:
    subjects = current.subjects
    rates = [sum(second) for second in zip(*(subject.rates for subject in subjects), strict=False)]
    total = Subject(
        name="all",
        events=sum(subject.events for subject in subjects),
        now=sum(subject.now for subject in subjects),
        peak=max(rates, default=0.0),
        rates=rates,
    )
    cells = max(10, min(SPARK_S, width - (58 if sizes else 46)))
    seconds = min(cells, max(1, len(rates)))
    size = f"{'bytes':>12}" if sizes else ""
    head = f" {'subject':<15}{'events':>10} {'now/s':>8} {'peak/s':>8}{size}   last {seconds} s"
    rows = [line((head, "dim"))]
    for subject in [*subjects, total]:
        if sizes:
            size = f"{size_text(current.summary.delivery.payload_bytes) if subject is total else '':>12}"
        figures = f"{subject.events:>10,} {subject.now:>8,.0f} {subject.peak:>8,.0f}{size}"
        rows.append(line(f" {subject.name:<15}{figures}   ", (spark(subject.rates, cells), "cyan")))
    return rows


def _day(current: Snapshot, width: int) -> Lines:
    # The whole plan as the x axis: how busy each part of it was, as far as it has been played.
    margin = 10
    cells = min(BINS, width - margin - 2)
    values = [max(part) for part in _parts(current.density, cells)]
    peak = max(values)
    rows = [line((f"{f'{peak:,.0f}/s':>8}  " if not i else " " * margin, "dim"), (bars, "cyan"))
            for i, bars in enumerate(chart(values, _CHART_ROWS))]  # fmt: skip
    first_ns, last_ns = whole_seconds(current.scene.first_ns, current.scene.last_ns)
    marks = [" "] * (cells + margin)
    for step in range(6):
        text = clock_text(first_ns + (last_ns - first_ns) * step // 5, NEW_YORK, 0)[:5]
        at = min(cells - len(text) // 2, cells * step // 5)
        marks[at : at + len(text)] = text
    return [*rows, line(" " * margin, progress(current.share, cells)), line((" " * margin + "".join(marks), "dim"))]


def _parts(values: Sequence[float], count: int) -> list[Sequence[float]]:
    edges = [len(values) * i // count for i in range(count + 1)]
    return [values[start : max(start + 1, end)] for start, end in pairwise(edges)]


def _book(current: Snapshot, width: int, levels: int) -> Lines:
    trade, book = current.trade, current.book
    if levels < 1:
        return []
    last = line(" ")
    if trade is not None:
        side = SIDES[trade.aggressor]
        style = "green" if "▲" in side else "red"
        last = line(f" {trade.symbol}  ", ("last ", "dim"), f"{trade.price:,.2f} × {trade.size:,}", (side, style))
    if book is None:
        return [last, *(Text() for _ in range(levels))]
    best = book.levels[0]
    between = "·"
    if best.bid_px is not None and best.ask_px is not None:
        between = f"{best.ask_px - best.bid_px:,.2f}"
    largest = max(1, *(max(level.bid_sz, level.ask_sz) for level in book.levels[:levels]))
    cells = max(4, (width - 34) // 2)
    rows = [spread(last, line(("spread ", "dim"), f"{between} "), width)]
    for level in book.levels[:levels]:
        bid, ask = (f"{px:,.2f}" if px is not None else "·" for px in (level.bid_px, level.ask_px))
        rows.append(
            line(
                " ", (bar_left(level.bid_sz, largest, cells), "green"), f"{level.bid_sz:>5,}{bid:>10}",
                f"{ask:>11}{level.ask_sz:>5,}  ", (bar_right(level.ask_sz, largest, cells), "red"),
            )
        )  # fmt: skip
    if levels == 10:
        bids, asks = sum(level.bid_sz for level in book.levels), sum(level.ask_sz for level in book.levels)
        middle = f"{bids:>{cells + 6},}  in 10 bids   in 10 asks  {asks:<6,}"
        rows.append(line((middle, "dim")))
    return rows


def _delivery(current: Snapshot) -> Lines:
    events, delivery, held = current.summary.events, current.summary.delivery, current.summary.details.held
    consumers = "·" if current.consumers is None else _who(current.consumers)
    sequences = [("seq", f"{delivery.first_seq or 0:,} to {delivery.last_seq:,}")] if delivery.last_seq else []
    return [
        pairs(
            ("read", f"{events.read:,}"), ("held", f"{held:,}"), ("published", f"{events.published:,}"),
            ("acked", f"{events.acked:,}"), ("in flight", f"{delivery.unacknowledged:,}"),
        ),
        pairs(
            ("late", f"{events.late:,}", alarm(events.late)),
            ("rejected", f"{events.rejected:,}", alarm(events.rejected)),
            ("gaps", f"{events.gaps:,}"), ("ack p50", _ms(current, "p50")), ("p99", _ms(current, "p99")),
            ("acks", delivery.acknowledged),
        ),
        pairs(
            ("stream", delivery.stream or "·"), *sequences, ("", size_text(delivery.payload_bytes)),
            ("consumers", consumers),
        ),
    ]  # fmt: skip


def _ms(current: Snapshot, which: str) -> str:
    ack_ms = current.summary.delivery.ack_ms
    return f"{getattr(ack_ms, which):.1f} ms" if ack_ms is not None else "·"


def _who(consumers: Sequence[Consumer]) -> str:
    if not consumers:
        return "none"
    worst = consumers[0]
    late = f", {worst.name} {worst.behind:,} behind" if worst.behind else ", all up to date"
    return f"{len(consumers)}{late}"


def _delivery_table(current: Snapshot) -> Lines:
    events, delivery, held = current.summary.events, current.summary.delivery, current.summary.details.held
    rows = [
        ("read", events.read, "", ""),
        ("  held", held, "sorted, not yet due", ""),
        ("  published", events.published, "", ""),
        ("    acked", events.acked, "stored by the server", ""),
        ("    in flight", delivery.unacknowledged, "", ""),
        ("late", events.late, "beyond the window", alarm(events.late)),
        ("rejected", events.rejected, "", alarm(events.rejected)),
        ("gaps", events.gaps, "", ""),
        ("reconnects", delivery.reconnects, "", alarm(delivery.reconnects)),
    ]
    lines = [
        line((f" {label:<13}", "dim"), (f"{count:>11,}", style), (f"  {remark}", "dim"))
        for label, count, remark, style in rows
    ]
    lines.append(line((" ack latency   ", "dim"), f"p50 {_ms(current, 'p50')}   p99 {_ms(current, 'p99')}"))
    lines.append(line((" acknowledged  ", "dim"), delivery.acknowledged))
    to = f", seq to {delivery.last_seq:,}" if delivery.last_seq else ""
    lines.append(line((f" {delivery.stream or '·'}  ", "dim"), f"{size_text(delivery.payload_bytes)}{to}"))
    return lines


def _consumer_table(current: Snapshot, width: int) -> Lines:
    return consumer_rows(current.consumers, width, 7) + process_rows(current.usage)


def _notes(current: Snapshot, rows: int, width: int) -> Lines:
    lines = note_rows(current.notes, rows)
    warnings = line(("warnings ", "dim"), (f"{current.warnings:,} ", alarm(current.warnings)))
    return [*lines[:-1], spread(lines[-1], warnings, width)]


def progress_line(current: Snapshot) -> str:
    """Say where a replay is in one line; late, rejected and behind only where they are not zero."""
    if current.position.event_ns is None:
        return "waiting for the first event"
    events = current.summary.events
    counts = (("late", events.late), ("rejected", events.rejected))
    trouble = "".join(f"  {name} {count:,}" for name, count in counts if count)
    if current.speed.behind_ns >= _LATE_NS:
        trouble += f"  behind {duration_text(current.speed.behind_ns)}"
    return (
        f"event {clock_text(current.position.event_ns, NEW_YORK, 0)} New York {current.share * 100:3.0f} %  "
        f"published {events.published:,}  acked {events.acked:,}  "
        f"achieved {achieved_text(current.summary.timing.speed_achieved)}{trouble}"
    )
