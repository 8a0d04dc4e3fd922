"""What a stream holds of a dead run, asked of a scripted server: the fence of its batch, or a count."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from spyctl.bus.acks.fast_ingest import UNKNOWN_BATCH
from spyctl.bus.checkpoint import Checkpoint, OpenBatch
from spyctl.bus.connection import ApiError
from spyctl.bus.mark import mark_of
from spyctl.bus.reconcile import reconcile
from spyctl.bus.runs import RunRecord
from spyctl.errors import ResumeError, UnreachableError
from tests.support.clock import JumpingClock
from tests.support.connection import Published, ScriptedConnection

KNOWN = Checkpoint(40, 90)
BORN = "2025-12-16T14:30:00Z"
UNKNOWN = {"error": {"code": 400, "err_code": UNKNOWN_BATCH}}


def record(checkpoint: Checkpoint | None = KNOWN, batch: OpenBatch | None = None) -> RunRecord:
    return RunRecord(
        "aaaa", "replay", "S", ["a", "b"], [], {}, 0, stream_born=BORN, checkpoint=checkpoint, batch=batch
    )  # fmt: skip


EVENTS = [("ab"[n % 2], b"event %d" % n) for n in range(60)]
Stored = list[tuple[str, bytes, str]]


def own(first: int, last: int, *, ids: bool = False) -> Stored:
    """The run's events of some positions, as they are stored."""
    return [(*EVENTS[n - 1], f"aaaa-{n}" if ids else "") for n in range(first, last + 1)]


def foreign(count: int, message_id: str = "") -> Stored:
    return [("a", b"of somebody else", message_id)] * count


async def events_after(_: Mapping[str, Any], position: int) -> AsyncIterator[list[tuple[str, bytes]]]:
    for n in range(position, len(EVENTS), 7):
        yield EVENTS[n : n + 7]


def server(
    *counts: int,
    stored: Sequence[tuple[str, bytes, str]] = (),
    first_seq: int = 1,
    deleted: int = 0,
    answer: Any = None,
    replicas: int = 1,
) -> ScriptedConnection:
    """A server that holds messages behind sequence 90; ``counts`` are its answers, where not the truth."""
    state = {"last_seq": 90 + len(stored), "first_seq": first_seq, "num_deleted": deleted}
    answers = {
        "STREAM.INFO.S": {"created": BORN, "config": {"num_replicas": replicas}, "state": state},
        "CONSUMER.CREATE.S.": [{"num_pending": count} for count in counts or [len(stored)]],
        "CONSUMER.DELETE.S.": {},
    }
    before = [("a", b"before", "")] * 90
    return ScriptedConnection(
        answers, respond=lambda _: [answer] if answer is not None else [], held=lambda: [*before, *stored]
    )


async def reconciled(
    connection: ScriptedConnection, run: RunRecord, clock: JumpingClock | None = None, *, with_events: bool = True
) -> RunRecord:
    events = events_after if with_events else None
    await reconcile(connection.as_connection(), run, events, clock=clock or JumpingClock())
    return run


async def test_a_run_that_sent_nothing_begins_behind_all_that_is_stored() -> None:
    run = await reconciled(server(), record(checkpoint=None))
    assert (run.checkpoint, run.settled) == (Checkpoint(0, 90), True)


async def test_messages_are_counted_behind_the_checkpoint_until_their_number_stands_still() -> None:
    clock = JumpingClock()
    connection = server(3, 5, 5, stored=own(41, 45, ids=True))
    run = await reconciled(connection, record(), clock)
    assert (run.checkpoint, run.batch, run.settled) == (Checkpoint(45, 95), None, True)
    assert len(clock.waits) == 2
    config = next(request["config"] for subject, request in connection.asked if subject.startswith("CONSUMER.CREATE"))
    assert (config["opt_start_seq"], config["filter_subjects"]) == (91, ["a", "b"])


async def test_messages_with_an_identity_are_told_from_those_of_others() -> None:
    stored = [
        *foreign(2),
        *own(41, 43, ids=True),
        *foreign(3, "bbbb-44"),
        *own(44, 44, ids=True),
        *foreign(1, "aaaa-x"),
    ]
    assert (await reconciled(server(stored=stored), record())).checkpoint == Checkpoint(44, 100)
    assert (await reconciled(server(stored=foreign(3, "bbbb-41")), record())).checkpoint == Checkpoint(40, 93)


async def test_a_run_of_which_an_event_is_missing_before_one_that_is_stored_is_not_resumed() -> None:
    stored = own(41, 42, ids=True) + own(44, 44, ids=True)
    with pytest.raises(ResumeError, match="an event is missing before one that is stored"):
        await reconciled(server(stored=stored), record())


async def test_an_open_batch_is_fenced_and_its_count_taken() -> None:
    connection = server(answer={"count": 7, "seq": 99})
    run = await reconciled(connection, record(batch=OpenBatch("aaaa-1", 41)))
    assert (run.checkpoint, run.batch, run.settled) == (Checkpoint(47, 99), None, True)
    (fence,) = connection.written
    assert fence.subject == "a"
    assert fence.reply.startswith("_INBOX.x.aaaa-1.")
    assert fence.reply.endswith(f".{1 << 40}.3.$FI")  # a commit that stands behind every message of the batch
    assert not [subject for subject, _ in connection.asked if subject.startswith("CONSUMER")]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (own(41, 46), Checkpoint(46, 96)),
        (own(41, 60), Checkpoint(60, 110)),
        ([], Checkpoint(40, 90)),
        (own(41, 43) + foreign(3), Checkpoint(43, 96)),
        (foreign(3), Checkpoint(40, 93)),
        (foreign(1) + own(41, 42) + foreign(2) + own(43, 44) + own(1, 30), Checkpoint(44, 127)),
    ],
)
async def test_the_messages_of_a_forgotten_batch_are_compared_with_the_events(
    stored: Stored, expected: Checkpoint
) -> None:
    run = await reconciled(server(stored=stored, answer=UNKNOWN), record(batch=OpenBatch("aaaa-1", 41)))
    assert (run.checkpoint, run.settled) == (expected, True)


