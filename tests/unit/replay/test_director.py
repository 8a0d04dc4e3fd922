"""What each command changes, and which jumps are due."""

import asyncio
from typing import Any

import numpy as np
import pytest

from spyctl.dbn.sort_times import Selection
from spyctl.errors import ControlError, SpyctlError, UsageError
from spyctl.market.events import ResetReason
from spyctl.replay.boundaries import Jump
from spyctl.replay.commands import LoopHere, Step, Unit, parse_command
from spyctl.replay.control import PlayEvent, PlayState
from spyctl.replay.director import Director
from spyctl.replay.file_source import FileSource
from spyctl.replay.pacing import Pacer
from spyctl.replay.segments import BEGINNING, Cursor
from spyctl.replay.source import DBNIngestor
from spyctl.replay.targets import Span
from spyctl.replay.waypoints import Waypoints
from spyctl.timing.clock import MAX_SPEED, REAL_TIME, Speed
from spyctl.timing.instants import MAX_INSTANT
from tests.support.batches import numbered
from tests.support.clock import JumpingClock
from tests.support.days import no_turn
from tests.support.records import MS, SECOND, T0, trade, write_file

END = T0 + 60 * SECOND


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> FileSource:
    root = tmp_path_factory.mktemp("day")
    write_file(root, "trades", [trade(T0 + i * SECOND) for i in range(61)])
    return FileSource(tuple(DBNIngestor(root).discover_files()), Selection())


class Directed(Director):
    """A director of a minute whose commands are words."""

    def __init__(self, source: FileSource, speed: Speed = REAL_TIME, **options: Any) -> None:
        super().__init__(source, Pacer(speed, JumpingClock()), Span(T0, END), Waypoints({}), **options)

    async def do(self, words: str) -> Jump | None:
        self.answer = asyncio.get_running_loop().create_future()
        return await self.obey(parse_command(words.split()), self.answer, no_turn)

    async def go(self, words: str) -> None:
        """Obey a jump, and be there."""
        jump = await self.do(words)
        assert jump is not None
        self.land(jump)

    def land(self, jump: Jump) -> None:
        self.depart(jump, dict)
        self.place = jump.place
        self.arrive(jump)


def piece_at(*times: int) -> Any:
    piece = numbered(range(len(times)))
    piece.sort_ns[:] = np.array(times, np.int64)
    return piece


async def test_pause_resume_and_toggle(source: FileSource) -> None:
    director = Directed(source)
    for words, state in (
        ("pause", PlayState.PAUSED),
        ("pause", PlayState.PAUSED),
        ("toggle", PlayState.PLAYING),
        ("toggle", PlayState.PAUSED),
        ("resume", PlayState.PLAYING),
        ("resume", PlayState.PLAYING),
    ):
        assert await director.do(words) is None
        assert director.state is state


async def test_speeds(source: FileSource) -> None:
    director = Directed(source)
    for words, speed in (
        ("speed 3", 3.0), ("faster", 5.0), ("double", 10.0), ("slower", 5.0), ("halve", 2.5), ("realtime", 1.0),
        ("max", None), ("halve", None), ("slower", 1_000.0),
    ):  # fmt: skip
        assert await director.do(words) is None
        assert director._pacer.speed == Speed(speed)


async def test_a_seek_goes_there_and_undo_comes_back(source: FileSource) -> None:
    director = Directed(source)
    director.place = Cursor(T0 + 5 * SECOND, 1)
    assert await director.do("seek +10s") == Jump(Cursor(T0 + 15 * SECOND), ResetReason.SEEK, director.answer)
    await director.go("seek 09:30:20")
    assert (director.event_ns, director.seeks) == (T0 + 20 * SECOND, 2)
    assert (await director.do("undo")) == Jump(Cursor(T0 + 5 * SECOND, 1), ResetReason.SEEK, director.answer)


async def test_back_to_the_very_beginning_is_a_time_of_the_plan(source: FileSource) -> None:
    director = Directed(source)
    assert (director.place, director.event_ns) == (BEGINNING, T0)
    await director.go("seek +10s")
    for words in ("undo", "step -100"):
        jump = await director.do(words)
        assert jump is not None
        assert jump.place == Cursor(T0)
    director.place = BEGINNING
    jump = await director.do("step -1")
    assert jump is not None
    assert jump.place == Cursor(T0)


