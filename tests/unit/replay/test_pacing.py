import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spyctl.market.encode import EncodedBatch, encoded_events
from spyctl.replay.pacing import STEP_NS, Pacer
from spyctl.timing.clock import MAX_SPEED, REAL_TIME, Speed
from spyctl.timing.instants import MS, SECOND
from tests.support.clock import JumpingClock

T0 = 1_765_895_400 * SECOND


async def batches(times: list[int], size: int = 7) -> AsyncIterator[EncodedBatch]:
    for start in range(0, len(times), size):
        part = times[start : start + size]
        events = encoded_events([b"%d" % t for t in part], [0] * len(part))
        yield replace(events, sort_ns=np.array(part, np.int64))


async def play(pacer: Pacer, times: list[int], clock: JumpingClock, size: int = 7) -> list[tuple[int, int]]:
    """Return (event time, clock time) of every event handed on."""
    found = []
    async for piece in due(pacer, batches(times, size)):
        found += [(int(payload), clock.now_ns()) for payload in piece.payloads()]
    return found


async def due(pacer: Pacer, pieces: AsyncIterator[EncodedBatch]) -> AsyncIterator[EncodedBatch]:
    """Yield events when they are due, until somebody wakes the pacer."""
    async for batch in pieces:
        start = 0
        while start < len(batch):
            end = await pacer.due(batch, start)
            if pacer.wake.is_set():
                return
            yield batch[start:end]
            start = end


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
        async for piece in due(pacer, batches(times, 1)):
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
        async for _ in due(pacer, batches([T0, T0 + SECOND, T0 + 2 * SECOND], 1)):
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
        return [len(piece) async for piece in due(pacer, batches(times))]

    assert asyncio.run(sizes()) == [7, 7, 7]
    assert clock.waits == []
    assert pacer.pace.event_ns == 20 * 3_600 * SECOND


def test_stop_inside_a_quiet_stretch_leaves_the_figures_alone() -> None:
    clock = JumpingClock()
    pacer = Pacer(REAL_TIME, clock, max_quiet_ns=5 * SECOND)

    async def stopped() -> None:
        async for _ in due(pacer, batches([T0, T0 + SECOND, T0 + 3_601 * SECOND], 1)):
            if pacer.pace.last_ns == T0 + SECOND:
                pacer.wake.set()

    asyncio.run(stopped())
    assert (pacer.pace.event_ns, pacer.pace.quiet_skipped_ns) == (SECOND, 0)
    assert pacer.pace.achieved() == 1.0


def test_stop_ends_the_playing_at_the_next_event() -> None:
    clock = JumpingClock()
    pacer = Pacer(REAL_TIME, clock)

    async def stopped() -> int:
        count = 0
        async for piece in due(pacer, batches([T0 + i * SECOND for i in range(9)])):
            count += len(piece)
            if count == 3:
                pacer.wake.set()
        return count

    assert asyncio.run(stopped()) == 3


# --- under control: whatever is commanded, and whenever


class CutClock(JumpingClock):
    """A clock whose waits are cut short: each by the next of ``cuts``, a share of the wait (1: none)."""

    def __init__(self, cuts: list[float], *, overshoot_ns: int = 0) -> None:
        super().__init__(overshoot_ns=overshoot_ns)
        self.cuts = cuts

    async def wait_until(self, ns: int, interrupt: asyncio.Event | None = None) -> None:
        share = self.cuts.pop(0) if self.cuts else 1
        left_ns = ns - self.now_ns()
        if share < 1 and left_ns > 0 and interrupt is not None:
            self.advance(round(left_ns * share))
            interrupt.set()
        else:
            await super().wait_until(ns, interrupt)


