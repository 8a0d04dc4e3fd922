"""``spyctl replay --source`` as its users run it."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from zstandard import compress

from spyctl.bus.connection import Connection, connect
from spyctl.bus.contents import stream_info
from spyctl.bus.stream import ensure_stream
from spyctl.market.lines import StreamMessage, json_lines
from tests.conftest import Cli
from tests.support.here import Here
from tests.support.servers import NatsServer
from tests.support.stream import read_stream, stored_by_subject
from tests.support.tapes import ORIGIN, messages, record
from tests.support.waiting import eventually

COUNT = 240


async def play(cli: Cli, server: NatsServer, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(cli, "replay", "--nats-url", server.url, "--speed", "max", *arguments)


async def held(server: NatsServer, prefix: str = "") -> list[tuple[str, bytes]]:
    rows = await read_stream(server.url, f"{prefix}_MARKET_DATA".lstrip("_"))
    return [(subject.removeprefix(f"{prefix}."), payload) for _, subject, payload, _ in rows]


def expected(wanted: list[StreamMessage]) -> list[tuple[str, bytes]]:
    return [(message.subject, message.payload) for message in wanted]


@pytest.fixture
async def stream(nats_server: NatsServer) -> AsyncIterator[Connection]:
    """A server whose stream holds the test messages."""
    connection = await connect([nats_server.url])
    await ensure_stream(connection)
    frames = [
        b"PUB %s %d\r\n%s\r\n" % (one.subject.encode(), len(one.payload), one.payload) for one in messages(1, COUNT)
    ]
    assert await connection.write(b"".join(frames))

    async def stored() -> bool:
        return bool((await connection.api("STREAM.INFO.MARKET_DATA"))["state"]["messages"] == COUNT)

    await eventually(stored)
    yield connection
    await connection.close()


@pytest.mark.integration
async def test_live_recorded_and_replayed_are_the_same_bytes_in_the_same_order(
    cli: Cli, nats_server: NatsServer, stream: Connection
) -> None:
    assert (await asyncio.to_thread(cli, "record", "--until-end", "--nats-url", nats_server.url)).returncode == 0
    tape = await play(cli, nats_server, "--source", "tapes", "--prefix", "A", "--verify", "--json")
    assert tape.returncode == 0, tape.stderr
    assert (await play(cli, nats_server, "--source", "stream", "--prefix", "B")).returncode == 0
    again = await play(cli, nats_server, "--source", "stream:A_MARKET_DATA", "--order", "stored", "--prefix", "C")
    assert again.returncode == 0, again.stderr
    wanted = await held(nats_server)
    assert len(wanted) == COUNT
    for prefix in ("A", "B", "C"):
        assert await held(nats_server, prefix) == wanted
    document = json.loads(tape.stdout)
    assert (document["published"], document["stored"], document["missing"]) == (COUNT, COUNT, 0)
    assert document["by_subject"]["A.market.stocks.quotes"] == COUNT // 6


@pytest.mark.integration
async def test_places_ranges_and_subjects(cli: Cli, nats_server: NatsServer, stream: Connection) -> None:
    source = ("--source", "stream", "-q")
    every = messages(1, COUNT)
    for prefix, arguments, wanted in (
        ("A", ("--from", "101"), every[100:]),
        ("B", ("--from", "-7", "--subject", "stocks"), [one for one in every[-7:] if ".stocks." in one.subject]),
    ):
        result = await play(cli, nats_server, *source, *arguments, "--prefix", prefix)
        assert result.returncode == 0, result.stderr
        assert await held(nats_server, prefix) == expected(wanted)


@pytest.mark.integration
async def test_never_into_the_stream_that_is_read(cli: Cli, nats_server: NatsServer, stream: Connection) -> None:
    result = await play(cli, nats_server, "--source", "stream")
    assert result.returncode == 2
    assert "would go into the stream that they come from" in result.stderr
    assert "--prefix NAME" in result.stderr
    forced = await play(cli, nats_server, "--source", "stream", "--force", "-q")
    assert forced.returncode == 0, forced.stderr
    assert len(await held(nats_server)) == 2 * COUNT
    await ensure_stream(stream, "EMPTY")
    missing = await play(cli, nats_server, "--source", "stream:EMPTY_MARKET_DATA", "--prefix", "X")
    assert (missing.returncode, "holds no messages" in missing.stderr) == (6, True)


def test_a_tape_goes_to_stdout_whatever_names_it(here: Here, tmp_path: Path) -> None:
    path = record(tmp_path / "tapes", messages(1, 60))
    (tmp_path / "tail.jsonl").write_bytes(json_lines(messages(1, 60)))
    for source in ("tapes", "tail.jsonl", str(path)):
        out = here("replay", "--source", source, "--speed", "max", "--sink", "stdout", "--raw").stdout
        assert [line.encode() for line in out.splitlines()] == [one.payload for one in messages(1, 60)]


def test_the_plan_says_what_would_be_played(here: Here, tmp_path: Path) -> None:
    record(tmp_path / "tapes", messages(1, 60))
    record(tmp_path / "more", messages(50, 90))
    (tmp_path / "more" / "MARKET_DATA-2025-12-16.jsonl.zst").rename(tmp_path / "tapes" / "more.jsonl.zst")
    result = here("replay", "--source", "tapes", "--date", "2025-12-16", "--start", "10:14", "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "90 events" in result.stderr
    assert "overlaps ./tapes/MARKET_DATA-2025-12-16.jsonl.zst: what both hold is played once" in result.stderr or (
        "overlaps ./tapes/more.jsonl.zst" in result.stderr
    )
    part = here("replay", "--source", "tapes", "--start", "10:14:07.430", "--duration", "20ms", "--dry-run", "--json")
    assert json.loads(part.stdout)["events"] == 20
    document = json.loads(here("replay", "--source", "tapes", "--dry-run", "--json").stdout)
    twice = json.loads(here("replay", "--source", "tapes", "--dry-run", "--json", "--loop", "2").stdout)
    assert (twice["loops"], twice["stream_bytes"]) == (2, 2 * document["stream_bytes"])
    assert (document["events"], document["by_subject"]["gaps"], document["order"]) == (90, 15, "event")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--source", "none"), 6, "there is neither a tape nor a folder ./none"),
        (("--source", "none"), 6, "try: spyctl record makes tapes"),
        (("--source", "."), 6, "holds no events that spyctl writes"),
        (("--source", "tapes", "--date", "2025-12-18"), 6, "no data for 2025-12-18"),
        (("--source", "tapes", "--symbol", "ES"), 2, "--symbol is for files"),
        (("--source", "tapes", "--order", "recv"), 2, "--order recv is for files"),
        (("--source", "tapes", "--from", "new"), 2, "are places in a stream"),
        (("--order", "stored"), 2, "files have no stored order"),
        (("--from", "3"), 2, "--from is for tapes and streams"),
    ],
)
def test_what_cannot_be_is_said(here: Here, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    if arguments[1] != ".":
        record(tmp_path / "tapes", messages(1, 30))
    result = here("replay", "--speed", "max", "--sink", "stdout", *arguments)
    assert (result.returncode, said in result.stderr) == (code, True), result.stderr


def test_a_damaged_tape_is_played_as_far_as_it_is_whole(here: Here, tmp_path: Path) -> None:
    path = record(tmp_path / "tapes", messages(1, 100))
    path.write_bytes(path.read_bytes()[:-1])
    result = here("replay", "--source", "tapes", "--speed", "max", "--sink", "stdout", "--raw")
    assert result.returncode == 3
    assert len(result.stdout.splitlines()) == 50
    assert "cut short at byte" in result.stderr


def test_lines_come_through_a_pipe(environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "spyctl", "replay", "--source", "-", "--speed", "max", "--sink", "stdout", "--raw"]
    given = json_lines(messages(1, 60))
    result = subprocess.run(
        command, env=environment, cwd=tmp_path, input=given, capture_output=True, timeout=60, check=True
    )
    assert result.stdout.splitlines() == [one.payload for one in messages(1, 60)]
    assert b"of standard input" in result.stderr
    cut = (compress(given) + compress(given))[:-9]
    result = subprocess.run(
        command, env=environment, cwd=tmp_path, input=cut, capture_output=True, timeout=60, check=False
    )
    assert result.returncode == 3
    assert b"error: standard input: " in result.stderr
    assert b"spyctl-" not in result.stderr


@pytest.mark.integration
async def test_a_killed_replay_of_a_tape_goes_on_where_it_ended(
    cli: Cli, nats_server: NatsServer, environment: dict[str, str], tmp_path: Path
) -> None:
    record(tmp_path / "tapes", messages(1, COUNT))
    command = [sys.executable, "-m", "spyctl", "replay", "--nats-url", nats_server.url, "--source", "tapes", "-q"]
    process = await asyncio.create_subprocess_exec(*command, "--speed", "0.05", env=environment, cwd=tmp_path)

    async def half_way() -> bool:
        return sum((await stored_by_subject(nats_server.url)).values()) > COUNT // 3

    await eventually(half_way)
    process.kill()
    await process.wait()
    result = await play(cli, nats_server, "--source", "tapes", "--resume", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["resumed_at"] > COUNT // 3
    assert await held(nats_server) == expected(messages(1, COUNT))


def test_tapes_of_other_prefixes_are_named_and_left_out(here: Here, tmp_path: Path) -> None:
    record(tmp_path / "tapes", messages(1, 30))
    drill = replace(ORIGIN, stream="DRILL_MARKET_DATA", prefix="DRILL")
    record(tmp_path / "tapes", messages(31, 60, prefix="DRILL"), drill)
    both = here("replay", "--source", "tapes", "--speed", "max", "--sink", "stdout", "--raw")
    assert len(both.stdout.splitlines()) == 30
    name = "./tapes/DRILL_MARKET_DATA-2025-12-16.jsonl.zst"
    assert f"! {name} was recorded under the prefix DRILL: name it to play it" in both.stderr
    alone = here("replay", "--source", name, "--speed", "max", "--sink", "stdout", "--prefix", "OTHER")
    assert "note: these events were recorded under the prefix DRILL" in alone.stderr
    assert alone.stdout.count('"subject":"OTHER.market.') == 30


@pytest.mark.integration
async def test_a_stream_is_followed_while_live_goes_on(
    environment: dict[str, str], tmp_path: Path, nats_server: NatsServer, stream: Connection
) -> None:
    command = [sys.executable, "-m", "spyctl", "replay", "--source", "stream", "--follow", "--prefix", "LIVE"]
    command += ["--speed", "max", "--nats-url", nats_server.url, "--json"]
    process = subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    async def followed(count: int) -> None:
        async def stored() -> bool:
            info = await stream_info(stream, "LIVE_MARKET_DATA")
            return info is not None and info["state"]["messages"] >= count

        await eventually(stored)

    try:
        await followed(COUNT)
        for one in messages(COUNT + 1, 2 * COUNT):
            assert await stream.write(b"PUB %s %d\r\n%s\r\n" % (one.subject.encode(), len(one.payload), one.payload))
        await followed(2 * COUNT)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.to_thread(process.communicate)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "then what comes" in err
    document = json.loads(out)
    assert (document["published"], document["stalls"], document["stopped_by"]) == (2 * COUNT, 0, "Ctrl-C")
    assert await held(nats_server, "LIVE") == await held(nats_server)


def test_only_a_stream_is_followed(here: Here, tmp_path: Path) -> None:
    record(tmp_path / "tapes", messages(1, 6))
    for arguments in (("--source", "tapes"), ()):
        result = here("replay", *arguments, "--follow", "--sink", "stdout")
        assert result.returncode == 2
        assert "--follow is for a stream" in result.stderr
