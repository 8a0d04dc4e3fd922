"""The last run of a stream, and how far it came."""

import time

import orjson
import pytest

from spyctl.bus.connection import Connection
from spyctl.bus.predecessor import came_to, newest_events, predecessor
from spyctl.bus.runs import RunRecord, Runs, RunState
from spyctl.bus.stream import ensure_stream
from spyctl.timing.instants import SECOND

pytestmark = pytest.mark.integration


async def record(connection: Connection, run_id: str, **values: object) -> RunRecord:
    fields = {"command": "live", "stream": "MARKET_DATA", "subjects": ["market.stocks.trades", "market.stocks.quotes"],
              "inputs": [], "options": {"symbol": "SPY", "sim": False}, "started_ns": 1}  # fmt: skip
    made = RunRecord(run_id, **fields | values)  # type: ignore[arg-type]
    await (await Runs.open(connection)).register(made)
    return made


async def test_it_is_the_one_that_ended_last_with_the_same_command_stream_and_options(connection: Connection) -> None:
    await ensure_stream(connection)
    wanted = {"symbol": "SPY", "sim": False}
    assert await predecessor(connection, "live", "MARKET_DATA", "me", wanted) is None
    await record(connection, "old1", started_ns=9)
    last = await record(connection, "last", state=RunState.CRASHED)
    await record(connection, "tape", command="replay")
    await record(connection, "else", stream="P_MARKET_DATA")
    await record(connection, "qqq1", options={"symbol": "QQQ", "sim": False})
    await record(connection, "none", state=RunState.REFUSED)
    await record(connection, "me")
    found = await predecessor(connection, "live", "MARKET_DATA", "me", wanted)
    assert found is not None
    assert found.run_id == last.run_id


async def test_how_far_it_came_goes_by_the_lateness_of_its_last_events(connection: Connection) -> None:
    await ensure_stream(connection)
    last = await record(connection, "last")
    assert await came_to(connection, last, last.subjects) == last.updated_ns
    now_ns = time.time_ns()
    for subject, lag_s in (("market.stocks.trades", 60), ("market.stocks.quotes", 5)):
        event = {"ts_event_ns": now_ns - lag_s * SECOND, "ts_recv_ns": now_ns}
        await connection.jetstream().publish(subject, orjson.dumps(event))
    assert await came_to(connection, last, last.subjects) == last.updated_ns - 5 * SECOND
    await connection.jetstream().publish("market.stocks.quotes", b"no JSON")
    assert await came_to(connection, last, last.subjects) == last.updated_ns - 60 * SECOND


async def test_the_newest_events_are_those_of_one_source(connection: Connection) -> None:
    await ensure_stream(connection)
    subjects = ["market.futures.trades", "market.futures.mbp10"]
    assert await newest_events(connection, "MARKET_DATA", subjects, "databento_live") == []
    for subject, document in (
        (subjects[0], {"ts_event_ns": 4, "source": "databento_live"}),
        (subjects[0], {"ts_event_ns": 5, "source": "databento_live"}),
        (subjects[1], {"ts_event_ns": 6, "source": "direct_feed"}),
    ):
        await connection.jetstream().publish(subject, orjson.dumps(document))
    assert await newest_events(connection, "MARKET_DATA", subjects, "databento_live") == [5]
    await connection.jetstream().publish(subjects[0], b"no JSON")
    assert await newest_events(connection, "MARKET_DATA", subjects, "databento_live") == []
