"""The live path from the vendor's socket to the stream: everything once and in order."""

import asyncio
import json
import time
from dataclasses import replace
from datetime import date
from typing import Any

import orjson
import pytest

from spyctl.errors import ExitCode, SpyctlError
from spyctl.live.filter import Memory
from spyctl.live.session import Hooks
from spyctl.live.strike_window import WindowTiming
from spyctl.market.events import EventSource, OptionTrade, StockTrade
from spyctl.market.sessions import current_expiry
from spyctl.market.subjects import decode, encode
from spyctl.massive.rest import Listing
from spyctl.summary import StopReason
from spyctl.timing.instants import SECOND
from tests.support.live_session import (
    OPTIONS,
    Running,
    now_ms,
    option_trade,
    quote,
    running,
    stored,
    trade,
)
from tests.support.servers import NatsServer
from tests.support.stream import read_stream
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


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
