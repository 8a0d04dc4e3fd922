"""A replay into a real server that is controlled from elsewhere: over NATS, by keys, by a program, through a kill."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js.api import ConsumerConfig

from spyctl.api import NATSBus, ReplayPublisher
from spyctl.bus.connection import Connection, connect
from spyctl.bus.control_service import command, controllable
from spyctl.bus.runs import RunState, stored_runs
from spyctl.dbn.sort_times import Selection
from spyctl.errors import ControlError, NoSuchRunError
from spyctl.replay.file_source import FileSource
from spyctl.replay.script import Script
from spyctl.replay.segments import Journal
from spyctl.replay.source import DBNIngestor
from tests.conftest import Cli
from tests.support.records import MS, SECOND, T0, book, trade, write_file
from tests.support.servers import NatsServer
from tests.support.stream import read_stream
from tests.support.terminal import Terminal
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "dbn-data"
    write_file(root, "trades", [trade(T0 + i * 200 * MS, size=60 if i % 40 == 39 else 3) for i in range(300)])
    write_file(root, "mbp-10", [book(T0 + i * 20 * MS, sequence=i) for i in range(3_000)], compressed=True)
    return root


@pytest.fixture
def env(environment: dict[str, str], nats_server: NatsServer) -> dict[str, str]:
    return environment | {"NATS_URL": nats_server.url}


@asynccontextmanager
async def replaying(
    env: dict[str, str], cwd: Path, *arguments: str
) -> AsyncIterator[tuple["subprocess.Popen[str]", Connection, str]]:
    """A replay that begins paused, a connection to its server, and its id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "spyctl", "replay", "--start-paused", "--json", *arguments],
        env=env, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    connection = await connect([env["NATS_URL"]])
    try:
        run_id = await eventually_controllable(connection)
        yield process, connection, run_id
    finally:
        await connection.close()
        process.kill()
        process.communicate()


async def eventually_controllable(connection: Connection) -> str:
    async with asyncio.timeout(30):
        while not (found := await controllable(connection)):
            pass  # each look takes a moment
    return found[0]["run_id"]


