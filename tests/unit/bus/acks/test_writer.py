"""Who writes proves its leases first, where they are in doubt."""

from types import SimpleNamespace
from typing import Any

import pytest

from spyctl.bus.acks.writer import Writer
from spyctl.bus.fence import FENCED, fence_header
from tests.support.connection import ScriptedConnection

FRAME = b"PUB a _INBOX.x.1 1\r\nx\r\n"


class Holder:
    """A run that proves its leases or not, and counts doubts."""

    fence = "market.fences.t"

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
