"""The stream that a command reads: waited for, or missing, or not to be read."""

import asyncio
import io

import pytest

from spyctl.bus.connection import ApiError
from spyctl.cli import source_stream as module
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.source_stream import source_stream
from spyctl.errors import NoDataError
from tests.support.connection import ScriptedConnection

MISSING = ApiError(404, 10059, "stream not found")
INFO = {"config": {}, "state": {}}


async def test_a_stream_that_is_not_there_is_an_error_with_what_makes_one() -> None:
    connection = ScriptedConnection({"STREAM.INFO.S": MISSING}).as_connection()
    with pytest.raises(NoDataError, match="there is no stream S at nats://scripted:4222") as error:
        await source_stream(connection, "S", remedy="make one")
    assert error.value.remedy == "make one"


async def test_a_stream_is_waited_for_and_that_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_POLL_S", 0)
    connection, said = ScriptedConnection({"STREAM.INFO.S": [MISSING, MISSING, INFO]}), io.StringIO()
    async with asyncio.timeout(5):
        assert await source_stream(connection.as_connection(), "S", Reporter(said), remedy="") == INFO
    assert said.getvalue().strip() == "waiting for stream S at nats://scripted:4222"


async def test_a_stream_that_the_server_does_not_tell_of_is_an_error_in_its_words() -> None:
    connection = ScriptedConnection({"STREAM.INFO.S": ApiError(503, 10118, "stream is offline")}).as_connection()
    with pytest.raises(NoDataError, match=r"stream S at .* cannot be read: stream is offline \(10118\)"):
        await source_stream(connection, "S", remedy="")
