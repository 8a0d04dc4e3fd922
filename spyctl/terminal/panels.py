"""Parts that the dashboards share: who reads the stream, what the process takes, notes."""

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
    for one in list(consumers or ())[: most - 1]:
        age = f"{one.behind_s:.1f} s" if one.behind_s is not None else ""
        style = "yellow" if one.behind_s is not None and one.behind_s > 1 else ""
        rows.append(
            line(f" {one.name[: name - 1]:<{name}}", (f"{one.behind:>7,}{age:>8}", style), f" {one.unacked:>7,}")
        )
    if len(rows) == 1:
        rows.append(line((" none: nobody reads the stream", "dim")))
    if consumers is not None and len(consumers) > most - 1:
        rows[-1] = line((f" and {len(consumers) - most + 2:,} more", "dim"))
    return [*rows, *(Text() for _ in range(most - len(rows)))]


def process_rows(usage: Usage) -> Lines:
    """Write what the process itself takes, in four lines."""
    return [
        Text(),
        line((" this process  memory ", "dim"), f"{size_text(usage.memory):>9}"),
        line(("               cpu    ", "dim"), f"{usage.cpu * 100:>7.0f} %"),
        line(("               drawing", "dim"), f"{usage.drawing * 100:>7.1f} %"),
    ]


def note_line(note: Note) -> Text:
    """Write a note: when it was (of the market in UTC, else New York), and what."""
    when = f"{clock_text(note.ns)} UTC" if note.of_event else clock_text(note.ns, NEW_YORK, 0)
    return line((f" {when}  ", "dim"), (note.text, _STYLES.get(note.level, "")))


def note_rows(notes: Sequence[Note], rows: int) -> Lines:
    """Write the newest notes in just so many lines."""
    shown = [note_line(note) for note in notes[-rows:]]
    return [*shown, *(Text() for _ in range(rows - len(shown)))]


def alarm(count: int) -> str:
    """Return the style of a count that should be 0."""
    return "yellow" if count else ""
