"""Backlog → sink, without a server: in order, bounded, and never for ever."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from spyctl.errors import RefusedError, UnreachableError
from spyctl.live.backlog import Backlog
from spyctl.live.pending import Pending
from spyctl.live.sender import BATCH, Sender, SenderTiming
from spyctl.live.spool import Spool
from spyctl.market.encode import EncodedBatch
from spyctl.timing.clock import SystemClock
from tests.support.sinks import RecordingSink
from tests.support.waiting import eventually

QUICK = SenderTiming(batch_delay=0.0, finish=0.1)


class StuckSink(RecordingSink):
    """Takes one batch, and acknowledges nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def publish(self, batch: EncodedBatch) -> None:
        self.delivery.published += len(batch)
        await self.go.wait()
        self.delivery.published -= len(batch)
        await super().publish(batch)

    async def drain(self) -> None:
        await self.go.wait()


def event(n: int, feed: str = "stocks") -> Pending:
    subject = "market.stocks.trades" if feed else "market.gaps"
    return Pending(b"event %d" % n, f"id {n}", subject, feed, n)


async def test_everything_is_sent_in_order_in_batches_and_gap_records_are_no_events() -> None:
    sink = RecordingSink()
    sender = Sender(Backlog(), sink, SystemClock(), QUICK)
    for n in range(BATCH + 10):
        sender.append(event(n, feed="" if n == 3 else "stocks"))
    await sender.send_waiting()
    assert [payload for _, payload in sink.messages] == [b"event %d" % n for n in range(BATCH + 10)]
    assert sender.sent == BATCH + 9
    assert sender.by_subject == {"market.stocks.trades": BATCH + 9, "market.gaps": 1}


async def test_the_end_waits_for_what_waits_and_for_what_it_brings_to_light() -> None:
    sink = RecordingSink()
    sender = Sender(Backlog(), sink, SystemClock(), QUICK)
    sending = asyncio.create_task(sender.keep_sending())
    sender.append(event(1))
    late = [event(2)]

    def look() -> None:
        if late:
            sender.append(late.pop())

    await sender.finish(sending, look)
    assert [payload for _, payload in sink.messages] == [b"event 1", b"event 2"]
    assert sink.drained


async def test_the_end_does_not_wait_for_ever_and_says_what_is_missing() -> None:
    sender = Sender(Backlog(), StuckSink(), SystemClock(), QUICK)
    sending = asyncio.create_task(sender.keep_sending())
    sender.append(event(1))
    await eventually(lambda: sender.sink.delivery.published == 1)
    sender.append(event(2))
    with pytest.raises(UnreachableError, match="2 events or gap records could not be stored"):
        await sender.finish(sending, lambda: None)
    assert sending.done()


async def test_the_end_tells_that_what_waited_was_refused() -> None:
    class Refusing(RecordingSink):
        async def publish(self, batch: EncodedBatch) -> None:
            raise RefusedError("the stream is full")

    sender = Sender(Backlog(), Refusing(), SystemClock(), QUICK)
    sending = asyncio.create_task(sender.keep_sending())
    sender.append(event(1))
    with pytest.raises(RefusedError, match="the stream is full"):
        await sender.finish(sending, lambda: None)


async def test_whoever_has_much_waits_until_the_backlog_is_half_empty() -> None:
    sink = StuckSink()
    sender = Sender(Backlog(10), sink, SystemClock(), QUICK)
    for n in range(8):
        sender.append(event(n))
    waiting = asyncio.create_task(sender.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    sink.go.set()
    await sender.send_waiting()
    await waiting


class MortalSink(RecordingSink):
    """Stores what it is given in a stream that outlives it, and is killed at the given call."""

    def __init__(self, stream: list[str], calls: int) -> None:
        super().__init__()
        self.stream = stream
        self.calls = calls

    async def publish(self, batch: EncodedBatch) -> None:
        self.stream += [] if batch.ids is None else [text.decode() for text in batch.ids.single()]
        self.delivery.last_seq = len(self.stream)
        await self.drain()

    async def drain(self) -> None:
        self.calls -= 1
        if not self.calls:
            raise KilledError


class KilledError(Exception):
    pass


@pytest.mark.parametrize("calls", range(1, 10))
async def test_after_a_kill_the_next_run_publishes_what_is_on_disk_each_once(tmp_path: Path, calls: int) -> None:
    stream: list[str] = []
    spool = Spool(tmp_path, 10_000_000, 0)
    backlog = Backlog(1_000, spool)
    for n in range(2_000):
        backlog.append(event(n))
    lost = len(backlog) - backlog.spooled  # what was in memory alone
    with pytest.raises(KilledError):
        await Sender(backlog, MortalSink(stream, calls), SystemClock(), QUICK).send_waiting()
    spool.close()

    spool = Spool(tmp_path, 10_000_000, len(stream))
    after_seq, identities = spool.in_doubt
    spool.leave_out(identities & set(stream[after_seq:]))
    sender = Sender(Backlog(1_000, spool), MortalSink(stream, 0), SystemClock(), QUICK)
    await sender.send_waiting()
    assert stream == [f"id {n}" for n in range(max(2_000 - lost, len(stream)))]
    assert sender.sent == sender.backlog.recovered
    assert spool.empty
    spool.close()


async def test_what_the_end_could_not_store_is_kept_on_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10_000_000, 0)
    sender = Sender(Backlog(spool=spool), StuckSink(), SystemClock(), QUICK)
    sending = asyncio.create_task(sender.keep_sending())
    sender.append(event(1))
    await eventually(lambda: sender.sink.delivery.published == 1)
    sender.append(event(2))
    with pytest.raises(UnreachableError, match="2 events .* NATS stays away; 1 of them wait on disk for the next run"):
        await sender.finish(sending, lambda: None)
    spool.close()
    spool = Spool(tmp_path, 10_000_000, 0)
    assert spool.read() == ([replace(event(2), received_ns=0)], 0)
    spool.close()
