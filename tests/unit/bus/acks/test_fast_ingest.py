"""The life of a batch: its table of states, and each way in which one can end, with a scripted server."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from spyctl.bus.acks.base import USUAL
from spyctl.bus.acks.fast_ingest import (
    COMMIT_S,
    ENDS,
    PING_S,
    TRANSITIONS,
    UNKNOWN_BATCH,
    Batch,
    BatchEvent,
    BatchState,
    FastIngest,
    Op,
)
from spyctl.bus.checkpoint import Checkpoint
from spyctl.bus.in_flight import Chunk, Delivery, InFlight
from spyctl.bus.recognition import EventsAfter
from spyctl.errors import LostTrackError, StreamBusyError
from spyctl.timing.instants import SECOND
from tests.support.batches import numbered
from tests.support.clock import FakeClock, JumpingClock
from tests.support.connection import Published, ScriptedConnection
from tests.unit.bus.acks.streams import stream

SENT = (BatchEvent.SEND, BatchEvent.COMMIT)
ANSWERS = (BatchEvent.ACK, BatchEvent.COUNT, BatchEvent.UNKNOWN)
UNKNOWN = {"error": {"code": 400, "err_code": UNKNOWN_BATCH, "description": "unknown batch"}}


# --- the table


@pytest.mark.parametrize(("state", "event"), list(product(BatchState, BatchEvent)))
def test_a_batch_moves_as_the_table_says_and_in_no_other_way(state: BatchState, event: BatchEvent) -> None:
    batch = Batch("b", 1)
    batch.state = state
    if (state, event) not in TRANSITIONS:
        with pytest.raises(KeyError):
            batch.on(event)
        assert batch.state is state
        return
    batch.on(event)
    assert batch.state is TRANSITIONS[state, event]
    assert batch.answered.is_set() == (event not in SENT)
    assert batch.ended.is_set() == (batch.state in ENDS)


def test_every_answer_is_expected_at_any_time_after_the_first_message() -> None:
    expected = set(product(set(BatchState) - {BatchState.NEW}, ANSWERS))
    assert {pair for pair in TRANSITIONS if pair[1] in ANSWERS} == expected


def test_nothing_is_sent_in_a_batch_that_has_ended_and_nothing_leads_out_of_an_end() -> None:
    for (state, event), following in TRANSITIONS.items():
        if state in ENDS:
            assert following is state
            assert event not in SENT


def test_every_state_is_reached_and_leads_to_both_ends() -> None:
    def reachable(start: BatchState) -> set[BatchState]:
        states = {start}
        while more := {new for (state, _), new in TRANSITIONS.items() if state in states} - states:
            states |= more
        return states

    assert reachable(BatchState.NEW) == set(BatchState)
    for state in set(BatchState) - set(ENDS):
        assert set(ENDS) <= reachable(state)


# --- a batch and a server


class BatchServer:
    """Stores what it is sent, and acknowledges each message, unless the next of ``script`` says otherwise.

    ``script`` holds the answers to messages that carry events, in turn: a document in place of the acknowledgement
    (the event is then not stored), or ``[]`` for silence after the event was stored.
    """

    def __init__(self, *script: Any, known: bool = True) -> None:
        self.script = list(script)
        self.stored: list[bytes] = []
        self.known = known  # whether it can still tell how many messages a batch has
        self.ops: list[Op] = []
        self._batches: dict[str, list[bytes]] = {}

    def answer(self, message: Published) -> Iterable[Any]:
        *_, name, _flow, _, number, op, _ = message.reply.split(".")
        self.ops.append(Op(int(op)))
        batch = self._batches.setdefault(name, [])
        match Op(int(op)):
            case Op.COMMIT:
                return [{"count": len(batch), "seq": len(self.stored)} if self.known else UNKNOWN]
            case Op.PING:
                return [{"type": "ack", "seq": len(batch)}]
        answer = self.script.pop(0) if self.script else None
        if isinstance(answer, dict):
            return [answer]
        if int(number) == len(batch) + 1:  # behind a message that is missing nothing is stored
            batch.append(message.payload)
            self.stored.append(message.payload)
        return [{"type": "ack", "seq": len(batch)}] if answer is None else answer

    def connection(self, first_seq: int = 1) -> ScriptedConnection:
        """Return a connection to it."""
        answers = {
            "CONSUMER.CREATE.S.": lambda request: {
                "num_pending": len(self.stored[request["config"]["opt_start_seq"] - 1 :])
            },
            "CONSUMER.DELETE.S.": {},
            "STREAM.INFO.S": lambda _: {
                "config": {},
                "state": {"last_seq": len(self.stored), "first_seq": first_seq},
            },
        }
        return ScriptedConnection(
            answers, respond=self.answer, held=lambda: [("a", payload, "") for payload in self.stored]
        )


class Sending:
    """A protocol with its window, as the publisher drives it."""

    def __init__(
        self,
        connection: ScriptedConnection,
        run: Any = None,
        replicas: int = 1,
        clock: FakeClock | None = None,
        again: EventsAfter | None = None,
    ) -> None:
        self.clock = clock or JumpingClock()
        self.in_flight = InFlight(1_000, 1 << 20, Delivery(), clock=self.clock)
        self.protocol = FastIngest(
            connection.as_connection(), stream(batched=True, replicas=replicas), ["a"], run=run, events=again
        )
        self._sent = 0

    async def send(self, count: int, *, look: bool = True) -> None:
        if not self._sent:
            await self.protocol.open(self.in_flight, "aaaa")
        chunk = Chunk.of(self._sent + 1, numbered(range(self._sent, self._sent + count)), self.clock.now_ns())
        self._sent += count
        self.in_flight.add(chunk)
        await self.protocol.send(chunk)
        if look and not self.protocol._line.broken and self.protocol._line.next < chunk.end:
            await self.protocol.repair()  # which begins a batch

    @property
    def result(self) -> tuple[int, Checkpoint, int]:
        return self.in_flight.count, self.in_flight.anchor, self.in_flight.delivery.resent


def events(count: int) -> list[bytes]:
    return [b"event %d" % n for n in range(count)]


async def again(position: int) -> AsyncIterator[list[tuple[str, bytes]]]:
    yield [("a", payload) for payload in events(100)[position:]]


async def test_a_batch_is_begun_by_its_first_event_and_its_commit_tells_the_checkpoint() -> None:
    server = BatchServer()
    sending = Sending(server.connection())
    await sending.send(3)
    await sending.send(2)
    await sending.protocol.finish()
    assert server.ops == [Op.START, *[Op.ADD] * 4, Op.COMMIT]
    assert server.stored == events(5)
    assert sending.result == (0, Checkpoint(5, 5), 0)


async def test_the_next_events_after_a_commit_begin_a_new_batch() -> None:
    server = BatchServer()
    sending = Sending(server.connection())
    for _ in range(2):
        await sending.send(2)
        await sending.protocol.finish()
    assert server.ops == [Op.START, Op.ADD, Op.COMMIT] * 2
    assert sending.result == (0, Checkpoint(4, 4), 0)


async def test_a_batch_whose_start_is_refused_is_sent_again_and_the_refusal_counted() -> None:
    server = BatchServer({"error": {"code": 503, "err_code": 10077, "description": "stream is full"}})
    sending = Sending(server.connection())
    await sending.send(3)
    assert server.ops == [Op.START]  # what follows would be lost labour
    await sending.protocol.repair()
    await sending.protocol.finish()
    assert server.stored == events(3)
    assert sending.in_flight.delivery.refusals == {"stream is full": 1}
    assert sending.result == (0, Checkpoint(3, 3), 3)


async def test_what_a_batch_that_the_server_closed_does_not_hold_is_sent_again() -> None:
    server = BatchServer(None, None, {"count": 2, "seq": 2})
    sending = Sending(server.connection())
    await sending.send(5)
    assert sending.protocol._line.broken
    await sending.protocol.repair()
    assert sending.result[1:] == (Checkpoint(2, 2), 3)
    await sending.protocol.finish()
    assert server.stored == events(5)
    assert sending.result == (0, Checkpoint(5, 5), 3)


async def test_nothing_more_is_sent_in_a_batch_of_which_a_message_is_missing() -> None:
    server = BatchServer(None, {"type": "gap", "last_seq": 2, "seq": 3})
    sending = Sending(server.connection())
    await sending.send(2, look=False)
    await sending.protocol.repair()
    sent = len(server.ops)
    await sending.send(3, look=False)
    assert len(server.ops) == sent
    for _ in range(2):
        await sending.protocol.repair()
    await sending.protocol.finish()
    assert server.stored == events(5)


async def test_a_batch_that_nobody_takes_is_said_to_have_no_stream() -> None:
    server = BatchServer()
    sending = Sending(server.connection())
    await sending.send(2, look=False)
    server.answer = lambda message: [None]  # type: ignore[method-assign]
    sending.protocol._connection.respond = server.answer  # type: ignore[attr-defined]
    await sending.protocol.repair()
    assert sending.in_flight.delivery.refusals == {"no stream takes them": 1}


async def test_the_name_of_a_batch_is_one_token_that_every_server_takes() -> None:
    server = BatchServer()
    connection = server.connection()
    sending = Sending(connection)
    await sending.send(1)
    names = {message.reply.split(".")[-6] for message in connection.written}
    assert all(re.fullmatch(r"[A-Za-z0-9-]{1,64}", name) for name in names)
    assert len(names) == 1


async def test_the_messages_of_a_batch_that_the_server_forgot_are_counted() -> None:
    server = BatchServer(None, [], [], [], known=False)  # stored, but the answers are lost
    sending = Sending(server.connection())
    await sending.send(4)
    assert sending.in_flight.count == 3
    await sending.protocol.finish()
    assert server.stored == events(4)
    assert sending.result == (0, Checkpoint(4, 4), 0)


async def test_a_new_leader_of_a_replicated_stream_is_counted_until_it_has_stored_what_was_agreed_upon() -> None:
    server = BatchServer(None, [], [], [], known=False)
    connection = server.connection()
    connection.answers["CONSUMER.CREATE.S."] = [{"num_pending": count} for count in (2, 3, 4, 4, 3)]
    sending = Sending(connection, replicas=3)
    await sending.send(4)
    await sending.protocol.finish()
    assert server.stored == events(4)  # none of them was sent again
    assert sending.result == (0, Checkpoint(4, 4), 0)


def led(*silent_s: int) -> dict[str, Any]:
    """Describe a stream whose followers have been silent for so long."""
    replicas = [{"current": True, "active": seconds * SECOND} for seconds in silent_s]
    return {"state": {"last_seq": 4, "first_seq": 1}, "cluster": {"replicas": replicas}}


async def test_a_leader_without_a_majority_is_not_believed_what_it_holds() -> None:
    server = BatchServer(None, [], [], [], known=False)
    connection = server.connection()
    truth = connection.answers["CONSUMER.CREATE.S."]
    connection.answers["CONSUMER.CREATE.S."] = {"num_pending": 1}  # of four that it has proposed
    connection.answers["STREAM.INFO.S"] = led(12, 13)
    sending = Sending(connection, replicas=3)
    await sending.send(4)
    await sending.protocol.finish()
    assert (server.ops[-1], sending.in_flight.count) == (Op.COMMIT, 3)
    for _ in range(3):
        await sending.protocol.repair()
    assert sending.in_flight.anchor == Checkpoint()
    connection.answers |= {"STREAM.INFO.S": led(0, 13), "CONSUMER.CREATE.S.": truth}
    await sending.protocol.repair()
    assert server.stored == events(4)  # none of them was sent again
    assert sending.result == (0, Checkpoint(4, 4), 0)


async def test_events_that_a_stream_held_only_later_are_not_called_somebody_elses() -> None:
    server = BatchServer(None, [], [], [], known=False)
    sending = Sending(server.connection())
    await sending.send(4)
    late = server.stored[1:]
    del server.stored[1:]
    await sending.protocol.finish()  # of which the stream holds one now
    await sending.protocol.repair()  # sends the others again
    server.stored[1:1] = late
    with pytest.raises(LostTrackError, match="has stored events that it did not hold when it was asked"):
        await sending.protocol.finish()


class Holder:
    """A run whose leases a test holds, or cannot prove to hold."""

    record = SimpleNamespace(subjects=["a"], run_id="aaaa", stream="S")
    fence = "market.fences.t"
    holds = asked = False
    notes = True

    async def note_batch(self, *_: Any) -> bool:
        return self.notes

    def __init__(self) -> None:
        self.leases = SimpleNamespace(doubt=self.doubt)

    async def prove(self, *, fenced: bool, anew: bool = False) -> bool:
        return self.holds or not self.asked

    def doubt(self) -> None:
        self.asked = True


async def test_messages_are_counted_only_while_the_leases_are_proved_to_hold() -> None:
    run = Holder()
    sending = Sending(BatchServer(None, [], known=False).connection(), run)
    await sending.send(2)
    await sending.protocol.finish()
    await sending.protocol.repair()
    assert sending.in_flight.anchor == Checkpoint()
    run.holds = True
    await sending.protocol.repair()
    assert sending.result == (0, Checkpoint(2, 2), 0)


async def test_messages_of_somebody_else_are_not_taken_for_those_of_a_forgotten_batch() -> None:
    server = BatchServer(None, None, [], [], {}, known=False)  # the last event never arrives
    sending = Sending(server.connection(), again=again)
    await sending.send(5)
    for at in (0, 3, 4):
        server.stored.insert(at, b"of somebody else")
    assert sending.in_flight.count == 3
    await sending.protocol.finish()
    await sending.protocol.repair()
    await sending.protocol.finish()
    assert [payload for payload in server.stored if payload != b"of somebody else"] == events(5)
    assert sending.result == (0, Checkpoint(5, 8), 1)


@pytest.mark.parametrize(
    ("events_again", "kind", "said"),
    [(again, LostTrackError, "does not hold 1 events that it ack"), (None, StreamBusyError, "others publish to a")],
)
async def test_what_others_publish_does_not_stand_for_acknowledged_events_that_are_lost(
    events_again: EventsAfter | None, kind: type[Exception], said: str
) -> None:
    server = BatchServer(None, None, [], known=False)  # the first two of three are acknowledged
    sending = Sending(server.connection(), again=events_again)
    await sending.send(3)
    server.stored[1:] = [b"of somebody else"] * 3
    with pytest.raises(kind, match=said):
        await sending.protocol.finish()


async def test_others_on_the_same_subjects_need_events_again_only_where_they_came_in_between() -> None:
    server = BatchServer(None, None, [], known=False)
    sending = Sending(server.connection())
    await sending.send(3)
    server.stored.append(b"of somebody else")
    await sending.protocol.finish()
    assert sending.result == (0, Checkpoint(3, 4), 0)


async def test_what_others_publish_does_not_hide_that_the_end_of_a_stream_was_lost() -> None:
    server = BatchServer()
    connection = server.connection()
    sending = Sending(connection)
    await sending.send(3)
    await sending.protocol.finish()
    server.stored[2:] = [b"of somebody else"] * 5
    connection.cut()
    await sending.send(1, look=False)
    with pytest.raises(LostTrackError, match="has lost events that the server had acknowledged"):
        await sending.protocol.repair()


async def test_a_forgotten_batch_is_given_up_where_somebody_else_has_published_the_same_events() -> None:
    server = BatchServer(None, None, [], known=False)
    sending = Sending(server.connection())
    await sending.send(3)
    server.stored += events(5)[2:]
    with pytest.raises(StreamBusyError, match="somebody else has published the same events to a"):
        await sending.protocol.finish()
    assert sending.in_flight.anchor == Checkpoint()


async def test_a_bucket_that_takes_no_record_of_a_batch_is_named() -> None:
    run = Holder()
    run.notes = False
    sending = Sending(BatchServer().connection(), run)
    await sending.send(2)
    sending.clock.advance(4 * SECOND)
    assert sending.protocol.hindrance.startswith("the bucket SPYCTL does not take the record of the run")
    run.notes = True
    await sending.protocol.repair()
    assert sending.protocol.hindrance == ""


@pytest.mark.parametrize("replicas", [1, 3])
async def test_events_that_were_acknowledged_and_are_gone_are_not_taken_for_stored(replicas: int) -> None:
    server = BatchServer(known=False)
    sending = Sending(server.connection(), replicas=replicas)
    await sending.send(4)
    stored, server.stored = server.stored, []
    if replicas == 1:
        with pytest.raises(LostTrackError, match="stream S does not hold 4 events that it acknowledged"):
            await sending.protocol.finish()
    else:  # a new leader may not have stored them yet
        await sending.protocol.finish()
        assert sending.protocol._line.broken
        server.stored = stored
        await sending.protocol.repair()
        assert sending.in_flight.anchor == Checkpoint(4, 4)


async def test_messages_that_have_expired_cannot_be_counted() -> None:
    server = BatchServer(known=False)
    sending = Sending(server.connection(first_seq=2))
    await sending.send(4)
    with pytest.raises(LostTrackError, match="have expired"):
        await sending.protocol.finish()


async def test_a_count_that_is_not_answered_is_asked_again() -> None:
    server = BatchServer()
    connection = server.connection()
    sending = Sending(connection)
    await sending.send(4)
    connection.respond = lambda _: ()
    await sending.protocol.finish()
    assert sending.protocol._line.broken
    connection.respond = server.answer
    await sending.protocol.repair()
    assert sending.result == (0, Checkpoint(4, 4), 0)


async def test_late_answers_of_a_batch_that_is_settled_change_nothing() -> None:
    server = BatchServer()
    connection = server.connection()
    sending = Sending(connection)
    await sending.send(2)
    late = connection.written[-1].reply
    await sending.protocol.finish()
    await sending.send(3)
    for document in ({"type": "ack", "seq": 9}, {"count": 0, "seq": 0}, UNKNOWN):
        await connection.deliver(late, document)
    await sending.protocol.finish()
    assert server.stored == events(5)
    assert sending.result == (0, Checkpoint(5, 5), 0)
    assert not sending.in_flight.delivery.refusals


async def test_a_cut_connection_costs_no_event_and_stores_none_twice() -> None:
    server = BatchServer(None, None, [], [])
    connection = server.connection()
    sending = Sending(connection)
    await sending.send(4)
    connection.cut()
    await sending.send(2)  # left to the repair
    await sending.protocol.repair()
    await sending.protocol.finish()
    assert server.stored == events(6)
    assert sending.result == (0, Checkpoint(6, 6), 0)
    assert sending.in_flight.delivery.reconnects == 1


@pytest.mark.parametrize(
    ("answered", "cut", "shifts"),
    [(False, True, 1), (True, True, 0), (False, False, 0)],
    ids=["stray", "begun", "whole"],
)
async def test_a_batch_whose_beginning_may_still_come_over_a_dead_connection_is_fenced_off_before_it_is_counted(
    answered: bool, cut: bool, shifts: int
) -> None:
    server, run = BatchServer(), Holder()
    connection = server.connection()
    sending = Sending(connection, run)
    run.holds = True
    if not answered:
        connection.respond = lambda message: [] if ".0.$FI" in message.reply else server.answer(message)
    await sending.send(2)
    if cut:
        connection.cut()
    connection.respond = server.answer
    for _ in range(3):
        await sending.protocol.repair()
    await sending.protocol.finish()
    assert [subject for subject, *_ in connection.requested] == [Holder.fence] * shifts
    starts = [message for message in connection.written if ".0.$FI" in message.reply]
    assert [b"Sequence:1001" in message.headers for message in starts[1:]] == [shifts == 1] * len(starts[1:])
    assert server.stored == events(2)
    assert sending.in_flight.count == 0


async def test_a_quiet_batch_is_committed_and_a_batch_without_news_pinged() -> None:
    server = BatchServer()
    sending = Sending(server.connection())
    await sending.send(2)
    await sending.protocol.repair()
    assert server.ops == [Op.START, Op.ADD]  # nothing is due yet
    sending.clock.advance(round(COMMIT_S * SECOND) + 1)
    await sending.send(1)
    await sending.protocol.repair()
    assert server.ops == [Op.START, Op.ADD, Op.ADD, Op.COMMIT]
    assert sending.in_flight.anchor == Checkpoint(3, 3)
    await sending.send(1)
    sending.protocol._committed_ns = sending.clock.now_ns() + round(PING_S * SECOND)  # committed meanwhile
    sending.clock.advance(round(PING_S * SECOND))
    await sending.protocol.repair()
    assert server.ops[4:] == [Op.START, Op.PING]


class LongLine:
    """A line to a :class:`BatchServer` whose answers come when a test lets them."""

    def __init__(self) -> None:
        self.server = BatchServer()
        self.connection = self.server.connection()
        self.connection.respond = self._keep
        self._kept: list[tuple[str, Any]] = []

    def _keep(self, message: Published) -> Iterable[Any]:
        self._kept += [(message.reply, document) for document in self.server.answer(message)]
        return ()

    async def deliver(self) -> None:
        kept, self._kept = self._kept, []
        for reply, document in kept:
            await self.connection.deliver(reply, document)


async def test_nobody_who_publishes_waits_for_an_answer_and_what_was_left_is_sent_in_order() -> None:
    line = LongLine()
    sending = Sending(line.connection, clock=FakeClock())
    await sending.send(2, look=False)
    work = asyncio.create_task(sending.protocol.repair())  # begins the batch
    await asyncio.sleep(0)
    await sending.send(3, look=False)
    assert line.server.stored == events(1)
    await line.deliver()
    await work
    assert line.server.stored == events(5)
    await line.deliver()
    sending.clock.advance(round(COMMIT_S * SECOND) + 1)
    await sending.send(1, look=False)
    work = asyncio.create_task(sending.protocol.repair())  # commits
    await asyncio.sleep(0)
    await sending.send(2, look=False)
    assert line.server.ops[-1] is Op.COMMIT
    await line.deliver()
    await work
    assert line.server.ops[-2:] == [Op.START, Op.ADD]  # the server takes batches: its answer is not waited for
    assert line.server.stored == events(8)
    assert sending.in_flight.delivery.resent == 0


async def test_commits_are_as_far_apart_as_the_line_is_long() -> None:
    line = LongLine()
    sending = Sending(line.connection, clock=FakeClock())
    await sending.send(1, look=False)
    sending.protocol._line.round_trip_ns = SECOND // 2
    for after_s, ops in ((0, [Op.START]), (9, [Op.ADD]), (2, [Op.ADD, Op.COMMIT])):
        sending.clock.advance(after_s * SECOND)
        if after_s:
            await sending.send(1, look=False)
        work = asyncio.create_task(sending.protocol.repair())
        await asyncio.sleep(0)
        sending.clock.advance(SECOND // 4)
        await line.deliver()
        await work
        assert line.server.ops == ops
        line.server.ops.clear()
    assert sending.protocol._line.round_trip_ns == SECOND // 4


async def test_a_flow_is_acknowledged_before_the_bounds_of_the_window_are_reached() -> None:
    protocol = FastIngest(ScriptedConnection().as_connection(), stream(), ["a"], flow=200)
    await protocol.open(InFlight(40, 1 << 30, Delivery()), "aaaa")
    assert protocol._flow == 10
    protocol = FastIngest(ScriptedConnection().as_connection(), stream(), ["a"], flow=200)
    await protocol.open(InFlight(8_192, 1 << 10, Delivery()), "aaaa")
    assert protocol._flow == 1


async def test_a_batch_that_ends_before_the_last_fence_says_that_the_server_lost_events() -> None:
    server = BatchServer()
    sending = Sending(server.connection())
    await sending.send(4)
    await sending.protocol.finish()
    del server.stored[2:]  # a restart, without what was not synced
    await sending.send(3)
    with pytest.raises(LostTrackError, match="stream S has lost events that the server had acknowledged"):
        await sending.protocol.finish()


# --- where the clients of batch publishing differ, and the decision record leaves it open


async def test_no_message_of_a_batch_carries_an_identity_or_ends_it() -> None:
    server = BatchServer()
    connection = server.connection()
    sending = Sending(connection)
    for count in (1, 3, 1):  # a batch of one event, too, ends with a commit of its own, which is no event
        await sending.send(count)
        await sending.protocol.finish()
    assert Op.LAST not in server.ops
    assert (server.stored, sending.in_flight.delivery.published) == (events(5), 0)
    assert all(b"Nats-Msg-Id" not in message.headers for message in connection.written)
    assert [message.payload for message in connection.written if ".3.$FI" in message.reply] == [b""] * 3


async def test_a_gap_acknowledges_nothing_and_the_count_that_follows_is_believed() -> None:
    server = BatchServer(None, [], {"type": "gap", "last_seq": 3, "seq": 5})
    connection = server.connection()
    sending = Sending(connection)
    await sending.send(3)
    assert sending.in_flight.count == 2  # whatever sequences the gap names
    await connection.deliver(connection.written[-1].reply, {"count": 2, "seq": 2})
    await sending.protocol.repair()
    assert sending.in_flight.anchor == Checkpoint(2, 2)
    await sending.protocol.finish()
    assert server.stored == events(3)


async def test_a_batch_that_the_server_ended_while_nothing_was_sent_takes_nothing_more() -> None:
    server = BatchServer()
    connection = server.connection()
    sending = Sending(connection)
    await sending.send(2)
    await connection.deliver(connection.written[-1].reply, {"count": 2, "seq": 2})
    await sending.send(2, look=False)
    assert server.ops == [Op.START, Op.ADD]
    await sending.protocol.repair()
    assert server.ops == [Op.START, Op.ADD, Op.START, Op.ADD]
    await sending.protocol.finish()
    assert server.stored == events(4)


async def test_the_error_of_one_message_is_counted_and_its_batch_fenced() -> None:
    failed = {"code": 400, "err_code": 10077, "description": "maximum messages exceeded"}
    server = BatchServer(None, {"type": "err", "seq": 2, "error": failed})
    sending = Sending(server.connection())
    await sending.send(2)
    assert sending.in_flight.count == 1
    await sending.protocol.repair()
    assert server.ops[2] is Op.COMMIT  # whose count alone says what is stored
    await sending.protocol.finish()
    assert sending.in_flight.delivery.refusals == {"maximum messages exceeded": 1}
    assert server.stored == events(2)


@pytest.mark.parametrize("msgs", [0, 1, 65_535])
async def test_how_often_the_server_acknowledges_changes_nothing_and_one_answer_stands_for_those_before_it(
    msgs: int,
) -> None:
    server = BatchServer(None, [], [], [{"type": "ack", "seq": 4, "msgs": msgs}])
    sending = Sending(server.connection())
    await sending.send(4)
    assert (sending.in_flight.count, sending.in_flight.delivery.acked) == (0, 4)


async def test_an_acknowledgement_of_more_than_was_sent_acknowledges_what_was() -> None:
    server = BatchServer(None, {"type": "ack", "seq": 9, "msgs": 1})
    sending = Sending(server.connection())
    await sending.send(2)
    assert sending.in_flight.delivery.acked == 2


async def test_a_ping_goes_where_the_commit_goes_under_the_number_of_the_last_message() -> None:
    server = BatchServer(None, [], [])
    connection = server.connection()
    sending = Sending(connection)
    await sending.send(3)
    sending.protocol._committed_ns = sending.clock.now_ns() + round(PING_S * SECOND)
    sending.clock.advance(round(PING_S * SECOND))
    await sending.protocol.repair()
    ping = connection.written[-1]
    assert (ping.subject, ping.reply.split(".")[-3:], ping.payload) == ("a", ["3", "4", "$FI"], b"")
    assert sending.in_flight.count == 0  # it repeats what was lost
    await sending.protocol.finish()
    assert connection.written[-1].subject == "a"


async def test_a_ping_to_a_batch_that_is_forgotten_has_its_messages_counted() -> None:
    server = BatchServer(None, [], [])
    connection = server.connection()
    sending = Sending(connection)
    await sending.send(3)
    server.known = False
    connection.respond = lambda message: [UNKNOWN] if ".4.$FI" in message.reply else server.answer(message)
    sending.protocol._committed_ns = sending.clock.now_ns() + round(PING_S * SECOND)
    sending.clock.advance(round(PING_S * SECOND))
    await sending.protocol.repair()
    await sending.protocol.repair()
    assert sending.result == (0, Checkpoint(3, 3), 0)


async def test_a_commit_that_is_not_answered_is_asked_again() -> None:
    class Deaf(BatchServer):
        lost = 2

        def answer(self, message: Published) -> Iterable[Any]:
            answers = super().answer(message)
            if self.ops[-1] is Op.COMMIT and self.lost:
                self.lost -= 1
                return []
            return answers

    server = Deaf(None, [])
    sending = Sending(server.connection())
    await sending.send(2)
    for _ in range(3):
        await sending.protocol.repair() if sending.protocol._line.broken else await sending.protocol.finish()
    assert server.ops == [Op.START, Op.ADD, Op.COMMIT, Op.COMMIT, Op.COMMIT]
    assert sending.result == (0, Checkpoint(2, 2), 0)


def takes(reply: str) -> bool:
    """Tell whether the server takes a reply subject for one of a batch: its own rules, and ours of gaps and flows."""
    *inbox, name, flow, gaps, number, op, end = reply.split(".")
    least = {Op.START: 1, Op.ADD: 2, Op.COMMIT: 2, Op.PING: 1}[Op(int(op))]
    return (
        bool(inbox) and 0 < len(name) <= 64 and 0 < int(flow) < 1 << 16 and gaps == "fail" and end == "$FI"
        and least <= int(number) < (1 << 64) - 1 and (Op(int(op)) is not Op.START or int(number) == 1)
    )  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 40])
async def test_whatever_happens_to_a_batch_the_server_takes_what_is_asked_of_it(count: int) -> None:
    server = BatchServer(None, [], {"type": "gap", "last_seq": 3, "seq": 5})
    connection = server.connection()
    sending = Sending(connection)
    for _ in range(3):
        await sending.send(count)
        sending.protocol._committed_ns = sending.clock.now_ns() + round(PING_S * SECOND)
        sending.clock.advance(round(PING_S * SECOND))
        await sending.protocol.repair()
        connection.cut()
        await sending.protocol.repair()
        await sending.protocol.finish()
    assert {Op.START, Op.COMMIT, Op.PING} <= set(server.ops)
    assert [message.reply for message in connection.written if not takes(message.reply)] == []
    assert server.stored == events(3 * count)


async def test_a_batch_for_which_the_server_has_no_room_is_begun_again_for_as_long_as_an_outage_may_last() -> None:
    full = {"error": {"code": 429, "err_code": 10211, "description": "batch publish too many inflight"}}
    server = BatchServer(*[full] * 30)
    sending = Sending(server.connection())
    await sending.send(2)
    begun_ns = sending.clock.now_ns()
    while not server.stored:
        await sending.protocol.repair()
    assert sending.clock.now_ns() - begun_ns > 2 * USUAL.refusal_s * SECOND
    await sending.protocol.finish()
    assert server.stored == events(2)
    assert sending.in_flight.delivery.refusals == {"batch publish too many inflight": 30}


@pytest.mark.parametrize("known", [True, False])
async def test_an_error_that_is_of_no_one_message_ends_the_batch_and_what_is_stored_of_it_is_not_sent_again(
    known: bool,
) -> None:
    large = {"error": {"code": 400, "err_code": 10054, "description": "message size exceeds maximum allowed"}}
    server = BatchServer(None, [], large, known=known)
    sending = Sending(server.connection())
    await sending.send(4)
    for _ in range(2):
        await sending.protocol.repair()
    await sending.protocol.finish()
    assert server.stored == events(4)
    assert sending.result == (0, Checkpoint(4, 4), 2)


async def test_a_ping_that_finds_a_message_missing_ends_the_batch_as_the_message_behind_it_would() -> None:
    server = BatchServer(None, {"type": "ack", "seq": 1})  # the second is lost on the way, nobody says so
    connection = server.connection()
    sending = Sending(connection)
    await sending.send(2)

    def found(message: Published) -> Iterable[Any]:
        if message.reply.endswith(f".{Op.PING.value}.$FI"):
            return [{"type": "gap", "last_seq": 2, "seq": 3}, {"count": 1, "seq": 1}]
        return server.answer(message)

    connection.respond = found
    sending.protocol._committed_ns = sending.clock.now_ns() + round(PING_S * SECOND)
    sending.clock.advance(round(PING_S * SECOND))
    for _ in range(2):
        await sending.protocol.repair()
    await sending.protocol.finish()
    assert server.stored == events(2)
    assert sending.result == (0, Checkpoint(2, 2), 1)
