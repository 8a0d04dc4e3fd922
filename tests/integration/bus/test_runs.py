"""Run records in a real bucket: found by id, the newest of a command, and those that publish now."""

import asyncio
from typing import Any

import pytest

from spyctl.bus.access import Access
from spyctl.bus.checkpoint import Checkpoint, OpenBatch
from spyctl.bus.connection import Connection
from spyctl.bus.run import Run
from spyctl.bus.runs import RunRecord, Runs, RunState, known_runs, living_runs, run_ids
from spyctl.errors import BusError, LeaseLostError
from tests.support.servers import NatsServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
async def runs(connection: Connection) -> Runs:
    return await Runs.open(connection)


def record(run_id: str, started_ns: int = 1, **values: Any) -> RunRecord:
    fields: dict[str, Any] = {
        "command": "replay", "stream": "MARKET_DATA", "subjects": ["a", "b"], "inputs": [], "options": {},
    }  # fmt: skip
    return RunRecord(run_id=run_id, started_ns=started_ns, **fields | values)


async def test_a_record_is_found_by_its_id(runs: Runs) -> None:
    written = record("aaaa", checkpoint=Checkpoint(5, 9), batch=OpenBatch("aaaa-1", 6))
    await runs.register(written)
    assert await runs.find("aaaa") == written
    assert written.updated_ns
    assert await runs.find("bbbb") is None
    await runs.bucket.put("run.bent", b"{")
    assert await runs.find("bent") is None


async def test_a_run_id_in_use_is_replaced(runs: Runs) -> None:
    first, second = record("aaaa"), record("aaaa")
    await runs.register(first)
    await runs.register(second)
    assert first.run_id == "aaaa" != second.run_id
    assert await runs.find(second.run_id) == second


async def test_the_newest_run_of_a_command_into_a_stream_leaves_out_the_refused_ones(runs: Runs) -> None:
    assert await runs.newest("replay", "MARKET_DATA") is None
    for written in (
        record("aaaa", 1),
        record("bbbb", 2),
        record("cccc", 3, state=RunState.REFUSED),
        record("dddd", 4, command="live"),
        record("eeee", 5, stream="P_MARKET_DATA"),
    ):
        await runs.register(written)
    newest = await runs.newest("replay", "MARKET_DATA")
    assert newest is not None
    assert newest.run_id == "bbbb"


async def test_replays_that_a_server_knows_are_listed_newest_first(
    connection: Connection, runs: Runs, nats_server: NatsServer, free_port: int
) -> None:
    for written in (record("aaaa", 1), record("bbbb", 2), record("cccc", 3, command="live")):
        await runs.register(written)
    assert sorted(await run_ids(connection)) == ["aaaa", "bbbb", "cccc"]
    assert await known_runs([nats_server.url], Access()) == ["bbbb", "aaaa"]
    assert await known_runs([f"nats://127.0.0.1:{free_port}"], Access()) == []


async def test_without_a_bucket_there_are_no_runs_and_none_is_made(
    connection: Connection, nats_server: NatsServer
) -> None:
    assert await living_runs(connection) == []
    assert await known_runs([nats_server.url], Access()) == []
    assert (await connection.api("STREAM.NAMES"))["streams"] in (None, [])


async def test_a_run_that_holds_a_lease_is_living_until_it_ends(connection: Connection, runs: Runs) -> None:
    run = Run(runs, record("aaaa"))
    await runs.register(run.record)
    assert await living_runs(connection) == []
    for subject in run.record.subjects:
        await run.leases.take(subject)
    assert [living.run_id for living in await living_runs(connection)] == ["aaaa"]
    await run.end(RunState.COMPLETE, Checkpoint(7, 9), settled=True)
    assert await living_runs(connection) == []
    assert (await runs.find("aaaa")) == run.record
    assert (run.record.state, run.record.checkpoint, run.record.settled) == (RunState.COMPLETE, Checkpoint(7, 9), True)


@pytest.mark.parametrize(
    ("by", "settled", "state"),
    [
        ("bbbb", True, RunState.FAILED),
        ("bbbb", False, RunState.RUNNING),  # who took over has counted what is stored
        ("aaaa", True, RunState.RUNNING),  # another process, which goes on with the run
    ],
)
async def test_a_run_that_was_overtaken_notes_its_end_only_where_nobody_knows_better(
    runs: Runs, by: str, settled: bool, state: RunState
) -> None:
    asleep, other = Run(runs, record("aaaa")), Run(runs, record(by))
    await runs.register(asleep.record)
    await asleep.leases.take("a")
    keeping = asyncio.create_task(asleep.keep(lambda: Checkpoint(1, 1)))
    await other.leases.take("a", force=True)
    with pytest.raises(LeaseLostError, match=f"run {by} took over a"):
        await keeping
    with pytest.raises(LeaseLostError):
        await asleep.hold()
    await asleep.end(RunState.FAILED, Checkpoint(9, 9), settled=settled)
    stored = await runs.find("aaaa")
    assert stored is not None
    assert (stored.state, stored.settled) == (state, state is RunState.FAILED)


async def test_a_batch_is_noted_before_its_first_event(runs: Runs, nats_server: NatsServer) -> None:
    run = Run(runs, record("aaaa"))
    assert await run.note_batch(OpenBatch("aaaa-1", 8), Checkpoint(7, 9))
    stored = await runs.find("aaaa")
    assert stored is not None
    assert (stored.batch, stored.checkpoint) == (OpenBatch("aaaa-1", 8), Checkpoint(7, 9))


async def test_the_end_of_a_run_whose_server_is_gone_raises_nothing(
    connection: Connection, runs: Runs, nats_server: NatsServer
) -> None:
    run = Run(runs, record("aaaa"))
    await run.leases.take("a")
    nats_server.stop()
    await eventually(lambda: not connection.connected)
    assert not await run.note_batch(OpenBatch("aaaa-1", 8), Checkpoint())
    assert not await run.hold()
    await run.end(RunState.FAILED, Checkpoint(), settled=False)


async def test_a_bucket_that_cannot_be_used_is_an_error_of_ours(connection: Connection) -> None:
    await connection.api("STREAM.CREATE.OTHER", {"name": "OTHER", "subjects": ["$KV.SPYCTL.>"]})
    with pytest.raises(BusError, match="the bucket SPYCTL cannot be used"):
        await Runs.open(connection)


@pytest.mark.parametrize("settled", [True, False])
async def test_leases_are_returned_only_where_it_is_known_what_is_stored(
    connection: Connection, runs: Runs, settled: bool
) -> None:
    run = Run(runs, record("aaaa"))
    await runs.register(run.record)
    await run.leases.take("a")
    await run.end(RunState.FAILED, Checkpoint(), settled=settled)
    assert [living.run_id for living in await living_runs(connection)] == ([] if settled else ["aaaa"])
