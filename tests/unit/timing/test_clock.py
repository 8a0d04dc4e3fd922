import asyncio
import os
import selectors

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.errors import UsageError
from spyctl.timing.clock import (
    MAX_SPEED,
    REAL_TIME,
    Clock,
    Speed,
    SystemClock,
    Timeline,
    achieved_text,
    parse_speed,
    precise_loop,
)
from spyctl.timing.instants import MS, SECOND
from tests.support.clock import FakeClock

T0 = 1_765_895_400 * SECOND


@pytest.mark.parametrize(
    ("text", "speed"),
    [
        ("1", REAL_TIME), ("10x", Speed(10.0)), ("10×", Speed(10.0)), (" 0.5 ", Speed(0.5)), ("1000000", Speed(1e6)),
        ("max", MAX_SPEED), ("MAX", MAX_SPEED), ("0", MAX_SPEED), ("0x", MAX_SPEED),
    ],
)  # fmt: skip
def test_a_speed_is_read_from_what_a_user_types(text: str, speed: Speed) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "", "fast", "x", "1e9", "max2"])
def test_a_text_that_is_not_a_speed_is_refused_and_named(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_speed(text)
    assert repr(text) in error.value.message


def test_a_speed_has_a_number_for_the_outside_where_max_is_0() -> None:
    assert [speed.number for speed in (Speed(10.0), REAL_TIME, MAX_SPEED)] == [10.0, 1.0, 0.0]
    assert [Speed.of(number) for number in (10.0, 1, 0)] == [Speed(10.0), REAL_TIME, MAX_SPEED]


@pytest.mark.parametrize("number", [-1.0, float("nan"), float("inf"), 1e7])
def test_a_number_that_is_not_a_speed_is_refused(number: float) -> None:
    with pytest.raises(UsageError):
        Speed.of(number)


def test_a_rate_of_0_is_not_another_way_to_say_max() -> None:
    with pytest.raises(UsageError):
        Speed(0.0)


def test_speeds_are_written_as_asked_for_and_as_achieved() -> None:
    assert [str(speed) for speed in (Speed(10.0), Speed(0.5), Speed(1000.0), MAX_SPEED)] == [
        "10×", "0.5×", "1,000×", "max",
    ]  # fmt: skip
    assert [achieved_text(speed) for speed in (9.999, 1427.6, None)] == ["10.00×", "1,428×", "·"]


def test_a_timeline_maps_both_ways_and_keeps_its_place_when_the_rate_changes() -> None:
    timeline = Timeline(10.0)
    timeline.anchor(T0, 500)
    assert timeline.due_ns(T0 + SECOND) == 500 + SECOND // 10
    assert timeline.event_at(500 + SECOND // 10) == T0 + SECOND
    timeline.set_rate(1.0, 500 + SECOND // 10)
    assert timeline.due_ns(T0 + 2 * SECOND) == 500 + SECOND // 10 + SECOND


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_a_timeline_refuses_a_rate_that_would_divide_by_zero(rate: float) -> None:
    with pytest.raises(ValueError, match="rate above 0"):
        Timeline(rate)
    timeline = Timeline(2.0)
    timeline.anchor(T0, 0)
    with pytest.raises(ValueError, match="rate above 0"):
        timeline.set_rate(rate, SECOND)
    assert (timeline.rate, timeline.event_at(SECOND)) == (2.0, T0 + 2 * SECOND)


@given(st.lists(st.tuples(st.integers(0, 10**12), st.sampled_from([0.1, 0.5, 1.0, 10.0, 1000.0])), max_size=20))
def test_a_change_of_rate_never_jumps_in_event_time(changes: list[tuple[int, float]]) -> None:
    timeline, clock_ns = Timeline(1.0), 0
    timeline.anchor(T0, clock_ns)
    for elapsed_ns, rate in changes:
        clock_ns += elapsed_ns
        before = timeline.event_at(clock_ns)
        timeline.set_rate(rate, clock_ns)
        assert timeline.event_at(clock_ns) == before


async def test_the_system_clock_waits_and_can_be_interrupted() -> None:
    clock: Clock = SystemClock()
    interrupt = asyncio.Event()
    begun_ns = clock.now_ns()
    await clock.wait_until(begun_ns + 20 * MS, interrupt)
    await clock.wait_until(begun_ns + 30 * MS)
    assert clock.now_ns() >= begun_ns + 30 * MS
    interrupt.set()
    begun_ns = clock.now_ns()
    await clock.wait_until(begun_ns + 3_600 * SECOND, interrupt)
    assert clock.now_ns() - begun_ns < 60 * SECOND


async def test_the_fake_clock_moves_both_times_by_hand_and_wakes_who_waits() -> None:
    clock = FakeClock(now_ns=0, wall_ns=T0)
    reached: list[int] = []

    async def wait(ns: int) -> None:
        await clock.wait_until(ns)
        reached.append(ns)

    async with asyncio.TaskGroup() as group:
        group.create_task(wait(2 * SECOND))
        group.create_task(wait(SECOND))
        await clock.run(SECOND // 2, MS)
        assert reached == []
        await clock.run(SECOND, 100 * MS)
        assert reached == [SECOND]
        await clock.run(SECOND, 100 * MS)
    assert reached == [SECOND, 2 * SECOND]
    assert (clock.now_ns(), clock.time_ns()) == (5 * SECOND // 2, T0 + 5 * SECOND // 2)
    clock.step_wall(-SECOND)
    assert (clock.now_ns(), clock.time_ns()) == (5 * SECOND // 2, T0 + 3 * SECOND // 2)


async def test_a_wait_on_the_fake_clock_can_be_interrupted() -> None:
    clock, interrupt = FakeClock(), asyncio.Event()
    waiting = asyncio.create_task(clock.wait_until(clock.now_ns() + SECOND, interrupt))
    await clock.run(1, 1)
    interrupt.set()
    await asyncio.wait_for(waiting, 10)


def test_a_loop_is_precise_unless_too_many_files_are_open() -> None:
    def selector() -> object:
        loop = precise_loop()
        try:
            return type(loop._selector)  # type: ignore[attr-defined]
        finally:
            loop.close()

    assert selector() is selectors.SelectSelector
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(800)]
    try:
        assert selector() is selectors.DefaultSelector
    finally:
        for descriptor in opened:
            os.close(descriptor)