async def test_marks(source: FileSource) -> None:
    director = Directed(source)
    director.place = Cursor(T0 + 5 * SECOND, 1)
    await director.do("mark here")
    assert director.ways.marks == {"here": T0 + 5 * SECOND}
    await director.go("seek +10s")
    for words in ("goto here", "seek here", "previous mark"):
        jump = await director.do(words)
        assert jump is not None
        assert jump.place == Cursor(T0 + 5 * SECOND)
    with pytest.raises(ControlError, match="no mark after"):
        await director.do("next mark")


async def test_a_step_pauses_and_a_step_back_is_a_jump(source: FileSource) -> None:
    director = Directed(source)
    director.place = Cursor(T0 + 5 * SECOND, 1)
    assert await director.do("step 3 trades") is None
    assert (director.state, director.is_stepping(director.answer)) == (PlayState.PAUSED, True)
    director.end_step(dict)
    assert (director.answer.result(), director.steps) == ({}, None)
    assert await director.do("step -2") == Jump(Cursor(T0 + 4 * SECOND), ResetReason.STEP, director.answer)
    assert director.state is PlayState.PAUSED


async def test_seconds_that_were_stepped_over_are_behind(source: FileSource) -> None:
    director = Directed(source)
    director.place = Cursor(T0, 1)
    await director.do("step 1 seconds")
    assert director.steps is not None
    assert director.steps.take(piece_at(END), 0) == 0
    director.end_step(lambda: {"event_ns": director.event_ns})
    assert director.answer.result() == {"event_ns": T0 + SECOND}


async def test_a_seek_leaves_the_rest_of_a_step_and_a_loop_does_not(source: FileSource) -> None:
    director = Directed(source)
    await director.do("step 5")
    step = director.answer
    director.land(Jump(Cursor(T0), ResetReason.LOOP))
    assert director.is_stepping(step)
    await director.go("seek +10s")
    assert (director.steps, step.done()) == (None, True)


@pytest.mark.parametrize("words", ["seek 03:00", "undo", "goto x", "next roll", "loop 09:31 09:30", "loop x y"])
async def test_what_is_refused_changes_nothing(source: FileSource, words: str) -> None:
    director = Directed(source)
    await director.do("pause")
    with pytest.raises(SpyctlError):
        await director.do(words)
    assert (director.state, director.seeks, director.ways.loop) == (PlayState.PAUSED, 0, None)


async def test_a_search_that_fails_ends_as_it_began(source: FileSource) -> None:
    director = Directed(source)

    async def ended(_: float) -> None:
        assert director.state is PlayState.SEEKING
        assert director.finder.searched is not None
        raise ControlError("ended", "")

    answer = asyncio.get_running_loop().create_future()
    with pytest.raises(ControlError, match="ended"):
        await director.obey(parse_command(["next", "trade"]), answer, ended)
    assert (director.state, director.finder.searched) == (PlayState.PLAYING, None)
    director.state = PlayState.FINISHING
    with pytest.raises(ControlError, match="is not possible now"):
        director.on(PlayEvent.PAUSE)


async def test_at_max_speed_there_is_no_next_event(source: FileSource) -> None:
    director = Directed(source, MAX_SPEED)
    with pytest.raises(ControlError, match="at max speed"):
        await director.obey(Step(1, Unit.EVENTS), asyncio.get_running_loop().create_future(), no_turn)
    await director.do("pause")
    assert await director.do("step") is None


# --- boundaries


async def test_a_loop_turns_at_its_end_where_it_was_entered_before_it(source: FileSource) -> None:
    director = Directed(source)
    start_ns, end_ns = T0 + 10 * SECOND, T0 + 20 * SECOND
    await director.do("loop 09:30:10 09:30:20")
    assert director.boundary(end_ns - 1) is None
    assert director.boundary(end_ns) == Jump(Cursor(start_ns), ResetReason.LOOP)
    assert director.limit(piece_at(start_ns, end_ns - 1, end_ns, END)) == 2
    await director.go("seek 09:30:20")  # behind its end it is played on
    assert director.boundary(end_ns) is None
    assert director.limit(piece_at(end_ns, END)) == 2
    await director.go("seek 09:30:15")
    assert director.boundary(MAX_INSTANT) == Jump(Cursor(start_ns), ResetReason.LOOP)
    await director.do("loop off")
    assert director.boundary(MAX_INSTANT) is None


async def test_a_loop_that_lies_behind_is_gone_to(source: FileSource) -> None:
    director = Directed(source)
    await director.go("seek 09:30:30")
    jump = await director.do("loop 09:30:10 09:30:20")
    assert jump is not None
    assert (jump.place, jump.reason) == (Cursor(T0 + 10 * SECOND), ResetReason.SEEK)


