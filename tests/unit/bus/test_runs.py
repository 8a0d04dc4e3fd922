"""Run records: what the bucket holds of them, what a successor changes, and errors of the bucket."""

import asyncio
import os
from typing import Any

import nats.js.errors
import orjson
import pytest

from spyctl.bus.checkpoint import Checkpoint, OpenBatch
from spyctl.bus.connection import ApiError
from spyctl.bus.leases import watch_lease
from spyctl.bus.runs import Run, RunRecord, Runs, RunState, new_run_id, unusable
from spyctl.errors import BusError, LeaseLostError, NoSpaceError, RefusedError, StreamBusyError
from spyctl.timing.tasks import end_task
from tests.support.bucket import MemoryBucket
from tests.support.clock import JumpingClock
from tests.support.connection import ScriptedConnection
from tests.support.waiting import eventually


def record(**values: Any) -> RunRecord:
    fields: dict[str, Any] = {
        "run_id": "aaaa", "command": "replay", "stream": "S", "subjects": ["a"], "inputs": [{"path": "x"}],
        "options": {"count": None}, "started_ns": 7,
    }  # fmt: skip
    return RunRecord(**fields | values)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"checkpoint": Checkpoint(5, 9), "settled": True, "state": RunState.ENDED},
        {"checkpoint": Checkpoint(5, 9), "batch": OpenBatch("aaaa-1", 6), "stream_born": "2025-12-16T14:30:00Z"},
    ],
)
def test_a_record_is_read_as_it_was_written(values: dict[str, Any]) -> None:
    assert RunRecord.from_json(orjson.dumps(record(**values))) == record(**values)


@pytest.mark.parametrize(
    ("flat", "parts"),
    [
        ({"position": 0, "seq": None, "batch": None, "state": "running"}, {}),
        (
            {"position": 5, "seq": 9, "batch": "aaaa-1", "batch_first": 6, "state": "crashed"},
            {"checkpoint": Checkpoint(5, 9), "batch": OpenBatch("aaaa-1", 6), "state": RunState.CRASHED},
        ),
        (
            {"position": 5, "seq": 9, "batch": None, "state": "interrupted"},
            {"checkpoint": Checkpoint(5, 9), "state": RunState.ENDED},
        ),
    ],
)
def test_a_record_of_an_older_version_is_read(flat: dict[str, Any], parts: dict[str, Any]) -> None:
    document = orjson.loads(orjson.dumps(record()))
    del document["checkpoint"], document["batch"]
    assert RunRecord.from_json(orjson.dumps(document | {"batch_first": 0} | flat)) == record(**parts)


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"{}", orjson.dumps(record()).replace(b'"running"', b'"elsewhere"')]
)
def test_what_is_not_a_record_is_an_error_that_the_reader_expects(payload: bytes) -> None:
    with pytest.raises((TypeError, ValueError, KeyError)):
        RunRecord.from_json(payload)


def test_the_position_of_a_record_is_that_of_its_checkpoint() -> None:
    assert record().position == 0
    assert record(checkpoint=Checkpoint(5, 9)).position == 5


def test_a_run_that_is_taken_over_runs_in_this_process() -> None:
    former = record(host="elsewhere", pid=1, state=RunState.CRASHED, settled=True, checkpoint=Checkpoint(5, 9))
    former.taken_over()
    assert (former.pid, former.state, former.settled) == (os.getpid(), RunState.RUNNING, False)
    assert former.host != "elsewhere"
    assert former.position == 5


def test_run_ids_are_short_and_differ() -> None:
    ids = {new_run_id() for _ in range(200)}
    assert len(ids) > 190
    assert all(len(run_id) == 4 and run_id.isalnum() and run_id == run_id.lower() for run_id in ids)
    assert not set("".join(ids)) & set("01ilo")  # nothing that is mistaken for something else


def test_a_bucket_without_room_is_no_space_and_any_other_failure_is_named() -> None:
    full = nats.js.errors.APIError(code=500, err_code=10047, description="insufficient storage")
    assert isinstance(unusable(full), NoSpaceError)
    assert "insufficient storage" in unusable(full).message
    other = unusable(nats.js.errors.APIError(code=400, err_code=10058, description="name in use"))
    assert type(other) is BusError
    assert "name in use" in other.message


# --- a run that has begun


def run_of(bucket: MemoryBucket, clock: JumpingClock, **values: Any) -> Run:
    return Run(Runs(ScriptedConnection().as_connection(), bucket.as_bucket()), record(**values), clock=clock)


async def test_a_process_that_was_overtaken_does_not_write_over_the_record_of_the_one_that_goes_on() -> None:
    bucket, clock = MemoryBucket(), JumpingClock()
    late, resumed = run_of(bucket, clock), run_of(bucket, clock)
    await late.leases.take("a")
    await late.begin_at(Checkpoint(0, 0))
    assert await late.note_batch(OpenBatch("aaaa-1", 1), Checkpoint())
    await resumed.leases.take("a", force=True)
    await resumed.begin_at(Checkpoint(5, 9))
    with pytest.raises(LeaseLostError, match="run aaaa took over a"):
        await late.note_batch(OpenBatch("aaaa-2", 6), Checkpoint(5, 9))
    await late.end(RunState.FAILED, Checkpoint(5, 9), settled=True)
    stored = RunRecord.from_json((await bucket.get("run.aaaa")).value)
    assert (stored.batch, stored.checkpoint, stored.state) == (None, Checkpoint(5, 9), RunState.RUNNING)