async def done(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, err = await asyncio.to_thread(process.communicate)
    assert out, err
    document: dict[str, Any] = json.loads(out)
    return document


async def test_commands_over_nats(env: dict[str, str], data: Path, tmp_path: Path) -> None:
    async with replaying(env, tmp_path, "--speed", "100") as (process, connection, run_id):
        assert (await command(connection, run_id, "step 3"))["published"] == 3
        status = await command(connection, run_id, "seek +10s")
        assert (status["state"], status["segment"], status["seeks"]) == ("paused", 1, 1)
        with pytest.raises(ControlError, match="outside the plan"):
            await command(connection, run_id, "seek 03:00")
        with pytest.raises(NoSuchRunError, match="no replay zzzz runs"):
            await command(connection, "zzzz", "pause")
        client = await nats.connect(env["NATS_URL"])  # any client will do
        answer = json.loads((await client.request(f"spyctl.ctl.{run_id}", b"speed max", timeout=10)).data)
        assert answer["speed"] == 0
        await client.close()
        await command(connection, run_id, "resume")
        summary = await done(process)
        with pytest.raises(NoSuchRunError):
            await command(connection, run_id, "status")
    assert (process.returncode, summary["complete"]) == (0, True)
    stored = await read_stream(env["NATS_URL"])
    assert len(stored) == summary["published"] + summary["resets"] + summary["seeds"]
    assert summary["published"] == summary["acked"] == 3 + 2_499 + 249  # from 10 s behind the third


async def test_a_run_that_is_killed_in_its_third_segment_goes_on_there(
    env: dict[str, str], cli: Cli, data: Path, tmp_path: Path
) -> None:
    async with replaying(env, tmp_path, "--speed", "20") as (process, connection, run_id):
        for words in ("step 700", "seek +20s", "step 5 trades", "mark here", "seek -5s", "resume"):
            await command(connection, run_id, words)
        before = (await command(connection, run_id, "status"))["published"]
        async with asyncio.timeout(30):
            while (await command(connection, run_id, "status"))["published"] < before + 100:
                pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        result = await asyncio.to_thread(cli, "replay", "--resume", "--speed", "max", "--json", "--verify", **env)
        assert result.returncode == 0, result.stderr
        summary = json.loads(result.stdout)
        assert (summary["run_id"], summary["complete"], summary["missing"], summary["differing"]) == (
            run_id,
            True,
            0,
            0,
        )
        (record,) = await stored_runs(connection)
    journal = Journal.of(record.journal)
    assert ([segment.number for segment in journal.segments], [*journal.marks]) == ([0, 1, 2], ["here"])
    script = Script(FileSource(DBNIngestor(data).discover_files(), Selection()))
    expected = [payload for piece in script.pieces(journal, 0) for payload in piece.payloads()]
    assert [payload for _, _, payload, _ in await read_stream(env["NATS_URL"])] == expected


async def test_stop_and_stop_keep(env: dict[str, str], cli: Cli, data: Path, tmp_path: Path) -> None:
    for words, state in (("stop", RunState.STOPPED), ("stop keep", RunState.ENDED)):
        async with replaying(env, tmp_path) as (process, connection, run_id):
            await command(connection, run_id, "step 10")
            await command(connection, run_id, words)
            summary = await done(process)
            assert (process.returncode, summary["complete"], summary["stopped_by"]) == (0, False, words)
            assert [each.state for each in await stored_runs(connection) if each.run_id == run_id] == [state]
    result = await asyncio.to_thread(cli, "replay", "--resume", "--speed", "max", "--json", **env)
    assert json.loads(result.stdout)["run_id"] == run_id  # the one that was kept


async def test_the_clock_of_a_replay_can_be_followed(env: dict[str, str], data: Path, tmp_path: Path) -> None:
    client = await nats.connect(env["NATS_URL"])
    heard: list[dict[str, Any]] = []

    async def on_clock(message: Any) -> None:
        heard.append(json.loads(message.data))

    await client.subscribe("DRILL.spyctl.clock", cb=on_clock)
    async with replaying(env, tmp_path, "--prefix", "DRILL") as (_, connection, run_id):
        await command(connection, run_id, "seek +30s")
        await command(connection, run_id, "speed 5")
        await eventually(lambda: any(clock["speed"] == 5 for clock in heard))
    assert {"run_id", "event_ns", "speed", "state", "segment"} == heard[0].keys()
    assert any((clock["segment"], clock["event_ns"]) == (1, T0 + 30 * SECOND) for clock in heard)
    assert await client.jetstream().stream_info("DRILL_MARKET_DATA")
    stored = await read_stream(env["NATS_URL"], "DRILL_MARKET_DATA")
    assert {subject for _, subject, *_ in stored} <= {"DRILL.market.resets", "DRILL.market.futures.mbp10"}
    await client.close()


async def test_a_replay_waits_for_a_consumer(env: dict[str, str], data: Path, tmp_path: Path) -> None:
    async with replaying(env, tmp_path, "--speed", "max", "--wait-for", "lake:500") as (process, connection, run_id):
        jetstream = connection.jetstream()
        lake = await jetstream.pull_subscribe(
            "market.futures.*", durable="lake", stream="MARKET_DATA", config=ConsumerConfig(max_ack_pending=100_000)
        )
        await asyncio.sleep(0.3)  # it is looked at ten times a second
        await command(connection, run_id, "resume")
        status: dict[str, Any] = {}
        async with asyncio.timeout(30):
            while not status.get("waiting_for"):
                status = await command(connection, run_id, "status")
        assert status["waiting_for"].startswith("consumer lake, ")
        assert 500 < status["published"] < 3_300
        taken = 0
        while taken < 3_300:
            messages = await lake.fetch(500, timeout=10)
            taken += len(messages)
            for message in messages:
                await message.ack()
        assert (await done(process))["complete"]


def test_keys_control_it_and_the_terminal_is_given_back(env: dict[str, str], data: Path, tmp_path: Path) -> None:
    terminal = Terminal([sys.executable, "-m", "spyctl", "replay", "--start-paused"], env, tmp_path, 120, 40)
    terminal.wait_for(lambda text: "‖ paused" in text and "space pause" in text)
    terminal.type(b".")
    terminal.wait_for(lambda text: re.search(r"published +1\b", text) is not None)
    terminal.type(b"\x1b[C")
    terminal.wait_for(lambda text: "09:30:10.000" in text)
    terminal.type(b"g09:30:4")
    terminal.wait_for(lambda text: "go to 09:30:4" in text)
    terminal.type(b"0\r")
    terminal.wait_for(lambda text: "09:30:40.000" in text)
    terminal.type(b"uz")
    terminal.wait_for(lambda text: "09:30:10.000" in text and "the key z does nothing" in text)
    terminal.type(b"t?")
    terminal.wait_for(lambda text: "next trade of 50 lots or more" in text and "any key goes back" in text)
    terminal.type(b"x}q")
    terminal.wait_for(lambda text: "published" in text)
    assert terminal.finish() == 0
    terminal.assert_given_back()


def test_keys_are_not_read_where_they_are_not_wanted(env: dict[str, str], data: Path, tmp_path: Path) -> None:
    command_line = [sys.executable, "-m", "spyctl", "replay", "--no-keys", "--speed", "1"]
    terminal = Terminal(command_line, env, tmp_path, 120, 40)
    terminal.wait_for(lambda text: "▶ playing" in text and "Ctrl-C ends" in text)
    terminal.type(b"q \x03")
    assert terminal.finish() == 130
    terminal.assert_given_back()


async def test_a_program_controls_the_replay_that_it_runs(data: Path, nats_server: NatsServer) -> None:
    bus = NATSBus(nats_server.url)
    await bus.connect()
    publisher = ReplayPublisher(bus, DBNIngestor(data), replay_speed=1.0)
    control = publisher.control
    paused = asyncio.ensure_future(control.pause())
    running = asyncio.create_task(publisher.replay_date("2025-12-16"))
    assert (await paused)["state"] == "paused"
    assert (await control.seek("+5s"))["segment"] == 1
    assert (await control.step(10))["published"] == 10
    await control.speed("max")
    await control.resume()
    stats = await running
    assert 3_000 < stats.events < 3_100  # from about five seconds on
    with pytest.raises(ControlError, match="has ended"):
        await control.pause()
    await bus.close()


async def test_a_seek_while_the_server_is_away_is_obeyed_once_it_is_back(
    env: dict[str, str], data: Path, tmp_path: Path, nats_server: NatsServer
) -> None:
    terminal = Terminal([sys.executable, "-m", "spyctl", "replay", "--start-paused"], env, tmp_path, 120, 40)
    terminal.wait_for(lambda text: "‖ paused" in text)
    terminal.type(b".")
    terminal.wait_for(lambda text: re.search(r"published +1\b", text) is not None)
    nats_server.stop()
    terminal.type(b"\x1b[C")
    terminal.wait_for(lambda text: "seeking" in text or "waiting for NATS" in text)
    nats_server.start()
    terminal.wait_for(lambda text: "09:30:10.000" in text and "‖ paused" in text)
    terminal.type(b"0 ")
    assert terminal.finish() == 0
    assert len(await read_stream(env["NATS_URL"])) == 1 + 2 + 2_500 + 250


async def test_two_controllers_at_once_are_both_obeyed(env: dict[str, str], data: Path, tmp_path: Path) -> None:
    async with replaying(env, tmp_path, "--speed", "100") as (_, connection, run_id):
        other = await connect([env["NATS_URL"]])
        given = [command(one, run_id, words) for one in (connection, other) for words in ["step 2", "speed 5"] * 10]
        answers = await asyncio.gather(*given)
        assert max(answer["published"] for answer in answers) == 40
        assert (await command(other, run_id, "status"))["speed"] == 5
        jumps = await asyncio.gather(*(command(one, run_id, "seek +1s") for one in (connection, other)))
        assert sorted(jump["segment"] for jump in jumps) == [1, 2]
        await other.close()
