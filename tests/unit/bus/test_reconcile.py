"""What a stream holds of a dead run, asked of a scripted server: the fence of its batch, or a count."""

from typing import Any

import pytest

from spyctl.bus.acks.fast_ingest import UNKNOWN_BATCH
from spyctl.bus.checkpoint import Checkpoint, OpenBatch
from spyctl.bus.connection import ApiError
from spyctl.bus.reconcile import reconcile
from spyctl.bus.runs import RunRecord
from spyctl.errors import ResumeError
from tests.support.clock import JumpingClock
from tests.support.connection import Published, ScriptedConnection

KNOWN = Checkpoint(40, 90)
BORN = "2025-12-16T14:30:00Z"
UNKNOWN = {"error": {"code": 400, "err_code": UNKNOWN_BATCH}}


def record(checkpoint: Checkpoint | None = KNOWN, batch: OpenBatch | None = None) -> RunRecord:
    return RunRecord(
        "aaaa", "replay", "S", ["a", "b"], [], {}, 0, stream_born=BORN, checkpoint=checkpoint, batch=batch
    )  # fmt: skip


def server(*counts: int, first_seq: int = 1, deleted: int = 0, answer: Any = None) -> ScriptedConnection:
    state = {"last_seq": 100, "first_seq": first_seq, "num_deleted": deleted}
    answers = {
        "STREAM.INFO.S": {"created": BORN, "state": state},
        "CONSUMER.CREATE.S.": [{"num_pending": count} for count in counts],
        "CONSUMER.DELETE.S.": {},
    }
    return ScriptedConnection(answers, respond=lambda _: [answer] if answer is not None else [])


async def reconciled(connection: ScriptedConnection, run: RunRecord, clock: JumpingClock | None = None) -> RunRecord:
    await reconcile(connection.as_connection(), run, clock=clock or JumpingClock())
    return run


async def test_a_run_that_sent_nothing_begins_behind_all_that_is_stored() -> None:
    run = await reconciled(server(), record(checkpoint=None))
    assert (run.checkpoint, run.settled) == (Checkpoint(0, 100), True)


async def test_messages_are_counted_behind_the_checkpoint_until_their_number_stands_still() -> None:
    clock = JumpingClock()
    connection = server(3, 5, 5)
    run = await reconciled(connection, record(), clock)
    assert (run.checkpoint, run.batch, run.settled) == (Checkpoint(45, 100), None, True)
    assert len(clock.waits) == 2
    config = next(request["config"] for subject, request in connection.asked if subject.startswith("CONSUMER.CREATE"))
    assert (config["opt_start_seq"], config["filter_subjects"]) == (91, ["a", "b"])


async def test_an_open_batch_is_fenced_and_its_count_taken() -> None:
    connection = server(answer={"count": 7, "seq": 99})
    run = await reconciled(connection, record(batch=OpenBatch("aaaa-1", 41)))
    assert (run.checkpoint, run.batch, run.settled) == (Checkpoint(47, 99), None, True)
    (fence,) = connection.written
    assert fence.subject == "a"
    assert fence.reply.startswith("_INBOX.x.aaaa-1.")
    assert fence.reply.endswith(f".{1 << 40}.3.$FI")  # a commit that stands behind every message of the batch
    assert not [subject for subject, _ in connection.asked if subject.startswith("CONSUMER")]


async def test_the_messages_of_a_forgotten_batch_are_counted() -> None:
    run = await reconciled(server(6, answer=UNKNOWN), record(batch=OpenBatch("aaaa-1", 41)))
    assert run.checkpoint == Checkpoint(46, 100)


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
        (server(), "does not answer the fence of its batch"),
        (server(1, first_seq=92, answer=UNKNOWN), "messages after seq 90 of stream S have expired"),
        (server(1, deleted=1, answer=UNKNOWN), "messages were deleted from stream S"),
    ],
    ids=["silent server", "expired", "deleted"],
)
async def test_a_run_whose_messages_cannot_be_told_is_not_resumed(connection: ScriptedConnection, reason: str) -> None:
    run = record(batch=OpenBatch("aaaa-1", 41))
    with pytest.raises(ResumeError, match=f"run aaaa cannot be continued: .*{reason}"):
        await reconciled(connection, run)
    assert (run.checkpoint, run.settled) == (KNOWN, False)


async def test_a_stream_that_was_recreated_or_is_gone_is_refused() -> None:
    connection = server(1)
    connection.answers["STREAM.INFO.S"] |= {"created": "later"}
    with pytest.raises(ResumeError, match="stream S was recreated since"):
        await reconciled(connection, record())
    connection.answers["STREAM.INFO.S"] = ApiError(404, 10059, "stream not found")
    with pytest.raises(ResumeError, match=r"stream S is gone \(stream not found\)"):
        await reconciled(connection, record())