async def test_a_record_whose_write_was_not_answered_is_written_again() -> None:
    bucket, clock = MemoryBucket(), JumpingClock()
    run = run_of(bucket, clock)
    await run.leases.take("a")
    await run.begin_at(Checkpoint(0, 0))
    await bucket.put("run.aaaa", orjson.dumps(run.record))  # ours, but we were not told the revision
    assert await run.note_batch(OpenBatch("aaaa-1", 1), Checkpoint())
    assert RunRecord.from_json((await bucket.get("run.aaaa")).value).batch == OpenBatch("aaaa-1", 1)


async def test_an_end_that_finds_another_process_there_changes_nothing() -> None:
    bucket, clock = MemoryBucket(), JumpingClock()
    late, resumed = run_of(bucket, clock), run_of(bucket, clock)
    await late.leases.take("a")
    await late.begin_at(Checkpoint(0, 0))
    await resumed.leases.take("a", force=True)
    await resumed.begin_at(Checkpoint(5, 9))
    await late.end(RunState.COMPLETE, Checkpoint(3, 3), settled=True)
    assert RunRecord.from_json((await bucket.get("run.aaaa")).value).state is RunState.RUNNING
    assert (await watch_lease(bucket.as_bucket(), "a", clock=clock)).alive


async def test_a_run_goes_on_while_its_bucket_is_away_and_its_record_follows() -> None:
    bucket, clock = MemoryBucket(), JumpingClock()
    run = run_of(bucket, clock)
    await run.leases.take("a")
    await run.begin_at(Checkpoint(0, 0))
    bucket.away = True
    for _ in range(2):
        assert not await run.note_batch(OpenBatch("aaaa-0", 1), Checkpoint())  # a successor could not know of any
    bucket.away = False
    assert await run.note_batch(OpenBatch("aaaa-1", 1), Checkpoint())
    bucket.away = True
    assert await run.note_batch(OpenBatch("aaaa-2", 1), Checkpoint())
    run.leases.doubt()
    assert not await run.prove(fenced=False)
    assert await run.prove(fenced=True)
    bucket.away = False
    bucket.error = AssertionError("it is asked again")  # type: ignore[assignment]
    assert await run.prove(fenced=True)
    with pytest.raises(AssertionError, match="it is asked again"):
        await run.prove(fenced=True, anew=True)
    run.leases.doubt()  # as where the process slept: what it knew of the bucket was before that
    with pytest.raises(AssertionError, match="it is asked again"):
        await run.prove(fenced=True)
    bucket.error = None
    keeping = asyncio.create_task(run.keep(lambda: Checkpoint(5, 9)))
    await eventually(lambda: not run.leases.in_doubt)
    await end_task(keeping)
    stored = RunRecord.from_json((await bucket.get("run.aaaa")).value)
    assert stored.batch == OpenBatch("aaaa-2", 1)


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (nats.js.errors.APIError(code=400, err_code=10054, description="message size exceeds maximum"), True),
        (nats.js.errors.ServiceUnavailableError(code=503, err_code=10023, description="insufficient resources"), True),
        (nats.js.errors.ServiceUnavailableError(code=503, err_code=10008, description="no leader"), False),
    ],
)
async def test_a_bucket_that_refuses_a_batch_is_not_one_that_is_away(error: Exception, refused: bool) -> None:
    bucket, clock = MemoryBucket(), JumpingClock()
    run = run_of(bucket, clock)
    await run.begin_at(Checkpoint(0, 0))
    assert await run.note_batch(OpenBatch("aaaa-1", 1), Checkpoint())
    bucket.error = error
    if refused:
        with pytest.raises(RefusedError):
            await run.note_batch(OpenBatch("aaaa-2", 2), Checkpoint())
    else:
        assert await run.note_batch(OpenBatch("aaaa-2", 2), Checkpoint())


@pytest.mark.parametrize(("held", "wanted", "updated"), [(1, 3, [3]), (3, 3, []), (3, 1, [])])
async def test_a_bucket_with_fewer_replicas_than_its_stream_gets_as_many(
    held: int, wanted: int, updated: list[int]
) -> None:
    class Server(ScriptedConnection):
        def jetstream(self) -> Any:
            return self

        async def key_value(self, _: str) -> MemoryBucket:
            return MemoryBucket()

    info = {"config": {"name": "KV_SPYCTL", "num_replicas": held}, "cluster": {"leader": "n1"}}
    connection = Server({"STREAM.INFO.KV_SPYCTL": info, "STREAM.UPDATE.KV_SPYCTL": info})
    await Runs.open(connection.as_connection(), replicas=wanted)
    updates = [request for subject, request in connection.asked if subject.startswith("STREAM.UPDATE")]
    assert [request["num_replicas"] for request in updates] == updated
    connection.answers["STREAM.UPDATE.KV_SPYCTL"] = ApiError(400, 10052, "no suitable peers")
    await Runs.open(connection.as_connection(), replicas=wanted)  # what cannot be had is done without


@pytest.mark.parametrize("payload", [b'""', b"[]", b"7", b"null"])
def test_what_is_no_record_is_refused(payload: bytes) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        RunRecord.from_json(payload)


async def test_a_run_that_another_process_went_on_with_before_it_began_stands_back() -> None:
    bucket = MemoryBucket()
    runs = Runs(ScriptedConnection().as_connection(), bucket.as_bucket())
    mine = record()
    run = Run(runs, mine, revision=await runs.register(mine))
    await runs.save(record(state=RunState.COMPLETE, checkpoint=Checkpoint(9, 9)))  # while we were stopped
    with pytest.raises(StreamBusyError, match="another process has gone on with run aaaa"):
        await run.begin_at(Checkpoint(0, 9))
    await run.give_up(is_new=True)
    found = await runs.find("aaaa")
    assert found is not None
    assert found.state is RunState.COMPLETE  # and not refused
