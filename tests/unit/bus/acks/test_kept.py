"""Whether a stream still holds what it acknowledged: asked after a break, and never passed over for later answers."""

import pytest

from spyctl.bus.acks.kept import Kept, marked
from spyctl.bus.checkpoint import Checkpoint
from spyctl.bus.in_flight import Chunk, Delivery, InFlight
from spyctl.bus.mark import mark_of
from spyctl.errors import LostTrackError, UnreachableError
from tests.support.batches import numbered
from tests.support.clock import FakeClock
from tests.support.connection import ScriptedConnection
from tests.unit.bus.acks.streams import stream

OURS = [("a", b"event %d" % n, "") for n in range(4)]
STRANGER = ("a", b"of somebody else", "")


class Asking:
    """Four events in flight, the first two acknowledged, in a stream that holds ``held``."""

    def __init__(self) -> None:
        self.held = list(OURS)
        self.connection = ScriptedConnection({"STREAM.INFO.S": {"config": {}}}, held=lambda: self.held)
        self.in_flight = InFlight(100, 1 << 20, Delivery(), clock=FakeClock())
        self.in_flight.add(Chunk.of(1, numbered(range(4)), 0))
        for position in (1, 2):
            self.in_flight.acknowledge(position, position)
        self.kept = Kept(self.connection.as_connection(), stream(), self.in_flight, ["a"])


async def test_what_is_there_is_proved_and_what_is_lost_is_an_end() -> None:
    asking = Asking()
    assert await asking.kept.proved()
    asking.held[1] = STRANGER
    with pytest.raises(LostTrackError, match="has lost events that the server had acknowledged"):
        await asking.kept.proved()


async def test_what_was_known_at_a_break_is_proved_first_whatever_is_acknowledged_meanwhile() -> None:
    asking = Asking()
    asking.kept.doubt()
    asking.connection.answers["STREAM.MSG.GET.S"] = UnreachableError("away")
    assert not await asking.kept.proved()
    del asking.connection.answers["STREAM.MSG.GET.S"]
    asking.held[1] = STRANGER
    asking.in_flight.acknowledge(3, 3)
    with pytest.raises(LostTrackError):
        await asking.kept.proved()


async def test_an_acknowledgement_that_comes_while_it_is_asked_is_proved_too() -> None:
    asking = Asking()
    asking.held[2] = STRANGER

    def held() -> list[tuple[str, bytes, str]]:
        asking.in_flight.acknowledge(3, 3)
        return asking.held

    asking.connection.held = held
    with pytest.raises(LostTrackError):
        await asking.kept.proved()


async def test_a_break_while_it_is_asked_has_it_asked_again() -> None:
    asking = Asking()

    def held() -> list[tuple[str, bytes, str]]:
        answer = list(asking.held)
        if asking.held[1] != STRANGER:
            asking.held[1] = STRANGER  # lost right behind the answer, and somebody else was faster
            asking.kept.doubt()
        return answer

    asking.connection.held = held
    with pytest.raises(LostTrackError):
        await asking.kept.proved()


async def test_an_event_with_a_sequence_of_before_is_a_loss_unless_the_stream_is_another_one() -> None:
    asking = Asking()
    await asking.kept.refuse_receded()
    asking.in_flight.acknowledge(3, 1)
    with pytest.raises(LostTrackError):
        await asking.kept.refuse_receded()
    assert asking.in_flight.anchor == Checkpoint(2, 2)
    asking.connection.answers["STREAM.INFO.S"] = {"created": "later", "config": {}}
    await asking.kept.refuse_receded()  # the account at the end names it
    asking.in_flight.acknowledge(4, 2)
    assert asking.in_flight.anchor == Checkpoint(4, 2)


def test_the_mark_is_of_the_newest_event_or_of_the_anchor() -> None:
    in_flight = Asking().in_flight
    in_flight.acknowledge(4, 4)
    newest, anchor = marked(in_flight, ["a"]), marked(in_flight, ["a"], at_anchor=True)
    assert (newest, newest.mark) == (Checkpoint(4, 4), mark_of("a", b"event 3"))
    assert (anchor, anchor.mark) == (Checkpoint(2, 2), "")
    in_flight.acknowledge(3, 3)
    in_flight.anchor = Checkpoint(4, 9, "of the message there")
    assert marked(in_flight, ["a"]).mark == "of the message there"
