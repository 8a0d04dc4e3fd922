"""The live path from the vendor's socket to the stream: everything once, what is missing told, whatever breaks."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest

from spyctl.bus.acks.base import Patience
from spyctl.bus.acks.per_message import PerMessage
from spyctl.bus.checkpoint import Checkpoint
from spyctl.bus.connection import Connection, connect
from spyctl.bus.publisher import Publisher
from spyctl.bus.stream import Stream, ensure_stream
from spyctl.errors import ExitCode, KeyRefusedError, RefusedError, SpyctlError, UnreachableError
from spyctl.live.aggressors import QuoteUse
from spyctl.live.feed_policy import FeedPolicy, equity_policies
from spyctl.live.filter import Memory
from spyctl.live.result import summary_of
from spyctl.live.sender import SenderTiming
from spyctl.live.session import Hooks, LiveOptions, LiveSession
from spyctl.live.spool import Spool
from spyctl.live.strike_manager import StrikeManager
from spyctl.live.strike_window import USUAL, StrikeWindow, WindowTiming
from spyctl.live.watchdogs import LiveTiming
from spyctl.live.windows import Windows
from spyctl.market.events import EventSource, Gap, OptionQuote, OptionTrade, StockQuote, StockTrade
from spyctl.market.feeds import FeedState, LiveFeed
from spyctl.market.sessions import current_expiry
from spyctl.market.subjects import decode, encode, subject_of, subject_table
from spyctl.massive.backfill import Backfill
from spyctl.massive.feed import Feed
from spyctl.massive.normalize import normalize
from spyctl.massive.rest import Listing, MassiveRest
from spyctl.massive.simulator import Peer, Script, Simulator
from spyctl.summary import StopReason
from spyctl.timing.instants import MINUTE, SECOND
from spyctl.timing.tasks import end_task
from tests.support.feeds import CALM, NoOptions
from tests.support.proxy import Proxy
from tests.support.rest import NO_PLAN, serving
from tests.support.servers import NatsServer
from tests.support.stream import read_stream
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
OPTIONS = LiveOptions(source=EventSource.SIM)


@dataclass
class Running:
    session: LiveSession
    task: "asyncio.Task[None]"
    simulator: Simulator
    connection: Connection

    def peer(self, market: str) -> Peer:
        return next(peer for peer in self.simulator.peers if peer.market == market)

    def feed(self, market: str) -> LiveFeed:
        return self.session.feeds[market]

    def is_up(self, *markets: str) -> bool:
        feeds = [self.feed(market) for market in markets or ("stocks", "options") if self.session.feeds]
        return bool(feeds) and all(
            feed.state is FeedState.UP and feed.desired and feed.desired <= feed.held for feed in feeds
        )

    @property
    def received(self) -> int:
        return self.session.ledger.received

    def noted(self, words: str) -> bool:
        return any(words in note.text for note in self.session.notes.recent)

    async def say(self, market: str, *messages: Any) -> None:
        """Have the vendor send messages, and wait until they were taken in."""
        before = self.received
        await self.peer(market).say(*messages)
        await eventually(lambda: self.received >= before + len(messages))

    async def end(self) -> dict[str, Any]:
        self.session.stop(StopReason.CTRL_C)
        await self.task
        summary = summary_of(self.session, "MARKET_DATA").document()
        assert summary["queued"] == 0
        assert summary["received"] == (
            summary["published"] + summary["rejected"] + summary["duplicates"] + summary["dropped"]
        )
        return summary

    def exit_code(self, reason: StopReason) -> ExitCode:
        return replace(summary_of(self.session), stopped_by=reason).exit_code


@dataclass(frozen=True)
class Setup:
    """What a test wants to be otherwise: of the vendor, of the session, and of the server's patience."""

    rate: float = 0.0
    script: Script | None = None
    options: LiveOptions = OPTIONS
    window: WindowTiming = USUAL
    max_in_flight: int = 4_096
    refusal_s: float = 1.0
    require_options: bool = False
    suspicious: Callable[[int], bool] = lambda _: False
    write: Callable[[Any], bytes] = encode
    hooks: Hooks = field(default_factory=Hooks)

    def publisher(self, connection: Connection, stream: Stream) -> Publisher:
        patience = Patience(ack_s=1.0, outage_s=1e9, refusal_s=self.refusal_s)
        protocol = PerMessage(connection, stream, subject_table(), patience=patience)
        return Publisher(
            protocol, "run1", anchor=Checkpoint(0, stream.last_seq), max_in_flight=self.max_in_flight
        )  # fmt: skip

    def session(self, publisher: Publisher, connection: Connection) -> LiveSession:
        windows = Windows([StrikeWindow(StrikeManager(2), time.time_ns(), timing=self.window)])
        hooks = replace(self.hooks, connected=lambda: connection.connected)
        return LiveSession(publisher, windows, self.options, run_id="run1", write=self.write, hooks=hooks)

    def policies(self, simulator: Simulator, session: LiveSession) -> list[FeedPolicy]:
        stocks, options = (
            Feed(market, "k", url=simulator.url, source=self.options.source, timing=CALM)
            for market in ("stocks", "options")
        )
        return equity_policies(
            stocks, options, session.windows, require_options=self.require_options, suspicious=self.suspicious,
            quotes=lambda: session.uses_option_quotes,
        )  # fmt: skip


