"""Acknowledgements of single messages, by a scripted server: epochs, refusals, and a duplicate window that ran out."""

from base64 import b64encode
from typing import Any

import pytest

from spyctl.bus.acks.per_message import MAX_UNANSWERED, PerMessage
from spyctl.bus.checkpoint import Checkpoint
from spyctl.bus.connection import ApiError
from spyctl.bus.in_flight import Chunk, Delivery, InFlight
from spyctl.errors import LostTrackError, UnreachableError
from spyctl.market.encode import EncodedBatch
from spyctl.timing.instants import MINUTE
from tests.support.batches import batch_of, numbered
from tests.support.clock import JumpingClock
from tests.support.connection import ScriptedConnection
from tests.unit.bus.acks.streams import stream

NO_MORE = ApiError(404, 10037, "no message found")


def stored(seq: int, message_id: str) -> dict[str, Any]:
    headers = b64encode(b"NATS/1.0\r\nNats-Msg-Id: %s\r\n\r\n" % message_id.encode()).decode()
    return {"message": {"seq": seq, "subject": "a", "hdrs": headers, "time": "2025-12-16T14:30:00Z"}}


class Sending:
    """A protocol with its window, whose server answers nothing by itself."""

    def __init__(self, replicas: int = 1, **answers: Any) -> None:
        self.clock = JumpingClock()
        info = {"config": {}, "state": {"last_seq": 1_000}}
        self.connection = ScriptedConnection(
            {"STREAM.MSG.GET.S": answers.get("found", NO_MORE), "STREAM.INFO.S": answers.get("info", info)}
        )
        self.in_flight = InFlight(10_000, 1 << 30, Delivery(), clock=self.clock)
        self.protocol = PerMessage(self.connection.as_connection(), stream(replicas=replicas), ["a"])

    async def send(self, batch: EncodedBatch) -> None:
        await self.protocol.open(self.in_flight, "aaaa")
        chunk = Chunk.of(1, batch, self.clock.now_ns())
        self.in_flight.add(chunk)
        await self.protocol.send(chunk)

    async def acknowledge(self, position: int, epoch: int = 0, **reply: Any) -> None:
        await self.connection.deliver(f"_INBOX.x.{epoch}.{position}", {"stream": "S", **reply})

    @property
    def sent(self) -> list[tuple[str, str]]:
        """Where the answer to each message goes, and its id."""
        return [
            (message.reply, message.headers.decode().split("Nats-Msg-Id: ")[1].strip())
            for message in self.connection.written
        ]


async def test_every_message_has_an_id_and_a_place_for_its_answer() -> None:
    sending = Sending()
    await sending.send(numbered(range(2)))
    assert sending.sent == [("_INBOX.x.0.1", "aaaa-1"), ("_INBOX.x.0.2", "aaaa-2")]
    await sending.acknowledge(1, seq=11)
    assert (sending.in_flight.count, sending.in_flight.anchor) == (1, Checkpoint(1, 11))


async def test_events_that_bring_an_id_keep_it() -> None:
    sending = Sending()
    await sending.send(batch_of([b"x", b"y"], ids=[b"T.SPY.1", b"Q.SPY"]))
    assert [message_id for _, message_id in sending.sent] == ["T.SPY.1", "Q.SPY"]


async def test_a_refusal_has_the_rest_answered_and_all_that_is_missing_sent_again_under_a_new_epoch() -> None:
    sending = Sending()
    await sending.send(numbered(range(3)))
    await sending.acknowledge(1, seq=1)
    await sending.acknowledge(2, error={"code": 503, "description": "stream is full"})
    await sending.protocol.repair()
    assert sending.sent[3:] == [("_INBOX.x.1.2", "aaaa-2"), ("_INBOX.x.1.3", "aaaa-3")]
    await sending.acknowledge(3, error={"code": 503, "description": "stream is full"})  # of the old epoch
    assert not sending.protocol._line.broken
    assert sending.in_flight.delivery.refusals == {"stream is full": 1}


async def test_what_others_publish_does_not_hide_that_the_end_of_a_stream_was_lost() -> None:
    sending = Sending(found=stored(1, "of somebody else"))
    await sending.send(numbered(range(2)))
    await sending.acknowledge(1, seq=1)
    sending.connection.cut()
    with pytest.raises(LostTrackError, match="has lost events that the server had acknowledged"):
        await sending.protocol.repair()


