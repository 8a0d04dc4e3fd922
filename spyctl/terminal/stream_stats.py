"""What a stream carries, by subject: rates, bytes, and how long events took to get there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from spyctl.terminal.event_lines import Stored
from spyctl.timing.histogram import Histogram, Percentiles
from spyctl.timing.instants import SECOND
from spyctl.timing.notes import Note

_REPLAYED_MS = 86_400_000


@dataclass(slots=True)
class SubjectTally:
    """Counts of one subject; durations in ns."""

    events: int = 0
    size: int = 0
    undecoded: int = 0
    event_to_stored: Histogram = field(default_factory=Histogram)
    received_to_stored: Histogram = field(default_factory=Histogram)


class Tally:
    """Counts messages; :meth:`draw` shows them over the time between the first and the last stored one."""

    def __init__(self) -> None:
        self.subjects: dict[str, SubjectTally] = {}
        self._first_ns = self._last_ns = 0

    def add(self, message: Stored) -> None:
        """Count a message."""
        one = self.subjects.setdefault(message.subject, SubjectTally())
        one.events += 1
        one.size += len(message.payload)
        self._first_ns = self._first_ns or message.stored_ns
        self._last_ns = max(self._last_ns, message.stored_ns)
        try:
            event = orjson.loads(message.payload)
            one.event_to_stored.add(message.stored_ns - event["ts_event_ns"])
            one.received_to_stored.add(message.stored_ns - event["ts_recv_ns"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            one.undecoded += 1

    def document(self) -> Mapping[str, object]:
        """Return the figures for a program; latencies in ms."""
        seconds = (self._last_ns - self._first_ns) / SECOND
        return {
            subject: {
                "events": one.events,
                "bytes": one.size,
                "undecoded": one.undecoded,
                "events_per_s": one.events / seconds if seconds > 0 else None,
                "event_to_stored_ms": _pair(one.event_to_stored),
                "received_to_stored_ms": _pair(one.received_to_stored),
            }
            for subject, one in sorted(self.subjects.items())
        }

    def draw(self, width: int = 0, height: int = 0, said: Sequence[Note] = ()) -> RenderableType:
        """Draw the figures as a table."""
        seconds = (self._last_ns - self._first_ns) / SECOND
        table = Table.grid(padding=(0, 2))
        for i in range(6):
            table.add_column(justify="right" if i else "left")
        heads = ("subject", "events", "/s", "bytes", "event to stored", "received to stored")
        table.add_row(*(Text(head, style="dim") for head in heads))
        for subject, one in sorted(self.subjects.items()):
            rate = f"{one.events / seconds:,.0f}" if seconds > 0 else "·"
            row = [subject.partition("market.")[2], f"{one.events:,}", rate, f"{one.size:,}"]
            table.add_row(*row, _text(one.event_to_stored), _text(one.received_to_stored))
        return Group(table, Text(" p50 / p99", style="dim"))

    def line(self) -> str:
        """Say the counts in one line."""
        counts = (f"{subject.partition('market.')[2]} {one.events:,}" for subject, one in sorted(self.subjects.items()))
        return "  ".join(counts) or "nothing yet"


def _pair(histogram: Histogram) -> dict[str, float] | None:
    found = Percentiles.of(histogram)
    return {"p50": found.p50, "p99": found.p99} if found else None


def _text(histogram: Histogram) -> str:
    found = Percentiles.of(histogram)
    # Replayed events are as old as their day, which says nothing about the way they took.
    return f"{found.p50:,.1f} / {found.p99:,.1f} ms" if found and found.p50 < _REPLAYED_MS else "·"
