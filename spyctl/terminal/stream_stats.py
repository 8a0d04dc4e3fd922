"""What a stream carries, by subject: rates, bytes, and how long events took to get there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from rich.text import Text

from spyctl.market.lines import StreamMessage
from spyctl.terminal.boxes import line, screen
from spyctl.terminal.fields import Column, grid
from spyctl.terminal.text import latency_text
from spyctl.timing.histogram import Histogram, Percentiles
from spyctl.timing.instants import SECOND, is_instant
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
        times = _times(message.payload)
        if times is None:
            tally.undecoded += 1
        else:
            tally.event_to_stored.add(message.stored_ns - times[0])
            tally.received_to_stored.add(message.stored_ns - times[1])

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

    def draw(self, width: int, height: int, notes: Sequence[Note] = ()) -> Text:
        """Draw the figures as a table of at most so many columns and lines; what does not fit is left out."""
        seconds = (self._last_ns - self._first_ns) / SECOND
        names = [subject.partition("market.")[2] for subject in sorted(self.subjects)]
        tallies = [self.subjects[subject] for subject in sorted(self.subjects)]
        rates = [f"{tally.events / seconds:,.0f}" if seconds > 0 else "·" for tally in tallies]
        lines = grid(
            width,
            Column("subject", names, width=14, flush="<"),
            Column("events", [f"{tally.events:,}" for tally in tallies]),
            Column("/s", rates, 1, width=7, gap=2),
            Column("bytes", [f"{tally.size:,}" for tally in tallies], 4, gap=2),
            Column("event to stored", [_latency_text(tally.event_to_stored) for tally in tallies], 2, gap=2),
            Column("received to stored", [_latency_text(tally.received_to_stored) for tally in tallies], 3, gap=2),
        )
        return screen([*lines, line((" p50 / p99", "dim"))][:height])

    def line(self) -> str:
        """Say the counts in one line."""
        counts = (
            f"{subject.partition('market.')[2]} {tally.events:,}" for subject, tally in sorted(self.subjects.items())
        )
        return "  ".join(counts) or "nothing yet"


def _times(payload: bytes) -> tuple[int, int] | None:
    # When the event was and when it arrived; None where the payload does not say so in instants.
    try:
        event = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(event, dict):
        return None
    event_ns, recv_ns = event.get("ts_event_ns"), event.get("ts_recv_ns")
    return (event_ns, recv_ns) if is_instant(event_ns) and is_instant(recv_ns) else None


def _latency(histogram: Histogram) -> Percentiles | None:
    # A replayed event's age is that of its day, and no latency.
    percentiles = Percentiles.of(histogram)
    return percentiles if percentiles is not None and percentiles.p50 < _REPLAYED_MS else None


def _latency_ms(histogram: Histogram) -> dict[str, float] | None:
    percentiles = _latency(histogram)
    return {"p50": percentiles.p50, "p99": percentiles.p99} if percentiles else None


def _latency_text(histogram: Histogram) -> str:
    percentiles = _latency(histogram)
    if percentiles is None:
        return "·"
    return f"{latency_text(percentiles.p50)} / {latency_text(percentiles.p99)}"
