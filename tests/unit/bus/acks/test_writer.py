"""Who writes proves its leases first, where they are in doubt."""

from types import SimpleNamespace
from typing import Any

import pytest

from spyctl.bus.acks.writer import Writer
from spyctl.bus.connection import ApiError
from spyctl.bus.fence import FENCED, close_fence, fence_header
from spyctl.errors import UnreachableError
from tests.support.connection import ScriptedConnection

FRAME = b"PUB a _INBOX.x.1 1\r\nx\r\n"


class Holder:
    """A run that proves its leases or not, and counts doubts."""

    fence = "market.fences.t"
    record = SimpleNamespace(run_id="aaaa", stream="S")

    def __init__(self) -> None:
        self.holds = True
        self.doubts = 0
        self.leases = SimpleNamespace(doubt=self.doubt)

    def doubt(self) -> None:
        self.doubts += 1

    async def prove(self, *, fenced: bool, anew: bool = False) -> bool:
        return self.holds


@pytest.fixture
def run() -> Any:
    return Holder()


async def test_nothing_is_written_while_the_leases_are_not_proved(run: Any) -> None:
    connection = ScriptedConnection()
    writer = Writer(connection.as_connection(), run)
    run.holds = False
    assert not await writer.write(FRAME)
    assert connection.written == []
    run.holds = True
    assert await writer.write(FRAME)
    assert len(connection.written) == 1


async def test_a_proof_anew_is_one_in_doubt(run: Any) -> None:
    writer = Writer(ScriptedConnection().as_connection(), run)
    assert await writer.proved()
    assert run.doubts == 0
    assert await writer.proved(anew=True)
    assert run.doubts == 1


def test_a_fence_and_its_refusals_belong_to_a_run(run: Any) -> None:
    new, old = (ScriptedConnection(version=version).as_connection() for version in ((2, 14), (2, 10)))
    assert Writer(new, run).fence == fence_header(run.fence)
    assert Writer(old, run).fence == Writer(new, None).fence == b""
    assert Writer(new, run).is_fenced(FENCED[0])
    assert not Writer(new, run).is_fenced(10077)
    assert not Writer(new, None).is_fenced(FENCED[0])


async def test_what_is_written_after_a_fencing_off_names_the_message_that_keeps_out_the_rest(run: Any) -> None:
    writer = Writer(ScriptedConnection().as_connection(), run)
    assert await writer.fenced()
    assert await writer.fence_off()
    assert writer.fence == fence_header(run.fence, 1_001)
    writer.refused()  # the stream let go of that message, as for a purge
    assert await writer.fenced()
    assert writer.fence == fence_header(run.fence, 1_002)


async def test_a_fencing_off_whose_answer_is_lost_is_done_again_before_anything_is_written(run: Any) -> None:
    scripted = ScriptedConnection()
    writer = Writer(scripted.as_connection(), run)
    scripted.answers["STREAM.MSG.GET.S"] = [UnreachableError("it does not answer"), ApiError(404, 10037, "none")]
    assert not await writer.fence_off()
    assert await writer.fenced()
    assert writer.fence == fence_header(run.fence, 1_001)


async def test_who_finds_its_fence_closed_has_its_leases_proved(run: Any) -> None:
    connection = ScriptedConnection().as_connection()
    await close_fence(connection, run.fence, "aaaa")
    writer = Writer(connection, run)
    assert not await writer.fence_off()
    assert run.doubts == 1


async def test_without_a_run_or_a_server_that_fences_there_is_nothing_to_fence_off(run: Any) -> None:
    old = ScriptedConnection(version=(2, 10))
    assert await Writer(old.as_connection(), run).fence_off()
    assert await Writer(ScriptedConnection().as_connection(), None).fence_off()
    assert old.requested == []
