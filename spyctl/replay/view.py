"""Looks at a replay while it runs: takes snapshots, and remembers what needs a history.

That is rates, notes, and how busy each part of the plan was.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rich.text import Text

from spyctl.bus.consumers import Consumer
from spyctl.bus.publisher import MAX_IN_FLIGHT
from spyctl.market.sessions import is_trading_day, regular_session
from spyctl.replay.density import Density
from spyctl.replay.keys import KeyPad
from spyctl.replay.market_watch import MarketWatch
from spyctl.replay.result import summary_of
from spyctl.replay.schedule import Schedule
from spyctl.replay.screen import SPARK_S, progress_line, render
from spyctl.replay.session import Replay
from spyctl.replay.sightings import Trouble
from spyctl.replay.snapshot import ControlNow, Position, Scene, Snapshot, SpeedNow, Subject
from spyctl.terminal.panels import ServerNow
from spyctl.terminal.process import Usage
from spyctl.timing.clock import Clock, SystemClock
from spyctl.timing.histogram import Recent
from spyctl.timing.instants import NEW_YORK, SECOND, clock_text, date_of
from spyctl.timing.notes import Note

_NOTES = 50
_LATELY_S = 10
_SLOW = 0.95  # of the speed asked for; slower than that, what is left is told by how fast it goes


@dataclass(frozen=True, slots=True)
class _Second:
    # What was counted at a moment (monotonic ns): the event time reached, the events of each subject, and how much
    # event time was played in how much wall time, without quiet stretches.
    clock_ns: int
    event_ns: int | None
    counts: tuple[int, ...]
    played_ns: int
    paced_ns: int
    segment: int


class ReplayView:
    """Looks at a replay; :meth:`draw` and :meth:`line` show it as it is now.

    ``consumers`` returns who reads the stream, ``waiting`` for how long (ns) the server has stored nothing of what is
    in flight; both are ``None`` where there is no stream. ``pad`` takes the keys, where the terminal has any.
    """

    def __init__(
        self,
        replay: Replay,
        scene: Scene,
        consumers: Callable[[], Sequence[Consumer]] | None = None,
        waiting: Callable[[], int] | None = None,
        pad: KeyPad | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._replay = replay
        self._scene = scene
        self._consumers = consumers
        self._waiting = waiting or (lambda: 0)
        self._pad = pad
        self._usage = Usage.now()
        self._seconds: deque[_Second] = deque(maxlen=SPARK_S + 1)
        self._rates: tuple[deque[float], ...] = tuple(deque(maxlen=SPARK_S) for _ in replay.subjects)
        self._density = Density(scene.schedule.first_ns, scene.schedule.last_ns)
        self._market = MarketWatch(replay, scene.schedule)
        self._notes: deque[Note] = deque(maxlen=_NOTES)
        self._session_at: int | None = None
        self._segment = replay.track.current.segment.number
        self._recent_acks = Recent(replay.delivery.ack_ns)

    def draw(self, width: int, height: int, said: Sequence[Note] = ()) -> Text:
        """Draw the replay for a terminal of so many columns and lines.

        ``said`` is what the program has said since the display took the screen.
        """
        started_ns = time.perf_counter_ns()
        drawn = render(self.snapshot(said), width, height)
        self._usage.drawing_ns += time.perf_counter_ns() - started_ns
        return drawn

    def line(self) -> str:
        """Say where the replay is."""
        return progress_line(self.snapshot())

    def snapshot(self, said: Sequence[Note] = ()) -> Snapshot:
        """Copy the counters, and note what has changed since the last time."""
        replay, by_subject = self._replay, self._replay.by_subject
        now = _Second(
            self._clock.now_ns(),
            replay.event_ns,
            tuple(by_subject[subject] for subject in replay.subjects),
            replay.pace.event_ns,
            replay.pace.clock_ns,
            replay.track.current.segment.number,
        )
        self._note_jump(now)
        self._note_second(now)
        self._density.note(now.event_ns, sum(now.counts))
        self._note_session(now.event_ns)
        then = self._seconds[-2] if len(self._seconds) > 1 else self._seconds[-1]
        return Snapshot(
            scene=self._scene,
            summary=summary_of(replay, self._scene.stream),
            position=self._position(now),
            speed=self._speed(now, then),
            subjects=self._subjects(now),
            total=self._total(now),
            market=self._market.look(now.event_ns),
            server=ServerNow(
                self._consumers() if self._consumers is not None else None,
                waiting_ns=self._waiting(),
                ack_now_ms=self._recent_acks.p99_ms(now.clock_ns),
            ),
            density=tuple(self._density.values),
            notes=[*self._notes, *said],
            warnings=sum(note.level == "warning" for note in said),
            usage=self._usage.since(),
            control=control_now(replay, self._pad),
            rolls=replay.rolls,
            troubles={trouble: replay.progress.sightings.places(trouble) for trouble in Trouble},
        )

    @property
    def _schedule(self) -> Schedule:
        # The plan at the speed of this moment.
        return replace(self._scene.schedule, speed=self._replay.speed)

    def _position(self, now: _Second) -> Position:
        pace, schedule = self._replay.pace, self._schedule
        if now.event_ns is None:
            return Position(None)
        quiet_left_ns, waited_ns = max(0, pace.quiet_due_ns - now.clock_ns), 0
        if pace.quiet_to_ns is not None:
            waited_ns = max(0, schedule.max_quiet_ns - quiet_left_ns)
        left_ns = schedule.left_ns(now.event_ns, waited_ns)
        done = self._replay.track.resumed_at + sum(now.counts)
        if self._replay.track.segments > 1:  # some are played again, others never
            done = round(schedule.events * schedule.place(now.event_ns))
        share, rate = schedule.share(left_ns, done), self._rate(now)
        if schedule.speed.rate is None:
            left_ns = round(max(0, schedule.events - done) * SECOND / rate) if rate else None
        elif left_ns is not None and rate is not None and rate < _SLOW * schedule.speed.rate:
            left_ns = round(left_ns * schedule.speed.rate / rate)
        wall_ns = now.clock_ns - pace.started_ns if pace.first_ns is not None else None
        return Position(now.event_ns, pace.quiet_to_ns, quiet_left_ns, wall_ns, left_ns, share)

    def _rate(self, now: _Second) -> float | None:
        # How fast it has gone lately: event time per wall time, at max speed events per second of wall time.
        then = self._seconds[-_LATELY_S] if len(self._seconds) >= _LATELY_S else self._seconds[0]
        if self._replay.speed.rate is None:
            elapsed_ns, done = now.clock_ns - then.clock_ns, (sum(now.counts) - sum(then.counts)) * SECOND
        else:
            elapsed_ns, done = now.paced_ns - then.paced_ns, now.played_ns - then.played_ns
        return done / elapsed_ns if elapsed_ns > 0 and done > 0 else None

    def _speed(self, now: _Second, then: _Second) -> SpeedNow:
        current = None
        elapsed_ns = now.clock_ns - then.clock_ns
        if now.event_ns is not None and then.event_ns is not None and elapsed_ns > 0 and now.segment == then.segment:
            current = (now.event_ns - then.event_ns) / elapsed_ns
        behind_ns, delivery = max(self._replay.pace.behind_ns, self._waiting()), self._replay.delivery
        is_server = self._waiting() or delivery.published - delivery.acked >= MAX_IN_FLIGHT // 2
        return SpeedNow(
            self._replay.speed,
            current,
            behind_ns,
            self._replay.waiting_for or ("NATS" if is_server else "this machine"),
        )

    def _subjects(self, now: _Second) -> list[Subject]:
        seconds = self._replay.progress.seconds
        subjects = [
            Subject(
                name=subject.partition("market.")[2],
                events=count,
                now=seconds[subject].at(now.clock_ns),
                peak=seconds[subject].peak,
                rates=tuple(rates),
            )
            for subject, count, rates in zip(self._replay.subjects, now.counts, self._rates, strict=True)
        ]
        return subjects[::-1]  # books first, as they are most of what there is

    def _total(self, now: _Second) -> Subject:
        second, rates = self._replay.progress.second, zip(*self._rates, strict=True)
        return Subject("all", sum(now.counts), second.at(now.clock_ns), second.peak, tuple(map(sum, rates)))

    def _note_jump(self, now: _Second) -> None:
        # What was counted before a jump has nothing to do with what comes behind it.
        if not self._seconds or now.segment == self._segment:
            return
        self._segment = now.segment
        self._density.move(now.event_ns, sum(now.counts))
        self._market.move()
        self._session_at = now.event_ns
        segment = self._replay.track.current.segment
        if segment.reason is not None:
            text = f"{segment.reason} from {clock_text(segment.from_ns, NEW_YORK)}, segment {segment.number}"
            self._notes.append(Note(segment.cursor.sort_ns, text, of_event=True))

    def _note_second(self, now: _Second) -> None:
        if self._seconds:
            then = self._seconds[-1]
            elapsed_ns = now.clock_ns - then.clock_ns
            if elapsed_ns < SECOND:
                return
            for rates, count, before in zip(self._rates, now.counts, then.counts, strict=True):
                rates.append((count - before) * SECOND / elapsed_ns)
        self._seconds.append(now)

    def _note_session(self, event_ns: int | None) -> None:
        first_ns = self._replay.pace.first_ns
        if event_ns is None or first_ns is None:  # before it there may have been jumps
            return
        then_ns, self._session_at = self._session_at, event_ns
        if then_ns is None:
            then_ns = first_ns
            self._notes.append(Note(then_ns, f"first event; {self._scene.what}", of_event=True))
        day = date_of(event_ns)
        if not is_trading_day(day):
            return
        for at_ns, verb in zip(regular_session(day), ("opened", "closed"), strict=True):
            if then_ns < at_ns <= event_ns:
                self._notes.append(Note(at_ns, f"the regular session {verb}", of_event=True))


def control_now(replay: Replay, pad: KeyPad | None) -> ControlNow:
    """Return how a replay is controlled now; ``pad`` takes the keys, where the terminal has any."""
    ways = replay.director.ways
    return ControlNow(
        state=replay.state,
        keys=pad is not None,
        all_keys=pad is not None and pad.all_keys,
        detail=pad is None or pad.detail,
        prompt=pad.prompt if pad is not None else None,
        segment=replay.track.current.segment.number,
        marks=tuple(ways.marks.values()),
        loop=ways.loop,
        loop_start_ns=ways.loop_start_ns,
        waiting_for=replay.waiting_for,
        searched=replay.director.finder.searched,
    )
