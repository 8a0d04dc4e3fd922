"""Snapshots of a replay: rates and notes over time, whatever way event time goes."""

from dataclasses import replace
from pathlib import Path

import pytest

from spyctl.bus.consumers import Consumer
from spyctl.replay.bins import BINS
from spyctl.replay.control import PlayState
from spyctl.replay.result import summary_of
from spyctl.replay.schedule import Schedule
from spyctl.replay.segments import Cursor
from spyctl.replay.session import REPLAYED_SUBJECTS, Replay, ReplayOptions
from spyctl.replay.snapshot import Scene
from spyctl.replay.source import DBNIngestor
from spyctl.replay.view import ReplayView
from spyctl.summary import StopReason
from spyctl.timing.clock import MAX_SPEED, REAL_TIME, Speed
from spyctl.timing.instants import MINUTE, SECOND
from spyctl.timing.notes import Note
from tests.support.clock import FakeClock, JumpingClock
from tests.support.records import MS, T0, book, trade, write_file
from tests.support.sinks import RecordingSink

TRADES, BOOKS = REPLAYED_SUBJECTS


class Looked:
    """A replay whose counters a test sets by hand, and the view that looks at it."""

    def __init__(self, root: Path, span_ns: int = BINS * SECOND) -> None:
        write_file(root, "trades", [trade(T0 + i * 20 * MS) for i in range(5)])
        write_file(root, "mbp-10", [book(T0 + i * MS) for i in range(100)])
        self.clock = FakeClock()
        infos = DBNIngestor(root).discover_files()
        self.replay = Replay(infos, RecordingSink(), ReplayOptions(REAL_TIME), run_id="r", clock=self.clock)
        schedule = Schedule(T0, T0 + span_ns - 1, 105, REAL_TIME)
        self.scene = Scene("2025-12-16", "trades + mbp-10 of ES.c.0", True, "stdout", None, schedule)
        self.view = ReplayView(self.replay, self.scene, clock=self.clock)

    def at(self, event_ns: int, trades: int = 0, books: int = 0) -> None:
        """Have event time stand at an instant, with so many events published by then."""
        pace = self.replay.pace
        pace.first_ns = event_ns if pace.first_ns is None else pace.first_ns
        pace.started_ns = pace.started_ns or self.clock.now_ns()
        pace.last_ns, pace.last_clock_ns = event_ns, self.clock.now_ns()
        progress = self.replay.progress
        for subject, count in ((TRADES, trades), (BOOKS, books)):
            more = count - progress.by_subject[subject]
            progress.seconds[subject].add(self.clock.now_ns(), more)
            progress.second.add(self.clock.now_ns(), more)
            progress.by_subject[subject] = count


@pytest.fixture
def looked(tmp_path: Path) -> Looked:
    return Looked(tmp_path)


def test_before_the_first_event_there_is_no_position_and_no_speed(looked: Looked) -> None:
    snapshot = looked.view.snapshot()
    assert (snapshot.position.event_ns, snapshot.position.wall_ns, snapshot.speed.now) == (None, None, None)
    assert (snapshot.position.share, snapshot.control.state) == (0.0, PlayState.PLAYING)
    assert (snapshot.market.trade, snapshot.market.book) == (None, None)
    assert looked.view.line() == "waiting for the first event"


def test_rates_and_speed_are_those_of_the_last_second(looked: Looked) -> None:
    looked.at(T0)
    looked.view.snapshot()
    looked.clock.advance(SECOND)
    looked.at(T0 + 10 * SECOND, trades=50, books=200)
    snapshot = looked.view.snapshot()
    books, trades = snapshot.subjects
    assert (books.name, books.events, books.now, books.rates) == ("futures.mbp10", 200, 200, (200.0,))
    assert (trades.name, trades.now, trades.peak) == ("futures.trades", 50, 50)
    assert snapshot.speed.now == 10.0
    assert snapshot.position.wall_ns == SECOND


async def test_screen_notes_and_summary_give_the_same_figures(looked: Looked) -> None:
    replay = Replay(
        looked.replay.director.finder._source.infos,
        RecordingSink(),
        ReplayOptions(Speed(0.05)),
        run_id="r",
        clock=JumpingClock(),
    )
    await replay.run()
    snapshot = ReplayView(replay, looked.scene, clock=JumpingClock()).snapshot()  # looks late
    summary = summary_of(replay)
    assert snapshot.notes[0].ns == summary.details.first_event_ns == T0
    assert snapshot.total.peak == summary.details.peak_events_per_s
    assert snapshot.total.events == sum(summary.events.by_subject.values()) == summary.events.published == 105
    assert all(0 < subject.peak <= snapshot.total.peak for subject in snapshot.subjects)


def test_what_is_left_goes_by_the_schedule_of_the_plan(looked: Looked) -> None:
    looked.at(T0 + 100 * SECOND)
    position = looked.view.snapshot().position
    assert (round(position.left_ns / SECOND), position.share) == (300, pytest.approx(0.25))  # type: ignore[operator]


def test_while_a_quiet_stretch_is_waited_for_what_is_left_shrinks(looked: Looked) -> None:
    schedule = replace(looked.scene.schedule, quiet=[(T0, T0 + 300 * SECOND)], max_quiet_ns=5 * SECOND)
    view = ReplayView(looked.replay, replace(looked.scene, schedule=schedule), clock=looked.clock)
    looked.at(T0)
    looked.replay.pace.quiet_to_ns = T0 + 300 * SECOND
    looked.replay.pace.quiet_due_ns = looked.clock.now_ns() + 5 * SECOND
    for left_s in (105, 103, 101):
        assert round(view.snapshot().position.left_ns / SECOND) == left_s  # type: ignore[operator]
        looked.clock.advance(2 * SECOND)


