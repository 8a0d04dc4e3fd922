"""What gaps left out comes over REST, once, by the market's clock."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from spyctl.errors import ExitCode
from spyctl.live.filter import Memory
from spyctl.live.session import Hooks
from spyctl.live.strike_window import WindowTiming
from spyctl.market.events import EventSource, Gap
from spyctl.massive.backfill import Backfill
from spyctl.massive.rest import MassiveRest
from spyctl.massive.simulator import Peer, Script
from spyctl.summary import StopReason
from spyctl.timing.instants import MINUTE, SECOND
from tests.support.live_session import (
    OPTIONS,
    gaps,
    now_ms,
    option_trade,
    quote,
    running,
    stored,
    trade,
)
from tests.support.rest import NO_PLAN, serving
from tests.support.servers import NatsServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


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
    assert summary["gaps_filled"] == 0  # the quotes of SPY are missing
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
