"""What the Tab key offers behind ``spyctl ctl``, as a shell asks for it."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from spyctl.bus.control_service import command
from spyctl.cli.ctl_completion import complete_command
from spyctl.replay.commands import VERBS
from tests.conftest import Offered
from tests.integration.replay.test_control import replaying
from tests.support.records import SECOND, T0, trade, write_file
from tests.support.servers import NatsServer


@pytest.mark.parametrize(
    ("typed", "offers"),
    [
        ("", list(VERBS)),
        ("p", ["pause", "previous"]),
        ("next s", ["spread", "session"]),
        ("previous q", ["quiet"]),
        ("step 5 ", ["events", "trades", "seconds"]),
        ("step ", []),
        ("pause ", []),
        ("speed m", ["max"]),
        ("stop ", ["keep"]),
        ("stop keep ", []),
        ("seek cl", ["close", "close-5m"]),
        ("loop o", ["open", "open-5m", "open+30m", "off"]),
        ("loop open o", ["open", "open-5m", "open+30m"]),
        ("goto ", []),  # no server
    ],
)
def test_commands_and_what_may_follow_them(typed: str, offers: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_URL", "nats://127.0.0.1:1")
    *command_words, incomplete = typed.split(" ")
    found = complete_command(SimpleNamespace(params={"command": tuple(command_words)}), incomplete)
    assert sorted(found) == sorted(offers)


@pytest.mark.integration
async def test_marks_and_runs_are_those_of_the_replays_that_run(
    offered: Offered, environment: dict[str, str], nats_server: NatsServer, tmp_path: Path
) -> None:
    write_file(tmp_path / "dbn-data", "trades", [trade(T0 + i * SECOND) for i in range(60)])
    env = environment | {"NATS_URL": nats_server.url}

    async def tab(line: str) -> list[str]:
        return await asyncio.to_thread(offered, line, NATS_URL=nats_server.url)

    async with replaying(env, tmp_path) as (_, connection, run_id):
        for words in ("mark halt", "step 9", "mark auction"):
            await command(connection, run_id, words)
        assert await tab("ctl --run ") == [run_id]
        assert await tab("ctl goto ") == ["halt", "auction"]
        assert await tab(f"ctl goto --run {run_id} a") == await tab(f"ctl --run {run_id} goto a") == ["auction"]
        assert await tab("ctl loop halt a") == ["auction"]
        assert (await command(connection, run_id, "goto halt"))["event_ns"] == T0