class Commanded:
    """Plays events and commands by a pacer, and keeps an account of its own of the event time reached.

    A command is a word and a number: ``hold`` for so many ns, ``speed``, ``move`` to an event, ``step`` over so many.
    ``handed`` are the events handed on by the schedule: which, and the event time reached when they were.
    """

    def __init__(self, times: list[int], rate: float | None, cuts: list[float], **options: int) -> None:
        self.times = np.array(times, np.int64)
        self.clock = CutClock(cuts, overshoot_ns=0)
        self.pacer = Pacer(Speed(rate), self.clock, **options)
        self.rate = rate
        self.reached: float = times[0] - T0  # since T0
        self.since_ns = self.clock.now_ns()
        self.held = False
        self.moved = False
        self.last: int | None = None
        self.next = 0
        self.handed: list[tuple[int, float]] = []

    def account(self) -> float:
        """Return the event time reached by now."""
        now_ns = self.clock.now_ns()
        if self.rate is not None and not self.held and self.last is not None and not self.moved:
            self.reached += (now_ns - self.since_ns) * self.rate
        self.since_ns = now_ns
        return self.reached

    def obey(self, word: str, number: float) -> None:
        self.account()
        if word == "hold":
            self.pacer.hold()
            self.held = True
            self.clock.advance(int(number * SECOND))
            self.account()
            self.pacer.go_on()
            self.held = False
        elif word == "step":
            self.pacer.hold()
            self.clock.advance(int(number * MS))
            for _ in range(min(int(number), len(self.times) - self.next)):
                self.pacer.out_of_turn(self.batch()[self.next : self.next + 1])
                self.last, self.moved = self.next, False
                self.reached = float(self.times[self.next] - T0)
                self.next += 1
                self.clock.advance(MS)
            self.pacer.go_on()
        elif word == "move":
            self.next = int(number) % len(self.times)
            self.pacer.move()
            self.moved = self.last is not None
        else:
            if self.rate is None and self.last is not None:
                self.reached = float(self.times[self.last] - T0)
            self.rate = number or None
            self.pacer.set_speed(Speed(self.rate))
        self.since_ns = self.clock.now_ns()

    def batch(self) -> EncodedBatch:
        count = len(self.times)
        return replace(encoded_events([b""] * count, [0] * count), sort_ns=self.times)

    async def play(self, commands: list[tuple[str, float]], every: int = 1) -> None:
        """Obey a command when a wait is cut, and after every so many pieces, until all is played."""
        batch, left, pieces = self.batch(), commands[:], 0
        while self.next < len(self.times):
            self.pacer.wake.clear()
            before = self.next
            end = await self.pacer.due(batch, before)
            if end == before:
                self.account()
            else:
                if self.last is None or self.moved:
                    self.reached, self.moved, self.since_ns = self.times[before] - T0, False, self.clock.now_ns()
                self.last = end - 1
                reached = self.account()
                if self.rate is not None:
                    self.handed += [(int(ns) - T0, reached) for ns in self.times[before:end]]
                self.next, pieces = end, pieces + 1
            if left and (end == before or pieces % every == 0):
                self.obey(*left.pop(0))


GAPS = st.lists(st.sampled_from([0, 1, MS // 10, 7 * MS, 300 * MS, 2 * SECOND]), min_size=1, max_size=25)
CUTS = st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0, 1.0, 1.0]), max_size=20)
RATES = [0.1, 0.5, 1.0, 3.0, 100.0]
HOLDS = st.tuples(st.just("hold"), st.sampled_from([0, 0.001, 1.5, 600]))
SPEEDS = st.tuples(st.just("speed"), st.sampled_from([*RATES, 0]))
MOVES = st.tuples(st.just("move"), st.integers(0, 24))
STEPS = st.tuples(st.just("step"), st.integers(1, 5))
NEVER = {"max_quiet_ns": 10**15, "stall_ns": 10**15}


def times_of(gaps: list[int]) -> list[int]:
    return [T0 + sum(gaps[: i + 1]) for i in range(len(gaps))]


@settings(max_examples=150)
@given(
    GAPS, st.sampled_from(RATES), CUTS, st.lists(st.one_of(HOLDS, SPEEDS, MOVES, STEPS), max_size=10), st.integers(1, 4)
)
def test_whatever_is_commanded_no_event_is_early_late_or_in_a_burst(
    gaps: list[int], rate: float, cuts: list[float], commands: list[tuple[str, float]], every: int
) -> None:
    played = Commanded(times_of(gaps), rate, cuts, **NEVER)
    asyncio.run(played.play(commands, every))
    fastest = max([rate, *(number for word, number in commands if word == "speed")])
    for event, reached in played.handed:
        assert -1_000 <= reached - event <= (STEP_NS + 1_000) * fastest


@settings(max_examples=150)
@given(GAPS, st.sampled_from(RATES), CUTS, st.lists(st.one_of(HOLDS, MOVES, STEPS), max_size=10), st.integers(1, 4))
def test_pauses_jumps_and_steps_count_neither_as_event_time_nor_as_time_used(
    gaps: list[int], rate: float, cuts: list[float], commands: list[tuple[str, float]], every: int
) -> None:
    played = Commanded(times_of(gaps), rate, cuts, **NEVER)
    asyncio.run(played.play(commands, every))
    pace = played.pacer.pace
    late_ns = (STEP_NS + 1_000) * (len(commands) + 1)
    assert pace.event_ns >= 0
    assert abs(pace.clock_ns - pace.event_ns / rate) <= late_ns
    total_ns = played.clock.now_ns() - pace.started_ns
    assert 0 <= pace.idle_ns <= total_ns
    if pace.event_ns > 100 * late_ns * rate:
        assert pace.achieved() == pytest.approx(rate, rel=0.02)
        assert played.pacer.achieved() == pace.achieved()


