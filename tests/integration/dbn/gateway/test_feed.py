"""The futures feed against a scripted gateway: nothing is lost or told twice, whatever breaks."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import orjson
import pytest

from spyctl.dbn.gateway.connection import Address
from spyctl.dbn.gateway.feed import FuturesFeed, GatewayTiming
from spyctl.dbn.gateway.simulator import KEY, Contract, GatewayPeer, GatewaySimulator, Sent
from spyctl.dbn.messages import ErrorKind, NoticeKind, fault_record, notice_record
from spyctl.errors import KeyRefusedError, NoDataError
from spyctl.market.feeds import FeedState
from tests.support.feeds import running
from tests.support.gateway import QUICK, FuturesListener, Plan
from tests.support.waiting import eventually


@asynccontextmanager
async def up(
    plan: Plan | None = None, symbols: Sequence[str] = ("ES.c.0",), timing: GatewayTiming = QUICK
) -> AsyncIterator[tuple[GatewaySimulator, FuturesFeed, FuturesListener]]:
    """A gateway that sends when it is told to, and a feed of it that has come up."""
    listener = FuturesListener()
    async with GatewaySimulator(0, script=plan or Plan()).serving() as gateway:
        feed = FuturesFeed(KEY, symbols, address=gateway.address, timing=timing)
        async with running(feed, listener):
            await eventually(lambda: feed.state is FeedState.UP and feed.desired <= feed.held | feed.missing)
            yield gateway, feed, listener


async def all_there(gateway: GatewaySimulator, listener: FuturesListener) -> None:
    await eventually(lambda: len(listener.events) == gateway.sent)
    assert len(set(listener.identities)) == gateway.sent


async def lost(gateway: GatewaySimulator, feed: FuturesFeed, cut: Callable[[], None] | None = None) -> None:
    """Cut the connection, and have something happen meanwhile."""
    before = feed.reconnects
    (cut or gateway.abort)()
    await eventually(lambda: not gateway.peers or feed.reconnects > before)
    gateway.step(30)


async def test_everything_arrives_once_with_its_latency() -> None:
    async with up() as (gateway, feed, listener):
        for _ in range(5):
            gateway.step(40)
        await all_there(gateway, listener)
        assert feed.held == {"trades ES.c.0", "mbp-10 ES.c.0"}
    assert (listener.told, listener.repeated, listener.oddities, listener.rejects) == ([], 0, [], [])
    assert len(listener.late_ns) == gateway.sent
    assert min(listener.late_ns) > 0


async def test_what_a_lost_connection_left_out_comes_again_in_its_order() -> None:
    async with up() as (gateway, feed, listener):
        gateway.step(50)
        await all_there(gateway, listener)
        newest_ns = orjson.loads(listener.events[-1].payload)["ts_event_ns"]
        await lost(gateway, feed)
        await eventually(lambda: listener.last == "back")
        gateway.step(20)
        await all_there(gateway, listener)
    times = [orjson.loads(event.payload)["ts_event_ns"] for event in listener.events]
    assert times == sorted(times)
    assert listener.lost_from_ns == [newest_ns]
    assert len(listener.told) == 2
    assert feed.refilled >= 30
    assert listener.repeated > 0
    assert listener.oddities == []


async def test_cuts_at_any_byte_lose_nothing() -> None:
    dice = random.Random(5)
    plan = Plan(cuts=[dice.randrange(1, 60_000) for _ in range(25)])
    async with GatewaySimulator(0, script=plan).serving() as gateway:
        feed, listener = FuturesFeed(KEY, address=gateway.address, timing=QUICK), FuturesListener()
        async with running(feed, listener):
            await eventually(lambda: len(plan.cuts) < 25)
            while plan.cuts:
                gateway.step(20)
                await asyncio.sleep(0.005)
            await eventually(lambda: feed.state is FeedState.UP and listener.last == "back")
            await all_there(gateway, listener)
    assert feed.reconnects == 25
    assert set(listener.told[1::2]) == {"back"}


async def test_before_the_first_connection_nothing_is_missed_either() -> None:
    async with GatewaySimulator(0, script=Plan(cuts=[30])).serving() as gateway:  # within the header
        feed, listener = FuturesFeed(KEY, address=gateway.address, timing=QUICK), FuturesListener()
        async with running(feed, listener):
            await eventually(lambda: bool(listener.told))
            gateway.step(10)
            await eventually(lambda: listener.last == "back")
            await all_there(gateway, listener)


async def test_what_the_gateway_does_not_send_again_stays_a_gap() -> None:
    def three_trades(records: Sequence[Sent]) -> Sequence[Sent]:
        return [sent for sent in records if sent.schema == "trades"][-3:]

    plan = Plan(leave_out=three_trades)
    async with up(plan) as (gateway, feed, listener):
        gateway.step(300)
        await all_there(gateway, listener)
        gateway.abort()
        await eventually(lambda: not gateway.peers)
        gateway.step(400)
        await eventually(lambda: listener.last.startswith("short"))
        assert listener.last == "short: 3"
        gateway.step(10)
        await eventually(lambda: len(listener.events) == gateway.sent - 3)
        assert feed.state is FeedState.UP


async def test_a_gateway_that_sends_nothing_again_is_a_gap_of_what_is_known() -> None:
    async with up(Plan(leave_out=lambda records: records)) as (gateway, feed, listener):
        gateway.step(50)
        await all_there(gateway, listener)
        await lost(gateway, feed)
        await eventually(lambda: listener.last.startswith("short"))
        assert int(listener.last.removeprefix("short: ")) >= 1


async def test_the_next_loss_is_another_gap() -> None:
    plan = Plan(leave_out=lambda records: records)
    async with up(plan) as (gateway, feed, listener):
        gateway.step(50)
        await all_there(gateway, listener)
        await lost(gateway, feed)
        await eventually(lambda: listener.last.startswith("short"))
        plan.leave_out = lambda records: ()
        gateway.step(5)
        await lost(gateway, feed)
        await eventually(lambda: listener.last == "back")
    assert [told.split(":")[0] for told in listener.told] == ["lost", "short", "lost", "back"]


async def test_a_wrong_key_ends_it_with_a_gap() -> None:
    async with GatewaySimulator(0).serving() as gateway:
        feed, listener = FuturesFeed("db-wrong", address=gateway.address, timing=QUICK), FuturesListener()
        with pytest.raises(KeyRefusedError, match="CRAM authentication failed"):
            await feed.run(listener)
    assert (feed.state, feed.words) == (FeedState.REFUSED, "CRAM authentication failed")
    assert listener.told == ["lost: CRAM authentication failed"]


async def test_no_entitlement_is_told_as_that() -> None:
    async with GatewaySimulator(0, script=Plan(refuse="User has no live license for GLBX.MDP3")).serving() as gateway:
        with pytest.raises(KeyRefusedError, match="refuses the subscription: User has no live") as caught:
            await FuturesFeed(KEY, address=gateway.address, timing=QUICK).run(FuturesListener())
    assert "plan" in caught.value.remedy


async def test_a_key_that_was_good_is_tried_again_after_a_refusal() -> None:
    plan = Plan()
    async with up(plan, timing=replace(QUICK, refusals=60)) as (gateway, feed, listener):
        gateway.step(20)
        await all_there(gateway, listener)
        plan.refuse = "try later"
        gateway.abort()
        await eventually(lambda: feed.reconnects >= 3)
        plan.refuse = ""
        gateway.step(20)
        await eventually(lambda: listener.last == "back")
        await all_there(gateway, listener)


async def test_a_connection_too_many_is_waited_for() -> None:
    plan = Plan(most=0)
    async with GatewaySimulator(0, script=plan).serving() as gateway:
        feed, listener = FuturesFeed(KEY, address=gateway.address, timing=QUICK), FuturesListener()
        async with running(feed, listener):
            await eventually(lambda: bool(listener.notes))
            assert "User has reached their open connection limit" in listener.notes[0]
            plan.most = 10
            await eventually(lambda: feed.state is FeedState.UP)


async def test_an_unknown_symbol_costs_the_others_nothing() -> None:
    async with up(symbols=("ES.c.0", "XX.c.0")) as (gateway, feed, listener):
        gateway.step(20)
        await all_there(gateway, listener)
        assert feed.missing == {"trades XX.c.0", "mbp-10 XX.c.0"}
    assert listener.notes == ["futures: Failed to resolve symbol: XX.c.0"]


async def test_no_known_symbol_is_no_such_data() -> None:
    async with GatewaySimulator(0).serving() as gateway:
        listener = FuturesListener()
        with pytest.raises(NoDataError, match="Databento does not know XX"):
            await FuturesFeed(KEY, ["XX.c.0"], address=gateway.address, timing=QUICK).run(listener)
    assert listener.told[0].startswith("lost")


def says(*records: bytes) -> Callable[[GatewayPeer], None]:
    def say(peer: GatewayPeer) -> None:
        asyncio.get_running_loop().call_later(0.05, peer.say, *records)

    return say


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (fault_record(ErrorKind.SKIPPED, "12 records", 0), "the gateway left records out: 12 records"),
        (notice_record(NoticeKind.SLOW_READER, "lagging", 0), "we read too slowly: lagging"),
        (fault_record(ErrorKind.CONNECTIONS, "one too many", 0), "one too many"),
    ],
)
async def test_what_may_have_been_left_out_is_asked_for_again(record: bytes, reason: str) -> None:
    async with up(Plan(on_start=[says(record)])) as (gateway, _, listener):
        gateway.step(30)
        await eventually(lambda: listener.last == "back")
        gateway.step(30)
        await all_there(gateway, listener)
        assert listener.told == [f"lost: {reason}", "back"]


async def test_a_key_switched_off_while_it_runs_ends_it_after_a_while() -> None:
    plan = Plan(on_start=[says(fault_record(ErrorKind.KEY, "API key deactivated", 0))])
    async with GatewaySimulator(200, script=plan).serving() as gateway:
        plan_refuses = asyncio.get_running_loop().call_later(0.02, setattr, plan, "refuse", "API key deactivated")
        feed, listener = FuturesFeed(KEY, address=gateway.address, timing=QUICK), FuturesListener()
        with pytest.raises(KeyRefusedError, match="API key deactivated"):
            async with asyncio.timeout(20):
                await feed.run(listener)
        plan_refuses.cancel()
    assert listener.told == ["lost: API key deactivated"]


async def test_data_too_old_to_be_sent_again_leaves_an_open_gap() -> None:
    plan = Plan(on_start=[lambda peer: None, lambda peer: peer.say(fault_record(ErrorKind.AGED_OUT, "aged out", 0))])
    async with up(plan) as (gateway, feed, listener):
        gateway.step(10)
        await all_there(gateway, listener)
        await lost(gateway, feed)
        await eventually(lambda: listener.last.startswith("short"))


async def test_a_gateway_that_refuses_to_replay_is_followed_live() -> None:
    refuses = says(fault_record(ErrorKind.SUBSCRIPTION, "replay is not included", 0))
    async with up(Plan(on_start=[lambda peer: None, refuses])) as (gateway, feed, listener):
        gateway.script.heartbeat_s = 60
        gateway.step(10)
        await all_there(gateway, listener)
        gateway.abort()
        await eventually(lambda: any(told.startswith(("short", "back")) for told in listener.told))
        assert feed.state is FeedState.UP


async def test_silence_ends_a_connection() -> None:
    async with GatewaySimulator(0).serving() as gateway:
        gateway.script.heartbeat_s = 3_600
        timing = replace(QUICK, heartbeat=0.05, grace=0.05)
        feed, listener = FuturesFeed(KEY, address=gateway.address, timing=timing), FuturesListener()
        async with running(feed, listener):
            await eventually(lambda: "lost: the gateway has fallen silent" in listener.told)
            gateway.script.heartbeat_s = 0.01
            gateway.step(5)
            await all_there(gateway, listener)


async def test_a_gateway_that_does_not_answer_is_told() -> None:
    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
    feed, listener = FuturesFeed(KEY, address=address, timing=replace(QUICK, authenticate=0.05)), FuturesListener()
    async with running(feed, listener):
        await eventually(lambda: listener.told == ["lost: the gateway does not answer in time"])
    server.close()


async def test_what_is_sent_again_waits_for_room_without_being_taken_for_silence() -> None:
    full = asyncio.Event()

    async def room() -> None:
        await full.wait()

    listener, timing = FuturesListener(), replace(QUICK, heartbeat=0.05, grace=0.05)
    async with GatewaySimulator(0, script=Plan()).serving() as gateway:
        gateway.script.heartbeat_s, gateway.script.says_replayed = 0.01, False
        feed = FuturesFeed(KEY, address=gateway.address, timing=timing, room=room)
        async with running(feed, listener):
            await eventually(lambda: feed.desired <= feed.held)
            gateway.step(20)
            await all_there(gateway, listener)
            gateway.script.heartbeat_s = 60
            gateway.abort()
            await eventually(lambda: feed.state is FeedState.UP and feed.reconnects == 1)
            for _ in range(8):  # eight times as long as silence may last
                seen_ns = feed.liveness.last_frame_ns
                await eventually(lambda: feed.liveness.last_frame_ns != seen_ns)  # noqa: B023
            assert (feed.reconnects, listener.told[1:]) == (1, [])
            gateway.script.heartbeat_s = 0.01
            full.set()
            gateway.step(20)
            await eventually(lambda: listener.told[1:] == ["back"])
            await all_there(gateway, listener)


async def test_a_roll_while_nobody_listened_is_named_and_told() -> None:
    async with up() as (gateway, _, listener):
        gateway.step(20)
        await all_there(gateway, listener)
        gateway.abort()
        await eventually(lambda: not gateway.peers)
        gateway.step(20)
        gateway.roll(Contract(42, "ESH7"))
        gateway.step(20)
        await all_there(gateway, listener)
    assert {orjson.loads(event.payload)["symbol"] for event in listener.events} == {"ES"}
    assert sum("rolls from instrument" in note and "ESH7 (42)" in note for note in listener.notes) == 1
    assert listener.oddities == []


async def test_other_symbols_are_a_new_session() -> None:
    async with up() as (gateway, feed, listener):
        gateway.step(20)
        await all_there(gateway, listener)
        feed.set_desired({"trades ES.c.0", "mbp-10 ES.c.0", "trades ES.n.0", "mbp-10 ES.n.0"})
        await eventually(lambda: feed.state is FeedState.UP and feed.desired <= feed.held)
        gateway.step(20)
        await all_there(gateway, listener)
    assert listener.told == ["lost: other symbols", "back"]
