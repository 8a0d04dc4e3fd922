"""``spyctl server``: the embedded NATS server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.support.waiting import eventually_sync


@pytest.mark.integration
def test_server_run_status_and_reset(environment: dict[str, str], cli: Cli, tmp_path: Path) -> None:
    assert "stopped" in cli("server", "status").stdout
    never = cli("server", "credentials")
    assert (never.returncode, "no password yet" in never.stderr) == (5, True)
    process = subprocess.Popen(
        [sys.executable, "-m", "spyctl", "server", "run"],
        env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    assert "started: nats://127.0.0.1:" in process.stderr.readline()
    document = json.loads(cli("server", "status", "--json").stdout)
    assert document["running"]
    status = cli("server", "status").stdout
    assert "connections without a password may read and consume, not publish" in status
    password = Path(document["password_file"]).read_text()
    for output in (cli("server", "credentials").stdout, cli("server", "credentials", "--json").stdout, status):
        assert password not in output
    assert json.loads(cli("server", "credentials", "--json").stdout) == {
        "user": "spyctl", "password_file": document["password_file"],
    }  # fmt: skip
    exports = cli("server", "credentials").stdout.partition("shell     ")[2]
    shell = subprocess.run(
        ["sh", "-c", f"{exports}\nprintf %s $NATS_USER:$NATS_PASSWORD"], capture_output=True, text=True, check=True
    )
    assert shell.stdout == f"spyctl:{password}"
    assert str(document["port"]) == environment["SPYCTL_PORT"]
    result = cli("server", "reset", "--yes")
    assert (result.returncode, "is running" in result.stderr) == (5, True)
    unasked = cli("server", "reset")
    assert (unasked.returncode, "is running" in unasked.stderr) == (5, True)  # not "this deletes all events"
    process.terminate()
    process.communicate()
    assert process.returncode == 143
    eventually_sync(lambda: cli("server", "reset", "--yes").returncode == 0)
    assert json.loads(cli("server", "reset", "--yes", "--json").stdout)["freed_bytes"] == 0
    assert cli("server", "reset").returncode == 2  # nobody there to be asked


def test_nothing_is_asked_off_a_terminal(cli: Cli) -> None:
    result = cli("server", "reset")
    assert (result.returncode, "spyctl server reset --yes" in result.stderr) == (2, True)
