"""Patience: how long a protocol tries before it gives up, by a clock that a test moves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from nats.aio.msg import Msg

from spyctl.bus.acks.base import AckProtocol, Patience
from spyctl.bus.acks.fast_ingest import FastIngest, Op
from spyctl.bus.acks.per_message import PerMessage
from spyctl.bus.connection import ApiError
from spyctl.bus.fence import FENCED, fence_header
from spyctl.bus.in_flight import Chunk, Delivery, InFlight
from spyctl.bus.leases import LEASE_NS
from spyctl.bus.run import Run
from spyctl.bus.runs import RunRecord, Runs
from spyctl.errors import LeaseLostError, RefusedError, UnreachableError
from spyctl.timing.instants import SECOND
from tests.support.batches import numbered
from tests.support.bucket import MemoryBucket, leases
from tests.support.clock import JumpingClock
from tests.support.connection import Published, ScriptedConnection
from tests.unit.bus.acks.streams import stream

PATIENCE = Patience(ack_s=5.0, outage_s=120.0, refusal_s=4.0)


class Recorded(AckProtocol):
    """A protocol that records what it is told to send, and settles when a test says so."""

    name = "recorded"
    sends = True
    settles = True

    async def _listen(self) -> Callable[[], Awaitable[None]]:
        self.sent: list[range] = []
        self.kept_alive = 0
        return await self._connection.subscribe("answers", self._on_answer)

    async def _on_answer(self, message: Msg) -> None: ...

    async def _send(self, chunk: Chunk) -> bool:
        if self.sends:
            self.sent.append(range(chunk.first, chunk.end))
        return self.sends

    async def _settle(self) -> bool:
        return self.settles

    async def _keep_alive(self) -> None:
        self.kept_alive += 1


class Sending:
    def __init__(self, replicas: int = 1) -> None:
        self.clock = JumpingClock()
        self.connection = ScriptedConnection(held=lambda: [("a", b"event %d" % n, "") for n in range(9)])
        self.in_flight = InFlight(1_000, 1 << 20, Delivery(), clock=self.clock)
        target = stream(replicas=replicas)
        self.protocol = Recorded(self.connection.as_connection(), target, ["a"], patience=PATIENCE)

    async def send(self, count: int = 3) -> Recorded:
        await self.protocol.open(self.in_flight, "aaaa")
        chunk = Chunk.of(1, numbered(range(count)), self.clock.now_ns())
        self.in_flight.add(chunk)
        await self.protocol.send(chunk)
        return self.protocol

    def advance(self, seconds: float) -> None:
        self.clock.advance(round(seconds * SECOND))


async def test_nothing_is_sent_again_while_all_is_well() -> None:
    sending = Sending()
    protocol = await sending.send()
    sending.advance(4.9)
    await protocol.repair()
    assert (protocol.sent, protocol.kept_alive) == ([range(1, 4)], 1)


async def test_what_is_overdue_is_sent_again_and_counted() -> None:
    sending = Sending()
    protocol = await sending.send()
    sending.in_flight.acknowledge(2, 2)
    sending.advance(5.1)
    await protocol.repair()
    assert protocol.sent == [range(1, 4), range(1, 2), range(3, 4)]
    assert sending.in_flight.delivery.resent == 2


async def test_a_hole_is_overdue_though_later_events_are_acknowledged_all_the_time() -> None:
    sending = Sending()
    protocol = await sending.send()
    sending.advance(5.1)
    sending.in_flight.acknowledge(3, 3)
    await protocol.repair()
    assert protocol.sent[1:] == [range(1, 3)]


async def test_slow_progress_in_order_is_not_overdue() -> None:
    sending = Sending()
    protocol = await sending.send()
    for position in (1, 2):
        sending.advance(4.9)
        sending.in_flight.acknowledge(position, position)
        await protocol.repair()
    assert protocol.sent == [range(1, 4)]


async def test_after_a_disconnect_nothing_new_is_sent_before_the_repair() -> None:
    sending = Sending()
    protocol = await sending.send()
    sending.connection.cut()
    chunk = Chunk.of(4, numbered(range(2)), sending.clock.now_ns())
    sending.in_flight.add(chunk)
    await protocol.send(chunk)
    assert protocol.sent == [range(1, 4)]
    await protocol.repair()
    assert protocol.sent[1:] == [range(1, 4), range(4, 6)]
    assert sending.in_flight.delivery.reconnects == 1


async def test_an_event_never_overtakes_those_that_a_repair_finds_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    sending = Sending()
    protocol = await sending.send()

    async def find_out() -> None:  # that the server no longer knows the batch
        protocol._line.break_off()
        await asyncio.sleep(0)

    monkeypatch.setattr(protocol, "_keep_alive", find_out)
    chunk = Chunk.of(4, numbered(range(2)), sending.clock.now_ns())
    async with protocol._line.alone():
        repairing = asyncio.create_task(protocol.repair())
        await asyncio.sleep(0)
    sending.in_flight.add(chunk)
    await protocol.send(chunk)  # the line is free, and the repair comes first
    await repairing
    assert protocol.sent == [range(1, 4)]
    await protocol.repair()
    assert protocol.sent[1:] == [range(1, 4), range(4, 6)]


async def test_a_repair_that_cannot_settle_or_send_is_tried_again() -> None:
    sending = Sending()
    protocol = await sending.send()
    sending.connection.cut()
    protocol.settles = False
    await protocol.repair()
    protocol.settles, protocol.sends = True, False
    await protocol.repair()
    assert protocol.sent == [range(1, 4)]
    protocol.sends = True
    await protocol.repair()
    assert protocol.sent[1:] == [range(1, 4)]


async def test_a_server_that_acknowledges_nothing_for_too_long_is_unreachable() -> None:
    sending = Sending()
    protocol = await sending.send()
    protocol.settles = False
    for _ in range(23):  # an attempt every five seconds is not progress
        sending.advance(5.1)
        await protocol.repair()
    sending.advance(5.1)
    with pytest.raises(UnreachableError, match="has acknowledged nothing for 120 s"):
        await protocol.repair()


async def test_a_server_that_keeps_refusing_is_given_its_time_and_not_more() -> None:
    sending = Sending()
    protocol = await sending.send()
    begun = sending.clock.now_ns()
    with pytest.raises(RefusedError, match="refuses to store events: stream is full"):  # noqa: PT012
        for _ in range(100):
            protocol._refused({"description": "stream is full"})
            await protocol.repair()
    assert 4 * SECOND < sending.clock.now_ns() - begun < 8 * SECOND
    assert sending.in_flight.delivery.refusals["stream is full"] > 2


@pytest.mark.parametrize(("replicas", "limit_s"), [(1, 4), (3, 120)], ids=["gone", "election"])
async def test_a_refusal_is_not_longer_where_it_cannot_be_found_out_what_is_stored(replicas: int, limit_s: int) -> None:
    sending = Sending(replicas)
    protocol = await sending.send()
    protocol.settles = False  # as where the stream is gone, and with it all that could be counted
    begun = sending.clock.now_ns()
    protocol._refused({})
    with pytest.raises((RefusedError, UnreachableError), match="no stream takes them"):  # noqa: PT012
        for _ in range(10_000):
            await protocol.repair()
    assert limit_s * SECOND < sending.clock.now_ns() - begun < (limit_s + 4) * SECOND


async def test_what_a_server_refused_that_then_went_away_is_not_held_against_it_when_it_is_back() -> None:
    sending = Sending()
    protocol = await sending.send()
    protocol._refused({})  # as a server does while it shuts down
    await protocol.repair()
    sending.connection.cut()
    protocol._refused({})  # which was still to be read
    sending.advance(30)
    protocol.settles = False  # as where its first answers get lost
    for _ in range(20):
        await protocol.repair()
    protocol.settles = True
    await protocol.repair()
    assert protocol.sent[-1] == range(1, 4)


@pytest.mark.parametrize(("replicas", "limit_s"), [(1, 4), (3, 120)], ids=["gone", "election"])
async def test_nobody_to_answer_is_an_outage_where_a_leader_may_be_elected(replicas: int, limit_s: int) -> None:
    sending = Sending(replicas)
    protocol = await sending.send()
    begun = sending.clock.now_ns()
    with pytest.raises((RefusedError, UnreachableError)):  # noqa: PT012
        for _ in range(1_000):
            protocol._refused({})
            await protocol.repair()
    assert limit_s * SECOND < sending.clock.now_ns() - begun < (limit_s + 4) * SECOND


async def test_an_id_in_process_is_waited_for_as_an_outage_is() -> None:
    sending = Sending()
    protocol = await sending.send()
    begun = sending.clock.now_ns()
    with pytest.raises((RefusedError, UnreachableError), match="id is in process"):  # noqa: PT012
        for _ in range(1_000):
            protocol._refused({"description": "duplicate message id is in process", "err_code": 10158})
            await protocol.repair()
    assert 120 * SECOND < sending.clock.now_ns() - begun < 124 * SECOND


async def test_time_in_which_the_process_slept_is_no_silence_of_the_server() -> None:
    sending = Sending()
    protocol = await sending.send()
    sending.clock.overshoot_ns = 140 * SECOND  # stopped while it watched
    await protocol.trouble()
    sending.clock.overshoot_ns = 0
    await protocol.repair()
    assert protocol.sent == [range(1, 4)]  # the answers may just be waiting here
    sending.advance(5.1)
    await protocol.repair()
    assert protocol.sent[1:] == [range(1, 4)]


async def test_refusals_are_not_longer_for_a_process_that_slept() -> None:
    sending = Sending()
    protocol = await sending.send()
    for _ in range(3):
        protocol._refused({"description": "stream is full"})
        sending.clock.overshoot_ns = 140 * SECOND
        await protocol.repair()
        sending.clock.overshoot_ns = 0
    assert len(protocol.sent) == 4


async def test_a_refusal_that_ends_begins_the_patience_again() -> None:
    sending = Sending()
    protocol = await sending.send()
    for _ in range(20):
        protocol._refused({"description": "stream is full"})
        await protocol.repair()
        protocol._refusals.stored()
        sending.advance(1)
    assert len(protocol.sent) == 21


async def test_why_nothing_is_acknowledged_is_said_after_some_seconds() -> None:
    sending = Sending()
    protocol = await sending.send()
    protocol._refusals.stuck = "the bucket is gone"
    assert protocol.hindrance == ""
    sending.advance(3.1)
    assert protocol.hindrance == "the bucket is gone"
    protocol._refused({"description": "stream is full"})
    assert protocol.hindrance == "the server refuses to store events: stream is full"
    sending.connection.connected = False
    assert protocol.hindrance == "nats://scripted:4222 is away"
    sending.in_flight.acknowledge(1, 1)
    assert protocol.hindrance == ""


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (UnreachableError("away"), "nats://scripted:4222 is connected and answers nothing"),
        (ApiError(503, 10118, "stream is offline"), "nats://scripted:4222 says of stream S: stream is offline"),
        (ApiError(404, 10059, "stream not found"), "stream S was deleted"),
        ({"config": {}}, "nats://scripted:4222 answers, and stores nothing: its disk may be full"),
    ],
)
async def test_a_server_that_acknowledges_nothing_is_asked_why(answer: Any, why: str) -> None:
    sending = Sending()
    protocol = await sending.send()
    sending.connection.answers["STREAM.INFO.S"] = answer
    for seconds in (4.9, 0.2):
        assert protocol.hindrance == ""
        sending.advance(seconds)
        await protocol.repair()
    assert protocol.hindrance.startswith(why)
    sending.advance(120)
    with pytest.raises(UnreachableError, match=f"acknowledged nothing for 120 s: {why}"):
        await protocol.repair()


async def test_a_server_that_does_not_even_answer_a_question_is_named_in_time() -> None:
    sending = Sending()
    protocol = await sending.send()
    sending.advance(6.9)
    assert protocol.hindrance == ""
    sending.advance(0.2)
    assert protocol.hindrance == "nats://scripted:4222 is connected and answers nothing"


async def test_what_a_server_said_in_one_silence_says_nothing_of_the_next() -> None:
    sending = Sending()
    protocol = await sending.send()
    sending.connection.answers["STREAM.INFO.S"] = {"config": {}}
    sending.advance(5.1)
    await protocol.repair()
    assert protocol.hindrance
    sending.in_flight.acknowledge(1, 1)
    sending.advance(3.1)
    assert protocol.hindrance == ""


async def test_the_last_word_names_the_cause() -> None:
    sending = Sending()
    protocol = await sending.send()
    protocol.settles = False
    protocol._refusals.stuck = "the bucket is gone"
    sending.advance(120.1)
    with pytest.raises(UnreachableError, match="acknowledged nothing for 120 s: the bucket is gone"):
        await protocol.repair()


async def test_a_server_that_does_not_come_back_is_unreachable() -> None:
    sending = Sending()
    protocol = await sending.send()
    sending.connection.connected = False
    sending.connection.cut()
    with pytest.raises(UnreachableError, match="did not come back within 120 s"):
        await protocol.repair()


# --- one writer


class Holding:
    """A protocol of a run that holds its lease, over a server that takes what it is sent."""

    def __init__(
        self,
        protocol: type[PerMessage] | type[FastIngest],
        version: tuple[int, int] = (2, 14),
        window_ns: int = 120 * SECOND,
    ) -> None:
        self.clock = JumpingClock()
        self.bucket = MemoryBucket()
        self.connection = ScriptedConnection(respond=self.answer, version=version)
        record = RunRecord("aaaa", "replay", "S", ["a"], [], {}, 0)
        self.run = Run(Runs(self.connection.as_connection(), self.bucket.as_bucket()), record, clock=self.clock)
        self.in_flight = InFlight(1_000, 1 << 20, Delivery(), clock=self.clock)
        target = stream(batched=True, duplicate_window_ns=window_ns)
        self.protocol = protocol(self.connection.as_connection(), target, ["a"], run=self.run)
        self.sent = 0

    def answer(self, message: Published) -> list[Any]:
        if message.reply.endswith(f"{Op.COMMIT}.$FI"):
            return [{"count": len(self.written), "seq": len(self.written)}]
        return [{"type": "ack", "seq": 0}] if message.reply.endswith("$FI") else []

    async def open(self) -> None:
        await self.run.leases.take("a")
        await self.protocol.open(self.in_flight, "aaaa")

    async def send(self, count: int = 2) -> None:
        chunk = Chunk.of(self.sent + 1, numbered(range(self.sent, self.sent + count)), self.clock.now_ns())
        self.sent += count
        self.in_flight.add(chunk)
        await self.protocol.send(chunk)
        if not self.protocol._line.broken and self.protocol._line.next < chunk.end:
            await self.protocol.repair()  # which begins a batch

    @property
    def written(self) -> list[bytes]:
        return [message.payload for message in self.connection.written if message.payload]

    async def overtaken(self, *, force: bool = False) -> None:
        await leases(self.bucket, "bbbb", clock=self.clock).take("a", force=force)


each_protocol = pytest.mark.parametrize("protocol", [PerMessage, FastIngest])


@each_protocol
async def test_who_slept_for_longer_than_its_lease_lasts_writes_no_byte_before_it_is_proved(
    protocol: type[PerMessage] | type[FastIngest],
) -> None:
    holding = Holding(protocol)
    await holding.open()
    await holding.send()
    holding.clock.advance(LEASE_NS + 1)
    await holding.overtaken()
    for _ in range(2):
        with pytest.raises(LeaseLostError, match="run bbbb took over a"):
            await holding.send()
    with pytest.raises(LeaseLostError):
        await holding.protocol.repair()
    assert holding.written == [b"event 0", b"event 1"]


@each_protocol
async def test_who_slept_and_still_holds_its_lease_renews_it_and_goes_on(
    protocol: type[PerMessage] | type[FastIngest],
) -> None:
    holding = Holding(protocol)
    await holding.open()
    await holding.send()
    renewals = holding.bucket.writes
    await holding.send()
    assert holding.bucket.writes == renewals  # which costs nothing while there is no doubt
    holding.clock.advance(LEASE_NS + 1)
    await holding.send()
    assert holding.bucket.writes == renewals + 1
    assert holding.written == [b"event %d" % n for n in range(6)]


@pytest.mark.parametrize(("version", "goes_on"), [((2, 10), False), ((2, 14), True)], ids=["no fence", "fence"])
async def test_while_nobody_can_be_asked_a_lease_in_doubt_counts_only_behind_a_fence(
    version: tuple[int, int], goes_on: bool
) -> None:
    holding = Holding(PerMessage, version)
    await holding.open()
    await holding.send()
    holding.run.leases.doubt()
    holding.bucket.away = True
    await holding.send()
    assert holding.written == [b"event %d" % n for n in range(4 if goes_on else 2)]
    assert holding.in_flight.count == 4
    holding.bucket.away = False
    await holding.overtaken(force=True)
    with pytest.raises(LeaseLostError):
        await holding.run.hold()


async def test_a_new_batch_is_begun_although_the_bucket_does_not_answer() -> None:
    holding = Holding(FastIngest)
    await holding.open()
    await holding.send()
    holding.bucket.away = True
    await holding.protocol.finish()
    await holding.send()
    assert holding.written == [b"event %d" % n for n in range(4)]


async def test_without_a_fence_a_lease_is_proved_ahead_of_its_end_too() -> None:
    holding = Holding(PerMessage, version=(2, 10))
    await holding.open()
    await holding.send()
    for _ in range(3):  # awake
        holding.clock.advance(LEASE_NS // 4)
        holding.run.leases.look()
    holding.bucket.away = True
    await holding.send()
    assert holding.written == [b"event 0", b"event 1"]
    assert all(b"Subject-Sequence" not in message.headers for message in holding.connection.written)


@pytest.mark.parametrize(("protocol", "fenced"), [(PerMessage, [True, True]), (FastIngest, [True, False])])
async def test_what_the_end_of_a_batch_does_not_stop_has_a_fence(
    protocol: type[PerMessage] | type[FastIngest], fenced: list[bool]
) -> None:
    holding = Holding(protocol)
    await holding.open()
    await holding.send()
    lines = fence_header(holding.run.fence)
    assert [lines in message.headers for message in holding.connection.written] == fenced


@pytest.mark.parametrize(("window_s", "shifts"), [(2, 1), (120, 0)])
async def test_what_a_broken_connection_may_bring_once_its_ids_are_forgotten_is_fenced_off(
    window_s: int, shifts: int
) -> None:
    holding = Holding(PerMessage, window_ns=window_s * SECOND)
    await holding.open()
    await holding.send()
    holding.connection.cut()
    for _ in range(2):
        await holding.protocol.repair()
    assert [subject for subject, *_ in holding.connection.requested] == [holding.run.fence] * shifts
    assert holding.written == [b"event 0", b"event 1"] * 2
    lines = fence_header(holding.run.fence, 1_001 if shifts else 0)
    assert [lines in message.headers for message in holding.connection.written[2:]] == [True, True]


async def test_a_shifted_fence_that_the_stream_let_go_of_is_shifted_again() -> None:
    holding = Holding(PerMessage, window_ns=2 * SECOND)
    await holding.open()
    await holding.send()
    holding.connection.cut()
    refusal = {"error": {"code": 400, "err_code": FENCED[0], "description": "wrong last sequence: 0"}}
    holding.connection.respond = lambda _: [refusal]
    await holding.protocol.repair()
    holding.connection.respond = lambda _: []
    await holding.protocol.repair()
    assert len(holding.connection.requested) == 2
    assert fence_header(holding.run.fence, 1_002) in holding.connection.written[-1].headers


@each_protocol
async def test_who_is_refused_for_its_fence_learns_who_took_over(
    protocol: type[PerMessage] | type[FastIngest],
) -> None:
    holding = Holding(protocol)
    await holding.open()
    await holding.run.leases.renew()
    await holding.overtaken(force=True)  # a moment ago: there is no doubt
    refusal = {"error": {"code": 400, "err_code": FENCED[0], "description": "wrong last sequence: 7"}}
    holding.connection.respond = lambda _: [refusal]
    await holding.send()
    with pytest.raises(LeaseLostError, match="run bbbb took over a"):
        await holding.protocol.repair()
    assert list(holding.in_flight.delivery.refusals) == ["another process goes on with this run"]
