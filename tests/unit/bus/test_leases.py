"""Leases without a server: how old one is, by one clock, and when a holder has to prove that it still has its own."""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from spyctl.bus.leases import LEASE_NS, Leases, watch_lease
from spyctl.errors import LeaseHeldError, LeaseLostError
from spyctl.timing.instants import HOUR, MS, SECOND
from tests.support.bucket import MemoryBucket, leases
from tests.support.clock import FakeClock, JumpingClock

SUBJECT = "market.futures.trades"
NO_PROCESS = 2**22 + 1
ELSEWHERE: dict[str, Any] = {"host": "elsewhere", "boot": "another"}


class Renewing(JumpingClock):
    """Renews leases whenever somebody has waited for a while."""

    holder: Leases | None = None

    async def wait_until(self, ns: int, interrupt: asyncio.Event | None = None) -> None:
        await super().wait_until(ns, interrupt)
        if self.holder is not None:
            await self.holder.renew()


# --- how old a lease is


async def test_a_lease_of_this_machine_is_aged_by_the_clock_that_both_share() -> None:
    bucket, clock = MemoryBucket(), JumpingClock()
    await leases(bucket, clock=clock).take(SUBJECT)
    clock.advance(LEASE_NS)
    with pytest.raises(LeaseHeldError, match="run aaaa"):
        await leases(bucket, "bbbb", clock=clock).take(SUBJECT)
    clock.advance(1)
    left = await leases(bucket, "bbbb", clock=clock).take(SUBJECT)
    assert left is not None
    assert left.run_id == "aaaa"
    assert clock.waits == []


@pytest.mark.parametrize("ahead_ns", [-HOUR, -20 * SECOND, 20 * SECOND, HOUR])
@pytest.mark.parametrize("renews", [True, False])
async def test_a_lease_of_another_machine_is_watched_whatever_its_wall_clock_says(ahead_ns: int, renews: bool) -> None:
    bucket, clock, there = MemoryBucket(), Renewing(), FakeClock(now_ns=3 * HOUR)
    there.step_wall(ahead_ns)
    holder = leases(bucket, clock=there, **ELSEWHERE)
    await holder.take(SUBJECT)
    clock.holder = holder if renews else None
    taker = leases(bucket, "bbbb", clock=clock)
    if renews:
        with pytest.raises(LeaseHeldError, match="run aaaa"):
            await taker.take(SUBJECT)
        assert len(clock.waits) == 1  # one renewal is enough
    else:
        assert await taker.take(SUBJECT) is not None
        assert sum(clock.waits) == LEASE_NS


async def test_a_process_id_of_another_namespace_is_not_looked_for_here() -> None:
    bucket, clock = MemoryBucket(), Renewing()
    clock.holder = leases(bucket, clock=clock, pid=NO_PROCESS, pids="pid:[7]", boot="")
    await clock.holder.take(SUBJECT)
    with pytest.raises(LeaseHeldError):
        await leases(bucket, "bbbb", clock=clock).take(SUBJECT)


async def test_the_lease_of_a_dead_process_of_this_place_is_void_at_once() -> None:
    bucket, clock = MemoryBucket(), JumpingClock()
    await leases(bucket, clock=clock, pid=NO_PROCESS).take(SUBJECT)
    left = await leases(bucket, "bbbb", clock=clock).take(SUBJECT)
    assert left is not None
    assert left.is_dead


async def test_the_leases_of_one_holder_are_watched_once() -> None:
    bucket, clock = MemoryBucket(), JumpingClock()
    holder, taker = leases(bucket, **ELSEWHERE), leases(bucket, "bbbb", clock=clock)
    for subject in ("a", "b", "c"):
        await holder.take(subject)
    for subject in ("a", "b", "c"):
        assert await taker.take(subject) is not None
    assert sum(clock.waits) == LEASE_NS


