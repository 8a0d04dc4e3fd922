"""The grammar of commands: what words mean, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.errors import UsageError
from spyctl.replay.commands import (
    LADDER,
    SLOWEST,
    VERBS,
    Find,
    GoTo,
    Loop,
    Mark,
    Pause,
    ScaleSpeed,
    Seek,
    SetSpeed,
    ShiftSpeed,
    Sight,
    Step,
    Stop,
    Unit,
    checked_speed,
    parse_command,
    scaled,
    shifted,
)
from spyctl.timing.clock import MAX_SPEED, REAL_TIME, Speed


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("pause", Pause()),
        ("PAUSE", Pause()),
        ("faster", ShiftSpeed(1)),
        ("halve", ScaleSpeed(0.5)),
        ("realtime", SetSpeed(REAL_TIME)),
        ("max", SetSpeed(MAX_SPEED)),
        ("step", Step(1, Unit.EVENTS)),
        ("step -1000000", Step(-1_000_000, Unit.EVENTS)),
        ("step 5 trades", Step(5, Unit.TRADES)),
        ("step 5 Trade", Step(5, Unit.TRADES)),
        ("step 5 s", Step(5, Unit.SECONDS)),
        ("step 5 e", Step(5, Unit.EVENTS)),
        ("speed 0.01", SetSpeed(Speed(0.01))),
        ("speed 0", SetSpeed(MAX_SPEED)),
        ("speed 10x", SetSpeed(Speed(10.0))),
        ("seek +10s", Seek("+10s")),
        ("next trade", Find(Sight.TRADE, False, 50)),
        ("next trade 1", Find(Sight.TRADE, False, 1)),
        ("previous Roll", Find(Sight.ROLL, True)),
        ("mark", Mark()),
        ("mark gap", Mark("gap")),
        ("goto gap", GoTo("gap")),
        ("loop off", Loop()),
        ("loop OFF", Loop()),
        ("loop 09:30 m1", Loop("09:30", "m1")),
        ("stop", Stop(False)),
        ("stop keep", Stop(True)),
        ("stop --keep", Stop(True)),
    ],
)
def test_words_are_a_command(words: str, command: object) -> None:
    assert parse_command(words.split()) == command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "there is no command ''"),
        ("rewind", "there is no command 'rewind'"),
        *((f"{verb} now", f"{verb} was not understood") for verb in ("pause", "resume", "toggle", "undo", "status")),
        ("step 1 2 3", "step was not understood"),
        ("step 1.5", "step was not understood"),
        ("step 1 hours", "step was not understood"),
        ("step trades", "step was not understood"),
        ("step 0", "a step of 0 is not possible"),
        ("step 1000001", "a step of 1,000,001 is not possible"),
        ("step -1000001 seconds", "a step of -1,000,001 is not possible"),
        ("speed", "speed was not understood"),
        ("speed 1 2", "speed was not understood"),
        ("speed 0.0009", "0.0009× is too slow"),
        ("speed -1", "'-1' is not a speed"),
        ("speed nan", "'nan' is not a speed"),
        ("speed 1000001", "'1000001' is not a speed"),
        ("seek", "seek was not understood"),
        ("seek 09:30 10:00", "seek was not understood"),
        ("next", "next was not understood"),
        ("previous unicorn", "previous was not understood"),
        ("next trade 0", "next was not understood"),
        ("next trade many", "next was not understood"),
        ("next trade 1 2", "next was not understood"),
        ("next roll 5", "next was not understood"),
        ("mark a b", "mark was not understood"),
        ("goto", "goto was not understood"),
        ("goto a b", "goto was not understood"),
        ("loop", "loop was not understood"),
        ("loop 09:30", "loop was not understood"),
        ("loop a b c", "loop was not understood"),
        ("stop now", "stop was not understood"),
        ("stop keep keep", "stop was not understood"),
    ],
)
def test_anything_else_is_refused_with_a_remedy(words: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refusal:
        parse_command(words.split())
    assert refusal.value.remedy


def test_an_empty_unit_is_no_unit() -> None:
    with pytest.raises(UsageError, match="step was not understood"):
        parse_command(["step", "1", ""])


def test_each_verb_is_one() -> None:
    assert len(VERBS) == len(set(VERBS)) == 20
    with pytest.raises(UsageError) as refusal:
        parse_command(["fly"])
    assert all(verb in str(refusal.value.remedy) for verb in VERBS)


@pytest.mark.parametrize("count", [0, 1_000_001, -1_000_001])
def test_no_step_can_be_made_that_is_none(count: int) -> None:
    with pytest.raises(UsageError, match="is not possible"):
        Step(count)


@pytest.mark.parametrize(
    ("speed", "rungs", "expected"),
    [
        (Speed(1.0), 1, Speed(2.0)),
        (Speed(1.0), -1, Speed(0.5)),
        (Speed(3.0), 1, Speed(5.0)),
        (Speed(3.0), -1, Speed(2.0)),
        (Speed(1_000.0), 1, MAX_SPEED),
        (MAX_SPEED, -1, Speed(1_000.0)),
        (MAX_SPEED, 1, MAX_SPEED),
        (Speed(0.1), -1, Speed(0.1)),
        (Speed(0.05), -1, Speed(0.05)),
        (Speed(0.05), 1, Speed(0.1)),
        (Speed(5_000.0), -2, Speed(500.0)),
        (Speed(1.0), 99, MAX_SPEED),
        (Speed(1.0), -99, Speed(0.1)),
    ],
)
def test_the_ladder_of_speeds(speed: Speed, rungs: int, expected: Speed) -> None:
    assert shifted(speed, rungs) == expected


@given(st.sampled_from([*LADDER, None]), st.integers(1, 5))
def test_down_the_ladder_and_up_again_is_where_it_was(rate: float | None, rungs: int) -> None:
    down = shifted(Speed(rate), -rungs)
    if down != Speed(LADDER[0]):
        assert shifted(down, rungs) == Speed(rate)


@pytest.mark.parametrize(
    ("speed", "factor", "expected"),
    [
        (Speed(3.0), 2.0, Speed(6.0)),
        (MAX_SPEED, 0.5, MAX_SPEED),
        (Speed(SLOWEST), 0.5, Speed(SLOWEST)),
        (Speed(9e5), 2.0, Speed(1e6)),
    ],
)
def test_a_multiple_stays_within_what_is_possible(speed: Speed, factor: float, expected: Speed) -> None:
    assert scaled(speed, factor) == expected


def test_the_slowest_speed_is_one() -> None:
    assert checked_speed(str(SLOWEST)) == Speed(SLOWEST)