def test_a_replay_that_is_slower_than_asked_needs_longer(looked: Looked) -> None:
    looked.at(T0)
    looked.view.snapshot()
    looked.clock.advance(100 * SECOND)
    looked.at(T0 + 50 * SECOND)  # half as fast as asked
    assert round(looked.view.snapshot().position.left_ns / SECOND) == 700  # type: ignore[operator]


def test_at_max_speed_what_is_left_goes_by_the_events(looked: Looked) -> None:
    schedule = replace(looked.scene.schedule, events=1_000, speed=MAX_SPEED)
    looked.replay.track.base = 500
    looked.replay._pacer.set_speed(MAX_SPEED)
    view = ReplayView(looked.replay, replace(looked.scene, schedule=schedule), clock=looked.clock)
    looked.at(T0)
    view.snapshot()
    looked.clock.advance(SECOND)
    looked.at(T0 + SECOND, books=100)
    position = view.snapshot().position
    assert (position.share, position.left_ns) == (0.6, 4 * SECOND)  # resumed at 500


def test_events_are_spread_over_the_event_time_that_they_took(looked: Looked) -> None:
    looked.at(T0, books=0)
    looked.view.snapshot()
    looked.at(T0 + 3 * SECOND, books=40)
    density = looked.view.snapshot().density
    assert density[:5] == (10.0, 10.0, 10.0, 10.0, 0.0)


@pytest.mark.parametrize("back_s", [1, 2, 50])
def test_event_time_that_goes_back_counts_where_it_is_now(looked: Looked, back_s: int) -> None:
    looked.at(T0 + 60 * SECOND, books=100)
    looked.view.snapshot()
    looked.clock.advance(SECOND)
    looked.at(T0 + (60 - back_s) * SECOND, books=107)
    density = looked.view.snapshot().density
    assert density[60 - back_s] == 7.0
    assert sum(density) == 107.0


def test_event_time_outside_the_plan_counts_at_its_ends(looked: Looked) -> None:
    looked.at(T0 - MINUTE, books=3)
    looked.view.snapshot()
    looked.at(T0 + 2 * BINS * SECOND, books=3 + BINS)
    snapshot = looked.view.snapshot()
    assert (snapshot.density[0], snapshot.density[-1], snapshot.position.share) == (4.0, 1.0, 1.0)


def test_the_opening_of_the_session_is_noted_once_when_it_is_passed(tmp_path: Path) -> None:
    looked = Looked(tmp_path)
    for minutes in (-1, 1, 2, 1):  # T0 is the open
        looked.at(T0 + minutes * MINUTE)
        snapshot = looked.view.snapshot([Note(0, "something else", "warning")])
    texts = [note.text for note in snapshot.notes]
    assert texts == ["first event; trades + mbp-10 of ES.c.0", "the regular session opened", "something else"]
    assert snapshot.warnings == 1


def test_a_quiet_stretch_is_shown_with_its_end(looked: Looked) -> None:
    looked.at(T0)
    looked.replay.pace.quiet_to_ns = T0 + MINUTE
    looked.replay.pace.quiet_due_ns = looked.clock.now_ns() + 5 * SECOND
    looked.clock.advance(SECOND)
    position = looked.view.snapshot().position
    assert (position.quiet_to_ns, position.quiet_left_ns) == (T0 + MINUTE, 4 * SECOND)


def test_what_holds_a_replay_up_is_named(looked: Looked) -> None:
    looked.replay.pace.behind_ns = 200 * MS
    assert (looked.view.snapshot().speed.behind_ns, looked.view.snapshot().speed.reason) == (200 * MS, "this machine")
    looked.replay.delivery.published = 8_192
    assert looked.view.snapshot().speed.reason == "NATS"
    view = ReplayView(looked.replay, looked.scene, waiting=lambda: 3 * SECOND, clock=looked.clock)
    snapshot = view.snapshot()
    assert (snapshot.server.waiting_ns, snapshot.speed.behind_ns, snapshot.speed.reason) == (
        3 * SECOND,
        3 * SECOND,
        "NATS",
    )


def test_a_replay_that_was_stopped_is_finishing(looked: Looked) -> None:
    looked.replay.stop(StopReason.CTRL_C)
    assert looked.view.snapshot().control.state is PlayState.FINISHING


async def test_a_place_that_was_jumped_to_before_the_first_event_is_shown(looked: Looked) -> None:
    looked.replay.director.place = Cursor(T0 + 30 * SECOND)
    looked.replay.director._boundaries.arrived = True
    snapshot = looked.view.snapshot()
    assert (snapshot.position.event_ns, snapshot.position.wall_ns) == (T0 + 30 * SECOND, None)
    assert not snapshot.notes  # there was no first event yet


async def test_the_last_trade_and_book_are_those_published_under_any_prefix(looked: Looked) -> None:
    options = ReplayOptions(MAX_SPEED, prefix="DRILL")
    replay = Replay(
        looked.replay.director.finder._source.infos, RecordingSink(), options, run_id="r", clock=looked.clock
    )
    consumer = Consumer("lake", 0, None, 0)
    await replay.run()
    snapshot = ReplayView(replay, looked.scene, lambda: [consumer], clock=looked.clock).snapshot()
    assert snapshot.market.trade is not None
    assert snapshot.market.book is not None
    assert (snapshot.market.trade.ts_event_ns, snapshot.market.book.ts_event_ns) == (T0 + 80 * MS, T0 + 99 * MS)
    assert [subject.name for subject in snapshot.subjects] == ["futures.mbp10", "futures.trades"]
    assert snapshot.server.consumers == [consumer]
