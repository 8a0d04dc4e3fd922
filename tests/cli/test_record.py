"""``spyctl record`` as its users run it: kills, ends, what is wrong with a stream."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from spyctl.bus.connection import Connection, connect
from spyctl.bus.stream import ensure_stream
from spyctl.replay.tapes.tape import Tape
from spyctl.timing.tasks import end_task
from tests.conftest import Cli
from tests.support.servers import NatsServer
from tests.support.stream import read_stream
from tests.support.tapes import messages, sidecar_of
from tests.support.terminal import Terminal
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
Held = list[tuple[int, str, bytes]]


@pytest.fixture
async def connection(nats_server: NatsServer) -> AsyncIterator[Connection]:
    connection = await connect([nats_server.url])
    await ensure_stream(connection)
    yield connection
    await connection.close()


async def publish(connection: Connection, first: int, last: int, prefix: str = "") -> None:
    """Publish test messages, and wait until they are stored."""
    frames = b"".join(
        b"PUB %s %d\r\n%s\r\n" % (one.subject.encode(), len(one.payload), one.payload)
        for one in messages(first, last, prefix=prefix)
    )
    stream = f"{prefix}_MARKET_DATA".lstrip("_")
    wanted = (await connection.api(f"STREAM.INFO.{stream}"))["state"]["last_seq"] + last - first + 1
    assert await connection.write(frames)

    async def stored() -> bool:
        return bool((await connection.api(f"STREAM.INFO.{stream}"))["state"]["last_seq"] >= wanted)

    await eventually(stored)


async def record(cli: Cli, server: NatsServer, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(cli, "record", "--nats-url", server.url, *arguments)


async def held_by(server: NatsServer, stream: str = "MARKET_DATA") -> Held:
    return [(seq, subject, payload) for seq, subject, payload, _ in await read_stream(server.url, stream)]


def on_tapes(folder: Path) -> Held:
    paths = sorted(folder.glob("*.jsonl.zst"))
    return [(one.seq, one.subject, one.payload) for path in paths for one in Tape(path).messages()]


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(nats_server: NatsServer, environment: dict[str, str], tmp_path: Path) -> Any:
    """Starts a recording into the folder ``tapes``; what still runs in the end is killed."""
    processes: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "spyctl", "record", "--nats-url", nats_server.url, *arguments]
        processes.append(
            subprocess.Popen(
                command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        return processes[-1]

    yield run
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


async def grows(folder: Path, size: int = 0) -> int:
    """Wait until the tapes are larger than that; return how large they are."""

    def total() -> int:
        return sum(path.stat().st_size for path in folder.glob("*.jsonl.zst"))

    await eventually(lambda: total() > size)
    return total()


@asynccontextmanager
async def traffic(url: str) -> AsyncIterator[None]:
    """Publish without end; while the server is away, nothing."""
    connection = await connect([url])

    async def go_on() -> None:
        first = 1_000_000
        while True:
            burst = messages(first, first + 39)
            frames = [b"PUB %s %d\r\n%s\r\n" % (one.subject.encode(), len(one.payload), one.payload) for one in burst]
            if await connection.write(b"".join(frames)):
                first += 40
            await asyncio.sleep(0.01)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        await end_task(task)
        await connection.close()


async def test_kills_of_record_and_of_the_server_lose_nothing_and_write_nothing_twice(
    cli: Cli, nats_server: NatsServer, connection: Connection, start: Start, tmp_path: Path
) -> None:
    tapes, size = tmp_path / "tapes", 0
    async with traffic(nats_server.url):
        for kill_server in (False, True, False):
            process = start("-q")
            size = await grows(tapes, size)
            if kill_server:
                await asyncio.to_thread(nats_server.restart, kill=True)
                size = await grows(tapes, size + 20_000)
            process.send_signal(signal.SIGKILL)
            process.communicate()
    result = await record(cli, nats_server, "--until-end", "--json")
    assert result.returncode == 0, result.stderr
    held = await held_by(nats_server)
    assert on_tapes(tapes) == held
    document = sidecar_of(next(tapes.glob("*.zst")))
    assert (document["events"], document["first_seq"], document["last_seq"]) == (len(held), 1, len(held))
    assert document["gaps"] == []
    assert document["complete"] is True
    assert json.loads(result.stdout)["tapes"][0]["digest"] == document["digest"]


async def test_it_records_what_is_stored_and_goes_on_behind_it(
    cli: Cli, nats_server: NatsServer, connection: Connection, tmp_path: Path
) -> None:
    await publish(connection, 1, 500)
    first = await record(cli, nats_server, "--until-end")
    assert first.returncode == 0
    assert "recorded 500 events, seq 1 to 500" in first.stdout
    assert "record   MARKET_DATA into tapes, begins at seq 1, consumer record-" in first.stderr
    await publish(connection, 501, 600)
    second = await record(cli, nats_server, "--until-end", "--json")
    assert "goes on behind seq 500" in second.stderr
    assert json.loads(second.stdout)["events"] == 100
    assert on_tapes(tmp_path / "tapes") == await held_by(nats_server)
    nothing = await record(cli, nats_server, "--until-end")
    assert "recorded 0 events" in nothing.stdout


async def test_subjects_and_prefix(cli: Cli, nats_server: NatsServer, connection: Connection, tmp_path: Path) -> None:
    await ensure_stream(connection, "DRILL")
    await publish(connection, 1, 60, "DRILL")
    result = await record(cli, nats_server, "stocks", "gaps", "--prefix", "DRILL", "--out", "drill", "--until-end")
    assert result.returncode == 0, result.stderr
    wanted = ("DRILL.market.stocks.trades", "DRILL.market.stocks.quotes", "DRILL.market.gaps")
    held = [row for row in await held_by(nats_server, "DRILL_MARKET_DATA") if row[1] in wanted]
    assert on_tapes(tmp_path / "drill") == held
    other = await record(cli, nats_server, "stocks", "--prefix", "DRILL", "--out", "drill", "--until-end")
    assert other.returncode == 2
    assert "is a tape of DRILL.market.gaps" in other.stderr or "is a tape of DRILL.market.stocks" in other.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_ends_it_with_all_that_came_on_tape(
    nats_server: NatsServer, connection: Connection, start: Start, tmp_path: Path, number: int, code: int
) -> None:
    await publish(connection, 1, 100)
    process = start("--json")
    await grows(tmp_path / "tapes")
    process.send_signal(number)
    out, _ = await asyncio.to_thread(process.communicate)
    assert process.returncode == code
    assert json.loads(out)["events"] == 100
    assert on_tapes(tmp_path / "tapes") == await held_by(nats_server)
    assert sidecar_of(next((tmp_path / "tapes").glob("*.zst")))["complete"] is True


async def test_a_deleted_stream_is_exit_5_and_one_made_anew_gets_its_own_tape_and_exit_3(
    cli: Cli, nats_server: NatsServer, connection: Connection, start: Start, tmp_path: Path
) -> None:
    await publish(connection, 1, 100)
    process = start()
    await grows(tmp_path / "tapes")
    await connection.api("STREAM.DELETE.MARKET_DATA")
    out, err = await asyncio.to_thread(process.communicate)
    assert process.returncode == 5
    assert "stream MARKET_DATA at nats://127.0.0.1" in err
    assert "was deleted" in err
    assert "recorded 100 events" in out
    await ensure_stream(connection)
    await publish(connection, 1, 7)
    result = await record(cli, nats_server, "--until-end")
    assert result.returncode == 3
    assert "was made anew since" in result.stderr
    assert [len(list(Tape(path))) for path in sorted((tmp_path / "tapes").glob("*.zst"), reverse=True)] == [100, 7]


async def test_what_has_fallen_out_of_the_stream_is_exit_3(
    cli: Cli, nats_server: NatsServer, connection: Connection, tmp_path: Path
) -> None:
    await publish(connection, 1, 100)
    assert (await record(cli, nats_server, "--until-end")).returncode == 0
    await publish(connection, 101, 200)
    await connection.api("STREAM.PURGE.MARKET_DATA", {"seq": 151})
    result = await record(cli, nats_server, "--until-end")
    assert result.returncode == 3
    assert "sequences 101 to 150 are missing" in result.stderr
    assert [seq for seq, *_ in on_tapes(tmp_path / "tapes")] == [*range(1, 101), *range(151, 201)]
    assert sidecar_of(next((tmp_path / "tapes").glob("*.zst")))["gaps"][0]["last_seq"] == 150


async def test_no_stream_and_a_folder_in_use(
    cli: Cli, nats_server: NatsServer, connection: Connection, start: Start, tmp_path: Path
) -> None:
    missing = await record(cli, nats_server, "--prefix", "NONE", "--until-end")
    assert missing.returncode == 6
    assert "there is no stream NONE_MARKET_DATA" in missing.stderr
    waited = await record(cli, nats_server, "--prefix", "NONE", "--for", "300ms")
    assert waited.returncode == 6
    assert "waiting for stream NONE_MARKET_DATA" in waited.stderr
    await publish(connection, 1, 10)
    start("-q")
    await grows(tmp_path / "tapes")
    beside = await record(cli, nats_server, "--until-end")
    assert beside.returncode == 2
    assert "another process records MARKET_DATA into ./tapes" in beside.stderr


async def test_it_waits_for_the_stream_ends_in_time_and_draws_on_a_terminal(
    nats_server: NatsServer, connection: Connection, environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "spyctl", "record", "--nats-url", nats_server.url, "--prefix", "LATER"]
    terminal = Terminal([*command, "--for", "3s"], environment, tmp_path)
    await ensure_stream(connection, "LATER")
    await publish(connection, 1, 30, "LATER")
    assert await asyncio.to_thread(terminal.finish) == 0
    assert "recording LATER_MARKET_DATA" in terminal.text() or "recorded 30 events" in terminal.text()
    assert "recorded 30 events" in terminal.text()
