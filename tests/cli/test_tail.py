"""``spyctl tail`` as its users run it: places, filters, forms, ends."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spyctl.bus.connection import connect
from spyctl.bus.stream import ensure_stream
from tests.conftest import Cli
from tests.support.servers import NatsServer
from tests.support.simulation import simulate
from tests.support.stream import read_stream
from tests.support.terminal import Terminal


@pytest.fixture
async def stream(cli: Cli, nats_server: NatsServer) -> list[tuple[int, str, bytes, str]]:
    """Five seconds of a synthetic day, as the stream holds them."""
    await asyncio.to_thread(cli, "sample", "--length", "5s")
    result = await asyncio.to_thread(cli, "replay", "--speed", "max", "-q", "--nats-url", nats_server.url)
    assert result.returncode == 0, result.stderr
    return await read_stream(nats_server.url)


async def tail(cli: Cli, server: NatsServer, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(cli, "tail", "--nats-url", server.url, *arguments)


async def seqs(cli: Cli, server: NatsServer, *arguments: str) -> list[int]:
    result = await tail(cli, server, "--until-end", *arguments)
    assert result.returncode == 0, result.stderr
    return [json.loads(line)["seq"] for line in result.stdout.splitlines()]


async def test_from_names_a_place_in_the_stream(cli: Cli, nats_server: NatsServer, stream: list[Any]) -> None:
    every = [seq for seq, *_ in stream]
    trades = [seq for seq, subject, *_ in stream if subject.endswith("trades")]
    assert await seqs(cli, nats_server) == every[-10:]
    assert await seqs(cli, nats_server, "futures.trades") == trades[-10:]
    assert await seqs(cli, nats_server, "futures.trades", "--from", "-3") == trades[-3:]
    assert await seqs(cli, nats_server, "--from", "start") == every
    assert await seqs(cli, nats_server, "--from", str(every[-4])) == every[-4:]
    assert await seqs(cli, nats_server, "--from", "-1h", "--count", "5") == every[:5]
    assert await seqs(cli, nats_server, "--from", "2199-01-01T00:00Z") == []
    assert await seqs(cli, nats_server, "--from", "new") == []
    assert await seqs(cli, nats_server, "gaps") == []


async def test_filters_apply_to_the_event(cli: Cli, nats_server: NatsServer, stream: list[Any]) -> None:
    times = [json.loads(payload)["ts_event_ns"] for *_, payload, _ in stream]
    start, end = times[len(times) // 3], times[len(times) // 2]
    wanted = [seq for (seq, *_), ns in zip(stream, times, strict=True) if start <= ns < end]
    assert await seqs(cli, nats_server, "--from", "start", "--start", str(start), "--end", str(end)) == wanted
    assert await seqs(cli, nats_server, "--from", "start", "--symbol", "SPY") == []
    assert len(await seqs(cli, nats_server, "--from", "start", "--symbol", "ES")) == len(stream)


async def test_nothing_stored_is_said_instead_of_a_bare_heading(
    cli: Cli, nats_server: NatsServer, stream: list[Any]
) -> None:
    for arguments, text in (
        (["gaps", "--from", "start"], "no gaps stored"),
        (["gaps"], "no gaps stored"),
        (["--symbol", "SPY", "--from", "start"], "no events that match stored"),
    ):
        result = await tail(cli, nats_server, "--until-end", "--text", *arguments)
        assert (result.returncode, result.stdout, result.stderr.strip()) == (0, "", text)
    some = await tail(cli, nats_server, "--until-end", "--text", "futures.trades", "--start", "2025-12-16T09:30")
    assert "range    event time from 2025-12-16 09:30:00 New York" in some.stderr


async def test_json_lines_hold_the_payloads_byte_for_byte(cli: Cli, nats_server: NatsServer, stream: list[Any]) -> None:
    result = await tail(cli, nats_server, "--from", "start", "--until-end")
    for line, (seq, subject, payload, _) in zip(result.stdout.splitlines(), stream, strict=True):
        document = json.loads(line)
        assert (document["seq"], document["subject"]) == (seq, subject)
        assert line.endswith(',"event":' + payload.decode() + "}")
        assert document["stored_ns"] > 0
    raw = await tail(cli, nats_server, "--from", "start", "--until-end", "--raw")
    assert raw.stdout.splitlines() == [payload.decode() for *_, payload, _ in stream]


async def test_output_is_text_on_a_terminal_and_json_lines_in_a_pipe(
    cli: Cli, nats_server: NatsServer, stream: list[Any], environment: dict[str, str], tmp_path: Path
) -> None:
    result = await tail(cli, nats_server, "--until-end", "--text")
    assert len(result.stdout.splitlines()) == 10
    assert result.stderr == "      seq New York     subject        event\n"
    command = [sys.executable, "-m", "spyctl", "tail", "--until-end", "--nats-url", nats_server.url]
    terminal = Terminal(command, environment, tmp_path)
    assert await asyncio.to_thread(terminal.finish) == 0
    assert "seq New York     subject        event" in terminal.text()
    assert f"{stream[-1][0]:>9,} " in terminal.text()


async def test_stats_count_events_and_bytes_by_subject(cli: Cli, nats_server: NatsServer, stream: list[Any]) -> None:
    result = await tail(cli, nats_server, "--from", "start", "--until-end", "--stats", "--json")
    document = json.loads(result.stdout)
    assert sum(one["events"] for one in document.values()) == len(stream)
    assert sum(one["bytes"] for one in document.values()) == sum(len(payload) for *_, payload, _ in stream)
    shown = await tail(cli, nats_server, "--from", "start", "--until-end", "--stats")
    assert "futures.mbp10" in shown.stdout


async def test_tail_waits_for_the_stream_and_follows_it_until_ctrl_c(
    nats_server: NatsServer, environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "spyctl", "tail", "stocks", "--nats-url", nats_server.url]
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert (await process.stderr.readline()).startswith(b"waiting for stream MARKET_DATA at nats://127.0.0.1")
    await asyncio.to_thread(simulate, environment, tmp_path, nats_server.url, until=bool)
    first = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
    assert first["subject"].startswith("market.stocks.")
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 30) == 130
    await process.communicate()


async def test_tail_says_that_its_stream_was_made_anew_and_goes_on_with_it(
    nats_server: NatsServer, stream: list[Any], environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "spyctl", "tail", "--from", "-1", "--nats-url", nats_server.url]
    process = await asyncio.create_subprocess_exec(
        *command, "--count", "3", env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(await process.stdout.readline())["seq"] == len(stream)
    connection = await connect([nats_server.url])
    await connection.api("STREAM.DELETE.MARKET_DATA")
    await ensure_stream(connection)
    for _ in range(2):
        assert await connection.write(b"PUB market.futures.trades 2\r\n{}\r\n")
    await connection.close()
    out, said = await asyncio.wait_for(process.communicate(), 30)
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [1, 2]
    assert b"stream MARKET_DATA" in said
    assert b"was deleted" in said
    assert process.returncode == 0


async def test_a_missing_stream_is_exit_6_and_an_unknown_subject_exit_2(cli: Cli, nats_server: NatsServer) -> None:
    result = await tail(cli, nats_server, "--until-end")
    assert result.returncode == 6
    assert "there is no stream MARKET_DATA" in result.stderr
    result = await tail(cli, nats_server, "bonds")
    assert result.returncode == 2
    assert "there is no subject 'bonds'" in result.stderr


async def test_a_reader_that_leaves_early_is_not_an_error(
    nats_server: NatsServer, stream: list[Any], environment: dict[str, str], tmp_path: Path
) -> None:
    command = (
        f"{sys.executable} -m spyctl tail --from start --nats-url {nats_server.url} | head -1; exit ${{PIPESTATUS[0]}}"
    )
    result = await asyncio.to_thread(
        subprocess.run, ["bash", "-c", command], env=environment | {"PATH": os.environ["PATH"]}, cwd=tmp_path,
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == ""


async def test_messages_that_are_not_ours_are_shown_as_such_and_counted(cli: Cli, nats_server: NatsServer) -> None:
    connection = await connect([nats_server.url])
    await ensure_stream(connection)
    for payload in (b"not json", b'{"ts_event_ns":1}'):
        await connection.jetstream().publish("market.stocks.trades", payload)
    await connection.close()
    result = await tail(cli, nats_server, "--until-end", "--text")
    assert "! market.stocks.trades: not JSON" in result.stdout
    assert "! stocks.trades.v1: keys do not fit" in result.stdout
    assert "! 2 messages not in our format" in result.stderr
    lines = [json.loads(line) for line in (await tail(cli, nats_server, "--until-end")).stdout.splitlines()]
    assert (lines[0]["undecoded"], lines[1]["event"]) == ("not json", {"ts_event_ns": 1})