async def test_what_was_followed_beyond_the_plan_can_be_gone_back_to(source: FileSource) -> None:
    director = Directed(source)
    director.moved(np.array([END + 20 * SECOND]))
    jump = await director.do("seek -5s")
    assert jump is not None
    assert jump.place == Cursor(END + 15 * SECOND)
    with pytest.raises(UsageError, match="outside the plan"):
        await director.do("seek +30s")


async def test_seconds_back_end_where_the_plan_begins(source: FileSource) -> None:
    director = Directed(source)
    jump = await director.do("step -30 seconds")
    assert jump is not None
    assert jump.place == Cursor(T0)


async def test_a_loop_without_an_event_ends(source: FileSource) -> None:
    director = Directed(source)
    await director.do("loop 09:30:10 09:30:20")
    await director.go("seek 09:30:19")
    turn = director.boundary(T0 + 20 * SECOND)
    assert turn is not None
    director.land(turn)
    assert director.boundary(T0 + 20 * SECOND) is None
    assert director.ways.loop is None


def test_the_plan_is_played_so_often(source: FileSource) -> None:
    director = Directed(source, loops=3)
    assert director.boundary(END) is None
    for _ in range(2):
        assert director.boundary(MAX_INSTANT) == Jump(Cursor(T0), ResetReason.LOOP, lap=True)
    assert director.boundary(MAX_INSTANT) is None


async def test_a_warm_up_ends_where_the_seek_goes(source: FileSource) -> None:
    director = Directed(source, warm_up_ns=5 * SECOND)
    director.place = Cursor(T0 + 40 * SECOND, 1)
    jump = await director.do("seek 09:30:20")
    until = Cursor(T0 + 20 * SECOND)
    assert jump == Jump(Cursor(T0 + 15 * SECOND), ResetReason.WARM_UP, director.answer, until)
    director.depart(jump, dict)
    director.place = jump.place
    assert director.arrive(jump) is None  # it is answered at its end
    assert director.warming_up
    assert director.boundary(until.sort_ns - 1) is None
    assert director.limit(piece_at(T0 + 15 * SECOND, until.sort_ns - 1, until.sort_ns)) == 2
    start = director.boundary(until.sort_ns)
    assert start == Jump(until, ResetReason.START, director.answer, seeded=False)
    director.depart(start, dict)
    assert director.arrive(start) is director.answer
    assert not director.warming_up


async def test_a_warm_up_ends_within_an_instant_where_an_undo_goes_there(source: FileSource) -> None:
    director = Directed(source, warm_up_ns=5 * SECOND)
    until = director.place = Cursor(T0 + 20 * SECOND, 2)
    await director.go("seek 09:30:30")
    await director.go("undo")
    same = until.sort_ns
    assert director.limit(piece_at(same - 1, same, same, same)) == 3
    director.moved(np.array([same - 1, same], np.int64))
    assert director.boundary(same) is None
    assert director.limit(piece_at(same, same)) == 1
    director.moved(np.array([same], np.int64))
    assert director.boundary(same) == Jump(until, ResetReason.START, director.answer, seeded=False)


async def test_a_warm_up_goes_past_the_end_of_a_loop(source: FileSource) -> None:
    director = Directed(source, warm_up_ns=10 * SECOND)
    await director.do("loop 09:30:10 09:30:20")
    await director.go("seek 09:30:25")
    assert director.boundary(T0 + 20 * SECOND) is None
    assert director.limit(piece_at(T0 + 19 * SECOND, T0 + 21 * SECOND, T0 + 25 * SECOND)) == 2


def test_before_the_start_there_is_a_warm_up_where_there_is_to_be_one(source: FileSource) -> None:
    assert Directed(source).warm_up() is None
    jump = Directed(source, warm_up_ns=100 * MS).warm_up()
    assert jump == Jump(Cursor(T0 - 100 * MS), ResetReason.WARM_UP, until=Cursor(T0))


async def test_one_key_sets_a_loop(source: FileSource) -> None:
    director = Directed(source)
    answer = asyncio.get_running_loop().create_future()
    for ns in (T0 + 20 * SECOND, T0 + 10 * SECOND):
        director.place = Cursor(ns)
        assert await director.obey(LoopHere(), answer, no_turn) is None
    assert director.ways.loop == (T0 + 10 * SECOND, T0 + 20 * SECOND)


async def test_a_loop_of_texts_is_within_the_plan(source: FileSource) -> None:
    director = Directed(source)
    with pytest.raises(UsageError, match="outside the plan"):
        await director.do("loop 09:30 11:00")
    assert director.ways.loop is None
