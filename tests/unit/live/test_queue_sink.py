"""The queue of older programs: every event, waited for while there is no room, until nobody reads."""

import asyncio
from typing import Any

from spyctl.live.queue_sink import QueueSink
from spyctl.market.encode import EncodedBatch, encoded_events
from spyctl.market.events import Event, EventSource, Gap
from spyctl.market.subjects import encode, rank_of, subject_of
from tests.support.events import trade
from tests.support.sinks import RecordingSink
from tests.support.waiting import eventually


def batch(*events: Event) -> EncodedBatch:
    return encoded_events([encode(event) for event in events], [rank_of(subject_of(event)) for event in events])


async def test_each_event_is_published_and_queued_and_gap_records_are_not_events() -> None:
    sink, queue = RecordingSink(), asyncio.Queue[Any]()
    gap = Gap(1, 2, EventSource.SIM, "stocks", 1, None, "reset", "g1")
    await QueueSink(sink, queue).publish(batch(trade(seq=1), gap, trade(seq=2)))
    assert len(sink.messages) == 3
    assert [queue.get_nowait() for _ in range(queue.qsize())] == [trade(seq=1), trade(seq=2)]


async def test_a_full_queue_is_waited_for_and_misses_nothing() -> None:
    sink, queue = RecordingSink(), asyncio.Queue[Any](2)
    queued = QueueSink(sink, queue)
    publishing = asyncio.create_task(queued.publish(batch(*(trade(seq=n) for n in range(5)))))
    await eventually(queue.full)
    assert not publishing.done()
    assert [(await queue.get()).seq for _ in range(5)] == list(range(5))
    await publishing
    assert queued.missed == 0


async def test_after_a_stop_it_is_not_waited_for_where_nobody_reads() -> None:
    sink, queue = RecordingSink(), asyncio.Queue[Any](2)
    queued = QueueSink(sink, queue, patience_s=0.01)
    publishing = asyncio.create_task(queued.publish(batch(*(trade(seq=n) for n in range(5)))))
    await eventually(queue.full)
    queued.stop()
    await publishing
    assert (queue.qsize(), queued.missed, len(sink.messages)) == (2, 3, 5)


async def test_what_is_read_after_a_stop_is_queued() -> None:
    queue = asyncio.Queue[Any](1)
    queued = QueueSink(RecordingSink(), queue, patience_s=30)
    publishing = asyncio.create_task(queued.publish(batch(*(trade(seq=n) for n in range(3)))))
    await eventually(queue.full)
    queued.stop()
    assert [(await queue.get()).seq for _ in range(3)] == [0, 1, 2]
    await publishing
    assert queued.missed == 0
