"""Marks: whether the last message that is known to be stored is still there, and not another one in its place."""

from typing import Any

import pytest

from spyctl.bus.checkpoint import Checkpoint
from spyctl.bus.connection import ApiError
from spyctl.bus.mark import keeps, mark_at, mark_of
from spyctl.errors import UnreachableError
from tests.support.connection import ScriptedConnection

HELD = [("a", b"one", ""), ("b", b"two", "")]


def server(last_seq: int = 2, replicas: int = 1, **answers: Any) -> ScriptedConnection:
    info = {"config": {"num_replicas": replicas}, "state": {"last_seq": last_seq}}
    return ScriptedConnection({"STREAM.INFO.S": info} | answers, held=lambda: HELD)


def test_a_mark_is_of_subject_and_payload() -> None:
    assert len({mark_of("a", b"one"), mark_of("a", b"two"), mark_of("b", b"one"), mark_of("ao", b"ne")}) == 4


async def test_the_mark_under_a_sequence_is_that_of_its_message() -> None:
    connection = server().as_connection()
    assert await mark_at(connection, "S", 2) == mark_of("b", b"two")
    assert await mark_at(connection, "S", 0) == await mark_at(connection, "S", 3) == ""


async def test_a_stream_keeps_what_it_held_while_the_message_at_the_end_of_that_is_there() -> None:
    connection = server().as_connection()
    assert await keeps(connection, "S", Checkpoint(2, 2, mark_of("b", b"two")))
    assert await keeps(connection, "S", Checkpoint(2, 2))  # nobody knows what it was
    assert not await keeps(connection, "S", Checkpoint(2, 2, mark_of("b", b"of somebody else")))
    assert not await keeps(connection, "S", Checkpoint(3, 3, mark_of("a", b"three")))


async def test_what_fell_out_or_was_purged_is_no_end_that_was_lost() -> None:
    purged = Checkpoint(3, 3, mark_of("a", b"three"))
    assert await keeps(server(last_seq=9).as_connection(), "S", purged)
    gone = ApiError(404, 10059, "stream not found")
    assert await keeps(server(**{"STREAM.INFO.S": gone}).as_connection(), "S", purged)


async def test_what_others_publish_while_it_is_asked_is_no_message_that_fell_out() -> None:
    connection = server(last_seq=3)
    held = iter([HELD, [*HELD, ("a", b"of somebody else", "")]])
    connection.held = lambda: next(held)
    assert not await keeps(connection.as_connection(), "S", Checkpoint(3, 3, mark_of("a", b"three")))


async def test_a_new_leader_may_not_have_stored_it_yet() -> None:
    with pytest.raises(UnreachableError, match="ends before seq 3"):
        await keeps(server(replicas=3).as_connection(), "S", Checkpoint(3, 3, mark_of("a", b"three")))
    no_leader = ApiError(503, 10008, "no leader")
    for kind in ("STREAM.MSG.GET.S", "STREAM.INFO.S"):
        with pytest.raises(UnreachableError, match="no leader"):
            await keeps(server(**{kind: no_leader}).as_connection(), "S", Checkpoint(3, 3, mark_of("a", b"three")))
