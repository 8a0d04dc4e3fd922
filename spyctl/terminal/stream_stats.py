"""What a stream carries, by subject: rates, bytes, and how long events took to get there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from rich.text import Text

from spyctl.terminal.event_lines import StreamMessage
from spyctl.terminal.tables import table
from spyctl.timing.histogram import Histogram, Percentiles
from spyctl.timing.instants import SECOND
from spyctl.timing.notes import Note

_REPLAYED_MS = 86_400_000


@dataclass(slots=True)
class SubjectStats:
    """Counts of one subject; durations in ns."""

    events: int = 0
    size: int = 0
    undecoded: int = 0
    event_to_stored: Histogram = field(default_factory=Histogram)
    received_to_stored: Histogram = field(default_factory=Histogram)


class StreamStats:
    """Counts messages; rates are over the time between the first and the last stored one."""

    def __init__(self) -> None:
        self.subjects: dict[str, SubjectStats] = {}
        self._first_ns = self._last_ns = 0

    def add(self, message: StreamMessage) -> None:
        """Count a message."""
        tally = self.subjects.setdefault(message.subject, SubjectStats())
        tally.events += 1
        tally.size += len(message.payload)
        self._first_ns = self._first_ns or message.stored_ns
        self._last_ns = max(self._last_ns, message.stored_ns)
        try:
            event = orjson.loads(message.payload)
            tally.event_to_stored.add(message.stored_ns - event["ts_event_ns"])
            tally.received_to_stored.add(message.stored_ns - event["ts_recv_ns"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            tally.undecoded += 1

    def document(self) -> Mapping[str, object]:
        """Return the figures for a program; latencies in ms."""
        seconds = (self._last_ns - self._first_ns) / SECOND
        return {
            subject: {
                "events": tally.events,
                "bytes": tally.size,
                "undecoded": tally.undecoded,
                "events_per_s": tally.events / seconds if seconds > 0 else None,
                "event_to_stored_ms": _latency_ms(tally.event_to_stored),
                "received_to_stored_ms": _latency_ms(tally.received_to_stored),
            }
            for subject, tally in sorted(self.subjects.items())
        }

    def draw(self, width: int = 0, height: int = 0, notes: Sequence[Note] = ()) -> Text:
        """Draw the figures as a table."""
        seconds = (self._last_ns - self._first_ns) / SECOND
        rows = [
            (
                subject.partition("market.")[2],
                f"{tally.events:,}",
                f"{tally.events / seconds:,.0f}" if seconds > 0 else "·",
                f"{tally.size:,}",
                _latency_text(tally.event_to_stored),
                _latency_text(tally.received_to_stored),
            )
            for subject, tally in sorted(self.subjects.items())
        ]
        heads = ("subject", "events", "/s", "bytes", "event to stored", "received to stored")
        head, *lines = table(heads, rows, right=heads[1:])
        return Text("\n").join([Text(head, style="dim"), *map(Text, lines), Text(" p50 / p99", style="dim")])

    def line(self) -> str:
        """Say the counts in one line."""
        counts = (
            f"{subject.partition('market.')[2]} {tally.events:,}" for subject, tally in sorted(self.subjects.items())
        )
        return "  ".join(counts) or "nothing yet"


def _latency_ms(histogram: Histogram) -> dict[str, float] | None:
    percentiles = Percentiles.of(histogram)
    return {"p50": percentiles.p50, "p99": percentiles.p99} if percentiles else None


def _latency_text(histogram: Histogram) -> str:
    percentiles = Percentiles.of(histogram)
    if percentiles is None or percentiles.p50 >= _REPLAYED_MS:  # a replayed event's age is that of its day
        return "·"
    return f"{percentiles.p50:,.1f} / {percentiles.p99:,.1f} ms"
