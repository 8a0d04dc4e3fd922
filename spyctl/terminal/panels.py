"""Parts that the dashboards share: who reads the stream, what the process uses, notes."""

from collections.abc import Sequence

from rich.text import Text

from spyctl.bus.consumers import Consumer
from spyctl.terminal.boxes import Lines, line
from spyctl.terminal.fields import Column, grid, spare
from spyctl.terminal.process import Usage
from spyctl.terminal.text import shortened, size_text
from spyctl.timing.instants import MINUTE, NEW_YORK, SECOND, clock_text, duration_text
from spyctl.timing.notes import Note

_LEAST_NOTE = 12
_STYLES = {"warning": "yellow", "error": "red"}


def consumer_rows(consumers: Sequence[Consumer] | None, width: int, most: int) -> Lines:
    """Write who reads the stream in ``most`` lines: name, behind in events and seconds, unacked."""
    shown = list(consumers or ())[: most - 1]
    if more := len(consumers or ()) - len(shown):
        more += 1
        shown.pop()
    late = ["yellow" if consumer.behind_s is not None and consumer.behind_s > 1 else "" for consumer in shown]
    ages = [f"{consumer.behind_s:.1f} s" if consumer.behind_s is not None else "" for consumer in shown]
    figures = [
        Column("behind", [(f"{c.behind:,}", style) for c, style in zip(shown, late, strict=True)], width=7),
        Column("", list(zip(ages, late, strict=True)), 2, width=7),
        Column("unacked", [f"{c.unacked:,}" for c in shown], 1, width=7),
    ]
    room = max(8, spare(width, *figures) - 1)
    names = Column("name", [shortened(c.name, room) for c in shown], width=min(room, 16), flush="<")
    rows = grid(width, names, *figures) if shown else [line((" none: nobody reads the stream", "dim"))]
    if more:
        rows.append(line((f" and {more:,} more", "dim")))
    return [*rows, *(Text() for _ in range(most - len(rows)))]


def process_rows(usage: Usage) -> Lines:
    """Write what the process itself uses, in four lines."""
    return [
        Text(),
        line((" this process  memory ", "dim"), f"{size_text(usage.memory):>9}"),
        line(("               cpu    ", "dim"), f"{usage.cpu * 100:>7.0f} %"),
        line(("               drawing", "dim"), f"{usage.drawing * 100:>7.1f} %"),
    ]


def note_line(note: Note, width: int) -> Text:
    """Write a note: its time (event time in UTC, else New York), and its text, of which the last words may be left
    out."""
    when = f" {clock_text(note.ns)} UTC  " if note.of_event else f" {clock_text(note.ns, NEW_YORK, 0)}  "
    if len(when) + _LEAST_NOTE > width:
        when = " "
    return line((when, "dim"), (shortened(note.text, max(1, width - len(when))), _STYLES.get(note.level, "")))


def note_rows(notes: Sequence[Note], rows: int, width: int) -> Lines:
    """Write the newest notes in exactly ``rows`` lines."""
    shown = [note_line(note, width) for note in notes[-rows:]]
    return [*shown, *(Text() for _ in range(rows - len(shown)))]


def waiting_text(ns: int) -> str:
    """Say for how long the server has stored nothing of what is in flight."""
    return f"waiting for NATS, {duration_text(ns // SECOND * SECOND) if ns >= MINUTE else f'{ns // SECOND} s'}"


def alarm(count: int) -> str:
    """Return the style of a count that should be 0."""
    return "yellow" if count else ""
