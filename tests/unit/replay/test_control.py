"""The queue of commands, and the states of a replay."""

import asyncio
from itertools import product
from pathlib import Path

import pytest

from spyctl.dbn.sort_times import Selection
from spyctl.errors import ControlError, UsageError
from spyctl.replay.commands import Find, Loop, Mark, Pause, Seek, SetSpeed, Sight, Status, Step, Stop, Unit
from spyctl.replay.control import MOST_WAITING, TRANSITIONS, Control, PlayEvent, PlayState, refuse, settle
from spyctl.replay.director import Director
from spyctl.replay.file_source import FileSource
from spyctl.replay.pacing import Pacer
from spyctl.replay.source import DBNIngestor
from spyctl.replay.targets import Span
from spyctl.replay.waypoints import Waypoints
from spyctl.timing.clock import REAL_TIME, Speed
from tests.support.clock import JumpingClock
from tests.support.states import MACHINES

SEEKING = (PlayState.SEEKING, PlayState.SEEKING_PAUSED)
REFUSED = {
    *product(SEEKING, (PlayEvent.PAUSE, PlayEvent.RESUME, PlayEvent.STEP, PlayEvent.JUMP)),
    *product((PlayState.PLAYING, PlayState.PAUSED), (PlayEvent.ARRIVE,)),
    *product((PlayState.FINISHING,), set(PlayEvent) - {PlayEvent.END}),
}


def director(root: Path) -> Director:
    source = FileSource(DBNIngestor(root).discover_files(), Selection())
    return Director(source, Pacer(REAL_TIME, JumpingClock()), Span(1, 2), Waypoints({}))


@pytest.mark.parametrize(("state", "event"), list(product(PlayState, PlayEvent)))
def test_each_event_in_each_state_is_listed_or_refused(tmp_path: Path, state: PlayState, event: PlayEvent) -> None:
    directed = director(tmp_path)
    directed.state = state
    if (state, event) in REFUSED:
        with pytest.raises(ControlError, match=f"the replay is {state}: {event} is not possible now"):
            directed.on(event)
        assert directed.state is state
    else:
        directed.on(event)
        assert directed.state is TRANSITIONS[state, event]


def test_a_search_ends_as_it_began_and_the_end_is_final() -> None:
    for state in (PlayState.PLAYING, PlayState.PAUSED):
        assert TRANSITIONS[TRANSITIONS[state, PlayEvent.JUMP], PlayEvent.ARRIVE] is state
    assert all(TRANSITIONS[state, PlayEvent.END] is PlayState.FINISHING for state in PlayState)


def test_its_states_are_drawn() -> None:
    assert any(machine.transitions is TRANSITIONS for machine in MACHINES)


def control() -> Control:
    made = Control()
    made.status = lambda: {"state": "paused"}
    return made


async def test_commands_are_taken_in_the_order_in_which_they_were_given() -> None:
    queue, calls = control(), []
    queue.on_command = lambda: calls.append(queue.waiting)
    assert queue.next is None
    first, second = queue.post(Pause()), queue.post(Mark("a"))
    assert (calls, queue.waiting, queue.next) == ([1, 2], 2, Pause())
    assert queue.take() == (Pause(), first)
    assert queue.take() == (Mark("a"), second)
    settle(first, {"state": "playing"})
    assert await first == {"state": "playing"}
    refuse(second, ControlError("no", "later"))
    with pytest.raises(ControlError, match="no"):
        await second


async def test_the_status_is_told_at_once() -> None:
    queue = control()
    assert await queue.send(Status()) == await queue.send("status") == {"state": "paused"}
    assert queue.waiting == 0


async def test_too_many_commands_are_refused() -> None:
    queue = control()
    for _ in range(MOST_WAITING):
        queue.post(Pause())
    with pytest.raises(ControlError, match="64 commands are waiting already"):
        queue.post(Pause())
    queue.take()
    queue.post(Pause())


async def test_at_the_end_nobody_waits_for_ever() -> None:
    queue = control()
    begun, waiting, done = queue.post(Step()), queue.post(Pause()), queue.post(Mark())
    assert queue.take()[1] is begun
    settle(done, {})
    queue.end(ControlError("run r has ended", "begin another"))
    for answer in (begun, waiting):
        with pytest.raises(ControlError, match="run r has ended"):
            await answer
    assert (await done, queue.waiting) == ({}, 0)
    with pytest.raises(ControlError, match="run r has ended"):
        await queue.send("status")


async def test_who_gave_up_waiting_is_not_answered() -> None:
    queue = control()
    answer = queue.post(Pause())
    answer.cancel()
    settle(answer, {})
    refuse(answer, ControlError("no", "later"))
    queue.end(ControlError("run r has ended", "begin another"))
    assert answer.cancelled()


async def test_the_methods_only_make_commands() -> None:
    queue = control()

    async def given(call: "asyncio.Future[object]") -> object:
        asking = asyncio.ensure_future(call)
        await asyncio.sleep(0)
        command, answer = queue.take()
        settle(answer, {})
        await asking
        return command

    assert await given(queue.pause()) == Pause()
    assert await given(queue.step(-5, Unit.TRADES)) == await given(queue.step(-5, "trades")) == Step(-5, Unit.TRADES)
    assert await given(queue.speed(0.5)) == SetSpeed(Speed(0.5))
    assert await given(queue.seek(1_765_895_400_000_000_000)) == Seek("1765895400000000000")
    assert await given(queue.find("trade", lots=7)) == Find(Sight.TRADE, False, 7)
    assert await given(queue.find(Sight.ROLL, backward=True)) == Find(Sight.ROLL, True)
    assert await given(queue.loop("a", "b")) == Loop("a", "b")
    assert await given(queue.loop()) == Loop()
    assert await given(queue.mark()) == Mark()
    assert await given(queue.stop(keep=True)) == Stop(True)


async def test_the_methods_refuse_what_the_words_refuse() -> None:
    queue = control()
    for wrong in (
        queue.step(0),
        queue.step(1, "hours"),
        queue.speed(0.0001),
        queue.find("unicorn"),
        queue.find("trade", lots=0),
        queue.loop("a"),
        queue.send("fly"),
    ):
        with pytest.raises(UsageError):
            await wrong
    assert queue.waiting == 0
