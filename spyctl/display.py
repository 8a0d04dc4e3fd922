"""What a replay looks like while it runs: pure views of a snapshot.

:func:`render` draws a snapshot for a terminal, :func:`progress_line` says the same in one plain line.
"""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from spyctl.clock import achieved_text, speed_text
from spyctl.replay import Replay
from spyctl.stats import Percentiles
from spyctl.times import NEW_YORK, SECOND, clock_text, duration_text, whole_seconds


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A replay at one moment; times in Unix ns, durations in ns, ``clock_ns`` monotonic."""

    clock_ns: int
    title: str
    where: str
    run_id: str
    state: str
    first_ns: int
    last_ns: int
    event_ns: int | None
    speed_asked: float
    speed_achieved: float | None
    behind_ns: int
    wall_ns: int | None
    by_subject: Mapping[str, int]
    read: int
    held: int
    published: int
    acked: int
    rejected: int
    late: int
    peak_per_s: int
    ack_ms: Percentiles | None
    stream: str
    first_seq: int | None
    last_seq: int | None

    @property
    def share(self) -> float:
        """How much of the planned event time has been played, 0 to 1."""
        span = self.last_ns - self.first_ns
        if self.event_ns is None:
            return 0.0
        return min(1.0, max(0.0, (self.event_ns - self.first_ns) / span)) if span > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What does not change while a replay runs."""

    title: str
    where: str
    stream: str
    first_ns: int
    last_ns: int


class View:
    """Looks at a replay; :meth:`draw` and :meth:`line` show it as it is now."""

    def __init__(self, replay: Replay, scene: Scene) -> None:
        self._replay = replay
        self._scene = scene
        self._history: deque[Snapshot] = deque()

    def draw(self, height: int) -> RenderableType:
        """Draw the replay, with rates over the last second."""
        current = take_snapshot(self._replay, self._scene, time.monotonic_ns())
        self._history.append(current)
        while current.clock_ns - self._history[0].clock_ns > SECOND:
            self._history.popleft()
        return render(self._history[0] if len(self._history) > 1 else None, current)

    def line(self) -> str:
        """Say where the replay is."""
        return progress_line(take_snapshot(self._replay, self._scene, time.monotonic_ns()))


def take_snapshot(replay: Replay, scene: Scene, clock_ns: int) -> Snapshot:
    """Copy a replay's counters."""
    pace, delivery = replay.pace, replay.delivery
    return Snapshot(
        clock_ns=clock_ns,
        title=scene.title,
        where=scene.where,
        run_id=replay.run_id,
        state="■ finishing" if replay.stopped_by or replay.complete else "▶ playing",
        first_ns=scene.first_ns,
        last_ns=scene.last_ns,
        event_ns=pace.last_ns,
        speed_asked=replay.options.speed,
        speed_achieved=pace.achieved(),
        behind_ns=pace.behind_ns,
        wall_ns=clock_ns - pace.started_ns if pace.first_ns is not None else None,
        by_subject=dict(replay.progress.by_subject),
        read=replay.read,
        held=replay.held,
        published=delivery.published,
        acked=delivery.acked,
        rejected=sum(replay.reading.rejected.values()),
        late=replay.progress.late,
        peak_per_s=replay.progress.peak_per_s,
        ack_ms=Percentiles.of(delivery.ack_ns),
        stream=scene.stream,
        first_seq=delivery.first_seq,
        last_seq=delivery.last_seq,
    )


def render(previous: Snapshot | None, current: Snapshot) -> RenderableType:
    """Draw a snapshot; ``previous``, about a second older, gives the momentary rates."""
    elapsed = (current.clock_ns - previous.clock_ns) / SECOND if previous else 0.0
    now_speed: float | None = None
    if previous and previous.event_ns is not None and current.event_ns is not None and elapsed > 0:
        now_speed = (current.event_ns - previous.event_ns) / SECOND / elapsed
    return Group(
        _title(current),
        Rule(style="dim", characters="─"),
        _event_time(current),
        _progress(current),
        _pairs(
            "speed       ",
            f"asked {speed_text(current.speed_asked)}",
            f"achieved {achieved_text(current.speed_achieved)}",
            f"now {achieved_text(now_speed)}",
            f"behind {duration_text(current.behind_ns) if current.behind_ns >= 1_000_000 else '0 ms'}",
        ),
        Text(),
        _subjects(previous, current, elapsed),
        Text(),
        _pairs(
            f"read {current.read:,}",
            f"held {current.held:,}",
            f"published {current.published:,}",
            f"acked {current.acked:,}",
            f"in flight {current.published - current.acked:,}",
        ),
        _pairs(
            f"late {current.late:,}",
            f"rejected {current.rejected:,}",
            f"ack p50 {current.ack_ms.p50:.1f} ms  p99 {current.ack_ms.p99:.1f} ms" if current.ack_ms else "ack ·",
        ),
        _pairs(f"stream {current.stream}", *_sequences(current)),
        Rule(style="dim", characters="─"),
        Text(" Ctrl-C ends the replay after what is in flight", style="dim"),
    )


