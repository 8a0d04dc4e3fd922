"""Patience: how long a protocol tries before it gives up, by a clock that a test moves."""

from collections.abc import Awaitable, Callable

import pytest
from nats.aio.msg import Msg

from spyctl.bus.acks.base import AckProtocol, Patience
from spyctl.bus.in_flight import Chunk, Delivery, InFlight
from spyctl.errors import RefusedError, UnreachableError
from spyctl.timing.instants import SECOND
from tests.support.batches import numbered
from tests.support.clock import JumpingClock
from tests.support.connection import ScriptedConnection
from tests.unit.bus.acks.streams import stream

PATIENCE = Patience(ack_s=5.0, outage_s=120.0, refusal_s=4.0)


class Recorded(AckProtocol):
    """A protocol that records what it is told to send, and settles when a test says so."""

    name = "recorded"
    sends = True
    settles = True

    async def finish(self) -> None: ...

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
        self.connection = ScriptedConnection()
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
            protocol._refused("stream is full")
            await protocol.repair()
    assert 4 * SECOND < sending.clock.now_ns() - begun < 8 * SECOND
    assert sending.in_flight.delivery.refusals["stream is full"] > 2


@pytest.mark.parametrize(("replicas", "limit_s"), [(1, 4), (3, 120)], ids=["gone", "election"])
async def test_nobody_to_answer_is_an_outage_where_a_leader_may_be_elected(replicas: int, limit_s: int) -> None:
    sending = Sending(replicas)
    protocol = await sending.send()
    begun = sending.clock.now_ns()
    with pytest.raises((RefusedError, UnreachableError)):  # noqa: PT012
        for _ in range(1_000):
            protocol._refused(None)
            await protocol.repair()
    assert limit_s * SECOND < sending.clock.now_ns() - begun < (limit_s + 4) * SECOND


async def test_a_refusal_that_ends_begins_the_patience_again() -> None:
    sending = Sending()
    protocol = await sending.send()
    for _ in range(20):
        protocol._refused("stream is full")
        await protocol.repair()
        protocol._refusals = 0  # an event was stored meanwhile
        sending.advance(1)
    assert len(protocol.sent) == 21


async def test_a_server_that_does_not_come_back_is_unreachable() -> None:
    sending = Sending()
    protocol = await sending.send()
    sending.connection.connected = False
    sending.connection.cut()
    with pytest.raises(UnreachableError, match="did not come back within 120 s"):
        await protocol.repair()
