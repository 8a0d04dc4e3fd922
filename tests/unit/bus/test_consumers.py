"""Who reads a stream and how far behind it is, by a scripted server."""

import asyncio
from typing import Any

import pytest

from spyctl.bus.connection import ApiError
from spyctl.bus.consumers import Consumer, Consumers
from spyctl.errors import UnreachableError
from spyctl.timing.instants import SECOND
from spyctl.timing.tasks import end_task
from tests.support.clock import FakeClock
from tests.support.connection import ScriptedConnection

STORED = "2025-12-16T14:29:58Z"  # two seconds before the fake clock's time


def consumer(name: str, behind: int, subject: str = "") -> dict[str, Any]:
    config = {"filter_subject": subject} if subject else {}
    delivered = {"stream_seq": 40}
    return {"name": name, "num_pending": behind, "num_ack_pending": 3, "delivered": delivered, "config": config}


def server(*infos: dict[str, Any]) -> ScriptedConnection:
    message = {"message": {"seq": 41, "subject": "a", "data": "", "time": STORED}}
    return ScriptedConnection({"CONSUMER.LIST.S": {"consumers": list(infos)}, "STREAM.MSG.GET.S": message})


async def look(connection: ScriptedConnection) -> tuple[Consumer, ...]:
    return await Consumers(connection.as_connection(), "S", clock=FakeClock()).look()


async def test_consumers_are_listed_with_the_one_furthest_behind_first() -> None:
    connection = server(consumer("c", 0), consumer("b", 7), consumer("a", 7, "market.stocks.trades"))
    assert await look(connection) == (
        Consumer("a", 7, 2.0, 3), Consumer("b", 7, 2.0, 3), Consumer("c", 0, None, 3),
    )  # fmt: skip
    assert [request for subject, request in connection.asked if subject.startswith("STREAM.MSG.GET")] == [
        {"seq": 41, "next_by_subj": "market.stocks.trades"}, {"seq": 41},
    ]  # fmt: skip


async def test_consumers_that_we_count_with_are_left_out() -> None:
    assert await look(server(consumer("count-ab12", 5))) == ()


async def test_a_stream_without_consumers_has_none() -> None:
    assert await look(ScriptedConnection({"CONSUMER.LIST.S": {"consumers": None}})) == ()


async def test_a_message_that_has_expired_has_no_age() -> None:
    connection = server(consumer("a", 7))
    connection.answers["STREAM.MSG.GET.S"] = ApiError(404, 10037, "no message found")
    assert await look(connection) == (Consumer("a", 7, None, 3),)


async def test_only_the_consumers_furthest_behind_cost_a_question_each() -> None:
    connection = server(*(consumer(f"{i:02}", 5) for i in range(20)))
    consumers = await look(connection)
    assert [item.behind_s for item in consumers] == [2.0] * 8 + [None] * 12


@pytest.mark.parametrize("failure", [UnreachableError("gone"), ApiError(503, 10008, "no leader")])
async def test_a_server_that_does_not_answer_is_asked_again_after_a_second(failure: Exception) -> None:
    connection = server(consumer("a", 0))
    connection.answers["CONSUMER.LIST.S"] = [failure, {"consumers": [consumer("a", 0)]}]
    clock = FakeClock()
    consumers = Consumers(connection.as_connection(), "S", clock=clock)
    looking = asyncio.create_task(consumers.keep_looking())
    await clock.run(1, 1)
    await clock.run(SECOND - 1, SECOND - 1)
    assert (len(connection.asked), consumers.now) == (1, ())
    await clock.run(1, 1)
    assert [item.name for item in consumers.now] == ["a"]
    await end_task(looking)
