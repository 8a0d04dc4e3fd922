"""What a replay looks like while it runs.

:func:`render` draws a snapshot for a terminal of any size (from 120×35 on with more of everything; below 80×24 with
less), :func:`progress_line` says the same in one plain line. Both are pure.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from rich.text import Text

from spyctl.market.events import MBP10, FuturesTrade
from spyctl.market.sessions import session_place
from spyctl.replay.control import PlayState
from spyctl.replay.keys import KEYS
from spyctl.replay.search import session_times
from spyctl.replay.snapshot import BINS, Snapshot
from spyctl.terminal.alarms import ACK_MS, BEHIND_S, STALLED_S, WAITING_S
from spyctl.terminal.axis import round_ceiling, time_axis
from spyctl.terminal.boxes import (
    Lines,
    bar_left,
    bar_right,
    box,
    chart,
    line,
    progress,
    rule,
    screen,
    side_by_side,
    spark,
)
from spyctl.terminal.event_lines import SIDES
from spyctl.terminal.fields import Column, Field, figure, grid, row, spare, stack, word
from spyctl.terminal.panels import (
    alarm,
    consumer_rows,
    consumers_field,
    latency_fields,
    note_rows,
    process_rows,
    waiting_text,
)
from spyctl.terminal.text import size_text
from spyctl.timing.clock import MAX_SPEED, achieved_text
from spyctl.timing.instants import (
    MS,
    NEW_YORK,
    SECOND,
    clock_text,
    duration_text,
    span_text,
    whole_seconds,
)

WIDE, TALL = 120, 35
SPARK_S = 60
_LEAST_SPARK, _LEAST_BAR = 10, 8
_CHART_ROWS = 4
_STATES = {
    PlayState.PLAYING: ("▶ playing", "green"),
    PlayState.PAUSED: ("‖ paused", "yellow"),
    PlayState.SEEKING: ("» seeking", "yellow"),
    PlayState.SEEKING_PAUSED: ("» seeking", "yellow"),
    PlayState.FINISHING: ("■ finishing", "green"),
}
_PLACE = 25
_TWO_COLUMNS = 80
_SIGNS = {"left": "←", "right": "→", "up": "↑", "down": "↓", "]": "]"}  # where each key stands by itself
_FOOTER = ("Ctrl-C ends the replay after what is in flight", "Ctrl-Z suspends it")


def render(current: Snapshot, width: int = 80, height: int = 24) -> Text:
    """Draw a snapshot; every line fits, no figure is cut, and there are never more lines than ``height``."""
    if current.control.all_keys:
        return screen(_key_page(width, height))
    wide = width >= WIDE and height >= TALL and current.control.detail
    return screen((_wide if wide else _narrow)(current, width, height))


def _narrow(current: Snapshot, width: int, height: int) -> Lines:
    subjects, delivery = _subjects(current, width, sizes=False), _delivery(current, width)
    blocks = [
        (0, [_title(current, width)]),
        (8, [rule(width)]),
        (1, [_event_time(current, width)]),
        (3, [_progress(current, width)]),
        (1, [_speed(current, width)]),
        (10, [Text()]),
        (5, subjects[:-1]),
        (3, subjects[-1:]),
        (10, [Text()]),
        (6, []),
        (10, [Text()]),
        (1, delivery[:1]),
        (2, delivery[1:2]),
        (4, delivery[2:]),
        (3, [_news(current, width)]),
        (9, [rule(width)]),
        (7, [_footer(current, width)]),
    ]
    room = height - sum(len(lines) for _, lines in blocks)
    levels = max(0, min(10, room - 1, 5 if room < 13 else 10))
    blocks[9] = (6, _book(current, width, levels))
    if (more := height - sum(len(lines) for _, lines in blocks)) > 0:
        blocks[14] = (3, _notes(current, more + 1, width))
    return stack(height, *blocks)


def _wide(current: Snapshot, width: int, height: int) -> Lines:
    middle, right = 46, 36 + (width - WIDE) // 5
    left = width - middle - right
    asked = row(width, *_speeds(current))
    top = [
        _title(current, width),
        *box("where we are", [_event_time(current, width - 2, share=True), *_day(current, width - 2)], width,
             right=line(" events per second of event time ")),
        *box("events", _subjects(current, width - 2, sizes=True), width, right=asked),
        *side_by_side(
            box("ES book" if current.book is None else f"{current.book.symbol} book",
                _book(current, left - 2, 10), left, height=13),
            box("delivery", _delivery_table(current, middle - 2), middle, height=13),
            box("consumers", _consumer_table(current, right - 2), right, height=13),
        ),
    ]  # fmt: skip
    rows = max(1, height - len(top) - 3)
    notes = note_rows(current.notes, rows, width - 2)
    return [
        *top,
        *box("notes", notes, width, right=row(width, _warnings(current)), height=rows),
        _footer(current, width),
    ]


def _footer(current: Snapshot, width: int) -> Text:
    control = current.control
    if control.prompt is not None:
        typed = line(("go to ", "bold"), control.prompt, ("▏", "bold"))
        return row(width, Field(typed), word("09:30, open, +10s, a mark; Tab, Enter, Esc", "dim", rank=1))
    if not control.keys:
        return row(width, *(word(text, "dim", rank=i) for i, text in enumerate(_FOOTER)))
    shown = [key for key in KEYS if key.rank is not None]
    return row(width, *(figure(key.sign, key.short, rank=key.rank or 0) for key in shown))


def _key_page(width: int, height: int) -> Lines:
    # All keys, in two columns where there is room.
    cells = [line((f"{_SIGNS.get(key.name, key.sign):>8}  ", "bold"), key.does) for key in KEYS]
    columns = 2 if width >= _TWO_COLUMNS else 1
    rows = -(-len(cells) // columns)
    lines = []
    for i in range(rows):
        both = Text()
        for cell in cells[i::rows]:
            cell.pad_right(max(0, width // columns - cell.cell_len))
            both.append_text(cell)
        both.truncate(width)
        lines.append(both)
    return [line(("  keys", "bold"), ("   any key goes back", "dim")), Text(), *lines][:height]


def _title(current: Snapshot, width: int) -> Text:
    scene = current.scene
    return row(
        width,
        word("spyctl replay", rank=3),
        word(scene.title, "bold", rank=1),
        _state(current),
        word("synthetic" if scene.synthetic else "", "dim", rank=4),
        right=[word(f"run {current.summary.run_id}", "dim", rank=2), word(f"NATS {scene.where}", "dim", rank=5)],
    )


def _state(current: Snapshot) -> Field:
    if not current.server.waiting_ns:
        if current.control.waiting_for:
            return word("◌ waiting", "yellow")
        return word(*_STATES[current.control.state])
    waiting = waiting_text(current.server.waiting_ns)
    style = WAITING_S.alarm(current.server.waiting_ns / SECOND).style
    return word(f"■ finishing, {waiting}" if current.control.state is PlayState.FINISHING else f"◌ {waiting}", style)


def _time(current: Snapshot, ns: int, digits: int = 0) -> str:
    # The time of day in New York, after its date where the plan has several.
    moments = (datetime.fromtimestamp(at // SECOND, NEW_YORK) for at in (ns, *_span(current)))
    day, *days = (f"{moment.day} {moment:%b} " for moment in moments)
    return (day if days[0] != days[1] else "") + clock_text(ns, NEW_YORK, digits)


def _span(current: Snapshot) -> tuple[int, int]:
    return current.scene.schedule.first_ns, current.scene.schedule.last_ns


def _event_time(current: Snapshot, width: int, *, share: bool = False) -> Text:
    position = current.position
    if position.event_ns is None:
        return row(width, word("waiting for the first event"))
    place = word(f"{session_place(position.event_ns):>{_PLACE}}", rank=3)
    if position.quiet_to_ns is not None:
        left = duration_text(position.quiet_left_ns)
        place = word(f"quiet to {_time(current, position.quiet_to_ns)}, in {left}", rank=1)
    times = line(("event time ", "dim"), (_time(current, position.event_ns, 3), "bold"), (" New York", "dim"))
    utc = line(clock_text(position.event_ns), (" UTC", "dim"))
    return row(width, Field(times), Field(utc, 2), right=[place, *(_how_far(current) if share else [])])


def _how_far(current: Snapshot) -> list[Field]:
    position = current.position
    done = word(f"{int(position.share * 100):3} %")
    if position.wall_ns is None or position.left_ns is None:
        return [done]
    of = f"{duration_text(position.wall_ns)} of {duration_text(position.wall_ns + position.left_ns)}"
    return [done, word(f"{of:>22}", rank=2)]


def _progress(current: Snapshot, width: int) -> Text:
    start, end = span_text(*whole_seconds(*_span(current)), NEW_YORK).split(" → ")
    how_far = _how_far(current)
    tail = row(width - _LEAST_BAR - len(start) - 2, word(end, rank=3), *how_far)
    cells = max(0, width - len(start) - 2 - tail.cell_len)
    return line(f" {start} ", _strip(current, current.position.share, cells), tail)


def _strip(current: Snapshot, share: float, cells: int) -> Text:
    # How far it is, with session times, marks and the ends of a loop at their places.
    strip = progress(share, cells)
    if not current.control.keys or cells < _LEAST_BAR:
        return strip
    control, schedule = current.control, current.scene.schedule
    signs = dict.fromkeys(session_times(schedule.first_ns + 1, schedule.last_ns - 1), ("┊", "dim"))
    signs |= dict.fromkeys(control.marks, ("◆", "yellow"))
    ends = control.loop or ((control.loop_start_ns,) if control.loop_start_ns is not None else ())
    signs |= {ns: (sign, "bold yellow") for ns, sign in zip(ends, "AB", strict=False)}
    for ns, (sign, style) in signs.items():
        column = min(cells - 1, int(schedule.place(ns) * cells))
        strip = Text.assemble(strip[:column], (sign, style), strip[column + 1 :])
    return strip


def _speeds(current: Snapshot) -> list[Field]:
    # What the last one is depends on whether there is a schedule.
    speed = current.speed
    achieved = achieved_text(current.summary.timing.speed_achieved)
    shown = [figure("asked", str(speed.asked), rank=3), figure("achieved", achieved, width=7)]
    if speed.asked == MAX_SPEED:
        return [*shown, word(f"{current.total.now:,} events/s", rank=1)]
    late = BEHIND_S.alarm(speed.behind_ns / SECOND)
    behind = duration_text(speed.behind_ns) if speed.behind_ns >= MS else "0 ms"
    reason = f" ({speed.reason or late.word})" if late.word else ""
    return [
        *shown,
        figure("now", achieved_text(speed.now), rank=4, width=7),
        figure("behind", f"{behind}{reason}", late.style, rank=1, width=6),
    ]


def _speed(current: Snapshot, width: int) -> Text:
    left_ns = current.position.left_ns
    left = figure("left", duration_text(left_ns) if left_ns is not None else "·", rank=2)
    return row(width, word("speed", "dim", rank=9), *_speeds(current), right=[left])


def _subjects(current: Snapshot, width: int, *, sizes: bool) -> Lines:
    # A head, a line for each subject, and their sum.
    shown = [*current.subjects, current.total]
    figures = [
        Column("subject", [subject.name for subject in shown], width=15, flush="<"),
        Column("events", [f"{subject.events:,}" for subject in shown], width=max(9, _planned_width(current))),
        Column("now/s", [f"{subject.now:,}" for subject in shown], 1, width=7, gap=2),
        Column("peak/s", [f"{subject.peak:,}" for subject in shown], 2, width=7, gap=2),
    ]
    if sizes:
        size = size_text(current.summary.delivery.payload_bytes)
        figures.append(Column("bytes", [*("" for _ in current.subjects), size], 4, width=9, gap=2))
    cells = min(SPARK_S, spare(width, *figures) - 4)
    if cells >= _LEAST_SPARK:
        sparks = [(spark(subject.rates, cells, subject.peak), "cyan") for subject in shown]
        seconds = min(cells, max(1, len(current.total.rates)))
        figures.append(Column(f"last {seconds} s", sparks, 3, width=cells, flush="<", gap=3))
    return grid(width, *figures)


def _planned_width(current: Snapshot) -> int:
    return len(f"{current.scene.schedule.events:,}")


def _day(current: Snapshot, width: int) -> Lines:
    # The whole plan as the x axis: how busy each part of it was, as far as it has been played.
    margin = 12
    cells = min(BINS, width - margin - 1)
    values = [sum(part) / len(part) for part in _parts(current.density, cells)]
    largest = round_ceiling(max(values))
    rows = [
        line((f"{f'{largest:,.0f}/s' if not i else '':>{margin - 1}} ", "dim"), (bars, "cyan"))
        for i, bars in enumerate(chart(values, _CHART_ROWS, largest))
    ]
    axis = time_axis(*_span(current), cells)
    event_ns = current.position.event_ns
    place = current.scene.schedule.place(event_ns) if event_ns is not None else 0.0
    return [*rows, line(" " * margin, _strip(current, place, cells)), line((" " * margin + axis, "dim"))]


def _parts(values: Sequence[float], count: int) -> list[Sequence[float]]:
    edges = [len(values) * i // count for i in range(count + 1)]
    return [values[start : max(start + 1, end)] for start, end in pairwise(edges)]


def _book(current: Snapshot, width: int, levels: int) -> Lines:
    # The last trade, and as many levels.
    trade, book = current.trade, current.book
    if levels < 1:
        return []
    spread = "·"
    if book is not None and (best := book.levels[0]).bid_px is not None and best.ask_px is not None:
        spread = f"{best.ask_px - best.bid_px:,.2f}"
    head = row(width, *_last_trade(trade), right=[figure("spread", spread, rank=2)] if book is not None else [])
    if book is None:
        return [head, *(Text() for _ in range(levels))]
    return [head, *_ladder(book, width, levels, current.largest_size)]


def _last_trade(trade: FuturesTrade | None) -> list[Field]:
    if trade is None:
        return []
    side = SIDES[trade.aggressor].strip()
    style = "green" if "▲" in side else "red"
    price = line(("last ", "dim"), f"{trade.price:,.2f} × {trade.size:,}", (f" {side}" if side else "", style))
    return [word(trade.symbol, rank=1), Field(price)]


def _ladder(book: MBP10, width: int, levels: int, largest: int) -> Lines:
    shown = book.levels[:levels]
    largest = max(largest, *(max(level.bid_sz, level.ask_sz) for level in shown))
    bids = [f"{level.bid_px:,.2f}" if level.bid_px is not None else "·" for level in shown]
    asks = [f"{level.ask_px:,.2f}" if level.ask_px is not None else "·" for level in shown]
    figures = [
        Column("", [f"{level.bid_sz:,}" for level in shown], 1, width=5),
        Column("", bids, width=9),
        Column("", asks, width=9, gap=3),
        Column("", [f"{level.ask_sz:,}" for level in shown], 1, width=5),
    ]
    cells = spare(width, *figures) // 2 - 2
    if cells < 2:
        return grid(width, *figures)
    bars = [
        Column("", [(bar_left(level.bid_sz, largest, cells), "green") for level in shown], 2),
        Column("", [(bar_right(level.ask_sz, largest, cells), "red") for level in shown], 2, gap=2),
    ]
    lines = grid(width, bars[0], *figures, bars[1])
    if levels == 10:
        bid_sz, ask_sz = sum(level.bid_sz for level in shown), sum(level.ask_sz for level in shown)
        sums = line((f"{bid_sz:,} in 10 bids", "dim")), line((f"{ask_sz:,} in 10 asks", "dim"))
        lines.append(row(width, Field(sums[0]), right=[Field(sums[1])]))
    return lines


def _delivery(current: Snapshot, width: int) -> Lines:
    # Three lines: where the events are, what went wrong, and the stream.
    events, delivery, held = current.summary.events, current.summary.delivery, current.summary.details.held
    counts = _planned_width(current)
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


def _delivery_table(current: Snapshot, width: int) -> Lines:
    events, delivery, held = current.summary.events, current.summary.delivery, current.summary.details.held
    timing, stalled = current.summary.timing, STALLED_S.alarm(current.summary.timing.stalled_ns / SECOND).style
    rows = [
        ("read", events.read, "", ""),
        ("  held", held, "sorted, not yet due", ""),
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
        Column("", [(f"{count:,}", style) for _, count, _, style in rows], width=max(9, _planned_width(current))),
        Column("", [(remark, "dim") for *_, remark, _ in rows], 1, flush="<", gap=2),
    )
    return [
        *lines,
        row(width, *latency_fields("ack", ACK_MS, current.server.ack_now_ms, delivery.ack_ms, (0, 2, 1))),
        row(width, figure("acknowledged", delivery.acknowledged)),
        row(width, word(delivery.stream or "·", "dim", rank=2), _sequences(current, rank=0),
            word(size_text(delivery.payload_bytes), rank=1)),
    ]  # fmt: skip


def _consumer_table(current: Snapshot, width: int) -> Lines:
    return consumer_rows(current.server.consumers, width - 1, 8) + process_rows(current.usage)


def _warnings(current: Snapshot) -> Field:
    return figure("warnings", f"{current.warnings:,}", alarm(current.warnings))


def _news(current: Snapshot, width: int) -> Text:
    return _notes(current, 1, width)[0]


def _notes(current: Snapshot, rows: int, width: int) -> Lines:
    # The count of warnings stands behind the last line where there is room.
    warnings = row(width, _warnings(current))
    lines = note_rows(current.notes, rows, width - warnings.cell_len)
    lines[-1].append(" " * (width - warnings.cell_len - lines[-1].cell_len)).append_text(warnings)
    return lines


def progress_line(current: Snapshot) -> str:
    """Say where a replay is in one line; late, rejected and behind only where they are not zero."""
    if current.position.event_ns is None:
        return "waiting for the first event"
    events = current.summary.events
    counts = (("late", events.late), ("rejected", events.rejected))
    trouble = "".join(f"  {name} {count:,}" for name, count in counts if count)
    if BEHIND_S.alarm(current.speed.behind_ns / SECOND).word:
        trouble += f"  behind {duration_text(current.speed.behind_ns)}"
    if current.server.waiting_ns:
        trouble += f"  {waiting_text(current.server.waiting_ns)}"
    return (
        f"event {_time(current, current.position.event_ns)} New York {int(current.position.share * 100):3} %  "
        f"published {events.published:,}  acked {events.acked:,}  "
        f"achieved {achieved_text(current.summary.timing.speed_achieved)}{trouble}"
    )
