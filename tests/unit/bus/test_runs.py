"""Run records: what the bucket holds of them, what a successor changes, and errors of the bucket."""

import asyncio
import os
from typing import Any

import nats.js.errors
import orjson
import pytest

from spyctl.bus.checkpoint import Checkpoint, OpenBatch
from spyctl.bus.client import DeniedError
from spyctl.bus.connection import ApiError
from spyctl.bus.runs import RunRecord, Runs, RunState, new_run_id, unusable
from spyctl.errors import AccessDeniedError, AccountLimitError, BusError, NoSpaceError, UnfitStreamError
from tests.support.bucket import MemoryBucket
from tests.support.connection import ScriptedConnection
from tests.support.runs import record


def api_error(code: int, description: str) -> Exception:
    return nats.js.errors.APIError(code=400, err_code=code, description=description)


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


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (DeniedError('violation for "$kv"', "$kv", to_publish=True), AccessDeniedError, 'violation for "$kv"'),
        (api_error(10027, "maximum number of streams reached"), AccountLimitError, "used: maximum number of streams"),
        (api_error(10065, "subjects overlap"), UnfitStreamError, "another stream captures $KV.SPYCTL.>"),
        (nats.js.errors.BadBucketError(), BusError, "stream KV_SPYCTL is no bucket"),
    ],
)
def test_why_the_bucket_cannot_be_used_is_told_by_its_kind(error: Exception, kind: type[BusError], words: str) -> None:
    told = unusable(error)
    assert type(told) is kind
    assert words in told.message


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


async def test_a_new_run_waits_for_the_leader_of_a_bucket_that_was_just_made() -> None:
    bucket = MemoryBucket(error=nats.js.errors.NoStreamResponseError())
    registering = asyncio.create_task(Runs(ScriptedConnection().as_connection(), bucket.as_bucket()).register(record()))
    await asyncio.sleep(0)
    assert not registering.done()
    bucket.error = None
    assert await registering == 1


async def test_a_bucket_that_never_has_a_leader_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spyctl.bus.runs._LOOK_S", 0)
    bucket = MemoryBucket(error=nats.js.errors.NoStreamResponseError())
    with pytest.raises(nats.js.errors.NoStreamResponseError):
        await Runs(ScriptedConnection().as_connection(), bucket.as_bucket()).register(record())
