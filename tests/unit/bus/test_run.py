"""A run that has begun: what it may write, who overtook it, and a bucket that is away."""

import asyncio
from typing import Any
from unittest.mock import patch

import nats.errors
import nats.js.errors
import orjson
import pytest

from spyctl.bus.checkpoint import Checkpoint, OpenBatch
from spyctl.bus.leases import watch_lease
from spyctl.bus.run import Run
from spyctl.bus.runs import RunRecord, Runs, RunState
from spyctl.errors import LeaseLostError, RefusedError, StreamBusyError
from spyctl.timing.instants import SECOND
from spyctl.timing.tasks import end_task
from tests.support.bucket import MemoryBucket
from tests.support.clock import JumpingClock
from tests.support.connection import ScriptedConnection
from tests.support.runs import record
from tests.support.waiting import eventually


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
    assert run.trouble == ""
    clock.advance(3 * SECOND)
    assert run.trouble.startswith("the bucket SPYCTL does not answer: the run goes on")
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
    assert run.trouble == ""
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


@pytest.mark.parametrize("answers", [True, False], ids=["answered", "timed out"])
async def test_who_slept_while_it_asked_has_proved_nothing(answers: bool) -> None:
    # Another process may have taken over meanwhile, and its fence may have fallen out of the stream.
    class Sleeping(MemoryBucket):
        async def update(self, key: str, value: bytes, last: int | None = None) -> int:
            revision = await super().update(key, value, last)
            if not slept and key == "lease.a":
                slept.append(True)
                clock.advance(95 * SECOND)
                await taker.leases.take("a", force=True)
                if not answers:
                    raise nats.errors.TimeoutError
            return revision

    clock = JumpingClock()
    slept: list[bool] = [True]
    bucket = Sleeping()
    run, taker = run_of(bucket, clock), run_of(bucket, clock)
    await run.leases.take("a")
    slept.clear()
    if answers:
        with pytest.raises(LeaseLostError):
            await run.prove(fenced=True)
    else:
        assert not await run.prove(fenced=True)
        with pytest.raises(LeaseLostError):
            await run.prove(fenced=True)


async def test_a_sleep_is_noticed_though_an_answer_is_waited_for() -> None:
    class Hung(MemoryBucket):
        async def update(self, key: str, value: bytes, last: int | None = None) -> int:
            asked.set()
            await asyncio.Event().wait()
            return 0

    bucket, clock, asked = Hung(), JumpingClock(), asyncio.Event()
    run = run_of(bucket, clock)
    with patch("spyctl.bus.run.RENEW_S", 0.01):
        keeping = asyncio.create_task(run.keep(Checkpoint))
        await asked.wait()
        doubts = run.leases.doubts
        clock.advance(95 * SECOND)
        await eventually(lambda: run.leases.doubts > doubts)
        await end_task(keeping)