async def test_a_lease_that_is_returned_while_it_is_watched_is_free() -> None:
    @dataclass
    class Returning(JumpingClock):
        holder: Leases

        def __post_init__(self) -> None:
            super().__init__()

        async def wait_until(self, ns: int, interrupt: asyncio.Event | None = None) -> None:
            await super().wait_until(ns, interrupt)
            await self.holder.give_back()

    bucket = MemoryBucket()
    holder = leases(bucket, **ELSEWHERE)
    await holder.take(SUBJECT)
    assert await leases(bucket, "bbbb", clock=Returning(holder)).take(SUBJECT) is None


@pytest.mark.parametrize(("run_id", "left"), [("aaaa", "token of aaaa"), ("bbbb", None)])
async def test_who_takes_a_held_lease_by_force_has_to_silence_a_process_of_the_same_run(
    run_id: str, left: str | None
) -> None:
    bucket, clock = MemoryBucket(), JumpingClock()
    await leases(bucket, clock=clock).take(SUBJECT)
    taken = await leases(bucket, run_id, clock=clock, token="another").take(SUBJECT, force=True)
    assert (taken.token if taken is not None else None) == left


# --- doubt


async def held(clock: FakeClock) -> tuple[MemoryBucket, Leases]:
    bucket = MemoryBucket()
    ours = leases(bucket, clock=clock)
    await ours.take(SUBJECT)
    await ours.renew()
    assert not ours.in_doubt
    return bucket, ours


async def test_leases_are_in_doubt_before_the_first_renewal() -> None:
    assert leases(MemoryBucket()).in_doubt


@pytest.mark.parametrize("suspended", [False, True], ids=["stopped process", "suspended machine"])
async def test_a_process_that_was_not_awake_is_in_doubt_until_it_has_renewed(suspended: bool) -> None:
    clock = FakeClock()
    _, ours = await held(clock)
    for _ in range(100):  # awake
        clock.advance(LEASE_NS // 2)
        ours.look()
    assert not ours.in_doubt
    if suspended:  # the monotonic clock stands still meanwhile
        clock.step_wall(LEASE_NS // 2 + 1)
    else:
        clock.advance(LEASE_NS // 2 + 1)
    ours.look()
    assert ours.in_doubt
    ours.look()
    assert ours.in_doubt
    await ours.renew()
    assert not ours.in_doubt


async def test_an_answer_that_waited_for_us_to_wake_up_proves_nothing() -> None:
    clock = FakeClock()
    bucket, ours = await held(clock)
    update = bucket.update

    async def slept(*arguments: Any, **options: Any) -> int:
        revision = await update(*arguments, **options)
        clock.advance(HOUR)
        return revision

    bucket.update = slept  # type: ignore[method-assign]
    await ours.renew()
    assert ours.in_doubt


async def test_doubt_ends_with_the_loss_where_another_run_has_the_lease() -> None:
    clock = FakeClock()
    bucket, ours = await held(clock)
    clock.advance(2 * LEASE_NS)
    assert await leases(bucket, "bbbb", clock=clock).take(SUBJECT) is not None
    ours.look()
    with pytest.raises(LeaseLostError, match="run bbbb took over"):
        await ours.renew()
    assert ours.in_doubt


async def test_leases_are_overdue_half_their_life_after_the_last_renewal() -> None:
    clock = FakeClock()
    _, ours = await held(clock)
    clock.advance(LEASE_NS // 2)
    assert not ours.overdue
    clock.advance(1 * MS)
    assert ours.overdue


async def test_an_entry_that_is_gone_was_taken_by_nobody() -> None:
    clock = FakeClock()
    bucket, ours = await held(clock)
    bucket.delete(f"lease.{SUBJECT}")
    await ours.renew()
    entry = await watch_lease(bucket.as_bucket(), SUBJECT, clock=clock)
    assert entry.lease is not None
    assert entry.lease.run_id == "aaaa"


async def test_a_lease_says_where_and_when_by_its_own_clock_it_was_renewed() -> None:
    clock = FakeClock(now_ns=77)
    bucket, _ = await held(clock)
    stored = orjson.loads((await bucket.get(f"lease.{SUBJECT}")).value)
    assert stored["ticked_ns"] == 77
