"""What a replay looks like while it runs.

:func:`render` draws a snapshot for a terminal of any size (from 120×35 on with more of everything; below 80×24 with
less), :func:`progress_line` says the same in one plain line. Both are pure.
"""

from rich.text import Text

from spyctl.replay.control import PlayState
from spyctl.replay.delivery import delivery_lines, delivery_table, planned_width
from spyctl.replay.keys import KEYS
from spyctl.replay.snapshot import Snapshot
from spyctl.replay.timeline import event_time, plan_chart, plan_strip, strip_legend, time_of
from spyctl.terminal.alarms import BEHIND_S, WAITING_S
from spyctl.terminal.boxes import Lines, box, line, rule, screen, side_by_side, spark
from spyctl.terminal.fields import Column, Field, figure, grid, row, spare, stack, word
from spyctl.terminal.ladder import book_lines
from spyctl.terminal.panels import alarm, consumer_rows, note_rows, process_row, waiting_text
from spyctl.terminal.prints import print_rows
from spyctl.terminal.text import size_text
from spyctl.timing.clock import MAX_SPEED, achieved_text
from spyctl.timing.instants import MS, SECOND, duration_text

WIDE, TALL = 120, 35
SPARK_S = 60
_THREE = 136  # columns from which on three panels have room
_TAPE, _DELIVERY, _PANEL_ROWS = 38, 48, 13
_LEAST_CHART, _MOST_CHARTS, _LEAST_NOTES = 2, 14, 2
_TABLES = 1 + (3 + 2) + 2 + (_PANEL_ROWS + 2) + (_LEAST_NOTES + 2) + 1  # lines of a wide screen without charts
_LEAST_SPARK = 10
_STATES = {
    PlayState.PLAYING: ("▶ playing", "green"),
    PlayState.PAUSED: ("‖ paused", "yellow"),
    PlayState.SEEKING: ("» seeking", "yellow"),
    PlayState.SEEKING_PAUSED: ("» seeking", "yellow"),
    PlayState.FINISHING: ("■ finishing", "green"),
}
_TWO_COLUMNS = 80
_SIGNS = {"left": "←", "right": "→", "up": "↑", "down": "↓", "]": "]"}  # where each key stands by itself
_FOOTER = ("Ctrl-C ends the run once what is in flight is stored", "Ctrl-Z suspends it")


def render(current: Snapshot, width: int = 80, height: int = 24) -> Text:
    """Draw a snapshot; every line fits, no figure is cut, and there are never more lines than ``height``."""
    if current.control.all_keys:
        return screen(_key_page(width, height))
    wide = width >= WIDE and height >= TALL and current.control.detail
    return screen((_wide if wide else _narrow)(current, width, height))


def _narrow(current: Snapshot, width: int, height: int) -> Lines:
    subjects, delivery = _subjects(current, width, sizes=False), delivery_lines(current, width)
    blocks = [
        (0, [_title(current, width)]),
        (8, [rule(width)]),
        (1, [event_time(current, width)]),
        (3, [plan_strip(current, width)]),
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
    # Charts take two thirds of the lines that are left beside the tables, notes and consumers the rest.
    subjects = _subjects(current, width - 2, sizes=True)
    spare_rows = height - len(subjects) - _TABLES
    charts = min(_MOST_CHARTS, spare_rows * 2 // 3)
    if charts < _LEAST_CHART:
        return _narrow(current, width, height)
    has_book = any(subject.name == "futures.mbp10" for subject in current.subjects)
    price_rows = (charts + 1) // 2 if has_book and charts >= 2 * _LEAST_CHART else 0
    where = [
        event_time(current, width - 2, share=True),
        *plan_chart(current, width - 2, charts - price_rows, price_rows),
    ]
    unit = " events per second of event time "
    return [
        _title(current, width),
        *box("where we are", where, width, right=line(f" mid price, and{unit}" if price_rows else unit)),
        *box("events", subjects, width, right=row(width, *_speeds(current))),
        *_panels(current, width, has_book=has_book),
        *_news_panels(current, width, _LEAST_NOTES + spare_rows - charts),
        _footer(current, width),
    ]


def _panels(current: Snapshot, width: int, *, has_book: bool) -> Lines:
    # Book, tape and delivery beside each other, as far as there is something in them and room for it.
    delivery = _DELIVERY if width >= _THREE else width // 2
    tape = 0 if has_book and width < _THREE else _TAPE if has_book else width - delivery
    book = width - delivery - tape
    symbol = current.market.book.symbol if current.market.book is not None else "ES"
    blocks = {
        f"{symbol} book": (book, _book(current, book - 2, 10, headings=True) if has_book else []),
        "last trades": (tape, print_rows(current.market.tape, _PANEL_ROWS, tape - 2) if tape else []),
        "delivery": (delivery, delivery_table(current, delivery - 2)),
    }
    panels = [box(title, rows, cells, height=_PANEL_ROWS) for title, (cells, rows) in blocks.items() if cells]
    return side_by_side(*panels)


def _book(current: Snapshot, width: int, levels: int, *, headings: bool = False) -> Lines:
    market = current.market
    return book_lines(market.trade, market.book, width, levels, largest=market.largest_size, headings=headings)


def _news_panels(current: Snapshot, width: int, rows: int) -> Lines:
    right = max(width // 2 - 10, WIDE // 2)
    left = width - right
    usage = process_row(current.usage, right)
    consumers = consumer_rows(current.server.consumers, right - 3, rows)
    return side_by_side(
        box("notes", note_rows(current.notes, rows, left - 2), left, right=row(left, _warnings(current))),
        box("consumers", consumers, right, right=usage),
    )


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
    head = line(("  keys", "bold"), ("   any key goes back", "dim"))
    return [head, Text(), *lines, Text(), strip_legend(width)][:height]


def _title(current: Snapshot, width: int) -> Text:
    scene = current.scene
    return row(
        width,
        word("spyctl replay", rank=3),
        word(scene.title, "bold", rank=1),
        _state(current),
        word("synthetic" if scene.synthetic else "", "dim", rank=4),
        word(scene.what, "dim", rank=6),
        right=[word(f"run {current.summary.run_id}", "dim", rank=2), word(f"NATS {scene.where}", "dim", rank=5)],
    )


def _state(current: Snapshot) -> Field:
    if not current.server.waiting_ns:
        if current.control.waiting_for:
            return word("◌ waiting", "yellow")
        text, style = _STATES[current.control.state]
        if (searched := current.control.searched) is not None:
            text = f"» searching {searched:.0%}"
        return word(text, style)
    waiting = waiting_text(current.server.waiting_ns)
    style = WAITING_S.alarm(current.server.waiting_ns / SECOND).style
    return word(f"■ finishing, {waiting}" if current.control.state is PlayState.FINISHING else f"◌ {waiting}", style)


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
        Column("events", [f"{subject.events:,}" for subject in shown], width=max(9, planned_width(current))),
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
        f"event {time_of(current, current.position.event_ns)} New York {int(current.position.share * 100):3} %  "
        f"published {events.published:,}  acked {events.acked:,}  "
        f"achieved {achieved_text(current.summary.timing.speed_achieved)}{trouble}"
    )
