"""``spyctl ctl``: which run is meant, what it answers, what it refuses."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.support.records import MS, T0, book, trade, write_file
from tests.support.servers import NatsServer

pytestmark = pytest.mark.integration


@pytest.fixture
def env(environment: dict[str, str], nats_server: NatsServer) -> dict[str, str]:
    return environment | {"NATS_URL": nats_server.url}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "dbn-data"
    write_file(root, "trades", [trade(T0 + i * 200 * MS) for i in range(30)])
    write_file(root, "mbp-10", [book(T0 + i * 20 * MS) for i in range(300)])
    return root


@pytest.fixture
def two(env: dict[str, str], data: Path, tmp_path: Path) -> Iterator[list["subprocess.Popen[str]"]]:
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "spyctl", "replay", "--start-paused", "--prefix", prefix],
            env=env, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for prefix in ("A", "B")
    ]  # fmt: skip
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def test_ctl(env: dict[str, str], cli: Cli, two: list["subprocess.Popen[str]"]) -> None:
    ids: list[str] = []
    for _ in range(100):
        listed = json.loads(cli("ctl", "--json", **env).stdout)["runs"]
        ids = [run["run_id"] for run in listed]
        if len(ids) == 2:
            break
    assert {run["stream"] for run in listed} == {"A_MARKET_DATA", "B_MARKET_DATA"}
    refused = cli("ctl", "pause", **env)
    assert (refused.returncode, "2 replays are running" in refused.stderr, "--run RUN" in refused.stderr) == (
        2,
        True,
        True,
    )
    stepped = cli("ctl", "step", "4", "--run", ids[0], "--json", **env)
    assert json.loads(stepped.stdout)["published"] == 4
    back = cli("ctl", "step", "-2", "--run", ids[0], **env)
    assert (back.returncode, "segment 1" in back.stdout) == (0, True)
    for words, code, text in (
        (("seek", "03:00"), 2, "outside the plan"),
        (("fly",), 2, "there is no command 'fly'"),
        (("pause", "--run", "zzzz"), 6, "no replay zzzz runs"),
        (("pause", "--watch"), 2, "--watch belongs to status"),
    ):
        result = cli("ctl", *words, *(("--run", ids[0]) if "--run" not in words else ()), **env)
        assert (result.returncode, text in result.stderr) == (code, True), result.stderr
    for run_id in ids:
        assert cli("ctl", "stop", "--run", run_id, **env).returncode == 0
    for process in two:
        assert process.wait(30) == 0
    none = cli("ctl", "pause", **env)
    assert (none.returncode, "no replay is running" in none.stderr) == (6, True)
