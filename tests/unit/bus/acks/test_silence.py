"""For how long nothing has been acknowledged, what does not count, and what the server says of it."""

from spyctl.bus.acks.silence import Silence
from spyctl.bus.in_flight import Chunk, Delivery, InFlight
from spyctl.timing.instants import SECOND
from tests.support.batches import numbered
from tests.support.clock import JumpingClock


def waiting() -> tuple[InFlight, Silence, JumpingClock]:
    clock = JumpingClock()
    in_flight = InFlight(1_000, 1 << 20, Delivery(), clock=clock)
    in_flight.add(Chunk.of(1, numbered(range(3)), clock.now_ns()))
    return in_flight, Silence(in_flight), clock


def test_it_begins_with_the_oldest_event_and_ends_with_progress() -> None:
    in_flight, silence, clock = waiting()
    clock.advance(2 * SECOND)
    assert silence.longer_than(1.9)
    assert not silence.longer_than(2.1)
    in_flight.acknowledge(1, 1)
    assert not silence.longer_than(0.1)


def test_an_attempt_and_sleep_begin_it_anew() -> None:
    _, silence, clock = waiting()
    clock.advance(5 * SECOND)
    silence.attempt()
    assert not silence.longer_than(1)
    assert silence.longer_than(4, since_attempt=False)
    silence.slept()
    assert not silence.longer_than(1, since_attempt=False)


def test_later_events_that_pass_the_oldest_are_no_progress() -> None:
    in_flight, silence, clock = waiting()
    clock.advance(5 * SECOND)
    in_flight.acknowledge(3, 3)
    assert silence.longer_than(4)
    assert not silence.longer_than(4, since_attempt=False)


def test_nothing_in_flight_is_no_silence() -> None:
    in_flight, silence, clock = waiting()
    in_flight.acknowledge_through(3)
    clock.advance(500 * SECOND)
    assert not silence.longer_than(1)
