"""The life of a run: whatever happens, its record tells the truth, and a lost lease stops whoever publishes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest
from nats.aio.msg import Msg

from spyctl.bus.acks.fast_ingest import Op, batch_reply
from spyctl.bus.acks.mode import AckMode
from spyctl.bus.checkpoint import Checkpoint, OpenBatch
from spyctl.bus.connection import Connection, connect
from spyctl.bus.fence import FENCED, fence_header, fence_subject
from spyctl.bus.frames import hpub_frame
from spyctl.bus.publishing import Publishing, RunRequest, publishing
from spyctl.bus.recognition import Message, messages_of
from spyctl.bus.runs import RunRecord, Runs, RunState
from spyctl.errors import FastIngestUnavailableError, LeaseHeldError, LeaseLostError, ResumeError
from spyctl.market.encode import EncodedBatch
from spyctl.market.subjects import rank_of, subject_table
from spyctl.timing.tasks import end_task
from tests.support.batches import numbered
from tests.support.servers import NatsServer
from tests.support.stream import read_stream
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
SUBJECTS = ("market.futures.trades", "market.futures.mbp10")
REQUEST = RunRequest(command="replay", leased=SUBJECTS)
MODES = pytest.mark.parametrize("mode", [AckMode.FAST, AckMode.MESSAGE])


def events(count: int, first: int = 0) -> EncodedBatch:
    return numbered(range(first, first + count), rank_of(SUBJECTS[0]))


async def record_of(connection: Connection, run: Publishing) -> RunRecord:
    record = await (await Runs.open(connection)).find(run.run_id)
    assert record is not None
    return record


@MODES
async def test_a_run_that_reaches_its_end_is_complete(connection: Connection, mode: AckMode) -> None:
    async with publishing(connection, replace(REQUEST, ack_mode=mode)) as run:
        assert (await record_of(connection, run)).state is RunState.RUNNING
        await run.publisher.publish(events(300))
        await run.publisher.drain()
        run.state = RunState.COMPLETE
    record = await record_of(connection, run)
    assert (record.state, record.checkpoint, record.settled) == (RunState.COMPLETE, Checkpoint(300, 300), True)


async def test_the_first_event_of_a_prepared_run_waits_for_no_proof_of_its_leases(connection: Connection) -> None:
    async with publishing(connection, REQUEST) as run:
        assert run._run.leases.in_doubt
        await run.prepare()
        assert not run._run.leases.in_doubt


async def test_a_run_that_returns_early_has_ended_and_one_that_raises_has_failed(
    connection: Connection,
) -> None:
    async with publishing(connection, REQUEST) as ended:
        pass
    with pytest.raises(ZeroDivisionError):
        async with publishing(connection, REQUEST) as failed:
            raise ZeroDivisionError
    assert (await record_of(connection, ended)).state is RunState.ENDED
    assert (await record_of(connection, failed)).state is RunState.FAILED


@MODES
async def test_a_run_that_fails_with_every_event_acknowledged_is_resumed_after_the_last_one(
    connection: Connection, mode: AckMode
) -> None:
    request = replace(REQUEST, ack_mode=mode, paced=True)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        async with publishing(connection, request) as failed:
            await failed.publisher.publish(events(20))
            await eventually(lambda: failed.publisher.in_flight == 0)
            raise ZeroDivisionError  # before a commit has moved the checkpoint
    record = await record_of(connection, failed)
    assert (record.state, record.position, record.settled) == (RunState.FAILED, 20, True)
    async with publishing(connection, request) as other:  # whose events are not taken for those of the first one
        await other.publisher.publish(events(7))
        await other.publisher.drain()
    async with publishing(connection, replace(request, resume=failed.run_id)) as resumed:
        assert resumed.position == 20


async def _purge(connection: Connection, _: dict[str, Any]) -> None:
    await connection.api("STREAM.PURGE.MARKET_DATA")


async def _make_anew(connection: Connection, config: dict[str, Any]) -> None:
    await connection.api("STREAM.DELETE.MARKET_DATA")
    await connection.api("STREAM.CREATE.MARKET_DATA", config)


async def _lower(connection: Connection, config: dict[str, Any]) -> None:
    await connection.api("STREAM.UPDATE.MARKET_DATA", config | {"max_msgs": 100})


async def _move(connection: Connection, config: dict[str, Any]) -> None:
    await connection.api("STREAM.UPDATE.MARKET_DATA", config | {"subjects": ["market.gaps"]})
    other = {"name": "OTHER", "subjects": list(SUBJECTS), "allow_batched": True}
    await connection.api("STREAM.CREATE.OTHER", config | other)


@MODES
@pytest.mark.parametrize(
    ("change", "left", "said"),
    [
        (_purge, 300, "lost all up to seq 300: it was purged, or its limits were lowered"),
        (_make_anew, 300, "was deleted and made anew"),
        (_lower, 100, "has other limits: it keeps only the newest 100 messages"),
        (_move, 300, "no longer takes market.futures.trades"),
    ],
)
async def test_what_a_changed_stream_no_longer_holds_is_told_with_what_was_done_to_it(
    connection: Connection, mode: AckMode, change: Callable[..., Awaitable[None]], left: int, said: str
) -> None:
    async def work(run: Publishing) -> None:
        await run.publisher.publish(events(300))
        await run.publisher.drain()
        await run.custody.look()
        await change(connection, (await connection.api("STREAM.INFO.MARKET_DATA"))["config"])
        await run.publisher.publish(events(300, 300))
        await run.publisher.drain()

    async with publishing(connection, replace(REQUEST, ack_mode=mode, paced=True)) as run:
        await run.watch(work(run), lambda: None)
    assert run.holdings is not None
    assert (run.holdings.acknowledged, run.holdings.lost, run.holdings.expired) == (600, 600 - left, 0)
    assert said in run.holdings.sentence


async def test_a_second_run_on_the_same_subjects_is_refused(connection: Connection) -> None:
    async with publishing(connection, REQUEST) as first:
        with pytest.raises(LeaseHeldError, match=f"run {first.run_id} .* market.futures.trades"):
            async with publishing(connection, REQUEST):
                pass
        other = tuple(f"P.{subject}" for subject in SUBJECTS)
        async with publishing(connection, RunRequest("replay", other, prefix="P")):
            pass
    runs = await Runs.open(connection)
    async with publishing(connection, REQUEST) as second:
        newest = await runs.newest("replay", "MARKET_DATA")
    assert newest is not None
    assert newest.run_id == second.run_id  # and not the refused one


@MODES
async def test_a_lost_lease_stops_whoever_publishes(
    connection: Connection, nats_server: NatsServer, mode: AckMode
) -> None:
    stopped = asyncio.Event()

    async def work(run: Publishing) -> None:
        first = 0
        while not stopped.is_set():
            await run.publisher.publish(events(10, first))
            first += 10
            await asyncio.sleep(0)

    second = await connect([nats_server.url])
    async with publishing(connection, replace(REQUEST, ack_mode=mode)) as robbed:
        working = asyncio.create_task(robbed.watch(work(robbed), stopped.set))
        async with publishing(second, replace(REQUEST, force=True)):
            with pytest.raises(LeaseLostError, match="took over market.futures.trades"):
                await working
        published = robbed.publisher.delivery.published
        with pytest.raises(LeaseLostError):  # also where somebody does not stop
            await robbed.publisher.publish(events(10))
    await second.close()
    assert stopped.is_set()
    assert robbed.publisher.delivery.published == robbed.publisher.delivery.acked == published
    assert len(await read_stream(nats_server.url)) == published


async def test_the_checkpoint_is_kept_while_a_run_goes_on(connection: Connection) -> None:
    async with publishing(connection, REQUEST) as run:
        for stored in (7, 9):
            await run.publisher.publish(events(stored))
            await run.publisher.drain()

            async def noted() -> bool:
                return (await record_of(connection, run)).checkpoint == run.publisher.checkpoint()

            await eventually(noted)
    assert (await record_of(connection, run)).position == 16


@MODES
async def test_the_run_of_a_dead_process_is_reconciled_before_another_one_publishes(
    connection: Connection, mode: AckMode
) -> None:
    request = replace(REQUEST, ack_mode=mode)
    dead = await crashed(connection, request, 50)
    async with publishing(connection, request):
        pass
    record = await (await Runs.open(connection)).find(dead)
    assert record is not None
    assert record.state is RunState.CRASHED
    if mode is AckMode.MESSAGE:
        assert (record.settled, record.position, record.batch) == (True, 50, None)
    else:  # only who has its events can tell them; but what comes later is not among them
        assert (record.settled, record.position) == (False, 0)
        assert record.batch is not None
        assert record.batch.ends_seq == 50


@MODES
async def test_the_server_refuses_what_an_overtaken_process_still_sends(
    connection: Connection, nats_server: NatsServer, mode: AckMode
) -> None:
    request, other = replace(REQUEST, ack_mode=mode), await connect([nats_server.url])
    with pytest.raises(LeaseLostError, match="took over market.futures.trades"):  # noqa: PT012
        async with publishing(connection, request) as late:
            await late.publisher.publish(events(20))
            await late.publisher.drain()
            await late.publisher.publish(events(20, 20))  # a batch is open
            await end_task(late._keeper)  # it does not learn of anything: what follows was sent before it could
            await make_silent(connection)
            async with publishing(other, replace(request, resume=late.run_id)) as resumed:
                assert resumed.position == 40
                await resumed.publisher.publish(events(20, 40))
                await resumed.publisher.drain()
                await late.publisher.publish(events(500, 1_000))
                await late.publisher.drain()
    rows = await read_stream(nats_server.url)
    assert [row[2] for row in rows if row[1] == SUBJECTS[0]] == [b"event %d" % n for n in range(60)]
    assert [subject for _, subject, *_ in rows if subject != SUBJECTS[0]] == [late._run.fence]
    await other.close()


async def test_a_batch_of_a_dead_process_that_comes_only_after_its_run_is_resumed_does_not_begin(
    connection: Connection, nats_server: NatsServer
) -> None:
    request, other, answers = replace(REQUEST, ack_mode=AckMode.FAST), await connect([nats_server.url]), []

    async def on_answer(message: Msg) -> None:
        answers.append(orjson.loads(message.data))

    dead = await crashed(connection, request, 20)
    runs = await Runs.open(connection)
    record = await runs.find(dead)
    assert record is not None
    record.checkpoint, record.batch = Checkpoint(20, 20), OpenBatch(f"{dead}-gone", 21)
    await runs.save(record)
    token = orjson.loads((await (await Runs.open(connection)).bucket.get(f"lease.{SUBJECTS[0]}")).value or b"")["token"]
    async with publishing(other, replace(request, events=events_after, resume=dead)) as resumed:
        assert resumed.position == 20
        await other.subscribe("_INBOX.late.>", on_answer)
        reply = batch_reply("_INBOX.late", f"{dead}-gone", 1, 1, Op.START)
        await connection.write(bytes(hpub_frame(events(1), subject_table(), reply, fence_header(fence_subject(token)))))
        await eventually(lambda: any("error" in answer for answer in answers))
        await resumed.publisher.publish(events(20, 20))
        await resumed.publisher.drain()
    assert [answer["error"]["err_code"] in FENCED for answer in answers if "error" in answer] == [True]
    rows = await read_stream(nats_server.url)
    assert [row[2] for row in rows if row[1] == SUBJECTS[0]] == [b"event %d" % n for n in range(40)]
    await other.close()


@MODES
async def test_a_run_that_was_overtaken_by_force_is_resumed_after_its_own_events(
    connection: Connection, nats_server: NatsServer, mode: AckMode
) -> None:
    request, stopped = replace(REQUEST, ack_mode=mode), asyncio.Event()
    other = await connect([nats_server.url])

    async def work(run: Publishing) -> None:
        await run.publisher.publish(events(20))
        await stopped.wait()

    async def robbed() -> None:
        async with publishing(connection, request) as run:
            run_ids.append(run.run_id)
            await run.watch(work(run), stopped.set)

    run_ids: list[str] = []
    robbery = asyncio.create_task(robbed())
    await eventually(lambda: bool(run_ids))
    async with publishing(other, replace(request, force=True)) as thief:
        await thief.publisher.publish(events(1_000))
        await thief.publisher.drain()
        with pytest.raises(LeaseLostError):
            await robbery
    async with publishing(other, replace(request, resume=run_ids[0])) as resumed:
        assert resumed.position == 20
    await other.close()


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.FAILED])
@MODES
async def test_the_run_of_a_dead_process_is_resumed_after_its_own_events_although_force_was_used(
    connection: Connection, mode: AckMode, state: RunState
) -> None:
    request = replace(REQUEST, ack_mode=mode, events=events_after)
    dead = await crashed(connection, request, 50, state)
    async with publishing(connection, replace(request, force=True)) as other:
        await other.publisher.publish(events(1_000))
        await other.publisher.drain()
    async with publishing(connection, replace(request, resume=dead)) as resumed:
        assert resumed.position == 50


@MODES
async def test_messages_of_others_behind_a_crash_are_not_taken_for_its_own(
    connection: Connection, nats_server: NatsServer, mode: AckMode
) -> None:
    request = replace(REQUEST, ack_mode=mode, events=events_after)
    dead = await crashed(connection, request, 50)
    for payload in (b"of", b"somebody", b"else"):
        await connection.jetstream().publish(SUBJECTS[0], payload)
    async with publishing(connection, replace(request, resume=dead)) as resumed:
        assert resumed.position == 50
        await resumed.publisher.publish(events(50, 50))
        await resumed.publisher.drain()
    payloads = [payload for _, _, payload, _ in await read_stream(nats_server.url)]
    assert [payload for payload in payloads if payload.startswith(b"event")] == [b"event %d" % n for n in range(100)]


async def test_a_run_is_not_continued_where_others_have_published_its_very_events(connection: Connection) -> None:
    request = replace(REQUEST, events=events_after)
    dead = await crashed(connection, request, 50)
    await connection.jetstream().publish(SUBJECTS[0], b"event 7")
    with pytest.raises(ResumeError, match="somebody else has published the same events meanwhile"):
        async with publishing(connection, replace(request, resume=dead)):
            pass


async def test_a_run_that_was_overtaken_and_then_killed_is_not_continued_with_the_events_of_the_other(
    connection: Connection, nats_server: NatsServer
) -> None:
    other, runs = await connect([nats_server.url]), await Runs.open(connection)
    async with publishing(connection, REQUEST) as killed:
        await killed.publisher.publish(events(20))
        async with publishing(other, replace(REQUEST, force=True)) as thief:
            await thief.publisher.publish(events(30))
            await thief.publisher.drain()
        record = await record_of(connection, killed)
    record.state, record.settled = RunState.RUNNING, False  # it was never able to write its end
    await runs.save(record)
    for _ in range(2):  # what is refused once is refused again
        with pytest.raises(ResumeError, match=f"run {thief.run_id} published before it was counted"):
            async with publishing(connection, replace(REQUEST, resume=killed.run_id)):
                pass
    await other.close()


async def test_a_run_that_was_killed_before_it_sent_anything_is_resumed_whoever_published_since(
    connection: Connection,
) -> None:
    async with publishing(connection, REQUEST) as other:
        await other.publisher.publish(events(3))
        await other.publisher.drain()
    record = await record_of(connection, other)
    record.run_id, record.state, record.settled, record.checkpoint = "aaaa", RunState.RUNNING, False, None
    await (await Runs.open(connection)).save(record)
    async with publishing(connection, replace(REQUEST, resume="aaaa")) as resumed:
        assert resumed.position == 0


async def test_a_run_that_goes_on_cannot_be_resumed_and_its_record_stays(
    connection: Connection, nats_server: NatsServer
) -> None:
    other = await connect([nats_server.url])
    async with publishing(connection, REQUEST) as living:
        with pytest.raises(LeaseHeldError):
            async with publishing(other, replace(REQUEST, resume=living.run_id)):
                pass
        assert (await record_of(connection, living)).state is RunState.RUNNING
    await other.close()


async def test_a_run_that_cannot_begin_leaves_no_lease_behind(connection: Connection) -> None:
    runs = await Runs.open(connection)
    dead = await crashed(connection, REQUEST, 5)
    record = await runs.find(dead)
    assert record is not None
    record.stream_born = "another day"
    await runs.save(record)
    with pytest.raises(ResumeError, match="was recreated since"):
        async with publishing(connection, replace(REQUEST, resume=dead)):
            pass
    async with publishing(connection, REQUEST) as run:
        batched = run.stream.batched
    assert batched
    info = await connection.api("STREAM.INFO.MARKET_DATA")
    await connection.api("STREAM.DELETE.MARKET_DATA")
    await connection.api("STREAM.CREATE.MARKET_DATA", info["config"] | {"allow_batched": False, "metadata": {}})
    with pytest.raises(FastIngestUnavailableError):
        async with publishing(connection, replace(REQUEST, ack_mode=AckMode.FAST)):
            pass
    async with publishing(connection, REQUEST):
        pass


async def test_work_is_stopped_at_once_where_the_lease_was_lost_before_it_began(
    connection: Connection, nats_server: NatsServer
) -> None:
    other = await connect([nats_server.url])
    stopped = asyncio.Event()
    async with publishing(connection, REQUEST) as robbed, publishing(other, replace(REQUEST, force=True)):
        await eventually(lambda: robbed._lost() is not None)
        with pytest.raises(LeaseLostError):
            await robbed.watch(work_until(stopped), stopped.set)
        assert stopped.is_set()
    await other.close()


@MODES
async def test_runs_one_after_the_other_leave_nothing_on_the_connection(connection: Connection, mode: AckMode) -> None:
    async with publishing(connection, replace(REQUEST, ack_mode=mode)):
        pass
    before = len(connection._client._subs), len(connection._standing._on_disconnect)
    for _ in range(3):
        async with publishing(connection, replace(REQUEST, ack_mode=mode)) as run:
            await run.publisher.publish(events(5))
            await run.publisher.drain()
    assert (len(connection._client._subs), len(connection._standing._on_disconnect)) == before == (1, 0)


async def work_until(stopped: asyncio.Event) -> None:
    async with asyncio.timeout(5):
        await stopped.wait()


async def events_after(_: Mapping[str, Any], position: int) -> AsyncIterator[list[Message]]:
    """The events of a run, as it published them."""
    yield messages_of(events(5_000 - position, position), subject_table())


async def crashed(connection: Connection, request: RunRequest, count: int, state: RunState = RunState.RUNNING) -> str:
    """Leave a run behind as a process does that was killed after so many events; returns its id."""
    async with publishing(connection, request) as run:
        await run.publisher.publish(events(count))
        await run.publisher.drain()
        runs, subject = await Runs.open(connection), f"lease.{SUBJECTS[0]}"
        lease = (await runs.bucket.get(subject)).value or b""
    record = await record_of(connection, run)
    record.state, record.settled, record.checkpoint = state, False, Checkpoint(0, 0)
    # The server forgets a batch that is silent for 10 s.
    record.batch = OpenBatch(f"{run.run_id}-gone", 1) if request.ack_mode is not AckMode.MESSAGE else None
    await runs.save(record)
    await runs.bucket.put(subject, lease.replace(b'"pid":', b'"pid":9999'))
    return run.run_id


async def make_silent(connection: Connection) -> None:
    """Have the leases look as they do after their holder slept for longer than they last."""
    bucket = (await Runs.open(connection)).bucket
    for subject in SUBJECTS:
        lease = orjson.loads((await bucket.get(f"lease.{subject}")).value or b"")
        await bucket.put(f"lease.{subject}", orjson.dumps(lease | {"ticked_ns": 0}))
