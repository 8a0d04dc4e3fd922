"""Leases in a real bucket: who may publish to a subject, and who learns that it no longer may."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from nats.js.kv import KeyValue

from spyctl.bus.connection import connect
from spyctl.bus.leases import TRANSITIONS, LeaseEvent, LeaseState, watch_lease
from spyctl.errors import LeaseHeldError, LeaseLostError
from spyctl.timing.clock import SystemClock
from spyctl.timing.tasks import end_task
from tests.support.bucket import leases
from tests.support.servers import NatsServer

pytestmark = pytest.mark.integration
SUBJECT = "market.futures.trades"
NO_PROCESS = 2**22 + 1


@pytest.fixture
async def bucket(nats_server: NatsServer) -> AsyncIterator[KeyValue]:
    connection = await connect([nats_server.url])
    yield await connection.jetstream().create_key_value(bucket="SPYCTL")
    await connection.close()


async def test_a_held_lease_is_refused_until_it_is_returned(bucket: KeyValue) -> None:
    first = leases(bucket)
    assert await first.take(SUBJECT) is None
    with pytest.raises(LeaseHeldError, match=r"run aaaa \(process \d+ on .*\) has been publishing to market.futures"):
        await leases(bucket, "bbbb").take(SUBJECT)
    await first.give_back()
    assert await leases(bucket, "bbbb").take(SUBJECT) is None


@pytest.mark.parametrize("fields", [{"pid": NO_PROCESS}, {"host": "elsewhere", "boot": ""}], ids=["dead", "silent"])
async def test_a_void_lease_is_taken_and_its_run_named(bucket: KeyValue, fields: dict[str, Any]) -> None:
    await leases(bucket, **fields).take(SUBJECT)
    left = await leases(bucket, "bbbb").take(SUBJECT)
    assert left is not None
    assert (left.run_id, left.token) == ("aaaa", "token of aaaa")


async def test_a_run_that_was_overtaken_has_lost_its_lease(bucket: KeyValue) -> None:
    first, second = leases(bucket), leases(bucket, "bbbb")
    await first.take(SUBJECT)
    await second.take(SUBJECT, force=True)
    with pytest.raises(LeaseLostError, match="run bbbb took over market.futures.trades"):
        await first.renew()
    assert first.lost is not None
    with pytest.raises(LeaseLostError):  # nor later, when nothing is left to renew
        await first.renew()
    await first.give_back()
    entry = await watch_lease(bucket, SUBJECT)
    assert entry.state("token of bbbb") is LeaseState.OURS


async def test_two_renewals_at_once_both_learn_that_the_lease_is_lost(bucket: KeyValue) -> None:
    first, second = leases(bucket), leases(bucket, "bbbb")
    await first.take(SUBJECT)
    await second.take(SUBJECT, force=True)
    results = await asyncio.gather(first.renew(), first.renew(), return_exceptions=True)
    assert [type(result) for result in results] == [LeaseLostError, LeaseLostError]


async def test_another_process_that_goes_on_with_the_same_run_overtakes_it(bucket: KeyValue) -> None:
    asleep = leases(bucket, pid=NO_PROCESS)
    await asleep.take(SUBJECT)
    resumed = leases(bucket, token="another token")
    await resumed.take(SUBJECT)
    with pytest.raises(LeaseLostError):
        await asleep.renew()


async def test_a_renewal_whose_answer_was_lost_keeps_the_lease(bucket: KeyValue) -> None:
    ours = leases(bucket)
    await ours.take(SUBJECT)
    entry = await bucket.get(f"lease.{SUBJECT}")
    await bucket.put(f"lease.{SUBJECT}", entry.value or b"")  # stored, but we were not told the revision
    await ours.renew()
    await ours.renew()
    assert ours.lost is None


async def test_a_lease_that_somebody_deleted_is_free(bucket: KeyValue) -> None:
    await leases(bucket).take(SUBJECT)
    await bucket.delete(f"lease.{SUBJECT}")
    assert await leases(bucket, "bbbb").take(SUBJECT) is None


@pytest.mark.parametrize("payload", [b"", b"garbage", b"[]", b"{}", b'{"run_id": 7}'])
async def test_an_entry_that_is_not_a_lease_is_taken_like_a_free_one(bucket: KeyValue, payload: bytes) -> None:
    await bucket.put(f"lease.{SUBJECT}", payload)
    assert await leases(bucket).take(SUBJECT) is None


async def test_a_lease_of_an_older_version_counts_while_it_is_renewed(bucket: KeyValue) -> None:
    lease = {"run_id": "aaaa", "host": "elsewhere", "pid": 1, "started_ns": time.time_ns(), "renewed_ns": 1}
    await bucket.put(f"lease.{SUBJECT}", orjson.dumps(lease))
    taking = asyncio.create_task(leases(bucket, "bbbb", clock=SystemClock()).take(SUBJECT))
    while not taking.done():
        await bucket.put(f"lease.{SUBJECT}", orjson.dumps(lease))
        await asyncio.sleep(0.05)
    with pytest.raises(LeaseHeldError, match="run aaaa"):
        await taking
    await bucket.put(f"lease.{SUBJECT}", orjson.dumps(lease | {"renewed_ns": 0}))
    assert await leases(bucket, "bbbb").take(SUBJECT) is None


def test_only_a_lease_that_is_ours_can_be_renewed_returned_or_lost() -> None:
    for event in (LeaseEvent.RENEW, LeaseEvent.RETURN, LeaseEvent.OVERTAKEN):
        assert [state for state, what in TRANSITIONS if what is event] == [LeaseState.OURS]
    assert not [state for state, _ in TRANSITIONS if state is LeaseState.LOST]  # there is no way back


async def test_a_lease_is_returned_although_a_renewal_was_cancelled_on_its_way(bucket: KeyValue) -> None:
    ours = leases(bucket)
    await ours.take(SUBJECT)
    renewal = asyncio.create_task(ours.renew())
    await asyncio.sleep(0)  # it is written, and its answer never read
    await end_task(renewal)
    await ours.give_back()
    assert await leases(bucket, "bbbb").take(SUBJECT) is None


async def test_a_lease_of_a_version_without_tokens_is_read(bucket: KeyValue) -> None:
    await leases(bucket, boot="").take(SUBJECT)
    lease = orjson.loads((await bucket.get(f"lease.{SUBJECT}")).value or b"")
    del lease["token"], lease["boot"], lease["pids"], lease["ticked_ns"]
    await bucket.put(f"lease.{SUBJECT}", orjson.dumps(lease))
    left = await leases(bucket, "bbbb").take(SUBJECT)
    assert left is not None
    assert left.run_id == "aaaa"
