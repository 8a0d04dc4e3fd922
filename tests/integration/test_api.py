"""The Python API: the same runs as the commands', with lease, record and true end state."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from spyctl import DBNIngestor, NATSBus, ReplayPublisher, StreamIngestor, StrikeManager
from spyctl.bus.connection import Connection, connect
from spyctl.bus.embedded import EmbeddedServer, Store
from spyctl.bus.publishing import RunRequest, publishing
from spyctl.bus.runs import RunRecord, Runs, RunState, run_ids
from spyctl.errors import (
    AccessDeniedError,
    LeaseHeldError,
    LeaseLostError,
    NoDataError,
    RefusedError,
    UsageError,
)
from spyctl.live.session import SUBJECTS as LIVE_SUBJECTS
from spyctl.live.strike_window import WindowTiming
from spyctl.market.events import FuturesTrade, Gap, StockTrade
from spyctl.market.subjects import decode, subject_of
from spyctl.massive.simulator import Simulator
from spyctl.replay.session import REPLAYED_SUBJECTS
from tests.support.events import option_trade, quote, trade
from tests.support.records import DAY, T0, write_file
from tests.support.records import trade as dbn_trade
from tests.support.servers import NatsServer
from tests.support.stream import read_stream
from tests.support.tapes import messages, record
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
COUNT = 20_000


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[NATSBus]:
    async with NATSBus(nats_server.url) as connected:
        yield connected


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_file(tmp_path / "dbn-data", "trades", [dbn_trade(T0 + n * 1_000_000) for n in range(COUNT)])
    return tmp_path / "dbn-data"


async def records(connection: Connection) -> list[RunRecord]:
    runs = await Runs.open(connection)
    found = [await runs.find(run_id) for run_id in await run_ids(connection)]
    return sorted((record for record in found if record is not None), key=lambda record: record.started_ns)


async def stored(url: str) -> list[Any]:
    return [decode(subject, payload) for _, subject, payload, _ in await read_stream(url)]


async def test_a_replay_is_a_run_that_is_complete_when_it_has_reached_its_end(bus: NATSBus, data: Path) -> None:
    publisher = ReplayPublisher(bus, DBNIngestor(data), replay_speed=0)
    stats = await publisher.replay_date(DAY)
    assert (stats.events, stats.trades) == (COUNT, COUNT)
    (record,) = await records(bus.connection)
    assert (record.command, record.state, record.position, record.settled) == ("api", RunState.COMPLETE, COUNT, True)


async def test_a_second_replay_of_the_same_day_is_stored_again(
    bus: NATSBus, nats_server: NatsServer, data: Path
) -> None:
    publisher = ReplayPublisher(bus, DBNIngestor(data), replay_speed=0)
    await publisher.replay_date(DAY)
    await publisher.replay_continuous([DAY])
    assert len(await read_stream(nats_server.url)) == 2 * COUNT
    assert [record.state for record in await records(bus.connection)] == [RunState.COMPLETE] * 2


async def test_tapes_are_replayed_like_days(bus: NATSBus, nats_server: NatsServer, tmp_path: Path) -> None:
    record(tmp_path / "tapes", messages(1, 60))
    publisher = ReplayPublisher(bus, DBNIngestor(tmp_path), replay_speed=0)
    stats = await publisher.replay_tapes(tmp_path / "tapes")
    assert (stats.events, stats.trades, stats.mbp10) == (60, 10, 10)
    stored = [(subject, payload) for _, subject, payload, _ in await read_stream(nats_server.url)]
    assert stored == [(message.subject, message.payload) for message in messages(1, 60)]
    with pytest.raises(NoDataError, match="is not a tape"):
        await publisher.replay_tapes(tmp_path / "none")


async def test_a_replay_whose_publishing_fails_is_recorded_failed(bus: NATSBus, data: Path) -> None:
    publisher = ReplayPublisher(bus, DBNIngestor(data), replay_speed=0)
    before = (await bus.connection.api("STREAM.INFO.MARKET_DATA"))["config"]
    await bus.connection.api("STREAM.UPDATE.MARKET_DATA", before | {"max_msgs": 10, "discard": "new"})
    with pytest.raises(RefusedError, match="maximum messages exceeded"):
        await publisher.replay_date(DAY)
    (record,) = await records(bus.connection)
    assert record.state is RunState.FAILED


async def test_a_replay_stops_when_another_run_takes_its_lease(
    bus: NATSBus, nats_server: NatsServer, data: Path
) -> None:
    publisher = ReplayPublisher(bus, DBNIngestor(data), replay_speed=1)
    replaying = asyncio.create_task(publisher.replay_date(DAY))
    await eventually(lambda: bool(publisher.stats) and not replaying.done())
    while not [record for record in await records(bus.connection) if record.position]:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    thief = await connect([nats_server.url])
    async with publishing(thief, RunRequest("replay", REPLAYED_SUBJECTS, force=True)):
        with pytest.raises(LeaseLostError, match="took over market.futures"):
            await replaying
        count = len(await read_stream(nats_server.url))
        assert count == publisher.stats.events < COUNT
    await thief.close()


async def test_a_replay_is_refused_while_another_run_publishes_the_same(
    bus: NATSBus, nats_server: NatsServer, data: Path
) -> None:
    other = await connect([nats_server.url])
    async with publishing(other, RunRequest("replay", REPLAYED_SUBJECTS)):
        with pytest.raises(LeaseHeldError, match="has been publishing"):
            await ReplayPublisher(bus, DBNIngestor(data)).replay_date(DAY)
    await other.close()


async def test_live_ingest_publishes_what_it_receives_and_what_it_is_handed(
    nats_server: NatsServer,
) -> None:
    seen: asyncio.Queue[Any] = asyncio.Queue()
    async with Simulator(500).serving() as simulator, NATSBus(nats_server.url) as bus:
        with pytest.deprecated_call():
            ingestor = StreamIngestor("k", bus, StrikeManager(1), seen, feed_url=simulator.url)
        with pytest.raises(UsageError, match="nothing has been taken in yet"):
            ingestor.summary()
        task = asyncio.create_task(ingestor.run_async())
        await eventually(lambda: seen.qsize() > 100)
        ingestor.stop()
        await task
        while_running = ingestor.summary()["published"]
        now_ms = time.time_ns() // 1_000_000
        await ingestor.handle_stock_msg_async(
            [
                {"ev": "T", "sym": "SPY", "x": 4, "i": "1", "p": 680.0, "s": 1, "t": now_ms, "q": 1},
                {"ev": "Q", "sym": "SPY", "bp": 680.0, "bs": 1, "ap": 680.01, "as": 1, "t": now_ms, "q": 2},
            ]
        )
        ingestor.update_subs(["T.O:SPY251216C00680000"], [])
        await ingestor.handle_msg_async(
            [{"ev": "T", "sym": "O:SPY251216C00680000", "x": 300, "p": 2.0, "s": 1, "t": now_ms, "q": 3}]
        )
        handed = ingestor.summary()
        states = [record.state for record in await records(bus.connection)]
    events = await stored(nats_server.url)
    assert handed["published"] == 3
    assert len(events) == while_running + 3 == seen.qsize()
    assert states == [RunState.ENDED, RunState.RUNNING]
    connection = await connect([nats_server.url])
    assert [record.state for record in await records(connection)] == [RunState.ENDED] * 2
    await connection.close()


async def test_live_ingest_takes_its_lease_and_stops_when_it_is_lost(bus: NATSBus, nats_server: NatsServer) -> None:
    async with Simulator(200).serving() as simulator:
        ingestor = StreamIngestor("k", bus, StrikeManager(1), feed_url=simulator.url)
        running = asyncio.create_task(ingestor.run_async())
        other = await connect([nats_server.url])
        while not await records(other):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        request = RunRequest("live", LIVE_SUBJECTS[:-1])
        await eventually(lambda: ingestor._session is not None and ingestor._session.ledger.acked > 10)
        with pytest.raises(LeaseHeldError, match=r"has been publishing to market\.stocks\.trades"):
            async with publishing(other, request):
                pass
        async with publishing(other, RunRequest("live", LIVE_SUBJECTS[:-1], force=True)):
            with pytest.raises(LeaseLostError):
                await running
        await other.close()
    assert ingestor.summary()["stopped_by"] == "another run"


async def test_the_first_messages_of_both_markets_may_come_together(bus: NATSBus, nats_server: NatsServer) -> None:
    ingestor, now_ms = StreamIngestor("k", bus, StrikeManager(1)), time.time_ns() // 1_000_000
    ingestor.update_subs(["T.O:SPY251216C00680000"], [])
    stock = {"ev": "T", "sym": "SPY", "x": 4, "i": "1", "p": 680.0, "s": 1, "t": now_ms, "q": 1}
    option = {"ev": "T", "sym": "O:SPY251216C00680000", "x": 300, "p": 2.0, "s": 1, "t": now_ms, "q": 3}
    await asyncio.gather(ingestor.handle_stock_msg_async([stock]), ingestor.handle_msg_async([option]))
    await bus.close()
    assert len(await stored(nats_server.url)) == 2


async def test_live_ingest_that_is_stopped_while_it_begins_ends(bus: NATSBus) -> None:
    async with Simulator(200).serving() as simulator:
        ingestor = StreamIngestor("k", bus, StrikeManager(1), feed_url=simulator.url)
        running = asyncio.create_task(ingestor.run_async())
        await asyncio.sleep(0)
        ingestor.stop()
        await asyncio.wait_for(running, 10)
    assert ingestor.summary()["stopped_by"] == "stop()"


async def test_single_events_are_published_on_their_own_subject_alone(bus: NATSBus, nats_server: NatsServer) -> None:
    events = [trade(seq=1), quote(seq=2), option_trade(seq=3)]
    for event in events:
        await bus.publish(subject_of(event), event)
    with pytest.raises(UsageError, match=r"a StockTrade belongs on market\.stocks\.trades, not on market\.gaps"):
        await bus.publish("market.gaps", trade())
    await bus.close()
    assert await stored(nats_server.url) == events


async def test_documents_are_published_and_events_subscribed_to(bus: NATSBus, nats_server: NatsServer) -> None:
    seen: list[dict[str, object]] = []

    async def note(document: dict[str, object]) -> None:
        seen.append(document)

    unsubscribe = await bus.subscribe("market.stocks.*", note)
    await bus.publish("market.stocks.trades", asdict(trade(seq=1)))
    await bus.publish(subject_of(trade()), trade(seq=2))
    await eventually(lambda: [document["seq"] for document in seen] == [1, 2])
    assert seen[0] == asdict(trade(seq=1))
    await unsubscribe()
    with pytest.raises(UsageError, match=r"market\.flow is not a subject of ours"):
        await bus.publish("market.flow", {})
    with pytest.raises(UsageError, match="not a JSON document"):
        await bus.publish("market.gaps", {"x": object()})
    await bus.close()
    assert await stored(nats_server.url) == [trade(seq=1), trade(seq=2)]


async def test_the_statistics_move_and_begin_anew_with_each_call(bus: NATSBus, data: Path) -> None:
    publisher = ReplayPublisher(bus, DBNIngestor(data), replay_speed=20.0)
    assert (publisher.stats.events, publisher.stats.actual_speed()) == (0, 0.0)
    playing = asyncio.create_task(publisher.replay_date(DAY.isoformat()))
    await eventually(lambda: 0 < publisher.stats.events < COUNT and publisher.stats.actual_speed() > 0)
    first = publisher.stats
    assert (await playing).events == COUNT
    assert 0 < first.actual_speed() < 20.5
    publisher.replay_speed = 0.0
    second = await publisher.replay_continuous()
    assert (second.events, first.events) == (COUNT, COUNT)
    assert second is publisher.stats is not first


@pytest.mark.parametrize(("keep", "state"), [(True, RunState.ENDED), (False, RunState.STOPPED)])
async def test_a_replay_that_is_stopped_ends_as_on_the_command_line(
    bus: NATSBus, data: Path, keep: bool, state: RunState
) -> None:
    publisher = ReplayPublisher(bus, DBNIngestor(data), replay_speed=1.0)
    playing = asyncio.create_task(publisher.replay_date(DAY.isoformat()))
    await eventually(lambda: publisher.stats.events > 0)
    await publisher.control.stop(keep=keep)
    await playing
    (record,) = await records(bus.connection)
    assert record.state is state


async def test_live_ingest_may_run_again_and_not_twice_at_once(bus: NATSBus) -> None:
    async with Simulator(500).serving() as simulator:
        ingestor = StreamIngestor("k", bus, StrikeManager(1), feed_url=simulator.url)
        sessions: list[object] = [None]
        for _ in range(2):
            running = asyncio.create_task(ingestor.run_async())
            await eventually(lambda: ingestor._running and ingestor._session not in sessions)
            sessions.append(ingestor._session)
            with pytest.raises(UsageError, match="this ingestor is running already"):
                await ingestor.run_async()
            ingestor.stop()
            await running


async def test_contracts_may_be_added_to_what_is_held_and_taken_away(bus: NATSBus) -> None:
    topic = "T.O:SPY261218C00680000"
    async with Simulator(0).serving() as simulator:
        ingestor = StreamIngestor("k", bus, StrikeManager(1), feed_url=simulator.url)
        running = asyncio.create_task(ingestor.run_async())

        def held() -> set[str]:
            return {topic for peer in simulator.peers for topic in peer.topics}

        await eventually(lambda: "T.SPY" in held())
        ingestor.update_subs([topic], [])
        await eventually(lambda: topic in held())
        ingestor._windows.first._timing = WindowTiming(grace_ns=0)
        ingestor.update_subs([], [topic])
        await eventually(lambda: topic not in held())
        ingestor.stop()
        await running


async def test_a_bus_that_is_not_connected_says_so() -> None:
    bus = NATSBus("nats://127.0.0.1:1")
    with pytest.raises(UsageError, match="the bus is not connected"):
        _ = bus.connection
    with pytest.raises(UsageError, match="the bus is not connected"):
        await bus.publish(subject_of(StockTrade), trade())
    await bus.close()  # which is fine


def test_events_can_be_read_without_a_server(data: Path) -> None:
    events = list(DBNIngestor(data).read_trades(DAY))
    assert len(events) == COUNT
    assert all(isinstance(event, FuturesTrade) for event in events)


async def test_the_bus_publishes_to_the_embedded_server_by_itself(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with EmbeddedServer(Store(tmp_path / "store"), free_port) as server:
        assert server.state is not None
        monkeypatch.setenv("SPYCTL_STORE", str(tmp_path / "store"))
        async with NATSBus(server.state.url) as bus:
            await bus.publish(subject_of(trade()), trade())
        monkeypatch.setenv("SPYCTL_STORE", str(tmp_path / "another"))
        with pytest.raises(AccessDeniedError, match="permissions violation"):
            async with NATSBus(server.state.url) as bus:
                await bus.publish(subject_of(trade()), trade())


async def test_a_full_queue_is_waited_for_and_misses_no_event(bus: NATSBus, nats_server: NatsServer) -> None:
    async with Simulator(500).serving() as simulator:
        queue: asyncio.Queue[Any] = asyncio.Queue(5)
        with pytest.warns(DeprecationWarning, match="read the stream"):
            ingestor = StreamIngestor("k", bus, StrikeManager(1), queue, feed_url=simulator.url)
        running = asyncio.create_task(ingestor.run_async())
        await eventually(lambda: simulator.sent > 300 and queue.full())
        simulator.rate = 0
        received = [await queue.get() for _ in range(200)]
        ingestor.stop()
        while not running.done() or not queue.empty():
            while not queue.empty():
                received.append(queue.get_nowait())
            await asyncio.sleep(0.005)
        await running
        summary = ingestor.summary()
    events = [event for event in await stored(nats_server.url) if not isinstance(event, Gap)]
    assert len(received) == len(events) == summary["published"] == summary["received"] > 200
    assert received == events