@asynccontextmanager
async def running(url: str, **setup: Any) -> AsyncIterator[Running]:
    """Run a session that publishes to a server, with what :class:`Setup` takes."""
    wanted = Setup(**setup)
    async with Simulator(wanted.rate, script=wanted.script).serving() as simulator:
        connection = await connect([url])
        publisher = wanted.publisher(connection, await ensure_stream(connection))
        await publisher.open()
        session = wanted.session(publisher, connection)
        task = asyncio.create_task(session.run(wanted.policies(simulator, session)))
        try:
            yield Running(session, task, simulator, connection)
        finally:
            session.stop(StopReason.ERROR)
            await asyncio.wait({task}, timeout=5)
            await end_task(task)
            await publisher.close()
            await connection.close()


_count = iter(range(10**9))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def quote(price: float = 680.0, **change: Any) -> dict[str, Any]:
    return {"ev": "Q", "sym": "SPY", "bp": price, "bs": 1, "ap": price + 0.01, "as": 1, "t": now_ms(),
            "q": next(_count)} | change  # fmt: skip


def trade(**change: Any) -> dict[str, Any]:
    number = next(_count)
    return {"ev": "T", "sym": "SPY", "x": 4, "i": str(number), "p": 680.0, "s": 1, "t": now_ms(), "q": number} | change


def option_trade(strike: int = 680, expiry: date | None = None, root: str = "SPY", **change: Any) -> dict[str, Any]:
    day = expiry or current_expiry(time.time_ns())[0]
    return {"ev": "T", "sym": f"O:{root}{day:%y%m%d}C{1000 * strike:08d}", "x": 300, "p": 2.0, "s": 1, "t": now_ms(),
            "q": next(_count)} | change  # fmt: skip


async def stored(url: str) -> list[Any]:
    return [decode(subject, payload) for _, subject, payload, _ in await read_stream(url)]


def gaps(events: list[Any]) -> list[Gap]:
    return [event for event in events if isinstance(event, Gap)]


async def test_all_that_is_sent_is_stored_once_and_in_order(nats_server: NatsServer) -> None:
    async with running(nats_server.url, rate=2_000) as run:
        await eventually(lambda: run.received > 3_000 and len(run.session.filter.tape.prints) > 3)
        run.simulator.rate = 0
        await eventually(lambda: run.received == run.simulator.sent)
        summary = await run.end()
    found = await read_stream(nats_server.url)
    assert len(found) == summary["published"] == summary["acked"] == run.simulator.sent
    ids = [message_id for *_, message_id in found]
    assert len(set(ids)) == len(ids)
    events = [decode(subject, payload) for _, subject, payload, _ in found]
    assert {event.source for event in events} == {EventSource.SIM}
    stocks = [event.seq for event in events if not isinstance(event, OptionTrade)]
    assert stocks == sorted(stocks)
    assert (summary["gaps"], summary["rejected"], summary["reordered"]) == (0, 0, 0)
    assert summary["ack_ms"]["p50"] > 0
    assert run.exit_code(StopReason.CTRL_C) == ExitCode.INTERRUPTED


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


