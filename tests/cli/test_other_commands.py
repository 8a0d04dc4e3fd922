"""``events``, ``server`` and the program as a whole."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from spyctl.market.events import FuturesTrade
from spyctl.market.subjects import KINDS
from tests.conftest import Cli
from tests.support.waiting import eventually_sync


def test_events_prints_the_schema_of_one_type_or_of_all(cli: Cli) -> None:
    assert [one["$id"] for one in json.loads(cli("events").stdout)] == [kind.schema_id for kind in KINDS]
    for name in ("FuturesTrade", "futures.trades", "futures.trades.v1", "market.futures.trades"):
        assert json.loads(cli("events", name).stdout)["title"] == FuturesTrade.__name__
    result = cli("events", "Nonsense")
    assert result.returncode == 2
    assert "one of StockTrade, StockQuote" in result.stderr


@pytest.mark.integration
def test_server_run_status_and_reset(environment: dict[str, str], cli: Cli, tmp_path: Path) -> None:
    assert "stopped" in cli("server", "status").stdout
    process = subprocess.Popen(
        [sys.executable, "-m", "spyctl", "server", "run"],
        env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    assert "started: nats://127.0.0.1:" in process.stderr.readline()
    document = json.loads(cli("server", "status", "--json").stdout)
    assert document["running"]
    assert str(document["port"]) == environment["SPYCTL_PORT"]
    result = cli("server", "reset", "--yes")
    assert (result.returncode, "is running" in result.stderr) == (5, True)
    process.terminate()
    process.communicate()
    assert process.returncode == 143
    eventually_sync(lambda: cli("server", "reset", "--yes").returncode == 0)
    assert cli("server", "reset").returncode == 2  # nobody there to be asked


def test_bare_spyctl_prints_the_help(cli: Cli) -> None:
    bare, helped = cli(), cli("--help")
    assert (bare.returncode, helped.returncode) == (0, 0)
    assert bare.stdout == helped.stdout
    assert "exit codes: 0 ok" in bare.stdout


def test_the_version(cli: Cli) -> None:
    from spyctl import __version__

    lines = cli("--version").stdout.splitlines()
    assert lines[0] == f"spyctl {__version__}"
    assert {"python", "nats-server", "nats-py", "databento-dbn"} <= {line.split()[0] for line in lines}
    assert f"## {__version__}" in (Path(__file__).parents[2] / "CHANGELOG.md").read_text()


def test_an_unknown_command_gets_a_suggestion(cli: Cli) -> None:
    result = cli("repaly")
    assert result.returncode == 2
    assert result.stderr == "error: spyctl has no command 'repaly'\n  try: spyctl replay\n"


def test_help_imports_nothing_but_the_command_line() -> None:
    code = (
        "import sys; from spyctl.cli.app import run; run(['replay', '--help'])\n"
        "print(sorted({'numpy', 'nats', 'orjson', 'zstandard', 'databento_dbn', 'databento'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_importing_the_package_imports_nothing() -> None:
    code = "import sys, spyctl; print(sorted(name for name in sys.modules if name.startswith('spyctl')))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['spyctl']"


def test_the_api_is_importable_from_the_package() -> None:
    import spyctl

    assert [getattr(spyctl, name).__name__ for name in spyctl.__all__ if name != "__version__"]
    with pytest.raises(AttributeError, match="nothing"):
        _ = spyctl.nothing
