"""The line: who may send at once, what was sent before, and times that grow with its length."""

import asyncio

from spyctl.bus.acks.line import Line
from spyctl.timing.instants import SECOND


async def test_an_event_is_sent_at_once_only_where_nothing_is_wrong_and_nothing_was_left_before_it() -> None:
    line = Line(1)
    assert line.may_send(1)
    assert not line.may_send(4)
    async with line.alone():
        assert not line.may_send(1)
    line.break_off()
    assert not line.may_send(1)
    assert line.call.is_set()


async def test_nobody_overtakes_who_waits_for_the_line() -> None:
    line = Line(1)
    turns: list[bool] = []

    async def repair() -> None:
        async with line.alone():
            turns.append(line.may_send(1))

    async with line.alone():
        waiting = asyncio.create_task(repair())
        await asyncio.sleep(0)
    turns.append(line.may_send(1))  # it is free, and was given to another one
    await waiting
    assert (turns, line.may_send(1)) == ([False, False], True)


def test_what_was_sent_before_is_counted_when_it_is_sent_again() -> None:
    line = Line(1)
    assert [line.sending(1, 4), line.sending(4, 6)] == [0, 0]
    line.break_off()
    line.mend(3)
    assert [line.next, line.sending(3, 4), line.sending(4, 9)] == [3, 1, 2]


def test_after_a_repair_that_found_everything_stored_the_next_event_is_sent_at_once() -> None:
    line = Line(1)
    line.sending(1, 4)
    line.break_off()
    line.mend(None)
    assert line.may_send(4)


def test_a_time_grows_with_the_round_trip_and_is_never_shorter_than_its_least() -> None:
    line = Line(1)
    assert line.within_s(0.8, 20) == 0.8
    line.round_trip_ns = SECOND // 2
    assert line.within_s(0.8, 20) == 10.0
