"""Parts that the dashboards share: who reads the stream, what the process uses, notes."""

from collections.abc import Sequence

from rich.text import Text

from spyctl.bus.consumers import Consumer
from spyctl.terminal.boxes import Lines, line
from spyctl.terminal.process import Usage
from spyctl.terminal.text import size_text
from spyctl.timing.instants import NEW_YORK, clock_text
from spyctl.timing.notes import Note

_STYLES = {"warning": "yellow", "error": "red"}


def consumer_rows(consumers: Sequence[Consumer] | None, width: int, most: int) -> Lines:
    """Write who reads the stream in ``most`` lines: name, behind in events and seconds, unacked."""
    name = max(6, width - 25)
    rows = [line((f" {'name':<{name}}{'behind':>7}{'':>8} {'unacked':>7}", "dim"))]
    for consumer in list(consumers or ())[: most - 1]:
        age = f"{consumer.behind_s:.1f} s" if consumer.behind_s is not None else ""
        style = "yellow" if consumer.behind_s is not None and consumer.behind_s > 1 else ""
        behind = (f"{consumer.behind:>7,}{age:>8}", style)
        rows.append(line(f" {consumer.name[: name - 1]:<{name}}", behind, f" {consumer.unacked:>7,}"))
    if len(rows) == 1:
        rows.append(line((" none: nobody reads the stream", "dim")))
    if consumers is not None and len(consumers) > most - 1:
        rows[-1] = line((f" and {len(consumers) - most + 2:,} more", "dim"))
    return [*rows, *(Text() for _ in range(most - len(rows)))]


def process_rows(usage: Usage) -> Lines:
    """Write what the process itself uses, in four lines."""
    return [
        Text(),
        line((" this process  memory ", "dim"), f"{size_text(usage.memory):>9}"),
        line(("               cpu    ", "dim"), f"{usage.cpu * 100:>7.0f} %"),
        line(("               drawing", "dim"), f"{usage.drawing * 100:>7.1f} %"),
    ]


def note_line(note: Note) -> Text:
    """Write a note: its time (event time in UTC, else New York), and its text."""
    when = f"{clock_text(note.ns)} UTC" if note.of_event else clock_text(note.ns, NEW_YORK, 0)
    return line((f" {when}  ", "dim"), (note.text, _STYLES.get(note.level, "")))


def note_rows(notes: Sequence[Note], rows: int) -> Lines:
    """Write the newest notes in exactly ``rows`` lines."""
    shown = [note_line(note) for note in notes[-rows:]]
    return [*shown, *(Text() for _ in range(rows - len(shown)))]


def alarm(count: int) -> str:
    """Return the style of a count that should be 0."""
    return "yellow" if count else ""
