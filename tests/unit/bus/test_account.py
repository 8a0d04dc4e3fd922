"""What an account has left, and what its user may publish."""

from typing import Any

import pytest

from spyctl.bus.account import Account, not_permitted
from spyctl.errors import AccessDeniedError, NoJetStreamError

BOTH = ["MARKET_DATA", "KV_SPYCTL"]


def info(storage: int = 0, streams: int = 0, **limits: Any) -> dict[str, Any]:
    return {"storage": storage, "streams": streams, "limits": {"max_storage": -1, "max_streams": -1} | limits}


@pytest.mark.parametrize(
    ("answer", "free", "shortage"),
    [
        (info(), None, ""),
        ({}, None, ""),
        (info(max_storage=0), 0, "may store nothing more on disk"),
        (info(5, max_storage=5), 0, "may store nothing more on disk"),
        (info(5, max_storage=7), 2, ""),
        (info(streams=4, max_streams=6), None, ""),
        (info(streams=5, max_streams=6), None, "room for 1 of the streams MARKET_DATA and KV_SPYCTL"),
        (info(max_bytes_required=True), None, "asks for max_bytes of a stream"),
        (info(max_storage=0) | {"tiers": {"R1": info(1, max_storage=9)}}, 8, ""),
        (info() | {"tiers": {"R1": info(max_storage=0)}}, 0, "nothing more on disk in tier R1"),
        (info() | {"tiers": {"R3": info()}}, 0, "has limits for R3 alone; the stream needs R1"),
    ],
)
def test_limits_are_those_of_the_tier_that_our_streams_are_in(
    answer: dict[str, Any], free: int | None, shortage: str
) -> None:
    account = Account.of(answer)
    assert account.free == free
    assert shortage in account.shortage(BOTH)
    assert bool(account.shortage(BOTH)) is bool(shortage)


def test_streams_that_are_there_need_no_room_for_streams() -> None:
    assert Account.of(info(streams=6, max_streams=6, max_bytes_required=True)).shortage([]) == ""


def test_a_stream_with_more_replicas_is_in_another_tier() -> None:
    answer = info() | {"tiers": {"R1": info(max_storage=0), "R3": info(1, max_storage=9)}}
    assert [Account.of(answer, replicas).free for replicas in (1, 3)] == [0, 8]


class Connection:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def ask(self, subject: str) -> Any:
        assert subject == "$SYS.REQ.USER.INFO"
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "denied"),
    [
        ({"data": {"user": "ann"}}, []),
        ({"data": {"permissions": {"publish": {"deny": ["market.>"]}, "subscribe": {}}}}, ["market.gaps"]),
        ({"data": {"permissions": {"publish": {"allow": ["market.*"]}}}}, ["$KV.A"]),
        ({"data": {"permissions": {"publish": {"allow": [">"], "deny": ["$KV.*"]}}}}, ["$KV.A"]),
        ({"data": {"permissions": {"publish": {"allow": 5}}}}, []),
        ({"data": 7}, []),
        ({"error": {"code": 500}}, []),
        (AccessDeniedError("no"), None),
        (NoJetStreamError("an old server"), []),
    ],
)
async def test_what_is_not_permitted_is_told_by_the_server(answer: Any, denied: list[str] | None) -> None:
    connection: Any = Connection(answer)
    assert await not_permitted(connection, ["market.gaps", "$KV.A"]) == denied
