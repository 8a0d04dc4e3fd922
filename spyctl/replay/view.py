"""Looks at a replay while it runs: takes snapshots, and remembers what needs a history.

That is rates, notes, and how busy each part of the plan was.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.text import Text

from spyctl.bus.consumers import Consumer
from spyctl.market.events import MBP10, FuturesTrade
from spyctl.market.subjects import decode
from spyctl.replay.player import REPLAYED_SUBJECTS, Replay
from spyctl.replay.screen import BINS, SPARK_S, Snapshot, Subject, progress_line, render
from spyctl.terminal.process import Usage
from spyctl.timing.histogram import Percentiles
from spyctl.timing.instants import SECOND, date_of, parse_instant
from spyctl.timing.notes import Note

_NOTES = 50


@dataclass(frozen=True, slots=True)
class Scene:
    """What does not change while a replay runs."""

    title: str
    what: str
    synthetic: bool
    where: str
    stream: str
    first_ns: int
    last_ns: int


class View:
    """Looks at a replay; :meth:`draw` and :meth:`line` show it as it is now.

    ``consumers`` returns who reads the stream, ``said`` what the program has said since it has the screen.
    """

    def __init__(
        self,
        replay: Replay,
        scene: Scene,
        consumers: Callable[[], Sequence[Consumer]] | None = None,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._clock = clock
        self._replay = replay
        self._scene = scene
        self._consumers = consumers
        self._usage = Usage.now()
        self._seconds: deque[tuple[int, int | None, tuple[int, ...]]] = deque(maxlen=SPARK_S + 1)
        self._rates: tuple[deque[float], ...] = tuple(deque(maxlen=SPARK_S) for _ in REPLAYED_SUBJECTS)
        self._density = [0.0] * BINS
        self._counted: tuple[int | None, int] = None, 0
        self._notes: deque[Note] = deque(maxlen=_NOTES)
        self._session_at: int | None = None

    def draw(self, width: int, height: int, said: Sequence[Note] = ()) -> Text:
        """Draw the replay for a terminal of so many columns and lines."""
        started_ns = time.perf_counter_ns()
        drawn = render(self.snapshot(said), width, height)
        self._usage.drawing_ns += time.perf_counter_ns() - started_ns
        return drawn

    def line(self) -> str:
        """Say where the replay is."""
        return progress_line(self.snapshot())

    def snapshot(self, said: Sequence[Note] = ()) -> Snapshot:
        """Copy the counters, and note what has changed since the last time."""
        replay, scene, clock_ns = self._replay, self._scene, self._clock()
        pace, delivery, counters = replay.pace, replay.delivery, replay.progress
        counts = tuple(counters.by_subject[subject] for subject in replay.subjects)
        event_ns = pace.last_ns
        self._note_second(clock_ns, event_ns, counts)
        self._note_density(event_ns, sum(counts))
        self._note_session(event_ns)
        then_ns, then_event_ns, before = self._seconds[-2] if len(self._seconds) > 1 else self._seconds[-1]
        elapsed = (clock_ns - then_ns) / SECOND
        speed_now = None
        if event_ns is not None and then_event_ns is not None and elapsed > 0:
            speed_now = (event_ns - then_event_ns) / SECOND / elapsed
        subjects = [
            Subject(
                subject.partition("market.")[2], count, (count - old) / elapsed if elapsed > 0 else 0.0,
                max(rates, default=0.0), tuple(rates),
            )
            for subject, count, old, rates in zip(replay.subjects, counts, before, self._rates, strict=True)
        ]  # fmt: skip
        trade, book = (
            decode(subject, payload) if (payload := replay.last_payload(subject)) is not None else None
            for subject in replay.subjects
        )
        return Snapshot(
            clock_ns=clock_ns,
            title=scene.title,
            what=scene.what,
            synthetic=scene.synthetic,
            where=scene.where,
            run_id=replay.run_id,
            state="■ finishing" if replay.stopped_by or replay.complete else "▶ playing",
            first_ns=scene.first_ns,
            last_ns=scene.last_ns,
            event_ns=event_ns,
            quiet_to_ns=pace.quiet_to_ns,
            quiet_left_ns=max(0, pace.quiet_due_ns - clock_ns),
            speed_asked=replay.options.speed,
            speed_achieved=pace.achieved(),
            speed_now=speed_now,
            behind_ns=pace.behind_ns,
            wall_ns=clock_ns - pace.started_ns if pace.first_ns is not None else None,
            subjects=list(reversed(subjects)),
            read=replay.read,
            held=replay.held,
            published=delivery.published,
            acked=delivery.acked,
            rejected=sum(replay.reading.rejected.values()),
            late=counters.late,
            reconnects=delivery.reconnects,
            size=delivery.payload_bytes,
            ack_ms=Percentiles.of(delivery.ack_ns),
            acknowledged=replay.acknowledged,
            stream=scene.stream,
            first_seq=delivery.first_seq,
            last_seq=delivery.last_seq,
            book=book if isinstance(book, MBP10) else None,
            trade=trade if isinstance(trade, FuturesTrade) else None,
            consumers=self._consumers() if self._consumers is not None else None,
            density=tuple(self._density),
            notes=[*self._notes, *said],
            warnings=sum(note.level == "warning" for note in said),
            usage=self._usage.since(),
        )

    def _note_second(self, clock_ns: int, event_ns: int | None, counts: tuple[int, ...]) -> None:
        if self._seconds and clock_ns - self._seconds[-1][0] < SECOND:
            return
        if self._seconds:
            then_ns, _, before = self._seconds[-1]
            for rates, count, old in zip(self._rates, counts, before, strict=True):
                rates.append((count - old) * SECOND / (clock_ns - then_ns))
        self._seconds.append((clock_ns, event_ns, counts))

    def _note_density(self, event_ns: int | None, count: int) -> None:
        # Spreads what was published since the last look over the event time it took.
        first_ns, span = self._scene.first_ns, max(1, self._scene.last_ns - self._scene.first_ns + 1)
        then_ns, before = self._counted
        if event_ns is None:
            return
        from_bin, to_bin = (
            min(BINS - 1, max(0, (ns - first_ns) * BINS // span)) for ns in (then_ns or event_ns, event_ns)
        )
        share = (count - before) / (to_bin - from_bin + 1) / (span / BINS / SECOND)
        for i in range(from_bin, to_bin + 1):
            self._density[i] += share
        self._counted = event_ns, count

    def _note_session(self, event_ns: int | None) -> None:
        then_ns, self._session_at = self._session_at, event_ns
        if event_ns is None:
            return
        if then_ns is None:
            self._notes.append(Note(event_ns, f"first event; {self._scene.what}", of_event=True))
            return
        for mark, words in (("open", "the regular session opened"), ("close", "the regular session closed")):
            at_ns = parse_instant(mark, date_of(event_ns))
            if then_ns < at_ns <= event_ns:
                self._notes.append(Note(at_ns, words, of_event=True))
