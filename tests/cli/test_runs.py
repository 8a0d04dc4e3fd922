"""``spyctl runs``, and ``tail --run``: the runs that a server knows, and the events of one."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from xxhash import xxh3_128

from spyctl.bus.connection import connect
from spyctl.bus.runs import RunRecord, Runs
from tests.conftest import Cli
from tests.support.records import MS, T0, trade, write_file
from tests.support.servers import NatsServer

pytestmark = pytest.mark.integration


@pytest.fixture
def played(cli: Cli, tmp_path: Path, nats_server: NatsServer) -> list[dict[str, Any]]:
    """Two runs of one day: 50 events, then 7."""
    write_file(tmp_path / "dbn-data", "trades", [trade(T0 + i * MS) for i in range(50)])
    command = ["replay", "-s", "max", "--json", "--nats-url", nats_server.url]
    return [json.loads(cli(*command, *more).stdout) for more in ((), ("--count", "7"))]


def test_runs_are_listed_with_what_they_stored(cli: Cli, played: list[dict[str, Any]], nats_server: NatsServer) -> None:
    found = json.loads(cli("runs", "--json", "--nats-url", nats_server.url).stdout)["runs"]
    assert [run["run_id"] for run in found] == [run["run_id"] for run in played]
    keys = ("command", "dates", "events", "state", "first_seq", "last_seq", "stream")
    assert [tuple(run[key] for key in keys) for run in found] == [
        ("replay", ["2025-12-16"], 50, "complete", 1, 50, "MARKET_DATA"),
        ("replay", ["2025-12-16"], 7, "complete", 51, 57, "MARKET_DATA"),
    ]
    head, *lines = cli("runs", "--nats-url", nats_server.url).stdout.splitlines()
    assert head.split() == ["run", "command", "dates", "events", "state", "began,", "UTC", "sequences"]
    assert "51 to 57" in lines[1]
    assert len(cli("runs", "--count", "1", "--nats-url", nats_server.url).stdout.splitlines()) == 2


def test_a_run_without_a_living_process_is_shown_as_crashed(cli: Cli, nats_server: NatsServer) -> None:
    async def leave_a_record() -> None:
        connection = await connect([nats_server.url])
        record = RunRecord("aaaa", "replay", "MARKET_DATA", ["a"], [], {}, 1)  # and no lease
        await (await Runs.open(connection)).register(record)
        await connection.close()

    asyncio.run(leave_a_record())
    (run,) = json.loads(cli("runs", "--json", "--nats-url", nats_server.url).stdout)["runs"]
    assert (run["state"], run["events"], run["first_seq"], run["last_seq"]) == ("crashed", 0, None, None)


def test_where_nothing_ran_that_is_said(cli: Cli, nats_server: NatsServer) -> None:
    result = cli("runs", "--nats-url", nats_server.url)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "no runs yet\n")


def test_tail_shows_the_events_of_one_run_and_ends(
    cli: Cli, played: list[dict[str, Any]], nats_server: NatsServer
) -> None:
    def sequences(run: str) -> list[int]:
        shown = cli("tail", "--run", run, "--json", "--nats-url", nats_server.url)
        assert shown.returncode == 0, shown.stderr
        return [json.loads(line)["seq"] for line in shown.stdout.splitlines()]

    assert sequences(played[0]["run_id"]) == list(range(1, 51))
    assert sequences("last") == list(range(51, 58))


def test_the_last_run_is_that_of_the_prefix(cli: Cli, played: list[dict[str, Any]], nats_server: NatsServer) -> None:
    found = [
        json.loads(cli("replay", "-s", "max", "--json", "--prefix", prefix, "--nats-url", nats_server.url).stdout)
        for prefix in ("A", "B")
    ]
    shown = cli("tail", "--run", "last", "--prefix", "A", "--raw", "--until-end", "--nats-url", nats_server.url)
    assert (shown.returncode, shown.stdout.count("\n")) == (0, found[0]["published"])
    assert xxh3_128(shown.stdout.encode()).hexdigest() == found[0]["digest"]  # as docs/replay.md computes it


def test_tail_refuses_a_run_that_is_not_there(cli: Cli, played: list[dict[str, Any]], nats_server: NatsServer) -> None:
    unknown = cli("tail", "--run", "zzzz", "--nats-url", nats_server.url)
    assert (unknown.returncode, "spyctl runs lists them" in unknown.stderr) == (6, True)
    elsewhere = cli("tail", "--run", "last", "--prefix", "P", "--nats-url", nats_server.url)
    assert (elsewhere.returncode, "is in MARKET_DATA" in elsewhere.stderr) == (6, True)
    both = cli("tail", "--run", "last", "--from", "start")
    assert (both.returncode, "--run and --from exclude each other" in both.stderr) == (2, True)


def test_tail_follows_a_run_that_goes_on(
    environment: dict[str, str], played: list[dict[str, Any]], tmp_path: Path, nats_server: NatsServer
) -> None:
    spyctl = [sys.executable, "-m", "spyctl"]
    live = subprocess.Popen(
        [*spyctl, "live", "--sim", "--force", "-q", "--nats-url", nats_server.url], env=environment, cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        for _ in range(2):  # the second time there is more
            shown = subprocess.run(
                [*spyctl, "tail", "stocks", "--from", "new", "--count", "20", "--nats-url", nats_server.url],
                env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
            )  # fmt: skip
            assert len(shown.stdout.splitlines()) == 20
        shown = subprocess.run(
            [*spyctl, "tail", "--run", "last", "--count", "40", "--nats-url", nats_server.url],
            env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert json.loads(shown.stdout.splitlines()[0])["seq"] == 58
        assert len(shown.stdout.splitlines()) == 40
    finally:
        live.terminate()
        live.communicate()