@settings(max_examples=100)
@given(
    st.sampled_from([1.0, 3.0, 100.0]),
    CUTS,
    st.lists(st.one_of(HOLDS, SPEEDS.filter(lambda speed: speed[1] > 0)), max_size=8),
)
def test_a_quiet_stretch_keeps_the_rest_of_its_wait(
    rate: float, cuts: list[float], commands: list[tuple[str, float]]
) -> None:
    played = Commanded([T0, T0 + 100_000 * SECOND], rate, cuts, max_quiet_ns=5 * SECOND)
    asyncio.run(played.play(commands, every=99))
    held_ns = played.pacer.pace.idle_ns
    waited_ns = played.clock.now_ns() - played.pacer.pace.started_ns - held_ns
    assert 0 <= waited_ns - 5 * SECOND <= STEP_NS
    pace = played.pacer.pace
    assert (pace.quiet_event_ns, pace.event_ns, pace.quiet_to_ns) == (100_000 * SECOND, 0, None)
    assert 0 <= pace.quiet_clock_ns - 5 * SECOND <= STEP_NS
    assert abs(pace.clock_ns) <= STEP_NS
    assert pace.stalls == 0


def test_slower_in_the_middle_of_a_gap_is_no_reason_to_hurry() -> None:
    played = Commanded([T0, T0 + 3 * SECOND], 1.0, [1 / 3])
    asyncio.run(played.play([("speed", 0.1)], every=99))
    assert played.clock.now_ns() - played.pacer.pace.started_ns == 5 * SECOND  # as a quiet stretch, from its beginning


def test_at_max_speed_nothing_is_left_of_a_quiet_stretch() -> None:
    played = Commanded([T0, T0 + 3_600 * SECOND, T0 + 3_601 * SECOND], 1.0, [0.5])
    asyncio.run(played.play([("speed", 0)], every=99))
    assert played.clock.now_ns() - played.pacer.pace.started_ns == 2_500 * MS
    assert played.pacer.pace.quiet_to_ns is None


def test_a_step_over_a_quiet_stretch_ends_it() -> None:
    played = Commanded([T0, T0 + 3_600 * SECOND, T0 + 3_600 * SECOND, T0 + 3_601 * SECOND], 1.0, [0.5])
    asyncio.run(played.play([("step", 1)], every=99))
    pace = played.pacer.pace
    assert (pace.quiet_event_ns, pace.quiet_skipped_ns, pace.quiet_clock_ns) == (0, 0, 0)
    assert pace.event_ns == SECOND
    assert pace.achieved() == pytest.approx(1.0, rel=0.01)


def test_faster_in_a_quiet_stretch_is_never_less_than_nothing_skipped() -> None:
    played = Commanded([T0, T0 + 10 * SECOND], 1.0, [0.5])
    asyncio.run(played.play([("speed", 100)], every=99))
    assert played.pacer.pace.quiet_skipped_ns == 0


def test_woken_when_an_event_is_due_a_quiet_stretch_counts_once() -> None:
    clock = JumpingClock()
    pacer = Pacer(REAL_TIME, clock, max_quiet_ns=5 * SECOND)

    async def woken() -> None:
        batch = Commanded([T0, T0 + 60 * SECOND], 1.0, []).batch()
        assert await pacer.due(batch, 0) == 1
        clock.advance(5 * SECOND)
        for _ in range(3):
            pacer.wake.set()
            assert await pacer.due(batch, 1) == 1
        pacer.wake.clear()
        assert await pacer.due(batch, 1) == 2

    asyncio.run(woken())
    assert pacer.pace.quiet_event_ns == 60 * SECOND
    assert (pacer.pace.event_ns, pacer.pace.stalls) == (0, 0)


def test_events_handed_on_out_of_turn_while_it_plays_take_no_time_of_the_schedule() -> None:
    played = Commanded([T0, T0 + SECOND, T0 + 2 * SECOND, T0 + 3 * SECOND], 1.0, [])

    async def warm_up() -> None:
        batch = played.batch()
        for i in range(2):
            assert await played.pacer.due(batch, i) == i + 1
        played.pacer.move()
        played.clock.advance(7 * SECOND)
        played.pacer.out_of_turn(batch[:2])
        played.clock.advance(7 * SECOND)
        played.pacer.move()
        for i in range(2, 4):
            assert await played.pacer.due(batch, i) == i + 1

    asyncio.run(warm_up())
    pace = played.pacer.pace
    assert (pace.event_ns, pace.clock_ns, pace.idle_ns) == (2 * SECOND, 2 * SECOND, 14 * SECOND)