async def test_acknowledgements_behind_one_that_was_lost_are_compared_too() -> None:
    held = stored(1, "aaaa-1")["message"] | {"data": b64encode(b"event 0").decode()}
    sending = Sending(found=lambda request: {"message": held} if request["seq"] == 1 else stored(3, "of somebody else"))
    await sending.send(numbered(range(4)))
    await sending.acknowledge(1, seq=1)
    await sending.acknowledge(3, seq=3)  # while that of the second one was lost
    sending.connection.cut()
    with pytest.raises(LostTrackError, match="has lost events that the server had acknowledged"):
        await sending.protocol.repair()


async def test_a_duplicate_counts_as_an_earlier_runs_only_where_it_was_sent_once() -> None:
    sending = Sending()
    await sending.send(numbered(range(2)))
    await sending.acknowledge(1, seq=5, duplicate=True)
    sending.connection.cut()
    await sending.protocol.repair()
    await sending.acknowledge(2, epoch=1, seq=6, duplicate=True)
    assert (sending.in_flight.delivery.duplicates, sending.in_flight.delivery.known) == (2, 1)


async def test_no_responders_is_a_refusal_that_names_no_reason() -> None:
    sending = Sending()
    await sending.send(numbered(range(1)))
    await sending.connection.deliver("_INBOX.x.0.1", None)
    assert sending.in_flight.delivery.refusals == {"no stream takes them": 1}


async def test_after_the_duplicate_window_the_stream_is_read_instead() -> None:
    sending = Sending(found=[stored(1, "aaaa-1"), stored(2, "other"), stored(3, "aaaa-2"), NO_MORE])
    await sending.send(numbered(range(3)))
    sending.connection.cut()
    sending.in_flight.progress_ns = sending.clock.now_ns() + 2 * MINUTE
    sending.clock.advance(2 * MINUTE)
    await sending.protocol.repair()
    assert sending.in_flight.anchor == Checkpoint(2, 3)
    assert sending.sent[3:] == [("_INBOX.x.1.3", "aaaa-3")]
    assert [request["seq"] for _, request in sending.connection.asked] == [1, 2, 3, 4]


async def test_time_that_is_slept_away_in_a_repair_counts_for_the_duplicate_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sending = Sending(found=[stored(1, "aaaa-1"), NO_MORE])
    await sending.send(numbered(range(1)))
    sending.connection.cut()

    async def sleep(*_: object) -> None:
        sending.clock.advance(2 * MINUTE)

    monkeypatch.setattr(sending.protocol._silence, "ask", sleep)
    await sending.protocol.repair()
    assert sending.in_flight.anchor == Checkpoint(1, 1)
    assert len(sending.sent) == 1


async def test_a_stream_that_cannot_be_read_yet_is_read_again_before_anything_is_sent() -> None:
    sending = Sending(found=[UnreachableError("gone"), ApiError(503, 10008, "no leader"), NO_MORE])
    await sending.send(numbered(range(1)))
    sending.connection.cut()
    sending.in_flight.progress_ns = sending.clock.now_ns() + 2 * MINUTE
    sending.clock.advance(2 * MINUTE)
    for _ in range(2):
        await sending.protocol.repair()
        assert len(sending.sent) == 1
    await sending.protocol.repair()
    assert len(sending.sent) == 2


async def test_inside_the_duplicate_window_the_server_recognises_what_it_holds() -> None:
    sending = Sending()
    await sending.send(numbered(range(1)))
    sending.connection.cut()
    sending.clock.advance(MINUTE)
    await sending.protocol.repair()
    assert not any(subject.startswith("STREAM.MSG.GET") for subject, _ in sending.connection.asked)
    assert len(sending.sent) == 2


async def test_a_replicated_stream_has_one_message_in_flight_and_others_what_the_server_queues() -> None:
    for replicas, most in ((1, MAX_UNANSWERED), (3, 1)):
        sending = Sending(replicas)
        await sending.send(numbered(range(1)))
        assert sending.in_flight.max_messages == most