async def test_a_run_whose_events_somebody_else_has_published_too_is_not_resumed() -> None:
    connection = server(stored=own(41, 43) + own(42, 50), answer=UNKNOWN)
    with pytest.raises(ResumeError, match="somebody else has published the same events"):
        await reconciled(connection, record(batch=OpenBatch("aaaa-1", 41)))


async def test_what_nobody_can_compare_is_compared_later_up_to_where_it_ended() -> None:
    run = record(batch=OpenBatch("aaaa-1", 41))
    with pytest.raises(ResumeError, match="which of the 3 messages after seq 90 are its own cannot be told"):
        await reconciled(server(stored=own(41, 43), answer=UNKNOWN), run, with_events=False)
    assert (run.batch, run.settled) == (OpenBatch("aaaa-1", 41, ends_seq=93), False)
    run = await reconciled(server(stored=own(41, 43) + own(44, 55), answer=UNKNOWN), run)
    assert (run.checkpoint, run.batch, run.settled) == (Checkpoint(43, 93), None, True)


async def test_only_the_first_answer_to_the_fence_counts() -> None:
    connection = server(answer={"count": 7, "seq": 99})

    def twice(_: Published) -> list[Any]:
        return [{"type": "ack", "seq": 5}, {"count": 7, "seq": 99}, {"count": 8, "seq": 100}, UNKNOWN]

    connection.respond = twice
    run = await reconciled(connection, record(batch=OpenBatch("aaaa-1", 41)))
    assert run.checkpoint == Checkpoint(47, 99)


@pytest.mark.parametrize(
    ("connection", "reason"),
    [
        (server(1, first_seq=92, answer=UNKNOWN), "messages after seq 90 of stream S have expired"),
        (server(1, deleted=1, answer=UNKNOWN), "messages were deleted from stream S"),
    ],
    ids=["expired", "deleted"],
)
async def test_a_run_whose_messages_cannot_be_told_is_not_resumed(connection: ScriptedConnection, reason: str) -> None:
    run = record(batch=OpenBatch("aaaa-1", 41))
    with pytest.raises(ResumeError, match=f"run aaaa cannot be continued: .*{reason}"):
        await reconciled(connection, run)
    assert (run.checkpoint, run.settled) == (KNOWN, False)


async def test_a_server_that_is_away_meanwhile_is_asked_another_time() -> None:
    run = record(batch=OpenBatch("aaaa-1", 41))
    with pytest.raises(UnreachableError, match="does not answer the fence around run aaaa"):
        await reconciled(server(), run)
    assert (run.checkpoint, run.settled) == (KNOWN, False)


async def test_a_stream_that_was_recreated_or_is_gone_is_refused() -> None:
    connection = server(1)
    connection.answers["STREAM.INFO.S"] |= {"created": "later"}
    with pytest.raises(ResumeError, match="stream S was recreated since"):
        await reconciled(connection, record())
    connection.answers["STREAM.INFO.S"] = ApiError(404, 10059, "stream not found")
    with pytest.raises(ResumeError, match="stream S is gone"):
        await reconciled(connection, record())
    connection.answers["STREAM.INFO.S"] = ApiError(503, 10118, "stream is offline")
    with pytest.raises(UnreachableError, match="stream S cannot be read: stream is offline"):
        await reconciled(connection, record())


async def test_a_stream_that_ends_before_what_it_acknowledged_has_lost_events() -> None:
    for settled in (False, True):
        run = record(Checkpoint(40, 91))
        run.settled = settled
        with pytest.raises(ResumeError, match="stream S ends at seq 90, and the server had acknowledged up to 91"):
            await reconciled(server(), run)
    with pytest.raises(UnreachableError, match="ends at seq 90"):  # a new leader may not have stored it yet
        await reconciled(server(replicas=3), record(Checkpoint(40, 91)))
    assert (await reconciled(server(), record(Checkpoint(40, 90)))).settled


@pytest.mark.parametrize("settled", [False, True])
async def test_what_others_publish_does_not_hide_that_the_end_of_a_stream_was_lost(*, settled: bool) -> None:
    run = record(Checkpoint(40, 90, mark_of("a", b"event 40")))
    run.settled = settled
    with pytest.raises(ResumeError, match="stream S has lost events that the server had acknowledged"):
        await reconciled(server(stored=foreign(3)), run)
    run.checkpoint = Checkpoint(40, 90, mark_of("a", b"before"))
    await reconciled(server(stored=foreign(3)), run)


async def test_a_loss_while_it_is_counted_is_noticed() -> None:
    connection = server(stored=own(41, 45))
    before, lost = connection.answers["STREAM.INFO.S"], {"last_seq": 80, "first_seq": 1}
    connection.answers["STREAM.INFO.S"] = [before] * 6 + [before | {"state": lost}]
    with pytest.raises(ResumeError, match="ends at seq 80, and the server had acknowledged up to 90"):
        await reconciled(connection, record())
