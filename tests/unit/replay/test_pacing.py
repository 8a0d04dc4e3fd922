import asyncio
from collections.abc import AsyncIterator

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spyctl.market.encode import EncodedBatch
from spyctl.replay.pacing import Pacer
from spyctl.timing.clock import MAX_SPEED, REAL_TIME, Speed
from spyctl.timing.instants import MS, SECOND
from tests.support.clock import JumpingClock

T0 = 1_765_895_400 * SECOND


async def batches(times: list[int], size: int = 7) -> AsyncIterator[EncodedBatch]:
    for start in range(0, len(times), size):
        part = times[start : start + size]
        rows = np.array([b"%d" % t for t in part]).view(np.uint8).reshape(len(part), -1)
        none = np.zeros(len(part), np.uint8)
        yield EncodedBatch(rows, none.astype(np.uint32), none, np.array(part, np.int64), none.astype(bool))


async def play(pacer: Pacer, times: list[int], clock: JumpingClock, size: int = 7) -> list[tuple[int, int]]:
    """Return (event time, clock time) of every event handed on."""
    found = []
    async for piece in pacer.play(batches(times, size)):
        found += [(int(payload), clock.now_ns()) for payload in piece.payloads()]
    return found


@given(
    st.lists(st.integers(0, 3 * SECOND), min_size=1, max_size=40),
    st.sampled_from([0.5, 1.0, 10.0, 100.0]),
    st.integers(1, 50),
)
def test_events_come_in_order_never_early_and_never_drift(gaps: list[int], speed: float, size: int) -> None:
    times = [T0 + sum(gaps[: i + 1]) for i in range(len(gaps))]
    clock = JumpingClock(overshoot_ns=MS // 2)
    begun = clock.now_ns()

    found = asyncio.run(play(Pacer(Speed(speed), clock, max_quiet_ns=3600 * SECOND), times, clock, size))

    assert [event for event, _ in found] == times
    for event, at in found:
        late = at - begun - (event - times[0]) / speed
        assert -1 <= late <= MS  # one overshoot, never a sum of them


def test_a_quiet_stretch_costs_no_more_than_allowed_and_counts_apart() -> None:
    times = [T0, T0 + SECOND, T0 + 3_601 * SECOND, T0 + 3_602 * SECOND]
    clock = JumpingClock()
    pacer = Pacer(REAL_TIME, clock, max_quiet_ns=5 * SECOND)

    found = asyncio.run(play(pacer, times, clock))

    assert [at - found[0][1] for _, at in found] == [0, SECOND, 6 * SECOND, 7 * SECOND]
    assert pacer.pace.quiet_skipped_ns == 3_595 * SECOND
    assert (pacer.pace.event_ns, pacer.pace.clock_ns) == (2 * SECOND, 2 * SECOND)
    assert pacer.pace.achieved() == 1.0


def test_behind_by_more_than_a_second_the_schedule_shifts_instead_of_bursting() -> None:
    clock = JumpingClock()
    pacer = Pacer(REAL_TIME, clock)
    times = [T0 + i * SECOND for i in range(5)]

    async def slow_consumer() -> list[int]:
        found = []
        async for piece in pacer.play(batches(times, 1)):
            found.append(clock.now_ns())
            if len(found) == 2:
                clock.advance(10 * SECOND)
            assert len(piece) == 1
        return found

    found = asyncio.run(slow_consumer())

    assert [at - found[0] for at in found] == [0, SECOND, 11 * SECOND, 12 * SECOND, 13 * SECOND]
    assert (pacer.pace.stalls, pacer.pace.stalled_ns) == (1, 9 * SECOND)


def test_behind_by_less_it_catches_up() -> None:
    clock = JumpingClock()
    pacer = Pacer(REAL_TIME, clock)

    async def consumer() -> list[int]:
        found = []
        async for _ in pacer.play(batches([T0, T0 + SECOND, T0 + 2 * SECOND], 1)):
            found.append(clock.now_ns())
            if len(found) == 1:
                clock.advance(SECOND + SECOND // 2)
        return found

    found = asyncio.run(consumer())
    assert [at - found[0] for at in found] == [0, SECOND + SECOND // 2, 2 * SECOND]
    assert pacer.pace.stalls == 0


def test_max_never_waits_and_hands_on_whole_batches() -> None:
    clock = JumpingClock()
    pacer = Pacer(MAX_SPEED, clock)
    times = [T0 + i * 3_600 * SECOND for i in range(21)]

    async def sizes() -> list[int]:
        return [len(piece) async for piece in pacer.play(batches(times))]

    assert asyncio.run(sizes()) == [7, 7, 7]
    assert clock.waits == []
    assert pacer.pace.event_ns == 20 * 3_600 * SECOND


def test_stop_inside_a_quiet_stretch_leaves_the_figures_alone() -> None:
    clock = JumpingClock()
    pacer = Pacer(REAL_TIME, clock, max_quiet_ns=5 * SECOND)

    async def stopped() -> None:
        async for _ in pacer.play(batches([T0, T0 + SECOND, T0 + 3_601 * SECOND], 1)):
            if pacer.pace.last_ns == T0 + SECOND:
                pacer.stop.set()

    asyncio.run(stopped())
    assert (pacer.pace.event_ns, pacer.pace.quiet_skipped_ns) == (SECOND, 0)
    assert pacer.pace.achieved() == 1.0


def test_stop_ends_the_playing_at_the_next_event() -> None:
    clock = JumpingClock()
    pacer = Pacer(REAL_TIME, clock)

    async def stopped() -> int:
        count = 0
        async for piece in pacer.play(batches([T0 + i * SECOND for i in range(9)])):
            count += len(piece)
            if count == 3:
                pacer.stop.set()
        return count

    assert asyncio.run(stopped()) == 3
