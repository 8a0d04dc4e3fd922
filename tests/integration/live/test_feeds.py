"""Feeds that are cut off, fall silent, refuse or lie: a gap each, and the others go on."""

import asyncio
import time
from dataclasses import replace

import pytest

from spyctl.errors import ExitCode, KeyRefusedError
from spyctl.live.watchdogs import LiveTiming
from spyctl.market.feeds import FeedState
from spyctl.massive.simulator import Peer, Script
from spyctl.summary import StopReason
from spyctl.timing.instants import SECOND
from tests.support.feeds import NoOptions
from tests.support.live_session import (
    OPTIONS,
    gaps,
    now_ms,
    quote,
    running,
    stored,
    trade,
)
from tests.support.servers import NatsServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("market", ["stocks", "options"])
async def test_a_disconnect_opens_and_closes_a_gap_under_one_id(nats_server: NatsServer, market: str) -> None:
    async with running(nats_server.url) as run:
        await eventually(lambda: run.is_up("stocks"))
        await run.say("stocks", quote())
        await eventually(run.is_up)
        before = time.time_ns()
        run.peer(market).abort()
        await eventually(lambda: run.session.gaps.count == 1 and not run.session.gaps.open_now)
        await run.say("stocks", trade())
        summary = await run.end()
    opened, closed = gaps(await stored(nats_server.url))
    assert opened.gap_id == closed.gap_id
    assert (opened.feed, opened.to_ns, opened.ts_event_ns) == (market, None, opened.from_ns)
    assert closed == replace(opened, ts_recv_ns=closed.ts_recv_ns, to_ns=closed.to_ns)
    assert before - 2 * SECOND < opened.from_ns <= before + SECOND // 10
    assert before < (closed.to_ns or 0) <= closed.ts_recv_ns
    assert (summary["gaps"], summary["gap_records"], summary["published"]) == (1, 2, 2)


async def test_silence_in_regular_hours_makes_a_new_connection(nats_server: NatsServer) -> None:
    in_session = False
    options = replace(OPTIONS, timing=LiveTiming(stall=0.1, stall_reconnect=0.3))
    async with running(nats_server.url, options=options, suspicious=lambda _: in_session) as run:
        await eventually(lambda: run.is_up("stocks"))
        since = time.monotonic()
        await eventually(lambda: time.monotonic() - since > 0.6)
        assert run.feed("stocks").reconnects == 0  # quiet is normal off hours
        in_session = True
        while run.feed("stocks").reconnects == 0:  # trades prove nothing: the window follows the quotes
            assert time.monotonic() - since < 10
            if run.is_up("stocks"):
                await run.peer("stocks").say(trade())
            await asyncio.sleep(0.02)
        await eventually(lambda: run.feed("stocks").reconnects == 1)
        assert run.feed("options").reconnects == 0
        assert run.noted("no quote for")


async def test_half_a_plan_runs_with_half_the_data(nats_server: NatsServer) -> None:
    async with running(nats_server.url, script=NoOptions()) as run:
        await eventually(lambda: run.is_up("stocks") and "options" in run.session.refused)
        await run.say("stocks", trade())
        summary = await run.end()
        assert run.exit_code(StopReason.DURATION) == ExitCode.INCOMPLETE
    assert (summary["published"], summary["refused"]) == (1, ["options"])


async def test_a_plan_without_options_ends_a_run_that_requires_them(nats_server: NatsServer) -> None:
    async with running(nats_server.url, script=NoOptions(), require_options=True) as run:
        await eventually(run.task.done)
        with pytest.raises(KeyRefusedError, match="options feed refuses the key: Your plan"):
            run.task.result()


async def test_a_delayed_feed_is_noticed_while_it_runs(nats_server: NatsServer) -> None:
    options = replace(OPTIONS, timing=LiveTiming(skew=0.1))
    async with running(nats_server.url, options=options) as run:
        await eventually(lambda: run.is_up("stocks"))
        await run.say("stocks", *(trade(t=now_ms() - 900_000) for _ in range(150)))
        await eventually(lambda: run.noted("the feed is delayed"))


async def test_a_feed_that_never_comes_up_is_a_gap_from_the_start(nats_server: NatsServer) -> None:
    class Mute(Script):
        async def greet(self, peer: Peer) -> None:
            peer.abort()

    async with running(nats_server.url, script=Mute()) as run:
        await eventually(lambda: run.session.gaps.count == 2)
        summary = await run.end()
        assert run.session.gaps.open_now["stocks"].from_ns - summary["started_ns"] < 10**9
    assert summary["open_gaps"] == ["options", "stocks"]


async def test_topics_that_are_never_acknowledged_are_told_at_the_end(nats_server: NatsServer) -> None:
    class NoOptionTopics(Script):
        async def subscribe(self, peer: Peer, topics: list[str]) -> None:
            if peer.market == "stocks":
                await super().subscribe(peer, topics)
            else:
                await peer.status("error", "not authorized")

    for required in (False, True):
        async with running(nats_server.url, script=NoOptionTopics(), require_options=required) as run:
            await eventually(lambda run=run: run.is_up("stocks"))
            await run.say("stocks", quote())
            if required:
                await eventually(run.task.done)
                with pytest.raises(KeyRefusedError, match="acknowledges no contract: not authorized"):
                    run.task.result()
            else:
                await eventually(lambda run=run: len(run.feed("options").missing) == 10)
                assert len((await run.end())["missing"]) == 10
                assert run.exit_code(StopReason.DURATION) == ExitCode.INCOMPLETE


async def test_a_reader_that_is_cut_off_for_being_slow_is_told_how_slow_and_not_taken_for_evicted(
    nats_server: NatsServer,
) -> None:
    async with running(nats_server.url) as run:
        await eventually(lambda: run.is_up("stocks"))
        await run.say("stocks", trade(t=now_ms() - 3_500))
        await run.peer("stocks").status("slow_consumer", "you read too slowly")
        await run.peer("stocks").socket.close(1008, "slow consumer")
        await eventually(lambda: run.session.gaps.count == 1 and not run.session.gaps.open_now)
        await run.end()
    assert run.session.gaps.recent[0].reason == "slow_consumer"
    said = "\n".join(note.text for note in run.session.notes.recent)
    assert "stocks: slow_consumer: you read too slowly" in said
    assert "stocks: before that, 0 frames waited, events were up to 3.5 s late" in said
    assert "this key" not in said


@pytest.mark.parametrize("how", ["evicted", "refused"])
async def test_options_that_were_there_and_are_taken_away_for_good_end_the_run(
    nats_server: NatsServer, how: str
) -> None:
    # A plan without options is another thing: there never were any.
    class Taken(Script):
        async def authenticate(self, peer: Peer, key: str) -> bool:
            if peer.market == "options" and how == "refused" and peer.number > 2:
                await peer.status("auth_failed", "authentication failed")
                return False
            await super().authenticate(peer, key)
            if peer.market == "options" and how == "evicted":
                await peer.status("max_connections", "Maximum number of websocket connections exceeded. ")
                peer.abort()
            return True

    async with running(nats_server.url, script=Taken()) as run:
        await eventually(lambda: run.simulator.connections >= 2)
        if how == "refused":
            await eventually(lambda: run.feed("options").state is FeedState.UP)
            run.peer("options").abort()
        await eventually(run.task.done)
        with pytest.raises(KeyRefusedError, match="options feed"):
            run.task.result()
