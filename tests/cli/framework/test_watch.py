"""What goes on during a run."""

import asyncio
import io
import urllib.request
from typing import Any

import pytest
from rich.text import Text

from spyctl.cli.framework.metrics import Figures
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.screen import Show
from spyctl.cli.framework.watch import away, watched
from spyctl.errors import ListenError
from tests.support.connection import ScriptedConnection
from tests.support.waiting import eventually

SUMMARY = {"by_subject": {}, "published": 3, "acked": 2}


class Polling:
    """Something that looks until cancelled."""

    def __init__(self) -> None:
        self.polling = False

    async def keep_looking(self) -> None:
        self.polling = True
        try:
            await asyncio.Event().wait()
        finally:
            self.polling = False


def figures() -> Figures:
    return Figures(SUMMARY, "")


def test_a_server_that_is_away_is_waited_for_with_its_reason() -> None:
    connection = ScriptedConnection()
    assert away(connection.as_connection()) == ""
    connection.connected = False
    assert away(connection.as_connection()) == "NATS"
    connection.trouble = "nats://a refuses us"
    assert away(connection.as_connection()) == "NATS (nats://a refuses us)"


async def test_server_and_consumers_are_watched_during_the_run_alone() -> None:
    consumers: Any = Polling()
    acks: Any = Polling()
    async with watched(Reporter(io.StringIO()), None, acks, consumers, None, figures):
        await eventually(lambda: consumers.polling and acks.polling)
    assert not consumers.polling
    assert not acks.polling


async def test_figures_are_served_and_the_address_is_said() -> None:
    reporter = Reporter(io.StringIO())

    def get(url: str) -> str:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())

    async with watched(reporter, None, None, None, ("127.0.0.1", 0), figures):
        said = reporter.stream.getvalue()  # type: ignore[attr-defined]
        assert said.startswith("metrics  http://127.0.0.1:")
        page = await asyncio.to_thread(get, said.split()[1])
    assert "spyctl_published_total 3.0" in page
    assert "spyctl_in_flight 1.0" in page


async def test_an_address_that_is_taken_ends_the_run_before_it_begins() -> None:
    async with watched(Reporter(io.StringIO()), None, None, None, ("127.0.0.1", 0), figures):
        reporter = Reporter(io.StringIO())
        with pytest.raises(ListenError, match="metrics cannot be served on 203.0.113.1:1"):
            async with watched(reporter, None, None, None, ("203.0.113.1", 1), figures):
                pass


async def test_a_display_is_drawn_until_the_run_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = Reporter(io.StringIO())
    lines = iter(["first", "second"])
    monkeypatch.setattr("spyctl.cli.framework.screen.LINE_S", 0.0)
    async with watched(reporter, Show(lambda *_: Text(), lambda: next(lines, "more")), None, None, None, figures):
        await eventually(lambda: "second" in reporter.stream.getvalue())  # type: ignore[attr-defined]
    assert "first\nsecond\n" in reporter.stream.getvalue()  # type: ignore[attr-defined]