async def test_what_arrives_again_falls_away(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as run:
        await eventually(lambda: run.is_up("stocks"))
        one, other, third = quote(), trade(), option_trade()
        await run.say("stocks", one, other)
        await eventually(run.is_up)
        await run.say("options", third)
        await run.say("stocks", one, other, one)
        await run.say("options", third)
        summary = await run.end()
    assert (summary["duplicates"], summary["published"]) == (4, 3)
    assert run.session.filter.duplicates == 4  # known here, not by the server's memory
    assert len(await stored(nats_server.url)) == 3


async def test_what_an_earlier_run_has_stored_is_not_stored_again(nats_server: NatsServer) -> None:
    same = trade()
    for _ in range(2):
        async with running(nats_server.url) as run:
            await eventually(lambda run=run: run.is_up("stocks"))
            await run.say("stocks", same, trade())
            summary = await run.end()
    assert (summary["duplicates"], summary["published"], summary["reordered"]) == (1, 1, 0)
    assert len(await stored(nats_server.url)) == 3


async def test_bad_frames_and_messages_cost_themselves_alone(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as run:
        await eventually(lambda: run.is_up("stocks"))
        await run.say("stocks", quote(), 5, {"ev": "ZZ"}, trade(p=-1), trade())
        for frame in ("garbage", "", "[", "null", b"\xff"):
            await run.peer("stocks").socket.send(frame)
        await run.say("stocks", trade())
        summary = await run.end()
    assert summary["published"] == 3
    assert summary["rejected_by_reason"] == {"no_object": 1, "unknown_ev ZZ": 1, "bad_price": 1, "bad_frame": 4}
    assert run.session.filter.samples["bad_frame"] == "garbage"  # an empty frame never reaches us
    assert run.feed("stocks").reconnects == 0


async def test_events_of_others_are_counted_and_left_out(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as run:
        await eventually(lambda: run.is_up("stocks"))
        await run.say("stocks", quote(), trade(sym="QQQ"))
        await eventually(run.is_up)
        await run.say("options", option_trade(expiry=date(2020, 1, 17)), option_trade(root="SPY1"), option_trade(900))
        summary = await run.end()
    assert summary["rejected_by_reason"] == {"unexpected": 3}
    assert summary["published"] == 2


async def test_the_window_follows_the_spot_on_the_wire(nats_server: NatsServer) -> None:
    def held(run: Running) -> set[int]:
        return {int(topic[-8:]) // 1000 for topic in run.peer("options").topics}

    async with running(nats_server.url, window=WindowTiming(grace_ns=SECOND)) as run:
        await eventually(lambda: run.is_up("stocks"))
        assert run.peer("options").topics == []
        await run.say("stocks", quote(680.0))
        await eventually(lambda: held(run) == {678, 679, 680, 681, 682})
        await run.say("stocks", quote(680.6))
        await eventually(lambda: held(run) == {678, 679, 680, 681, 682, 683})
        await eventually(lambda: held(run) == {679, 680, 681, 682, 683})
        await run.say("stocks", quote(600.0), quote(681.2, bp=681.4), quote(690.0, bp=0))
        assert run.session.windows.first.spot.price == pytest.approx(680.605)
        actions = [
            (m["action"], len(m["params"].split(","))) for m in run.peer("options").heard if m["action"] != "auth"
        ]
        assert actions == [("subscribe", 10), ("subscribe", 2), ("unsubscribe", 2)]


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


async def test_what_arrives_out_of_order_is_stored_as_it_arrived(nats_server: NatsServer) -> None:
    now = now_ms()
    sent = [trade(t=now - back) for back in (0, 5_000, 1, 900, 0, 2_000)]
    async with running(nats_server.url) as run:
        await eventually(lambda: run.is_up("stocks"))
        await run.say("stocks", *sent)
        await run.end()
    assert [event.ts_event_ns // 10**6 for event in await stored(nats_server.url)] == [one["t"] for one in sent]


async def test_a_bug_of_ours_costs_one_event_and_many_end_it_loudly(nats_server: NatsServer) -> None:
    def buggy(event: Any) -> bytes:
        if isinstance(event, StockTrade) and event.price > 700:
            raise ZeroDivisionError("of all things")
        return encode(event)

    async with running(nats_server.url, write=buggy) as run:
        await eventually(lambda: run.is_up("stocks"))
        await run.say("stocks", trade(p=701))
        await run.say("stocks", trade())
        assert run.session.filter.rejected == {"internal": 1}
        assert "ZeroDivisionError: of all things" in run.session.filter.samples["internal"]
        for _ in range(100):
            await run.peer("stocks").say(trade(p=701))
        await eventually(run.task.done)
        with pytest.raises(SpyctlError, match="100 internal errors within a minute"):
            run.task.result()


async def test_an_observer_that_fails_costs_the_stream_nothing(nats_server: NatsServer) -> None:
    full: asyncio.Queue[Any] = asyncio.Queue(1)
    async with running(nats_server.url, hooks=Hooks(observer=full.put_nowait)) as run:
        await eventually(lambda: run.is_up("stocks"))
        await run.say("stocks", *(trade() for _ in range(200)))
        summary = await run.end()
    assert (summary["published"], summary["rejected"], summary["noted"]) == (200, 0, {"observer": 199})


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


async def test_a_long_backfill_leaves_room_for_what_is_live(nats_server: NatsServer) -> None:
    results = [
        {"sip_timestamp": (now_ms() - 600_000 + n) * 10**6, "price": 500.0, "size": 1, "exchange": 4, "id": f"b{n}"}
        for n in range(5_000)
    ]
    with serving({"/v3/trades/SPY": (200, {"results": results})}) as rest:
        backfill = Backfill(MassiveRest("secret", rest.url))
        small = replace(OPTIONS, max_events=1_000)
        async with running(nats_server.url, hooks=Hooks(backfill=backfill), options=small) as run:
            await eventually(lambda: run.is_up("stocks"))
            await run.say("stocks", quote())
            run.peer("stocks").abort()
            await eventually(lambda: run.session.intake.filler.filled == 5_000)
            summary = await run.end()
    assert (summary["dropped"], summary["published"], summary["gaps"]) == (0, 5_001, 1)
    assert summary["latency_ms"]["p99"] < 60_000  # old trades say nothing about now
    assert run.session.windows.first.spot.price == pytest.approx(680.005)


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
    assert "stocks: before that 0 frames waited, events came up to 3.5 s late" in said
    assert "this key" not in said


async def test_trades_of_a_gap_come_over_rest_once_and_after_its_end(nats_server: NatsServer) -> None:
    seen_before, seen_after = trade(), trade()

    def rest_trade(message: dict[str, Any]) -> dict[str, Any]:
        return {"sip_timestamp": message["t"] * 10**6, "price": message["p"], "size": message["s"], "exchange": 4,
                "id": message["i"], "sequence_number": message["q"]}  # fmt: skip

    missed = [trade() for _ in range(3)]
    pages = [
        (429, {"status": "ERROR", "error": "You've exceeded the maximum requests per minute"}),
        (
            200,
            {"results": [rest_trade(seen_before), rest_trade(missed[0])], "next_url": "https://elsewhere/v3/more?x=1"},
        ),
    ]
    answers = {
        "/v3/trades/SPY": pages,
        "/v3/more": (200, {"results": [rest_trade(missed[2]), rest_trade(missed[1]), rest_trade(seen_after)]}),
    }
    with serving(answers) as rest:
        backfill = Backfill(MassiveRest("secret", rest.url), pause_s=0.05)
        async with running(nats_server.url, hooks=Hooks(backfill=backfill)) as run:
            await eventually(lambda: run.is_up("stocks"))
            await run.say("stocks", seen_before)
            run.peer("stocks").abort()
            await eventually(lambda: run.session.gaps.count == 1 and not run.session.gaps.open_now)
            await run.say("stocks", seen_after)
            await eventually(lambda: run.session.intake.filler.filled == 3)
            summary = await run.end()
    events = await stored(nats_server.url)
    filled = [event for event in events if event.source == EventSource.POLYGON_REST]
    assert [event.seq for event in filled] == [message["q"] for message in missed]
    closing = next(i for i, event in enumerate(events) if isinstance(event, Gap) and event.to_ns is not None)
    assert closing < events.index(filled[0])
    assert len(events) == 5 + 2
    assert (summary["backfilled"], summary["duplicates"]) == (3, 2)
    assert {authorization for *_, authorization in rest.asked} == {"Bearer secret"}


async def test_a_plan_without_rest_trades_is_told_and_does_no_harm(nats_server: NatsServer) -> None:
    with serving({"/v3/trades": NO_PLAN}) as rest:
        async with running(nats_server.url, hooks=Hooks(backfill=Backfill(MassiveRest("secret", rest.url)))) as run:
            await eventually(lambda: run.is_up("stocks"))
            run.peer("stocks").abort()
            await eventually(lambda: run.noted("not entitled"))
            await eventually(lambda: run.is_up("stocks"))
            await run.say("stocks", trade())
            assert (await run.end())["published"] == 1


async def test_only_listed_contracts_are_held(nats_server: NatsServer) -> None:
    asked: list[tuple[str, date]] = []

    async def listed(underlying: str, expiry: date) -> Listing | None:
        asked.append((underlying, expiry))
        return Listing(frozenset({679_000, 680_000}))

    async with running(nats_server.url, hooks=Hooks(listed=listed)) as run:
        await eventually(lambda: run.is_up("stocks"))
        await run.say("stocks", quote(680.0))
        await eventually(lambda: {topic[-8:-3] for topic in run.peer("options").topics} == {"00679", "00680"})
    assert asked == [("SPY", current_expiry(time.time_ns())[0])]


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


async def test_identities_are_the_message_ids(nats_server: NatsServer) -> None:
    async with running(nats_server.url) as run:
        await eventually(lambda: run.is_up("stocks"))
        message = trade(i="77")
        await run.say("stocks", message)
        await run.end()
    ((_, _, payload, message_id),) = await read_stream(nats_server.url)
    assert message_id == f"T.SPY.4.0.77.{message['t'] // 86_400_000}"
    assert orjson.loads(payload)["price"] == 680.0
    assert json.loads(payload)["conditions"] is None


async def test_what_was_seen_around_a_gap_is_known_when_it_is_filled(nats_server: NatsServer) -> None:
    few = replace(OPTIONS, memory=Memory(trades=5))
    before, missed, after = [trade()], [trade() for _ in range(30)], [trade() for _ in range(10)]

    def rest_trade(message: dict[str, Any]) -> dict[str, Any]:
        return {"sip_timestamp": message["t"] * 10**6, "price": message["p"], "size": message["s"], "exchange": 4,
                "id": message["i"], "sequence_number": message["q"]}  # fmt: skip

    # The first answer is a failure, the second one garbage: neither is a reason to give up.
    turns: list[Any] = [(500, {}), (200, b"no json"), (200, {"results": [*map(rest_trade, before + missed + after)]})]
    with serving({"/v3/trades/SPY": turns}) as rest:
        backfill = Backfill(MassiveRest("secret", rest.url), pause_s=0.2)
        async with running(nats_server.url, hooks=Hooks(backfill=backfill), options=few) as run:
            await eventually(lambda: run.is_up("stocks"))
            await run.say("stocks", *before)
            run.peer("stocks").abort()
            await eventually(lambda: run.session.gaps.count == 1 and not run.session.gaps.open_now)
            await run.say("stocks", *after)
            await eventually(lambda: run.session.intake.filler.filled == 30)
            assert len(rest.asked) == 3
            summary = await run.end()
    assert (summary["published"], summary["duplicates"], summary["reordered"]) == (41, 11, 0)
    assert summary["unfilled"] == 0


async def test_a_copy_that_nobody_remembers_is_a_duplicate_all_the_same(nats_server: NatsServer) -> None:
    trades = [trade() for _ in range(6)]
    async with running(nats_server.url, options=replace(OPTIONS, memory=Memory(trades=2))) as run:
        await eventually(lambda: run.is_up("stocks"))
        await run.say("stocks", *trades)
        await run.say("stocks", trades[0])
        await eventually(lambda: run.session.ledger.duplicates == 1)
        summary = await run.end()
    assert (summary["received"], summary["published"], summary["duplicates"], summary["reordered"]) == (7, 6, 1, 0)
    assert len(await stored(nats_server.url)) == 6


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


async def test_options_that_left_the_window_during_a_gap_are_asked_for_too(nats_server: NatsServer) -> None:
    quick = WindowTiming(recentre_every_ns=SECOND // 20)
    with serving({"/v3/trades/O:": (200, {"results": []}), "/v3/trades/SPY": (200, {"results": []})}) as rest:
        backfill = Backfill(MassiveRest("secret", rest.url), pause_s=0.05)

        class Late(Script):
            async def greet(self, peer: Peer) -> None:
                if peer.market == "stocks" or ready.is_set():
                    await super().greet(peer)
                else:
                    peer.abort()

        ready = asyncio.Event()
        ready.set()
        async with running(nats_server.url, hooks=Hooks(backfill=backfill), script=Late(), window=quick) as run:
            await eventually(lambda: run.is_up("stocks"))
            await run.say("stocks", quote(680.0))
            await eventually(lambda: run.is_up())
            ready.clear()
            run.peer("options").abort()
            await eventually(lambda: "options" in run.session.gaps.open_now)
            window = run.session.windows.first
            for centre in (685, 690):
                while window.manager.centre != centre:  # a quote at a time, no jump
                    await run.say("stocks", quote(window.spot.price + 0.99))
                    await eventually(lambda: not window.manager.should_update(window.spot.price))
                window.leaving.clear()  # as if their grace were over
                await eventually(lambda: run.feed("options").desired == run.session.windows.topics)
            ready.set()
            await eventually(lambda: "options" not in run.session.gaps.open_now)
            await eventually(lambda: not len(run.session._errands))
        strikes = {int(path[-8:]) // 1000 for path, *_ in rest.asked if path.startswith("/v3/trades/O:")}
    assert set(range(678, 693)) <= strikes


# --- option quotes


class NoOptionQuotes(Script):
    """A plan with the trades of options, and without their quotes."""

    async def subscribe(self, peer: Peer, topics: list[str]) -> None:
        if any(topic.startswith("Q.O:") for topic in topics):
            await peer.status("error", "not authorized")
        await super().subscribe(peer, [topic for topic in topics if not topic.startswith("Q.O:")])


CLASSIFY = replace(OPTIONS, quotes=QuoteUse.CLASSIFY)


async def test_the_sides_that_the_simulator_drew_are_found_again_through_cuts(nats_server: NatsServer) -> None:
    async with running(nats_server.url, rate=4_000, options=CLASSIFY) as run:
        for cuts in range(4):
            before = run.session.filter.aggressors.quoted
            await eventually(lambda before=before: run.session.filter.aggressors.quoted > before + 300)
            if cuts < 3:
                run.simulator.abort()
                await eventually(lambda cuts=cuts: run.session.gaps.count >= cuts + 1)
                await eventually(run.is_up)
        summary = await run.end()
        quotes = run.simulator.walk.quotes
    trades = [event for event in await stored(nats_server.url) if isinstance(event, OptionTrade)]
    found = sum(trade.aggressor is quotes.side(trade.seq or 0) for trade in trades)
    assert len(trades) == summary["by_subject"]["market.options.trades"] > 1_200
    assert found >= 0.999 * len(trades) - cuts  # a cut may fall between a trade and its quote
    assert (summary["option_quotes"], summary["rejected"]) == ("classify", 0)
    assert summary["options_classified"] == sum(trade.aggressor != 0 for trade in trades)
    assert summary["options_quoted"] == sum(trade.opt_ask is not None for trade in trades)
    assert 0.8 < summary["options_classified_share"] < 0.95  # a tenth trades in the middle
    assert summary["options_wait_ms"]["p50"] > 0
    assert {name for _, name, *_ in await read_stream(nats_server.url)} >= {"market.options.trades", "market.gaps"}


async def test_published_option_quotes_are_stored_in_order_with_the_trades(nats_server: NatsServer) -> None:
    publish = replace(OPTIONS, quotes=QuoteUse.PUBLISH)
    async with running(nats_server.url, rate=1_000, options=publish) as run:
        await eventually(lambda: run.session.filter.aggressors.quoted > 100)
        run.simulator.rate = 0
        await eventually(lambda: run.received == run.simulator.sent)
        summary = await run.end()
    events = await stored(nats_server.url)
    assert summary["by_subject"]["market.options.quotes"] == sum(isinstance(event, OptionQuote) for event in events)
    assert summary["published"] == summary["received"] == len(events) == run.simulator.sent
    last: dict[str, OptionQuote] = {}
    wrong = trades = 0
    for event in events:
        if isinstance(event, OptionQuote):
            last[event.option_symbol] = event
        elif isinstance(event, OptionTrade) and event.option_symbol in last:
            quote = last[event.option_symbol]
            trades += 1
            wrong += quote.ts_event_ns <= event.ts_event_ns and (event.opt_bid, event.opt_ask) != (
                quote.bid_px, quote.ask_px
            )  # fmt: skip
    assert trades > 50
    assert wrong <= 0.2 * trades  # those whose quote came after them


async def test_a_plan_without_option_quotes_costs_the_sides_and_nothing_else(nats_server: NatsServer) -> None:
    async with running(nats_server.url, options=CLASSIFY, script=NoOptionQuotes()) as run:
        await eventually(lambda: run.is_up("stocks"))
        await run.say("stocks", quote())
        await eventually(lambda: not run.session.uses_option_quotes)
        await eventually(run.is_up)
        await run.say("options", option_trade())
        assert not any(topic.startswith("Q.O:") for topic in run.feed("options").desired)
        summary = await run.end()
    (trade,) = (event for event in await stored(nats_server.url) if isinstance(event, OptionTrade))
    assert (trade.aggressor, trade.opt_bid) == (0, None)
    told = [note["text"] for note in summary["notes"] if "option quotes" in note["text"]]
    assert told == ["option quotes: not authorized; option trades come without a side"]
    assert (summary["missing"], summary["gaps"], summary["option_quotes"]) == ([], 0, "off")
    assert run.exit_code(StopReason.DURATION) == ExitCode.OK


async def test_without_option_quotes_the_bytes_are_those_of_the_events_as_they_came(nats_server: NatsServer) -> None:
    frame = [option_trade(strike) for strike in (679, 680, 680, 681)]
    async with running(nats_server.url) as run:
        await eventually(lambda: run.is_up("stocks"))
        await run.say("stocks", quote())
        await eventually(run.is_up)
        assert not any(topic.startswith("Q.O:") for topic in run.feed("options").desired)
        await run.say("options", *frame)
        await run.end()
    payloads = [payload for _, subject, payload, _ in await read_stream(nats_server.url) if "options" in subject]
    expected = [event for event, _ in normalize(frame, "options", 0, EventSource.SIM).events]
    received = [replace(decode("market.options.trades", payload), ts_recv_ns=0) for payload in payloads]
    assert received == expected
    assert payloads == [encode(decode("market.options.trades", payload)) for payload in payloads]


# --- by the market's clock


@pytest.mark.parametrize("shift_s", [3, -3, -5], ids=["clock ahead", "clock behind", "feed late"])
async def test_a_backfill_asks_for_the_markets_time_and_not_for_ours(nats_server: NatsServer, shift_s: int) -> None:
    def shifted(**change: Any) -> dict[str, Any]:
        return trade(**{"t": now_ms() + 1_000 * shift_s} | change)

    with serving({"/v3/trades/SPY": (200, {"results": []})}) as rest:
        backfill = Backfill(MassiveRest("secret", rest.url), pause_s=0.05)
        async with running(nats_server.url, hooks=Hooks(backfill=backfill)) as run:
            await eventually(lambda: run.is_up("stocks"))
            await run.say("stocks", *(shifted() for _ in range(20)))
            first_ms = now_ms() + 1_000 * shift_s
            run.peer("stocks").abort()
            await eventually(lambda: run.session.gaps.count == 1 and not run.session.gaps.open_now)
            last_ms = now_ms() + 1_000 * shift_s
            await eventually(lambda: bool(rest.asked))
            await run.end()
    ((_, query, _), *_) = rest.asked
    assert int(query["timestamp.gte"][0]) <= first_ms * 10**6
    assert int(query["timestamp.lte"][0]) >= last_ms * 10**6
    (closed,) = (gap for gap in gaps(await stored(nats_server.url)) if gap.to_ns is not None)
    assert abs(closed.from_ns - first_ms * 10**6) < SECOND
    assert abs((closed.to_ns or 0) - last_ms * 10**6) < SECOND


async def test_a_delayed_feed_has_gaps_of_its_own_time(nats_server: NatsServer) -> None:
    late = replace(OPTIONS, delay_ns=15 * MINUTE)
    async with running(nats_server.url, options=late) as run:
        await eventually(lambda: run.is_up("stocks"))
        run.peer("stocks").abort()
        await eventually(lambda: run.session.gaps.count == 1 and not run.session.gaps.open_now)
        await run.end()
    for gap in gaps(await stored(nats_server.url)):
        assert 899 < (gap.ts_recv_ns - gap.ts_event_ns) / SECOND < 930


async def test_the_hole_behind_the_last_run_is_a_gap_and_is_filled(nats_server: NatsServer) -> None:
    missed = {"sip_timestamp": (now_ms() - 5_000) * 10**6, "price": 1.0, "size": 1, "exchange": 4, "id": "r1"}
    ended_ns = time.time_ns() - 10 * SECOND
    with serving({"/v3/trades/SPY": (200, {"results": [missed]})}) as rest:
        backfill = Backfill(MassiveRest("secret", rest.url), pause_s=0.05)
        again = replace(OPTIONS, last_ended_ns=ended_ns)
        async with running(nats_server.url, options=again, hooks=Hooks(backfill=backfill)) as run:
            await eventually(lambda: run.session.intake.filler.filled == 1)
            await run.say("stocks", quote())
            await eventually(lambda: not run.session.gaps.open_now)
            summary = await run.end()
    told = [gap for gap in gaps(await stored(nats_server.url)) if gap.feed == "stocks"]
    assert [(gap.reason, gap.from_ns, gap.to_ns is None) for gap in told] == [
        ("restart", ended_ns, True), ("restart", ended_ns, False),
    ]  # fmt: skip
    assert (summary["gaps"], summary["backfilled"], summary["open_gaps"]) == (2, 1, [])
    assert run.exit_code(StopReason.DURATION) == ExitCode.INCOMPLETE


@pytest.mark.parametrize("sequence", [{}, {"sequence_number": 0}], ids=["none", "zero"])
async def test_option_prints_that_were_stored_are_not_stored_again_though_rest_has_no_sequence(
    nats_server: NatsServer, sequence: dict[str, int]
) -> None:
    at_ms = now_ms()
    before = [option_trade(t=at_ms) for _ in range(2)] + [option_trade(t=at_ms, p=2.5)]  # two of them are equal
    missed = [option_trade(t=at_ms), option_trade(t=at_ms + 1)]

    def rest_trade(message: dict[str, Any]) -> dict[str, Any]:
        fields = {"sip_timestamp": message["t"] * 10**6 + 345, "price": message["p"], "size": 1, "exchange": 300}
        return fields | sequence

    rows = [rest_trade(message) for message in (*before, *missed)]
    with serving({f"/v3/trades/{before[0]['sym']}": (200, {"results": rows})}) as rest:
        backfill = Backfill(MassiveRest("secret", rest.url), pause_s=0.01)
        async with running(nats_server.url, hooks=Hooks(backfill=backfill)) as run:
            await eventually(lambda: run.is_up("stocks"))
            await run.say("stocks", quote())
            await eventually(run.is_up)
            await run.say("options", *before, before[1])
            run.peer("options").abort()
            await eventually(lambda: run.session.intake.filler.filled == 2)
            summary = await run.end()
    assert (summary["by_subject"]["market.options.trades"], summary["duplicates"]) == (5, 4)
