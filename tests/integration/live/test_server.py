"""A server that is away, slow, full or taken away: nothing is lost, what has to go is told."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spyctl.bus.connection import connect
from spyctl.errors import RefusedError, UnreachableError
from spyctl.live.result import summary_of
from spyctl.live.sender import SenderTiming
from spyctl.live.session import Hooks
from spyctl.live.spool import Spool
from spyctl.live.watchdogs import LiveTiming
from spyctl.market.events import Gap, StockQuote, StockTrade
from spyctl.market.feeds import FeedState
from spyctl.market.subjects import subject_of
from spyctl.summary import StopReason
from spyctl.timing.tasks import end_task
from tests.support.live_session import (
    OPTIONS,
    Running,
    gaps,
    quote,
    running,
    stored,
    trade,
)
from tests.support.proxy import Proxy
from tests.support.servers import NatsServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


async def test_a_restart_of_nats_loses_nothing_and_is_told(nats_server: NatsServer) -> None:
    async with running(nats_server.url, rate=1_000) as run:
        await eventually(lambda: run.received > 500)
        for kill in (True, False):
            before = run.received
            await asyncio.to_thread(nats_server.stop, kill=kill)
            await eventually(lambda before=before: run.received > before + 500)
            await asyncio.to_thread(nats_server.start)
            await eventually(lambda: "nats" not in run.session.gaps.open_now and not len(run.session.sender.backlog))
        run.simulator.rate = 0
        await eventually(lambda: run.received == run.simulator.sent)
        summary = await run.end()
    events = await stored(nats_server.url)
    told = gaps(events)
    assert len(events) - len(told) == summary["published"] == summary["acked"] == run.simulator.sent
    assert [gap.feed for gap in told if gap.to_ns is None] == ["nats", "nats"]
    assert (summary["gaps"], summary["reordered"], summary["reconnects"]) == (2, 0, 2)
    identities = {(subject_of(event), event.seq) for event in events if not isinstance(event, Gap)}
    assert len(identities) == run.simulator.sent


async def test_an_outage_that_memory_cannot_bridge_loses_nothing_with_a_spool(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool", 100_000_000, 0)
    tight = replace(OPTIONS, max_events=500)
    async with running(nats_server.url, rate=2_000, options=tight, hooks=Hooks(spool=spool)) as run:
        await eventually(lambda: run.received > 500)
        await asyncio.to_thread(nats_server.stop, kill=True)
        await eventually(lambda: run.session.sender.backlog.spooled > 1_000)
        assert run.noted("they go to disk")
        assert summary_of(run.session).document()["spooled"] > 1_000
        run.simulator.rate = 0
        await eventually(lambda: run.received == run.simulator.sent)
        await asyncio.to_thread(nats_server.start)
        await eventually(lambda: not len(run.session.sender.backlog))
        summary = await run.end()
    events = await stored(nats_server.url)
    assert summary["published"] == summary["acked"] == run.simulator.sent
    assert (summary["dropped"], summary["reordered"], summary["duplicates"]) == (0, 0, 0)
    for kind in (StockTrade, StockQuote):
        numbers = [event.seq for event in events if isinstance(event, kind)]
        assert numbers == sorted(set(numbers))
    assert len(events) - len(gaps(events)) == run.simulator.sent
    assert not list((tmp_path / "spool").glob("*.block"))
    spool.close()


async def test_the_end_does_not_wait_for_ever_for_a_server_that_stays_away(nats_server: NatsServer) -> None:
    timing = LiveTiming(sender=SenderTiming(finish=0.3))
    async with running(nats_server.url, options=replace(OPTIONS, timing=timing)) as run:
        await eventually(lambda: run.is_up("stocks"))
        await asyncio.to_thread(nats_server.stop, kill=True)
        await run.say("stocks", trade(), trade())
        run.session.stop(StopReason.SIGTERM)
        await eventually(run.task.done)
        with pytest.raises(UnreachableError, match="could not be stored"):
            run.task.result()
        assert not summary_of(run.session).document()["complete"]


async def test_when_the_server_is_too_slow_quotes_give_way_and_it_is_told(nats_server: NatsServer) -> None:
    tight = replace(OPTIONS, max_events=1_000)
    async with Proxy(nats_server.port) as proxy, running(proxy.url, options=tight, max_in_flight=100) as run:
        await eventually(lambda: run.is_up("stocks"))
        proxy.replies.clear()
        trades = [trade() for _ in range(400)]
        for i in range(40):
            await run.say("stocks", *(quote() for _ in range(100)), *trades[10 * i : 10 * i + 10])
        assert run.session.ledger.dropped > 2_000
        assert len(run.session.sender.backlog) <= 1_000
        proxy.replies.set()
        await eventually(lambda: not run.session.gaps.open_now)
        summary = await run.end()
    events = await stored(nats_server.url)
    told = [gap for gap in gaps(events) if gap.feed == "overflow"]
    opened, closed = told[0], [gap for gap in told if gap.to_ns is not None]
    assert opened.to_ns is None
    assert opened.from_ns < opened.ts_recv_ns  # from the oldest that had to go
    assert sum(gap.events or 0 for gap in closed) == summary["dropped"]
    assert len(told) == 2 * len(closed)
    assert sum(isinstance(event, StockTrade) for event in events) == 400  # not one trade was dropped
    assert summary["published"] + summary["dropped"] == 4_400


async def test_a_stream_that_is_taken_away_ends_it_with_the_reason(nats_server: NatsServer) -> None:
    async with running(nats_server.url, rate=500) as run:
        await eventually(lambda: run.received > 100)
        other = await connect([nats_server.url])
        await other.api("STREAM.DELETE.MARKET_DATA")
        await other.close()
        await eventually(run.task.done)
        with pytest.raises(RefusedError, match="refuses to store events"):
            run.task.result()


@pytest.mark.parametrize(
    ("limit", "words"),
    [({"max_msgs": 30, "discard": "new"}, "maximum messages exceeded"), ({"max_msg_size": 60}, "message size exceeds")],
)
async def test_a_stream_that_is_full_or_takes_no_such_message_is_told_and_nothing_is_lost(
    nats_server: NatsServer, limit: dict[str, Any], words: str
) -> None:
    async with running(nats_server.url, refusal_s=30.0) as run:
        await eventually(lambda: run.is_up("stocks"))
        other = await connect([nats_server.url])
        before = (await other.api("STREAM.INFO.MARKET_DATA"))["config"]
        await other.api("STREAM.UPDATE.MARKET_DATA", before | limit)
        for _ in range(10):
            await run.say("stocks", *(trade() for _ in range(10)))
        await eventually(lambda: run.session.ledger.delivery.refusals)
        await eventually(lambda: run.noted("refuses to store events: " + words))
        assert run.session.ledger.acked < 100
        await other.api("STREAM.UPDATE.MARKET_DATA", before)
        await other.close()
        await eventually(lambda: run.session.ledger.acked == 100)
        summary = await run.end()
    assert (summary["published"], summary["reordered"], summary["gaps"]) == (100, 0, 0)
    ((found, count),) = summary["refusals"].items()
    assert found.startswith(words)
    assert count >= 1
    trades = [event for event in await stored(nats_server.url) if isinstance(event, StockTrade)]
    assert [event.seq for event in trades] == sorted({event.seq for event in trades})
    assert len(trades) == 100


async def test_the_reader_never_waits_for_the_server(nats_server: NatsServer) -> None:
    async with running(nats_server.url, max_in_flight=10) as run:
        await eventually(lambda: run.is_up("stocks"))
        await run.say("stocks", trade())
        await eventually(lambda: run.session.ledger.acked == 1)
        nats_server.stop(kill=True)  # from now on nothing is acknowledged
        await run.say("stocks", *(trade() for _ in range(500)))
        await run.say("stocks", *(trade() for _ in range(500)))
        assert (run.received, run.session.ledger.acked) == (1_001, 1)
        nats_server.start()
        await eventually(lambda: run.session.ledger.acked == 1_001)
        await run.end()


async def test_the_gap_of_nats_is_closed_though_the_run_is_told_to_end_meanwhile(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as run:
        await eventually(lambda: run.is_up("stocks"))
        nats_server.stop(kill=True)
        await eventually(lambda: "nats" in run.session.gaps.open_now)
        await run.say("stocks", trade())
        run.session.stop(StopReason.CTRL_C)
        await eventually(lambda: all(feed.state is FeedState.STOPPED for feed in run.session.feeds.values()))
        nats_server.start()
        await run.task
    assert run.session.gaps.open_now == {}
    opened, closed = (gap for gap in gaps(await stored(nats_server.url)) if gap.feed == "nats")
    assert (opened.to_ns, opened.gap_id) == (None, closed.gap_id)
    assert closed.to_ns is not None
    assert run.session.ledger.acked == 1


async def test_counts_never_go_back_while_gap_records_wait(nats_server: NatsServer) -> None:
    seen: list[tuple[int, int]] = []

    async def watch(run: Running) -> None:
        while True:
            seen.append((run.session.ledger.published, run.session.ledger.acked))
            await asyncio.sleep(0)

    async with running(nats_server.url, rate=300, max_in_flight=64) as run:
        watcher = asyncio.create_task(watch(run))
        await eventually(lambda: run.session.ledger.published > 50)
        nats_server.stop(kill=True)
        for _ in range(2):
            run.peer("stocks").abort()
            await eventually(lambda: not run.is_up("stocks"))
            await eventually(lambda: run.is_up("stocks"))
        assert run.session.ledger.queued >= 0
        nats_server.start()
        await eventually(lambda: not run.session.gaps.open_now)
        summary = await run.end()
        await end_task(watcher)
    assert seen == sorted(seen)
    assert [acked for _, acked in seen] == sorted(acked for _, acked in seen)
    assert min(seen) >= (0, 0)
    assert summary["published"] == summary["acked"]
    events = await stored(nats_server.url)
    gaps = [event for event in events if isinstance(event, Gap)]
    assert len(gaps) == summary["gap_records"] == 6
    assert len(events) - len(gaps) == summary["published"]
