"""The fence around a holder of leases: its subject, its header, and which servers know it."""

from typing import Any

import nats.errors
import pytest

from spyctl.bus.fence import can_fence, close_fence, fence_header, fence_subject, shift_fence
from spyctl.bus.stream import desired_config, misfits
from spyctl.errors import BusError
from tests.support.connection import ScriptedConnection


@pytest.mark.parametrize("prefix", ["", "P"])
def test_every_stream_of_ours_captures_its_fences_beside_the_events(prefix: str) -> None:
    assert not misfits(desired_config(prefix), [fence_subject("0123abcd", prefix)])
    assert misfits(desired_config(prefix), [fence_subject("0123abcd", "Q")])


def test_a_message_is_refused_once_anything_is_stored_under_the_fence() -> None:
    assert fence_header("market.fences.t") == (
        b"Nats-Expected-Last-Subject-Sequence:0\r\nNats-Expected-Last-Subject-Sequence-Subject:market.fences.t\r\n"
    )


async def test_a_fence_is_shifted_from_one_message_of_ours_to_the_next_until_somebody_closes_it() -> None:
    scripted = ScriptedConnection()
    connection = scripted.as_connection()
    for seq, after in ((1_001, "0"), (1_002, "1001")):
        assert await shift_fence(connection, "S", "market.fences.t", "aaaa") == seq
        assert scripted.requested[-1][2] == {"Nats-Expected-Last-Subject-Sequence": after}
    assert b"Sequence:1002\r\n" in fence_header("market.fences.t", 1_002)
    await close_fence(connection, "market.fences.t", "aaaa")
    assert await shift_fence(connection, "S", "market.fences.t", "aaaa") is None
    assert len(scripted.requested) == 3


@pytest.mark.parametrize(("version", "known"), [((2, 9), False), ((2, 10), False), ((2, 11), True), ((2, 15), True)])
def test_an_older_server_would_refuse_every_message_and_gets_none(version: tuple[int, int], known: bool) -> None:
    assert can_fence(ScriptedConnection(version=version).as_connection()) is known


async def test_a_fence_that_cannot_be_closed_is_an_error_of_ours() -> None:
    class Refusing(ScriptedConnection):
        def jetstream(self) -> Any:
            return self

        async def publish(self, *_: Any, **__: Any) -> None:
            raise nats.errors.TimeoutError

    with pytest.raises(BusError, match=r"run aaaa may still be publishing, and market.fences.t takes no message"):
        await close_fence(Refusing().as_connection(), "market.fences.t", "aaaa")
