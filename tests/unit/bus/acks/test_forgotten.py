"""What is stored of a batch that the server has forgotten, among the messages of others."""

from collections.abc import Sequence
from typing import Any

import pytest

from spyctl.bus.acks.forgotten import ForgottenBatches
from spyctl.bus.checkpoint import Checkpoint
from spyctl.bus.in_flight import Chunk, Delivery, InFlight
from spyctl.errors import LostTrackError, StreamBusyError, UnreachableError
from tests.support.batches import numbered
from tests.support.clock import JumpingClock
from tests.support.connection import ScriptedConnection
from tests.unit.bus.acks.test_base import stream

OURS = [b"event %d" % n for n in range(4)]
ELSEWHERE = b"on another subject"


def batches(
    stored: list[bytes], acked: int = 0, replicas: int = 1, meanwhile: Sequence[Sequence[bytes]] = ()
) -> ForgottenBatches:
    """Return what counts four events of ours, ``acked`` of them acknowledged, in a stream that holds ``stored``.

    Others publish ``meanwhile`` after each answer; :data:`ELSEWHERE` is on a subject of theirs.
    """
    later = iter(meanwhile)

    def pending(request: Any) -> dict[str, int]:
        count = sum(1 for payload in stored[request["config"]["opt_start_seq"] - 1 :] if payload != ELSEWHERE)
        stored.extend(next(later, ()))
        return {"num_pending": count}

    def info(_: Any) -> dict[str, Any]:
        state = {"last_seq": len(stored), "first_seq": 1}
        stored.extend(next(later, ()))
        return {"state": state}

    def held() -> list[tuple[str, bytes, str]]:
        return [("b" if payload == ELSEWHERE else "a", payload, "") for payload in stored]

    answers = {"CONSUMER.CREATE.S.": pending, "CONSUMER.DELETE.S.": {}, "STREAM.INFO.S": info}
    connection = ScriptedConnection(answers, held=held)
    clock = JumpingClock()
    in_flight = InFlight(1_000, 1 << 20, Delivery(), clock=clock)
    in_flight.add(Chunk.of(1, numbered(range(4)), clock.now_ns()))
    if acked:
        in_flight.acknowledge_through(acked)
    return ForgottenBatches(connection.as_connection(), stream(replicas=replicas), ["a"], ["a"], in_flight)


async def test_our_events_are_counted_among_those_of_others() -> None:
    stored = [b"x", OURS[0], b"y", OURS[1], b"z"]
    assert await batches(stored).stored(5) == Checkpoint(2, 5)
    assert await batches(OURS, acked=2).stored(5) == Checkpoint(4, 4)
    assert await batches([]).stored(5) == Checkpoint(0, 0)


@pytest.mark.parametrize("acked", [0, 1, 2])
@pytest.mark.parametrize(
    ("meanwhile", "last_seq"), [([[b"x"] * 4], 8), ([[], [b"x"] * 4], 4), ([[b"x"], [b"x"] * 4, [b"x"] * 2], 5)],
    ids=["before the end is told", "before it is read", "all the time"],
)  # fmt: skip
async def test_our_events_are_counted_while_others_publish(
    acked: int, meanwhile: Sequence[Sequence[bytes]], last_seq: int
) -> None:
    stored = [OURS[0], ELSEWHERE, OURS[1], OURS[2]]
    assert await batches(stored, acked, meanwhile=meanwhile).stored(5) == Checkpoint(3, last_seq)


async def test_others_who_publish_the_same_cannot_be_told_apart() -> None:
    with pytest.raises(StreamBusyError, match="somebody else has published the same events to a"):
        await batches([OURS[0], OURS[0]]).stored(5)


@pytest.mark.parametrize(("replicas", "kind"), [(1, LostTrackError), (3, UnreachableError)])
async def test_acknowledged_events_that_are_gone_are_not_taken_for_stored(replicas: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="stream S does not hold 2 events that it acknowledged"):
        await batches([], acked=2, replicas=replicas).stored(5)


async def test_a_rest_that_turns_up_later_is_no_stranger() -> None:
    stored = OURS[:1]
    forgotten = batches(stored)
    assert await forgotten.stored(5) == Checkpoint(1, 1)
    stored += [b"x"]
    with pytest.raises(LostTrackError, match="has stored events that it did not hold when it was asked"):
        await forgotten.stored(5)
