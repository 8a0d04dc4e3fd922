"""Frames wait for their reader, in order and bounded."""

import asyncio

from spyctl.massive.inbox import AT_ONCE, MAX_FRAMES, Frame, Inbox
from spyctl.timing.tasks import end_task
from tests.support.waiting import eventually


def frame(n: int) -> Frame:
    return Frame(f"{n}", n, n)


def test_nothing_is_read_where_frames_are_put() -> None:
    read: list[Frame] = []
    inbox = Inbox(read.append)
    for n in range(MAX_FRAMES):
        inbox.put(frame(n))
    assert (read, len(inbox)) == ([], MAX_FRAMES)
    inbox.read()
    assert read == [frame(n) for n in range(MAX_FRAMES)]


def test_where_too_many_wait_reading_keeps_pace() -> None:
    read: list[Frame] = []
    inbox = Inbox(read.append)
    for n in range(3 * MAX_FRAMES):
        inbox.put(frame(n))
        assert len(inbox) <= MAX_FRAMES
    assert read == [frame(n) for n in range(len(read))]
    assert len(read) + len(inbox) == 3 * MAX_FRAMES


async def test_what_arrives_is_read_in_pieces_that_let_others_run() -> None:
    read: list[Frame] = []
    inbox = Inbox(read.append)
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += len(inbox) > 0
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(inbox.keep_reading()), asyncio.create_task(count_turns())]
    for n in range(10 * AT_ONCE):
        inbox.put(frame(n))
    await eventually(lambda: len(read) == 10 * AT_ONCE)
    for task in tasks:
        await end_task(task)
    assert turns >= 9
