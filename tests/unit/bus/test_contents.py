"""What a stream holds: what is missing is told from what cannot be read, and a count from one that still moves."""

from typing import Any

import pytest

from spyctl.bus.connection import ApiError
from spyctl.bus.contents import StoredMessage, message_at, present_info, same_info, stable_count, stream_info
from spyctl.errors import LostTrackError, StreamGoneError, UnreachableError
from tests.support.clock import JumpingClock
from tests.support.connection import ScriptedConnection

NO_STREAM = ApiError(404, 10059, "stream not found")
OFFLINE = ApiError(503, 10118, "stream is offline")


def connection_to(answer: Any, **answers: Any) -> Any:
    return ScriptedConnection({"STREAM.INFO.S": answer} | answers).as_connection()


def state(last_seq: int, first_seq: int = 1, **more: Any) -> dict[str, Any]:
    return {"config": {}, "state": {"first_seq": first_seq, "last_seq": last_seq} | more, "created": "then"}


async def test_a_stream_that_is_not_there_is_none_and_one_that_cannot_be_read_an_error() -> None:
    assert await stream_info(connection_to(state(3)), "S") == state(3)
    assert await stream_info(connection_to(NO_STREAM), "S") is None
    with pytest.raises(ApiError, match="stream is offline"):
        await stream_info(connection_to(OFFLINE), "S")


@pytest.mark.parametrize(("answer", "why"), [(NO_STREAM, "there is none"), (OFFLINE, "stream is offline")])
async def test_a_stream_that_has_to_be_there_is_unreachable_otherwise(answer: ApiError, why: str) -> None:
    with pytest.raises(UnreachableError, match=f"stream S at .* cannot be counted: {why}"):
        await present_info(connection_to(answer), "S", "counted")


@pytest.mark.parametrize(
    ("answer", "what"), [(NO_STREAM, "was deleted$"), (state(3) | {"created": "later"}, "was deleted and made anew")]
)
async def test_a_stream_that_is_no_longer_the_same_is_gone(answer: Any, what: str) -> None:
    assert await same_info(connection_to(state(3)), "S", "then") == state(3)
    with pytest.raises(StreamGoneError, match=what):
        await same_info(connection_to(answer), "S", "then")


async def test_a_message_that_is_not_there_is_none_also_where_the_stream_is_gone() -> None:
    connection = ScriptedConnection(held=lambda: [("a", b"x", "")])
    found = await message_at(connection.as_connection(), "S", {"seq": 1})
    assert found is not None
    assert (found.seq, found.subject, found.payload) == (1, "a", b"x")
    assert await message_at(connection.as_connection(), "S", {"seq": 2}) is None
    connection.answers["STREAM.MSG.GET.S"] = NO_STREAM
    assert await message_at(connection.as_connection(), "S", {"seq": 1}) is None
    connection.answers["STREAM.MSG.GET.S"] = OFFLINE
    with pytest.raises(ApiError):
        await message_at(connection.as_connection(), "S", {"seq": 1})


def counted(*counts: int, info: dict[str, Any]) -> Any:
    pending = [{"num_pending": count} for count in counts]
    return connection_to(info, **{"CONSUMER.CREATE.S": pending, "CONSUMER.DELETE.S": {}})


async def test_a_count_is_asked_for_until_it_stands_still() -> None:
    assert await stable_count(counted(3, 5, 5, info=state(9)), "S", ["a"], 4, JumpingClock()) == (5, 9)


@pytest.mark.parametrize(
    ("info", "error"),
    [
        (state(9, first_seq=6), LostTrackError),
        (state(9, num_deleted=1), LostTrackError),
        (state(9) | {"cluster": {"replicas": [{"current": False}, {"current": False}]}}, UnreachableError),
        (NO_STREAM, UnreachableError),
    ],
    ids=["expired", "deleted", "no quorum", "gone"],
)
async def test_what_was_not_kept_or_cannot_be_told_is_not_counted(info: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        await stable_count(counted(3, info=info), "S", ["a"], 4, JumpingClock())


def test_a_message_is_read_with_its_headers_and_its_time_to_the_ns() -> None:
    stored = StoredMessage.of({
        "seq": 7, "subject": "a", "time": "2025-12-16T14:30:00.00000012Z", "data": "eA==",
        "hdrs": "TkFUUy8xLjANCk5hdHMtTXNnLUlkOiBhLTENCg0K",
    })  # fmt: skip
    assert (stored.payload, stored.header("Nats-Msg-Id"), stored.header("Other")) == (b"x", "a-1", None)
    assert stored.stored_ns == 1_765_895_400 * 10**9 + 120
