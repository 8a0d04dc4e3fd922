"""Parts that the dashboards share: who reads the stream, what the process uses, notes."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from spyctl.bus.consumers import Consumer
from spyctl.terminal.alarms import CONSUMER_S, Limit
from spyctl.terminal.boxes import Lines, line
from spyctl.terminal.fields import Column, Field, figure, grid, row, spare
from spyctl.terminal.process import Usage
from spyctl.terminal.text import latency_text, shortened, size_text
from spyctl.timing.histogram import Percentiles
from spyctl.timing.instants import MINUTE, NEW_YORK, SECOND, clock_text, duration_text
from spyctl.timing.notes import Note

_BESIDE_USAGE = len("consumers") + 7  # columns
_STYLES = {"warning": "yellow", "error": "red"}


@dataclass(frozen=True, slots=True)
class ServerNow:
    """The server of a run at a moment.

    ``consumers`` is ``None`` where there is no stream. ``waiting_ns`` is for how long nothing of what is in flight was
    stored, ``ack_now_ms`` the p99 of the acknowledgements of the last seconds.
    """

    consumers: Sequence[Consumer] | None = None
    connected: bool = True
    waiting_ns: int = 0
    ack_now_ms: float | None = None


def consumer_rows(consumers: Sequence[Consumer] | None, width: int, most: int) -> Lines:
    """Write who reads the stream in ``most`` lines: name, behind in events and seconds, unacked."""
    shown = list(consumers or ())[: most - 1]
    if more := len(consumers or ()) - len(shown):
        more += 1
        shown.pop()
    late = [CONSUMER_S.alarm(consumer.behind_s) for consumer in shown]
    ages = [f"{consumer.behind_s:.1f} s" if consumer.behind_s is not None else "" for consumer in shown]
    figures = [
        Column("behind", [(f"{c.behind:,}", alarm.style) for c, alarm in zip(shown, late, strict=True)], width=7),
        Column("", [(age, alarm.style) for age, alarm in zip(ages, late, strict=True)], 3, width=7),
        Column("unacked", [f"{c.unacked:,}" for c in shown], 2, width=7),
        Column("", [(alarm.word, alarm.style) for alarm in late], 1, flush="<"),
    ]
    room = max(8, spare(width, *figures) - 1)
    names = Column("name", [shortened(c.name, room) for c in shown], width=min(room, 16), flush="<")
    rows = grid(width, names, *figures) if shown else [line((" none: nobody reads the stream", "dim"))]
    if more:
        rows.append(line((f" and {more:,} more", "dim")))
    return [*rows, *(Text() for _ in range(most - len(rows)))]


def process_row(usage: Usage, width: int) -> Text:
    """Write what the process itself uses, as the second title of a box of consumers of such a width."""
    return row(
        width - _BESIDE_USAGE,
        figure("memory", size_text(usage.memory)),
        figure("cpu", f"{usage.cpu * 100:.0f} %", rank=1),
        figure("drawing", f"{usage.drawing * 100:.1f} %", rank=2),
    )


def note_line(note: Note, width: int) -> Text:
    """Write a note in one line: its time in New York, of an event to the millisecond, and its text, of which the last
    words may be left out."""
    return _note_lines(note, width, 1)[0]


def note_rows(notes: Sequence[Note], rows: int, width: int) -> Lines:
    """Write the newest notes in exactly ``rows`` lines; long ones, the newest first, go on in lines that are free."""
    shown = notes[-rows:]
    blocks: list[Lines] = []
    free = rows - len(shown)
    for note in reversed(shown):
        blocks.append(_note_lines(note, width, 1 + free))
        free -= len(blocks[-1]) - 1
    return [*(part for block in reversed(blocks) for part in block), *(Text() for _ in range(free))]


def _note_lines(note: Note, width: int, most: int) -> Lines:
    # The text begins in the same column in each.
    when = f" {clock_text(note.ns, NEW_YORK, 3 if note.of_event else 0)}  "
    if len(when) > width // 2:
        when = " "  # the text matters more
    room, style = max(1, width - len(when)), _STYLES.get(note.level, "")
    parts, rest = list[str](), note.text
    while len(rest) > room and len(parts) < most - 1:
        head = rest[: room + 1].rpartition(" ")[0].rstrip() or rest[:room]
        parts.append(head)
        rest = rest[len(head) :].lstrip()
    parts.append(shortened(rest, room))
    return [line((when if not i else " " * len(when), "dim"), (part, style)) for i, part in enumerate(parts)]


def consumers_field(consumers: Sequence[Consumer] | None, *, rank: int) -> Field:
    """Write how many read the stream, and who is furthest behind; ``None`` where there is no stream."""
    if not consumers:
        return figure("consumers", "none" if consumers is not None else "·", rank=rank)
    worst = max(consumers, key=lambda consumer: consumer.behind)
    alarm = CONSUMER_S.alarm(worst.behind_s)
    late = f", {worst.name} {worst.behind:,} behind {alarm.word}" if worst.behind else ", all up to date"
    return figure("consumers", f"{len(consumers)}{late}".rstrip(), alarm.style, rank=rank)


def latency_fields(
    label: str, limit: Limit, now_ms: float | None, whole: Percentiles | None, ranks: tuple[int, int, int]
) -> list[Field]:
    """Write a latency: its p99 now, with an alarm, and p50 and p99 of the whole run; a rank for each."""
    alarm = limit.alarm(now_ms)
    now = latency_text(now_ms) if now_ms is not None else "·"
    p50, p99 = (latency_text(ms) for ms in (whole.p50, whole.p99)) if whole is not None else ("·", "·")
    return [
        figure(f"{label} now", f"{now} {alarm.word}".rstrip(), alarm.style, rank=ranks[0], width=7),
        figure("p50", p50, rank=ranks[1], width=7),
        figure("p99", p99, rank=ranks[2], width=7),
    ]


def waiting_text(ns: int) -> str:
    """Say for how long the server has stored nothing of what is in flight."""
    return f"waiting for NATS, {duration_text(ns // SECOND * SECOND) if ns >= MINUTE else f'{ns // SECOND} s'}"


def alarm(count: int) -> str:
    """Return the style of a count that should be 0."""
    return "yellow" if count else ""