def _title(current: Snapshot) -> RenderableType:
    line = Table.grid(expand=True)
    line.add_column()
    line.add_column(justify="right")
    left = Text.assemble(" spyctl replay  ", (current.title, "bold"), "   ", (current.state, "green"))
    line.add_row(left, Text(f"run {current.run_id}   NATS {current.where} ", style="dim"))
    return line


def _event_time(current: Snapshot) -> Text:
    if current.event_ns is None:
        return Text(" event time   ·")
    return Text.assemble(
        (" event time   ", "dim"),
        (clock_text(current.event_ns, NEW_YORK), "bold"),
        (" New York   ", "dim"),
        clock_text(current.event_ns),
        (" UTC", "dim"),
    )


def _progress(current: Snapshot) -> RenderableType:
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column()
    line.add_column(ratio=1)
    line.add_column()
    line.add_column(justify="right", min_width=24)
    left = ""
    if current.wall_ns is not None and current.share > 0.001:
        left = f"{duration_text(round(current.wall_ns / current.share * (1 - current.share)))} left"
    first_ns, last_ns = whole_seconds(current.first_ns, current.last_ns)
    line.add_row(
        " " + clock_text(first_ns, NEW_YORK, 0)[:5],
        ProgressBar(total=1.0, completed=current.share, complete_style="green", finished_style="green"),
        clock_text(last_ns, NEW_YORK, 0)[:5],
        f"{current.share * 100:4.0f} %   {left} ",
    )
    return line


def _subjects(previous: Snapshot | None, current: Snapshot, elapsed: float) -> Table:
    table = Table.grid(padding=(0, 3))
    table.add_column(min_width=16)
    for _ in range(3):
        table.add_column(justify="right", min_width=9)
    table.add_row(*(Text(name, style="dim") for name in (" subject", "events", "now/s", "peak/s")))
    rows = [*sorted(current.by_subject.items()), ("all", sum(current.by_subject.values()))]
    for subject, events in rows:
        rate = "·"
        if previous is not None and elapsed > 0:
            before = sum(previous.by_subject.values()) if subject == "all" else previous.by_subject.get(subject, 0)
            rate = f"{(events - before) / elapsed:,.0f}"
        peak = f"{current.peak_per_s:,}" if subject == "all" else ""
        table.add_row(f" {subject.removeprefix('market.')}", f"{events:,}", rate, peak)
    return table


def _sequences(current: Snapshot) -> list[str]:
    # With fast ingest the server names sequences only when it is asked for the count, at the end.
    if current.first_seq is None or current.last_seq is None:
        return []
    return [f"seq {current.first_seq:,} to {current.last_seq:,}"]


def _pairs(*texts: str) -> Text:
    line = Text(" ")
    for text in texts:
        label, space, figure = text.partition(" ") if not text.endswith(" ") else (text, "", "")
        line.append(label, "dim")
        line.append(f"{space}{figure}   ")
    return line


def progress_line(current: Snapshot) -> str:
    """Say where a replay is in one line; late, rejected and behind only where they are not zero."""
    if current.event_ns is None:
        return "waiting for the first event"
    trouble = "".join(
        f"  {name} {count:,}" for name, count in (("late", current.late), ("rejected", current.rejected)) if count
    )
    if current.behind_ns >= SECOND // 10:
        trouble += f"  behind {duration_text(current.behind_ns)}"
    return (
        f"event {clock_text(current.event_ns, NEW_YORK, 0)} New York {current.share * 100:3.0f} %  "
        f"published {current.published:,}  acked {current.acked:,}  "
        f"achieved {achieved_text(current.speed_achieved)}{trouble}"
    )
