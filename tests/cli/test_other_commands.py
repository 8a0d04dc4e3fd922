"""``discover``, ``time-range``, ``events``, ``sample``, ``server`` and the program as a whole."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from spyctl.market.events import FuturesTrade
from spyctl.market.subjects import KINDS
from tests.conftest import Cli
from tests.support.records import DAY_NS, MS, T0, book, trade, write_file
from tests.support.waiting import eventually_sync


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "dbn-data"
    write_file(root, "trades", [trade(T0 + i * 20 * MS) for i in range(50)])
    snapshot = book(DAY_NS - 9, DAY_NS, flags=168)
    write_file(root, "mbp-10", [snapshot, *(book(T0 + i * MS) for i in range(1_000))], compressed=True)
    return root


def test_discover_shows_one_row_a_file(cli: Cli, data: Path) -> None:
    result = cli("discover")
    assert result.returncode == 0
    head, trades, books, total = result.stdout.splitlines()
    assert head.split() == ["date", "schema", "symbol", "records", "size", "first", "→", "last,", "UTC", "v", "note"]
    assert trades.split()[:5] == ["Tue", "2025-12-16", "trades", "ES.c.0", "50"]
    assert "14:30:00 → 14:30:00" in trades
    assert "1,001" in books
    assert "00:00:00 → 14:30:00" in books
    assert total.startswith(" dbn-data, GLBX.MDP3: 1 date, 2 files, 1,051 records, ")


def test_discover_as_json_and_by_schema(cli: Cli, data: Path) -> None:
    document = json.loads(cli("discover", "--json", "--schema", "MBP_10").stdout)
    (file,) = document["files"]
    assert (file["schema"], file["records"], file["version"], file["synthetic"]) == ("mbp-10", 1_001, 1, False)
    assert file["first_recv_utc"] == "2025-12-16T00:00:00.000000000Z"
    assert document["problems"] == []


def test_discover_tells_damage_and_doubles_with_exit_3(cli: Cli, data: Path) -> None:
    (path,) = data.glob("trades/*")
    (data / "trades" / "copy.dbn").write_bytes(path.read_bytes())
    result = cli("discover")
    assert result.returncode == 0
    assert "overlaps" in result.stdout
    assert "covers the instruments and times of trades/copy.dbn: left out" in result.stderr
    path.write_bytes(path.read_bytes()[:-7])
    (data / "trades" / "copy.dbn").write_bytes(b"nonsense")
    result = cli("discover")
    assert result.returncode == 3
    assert "cut short" in result.stdout
    assert "cut short inside record 50" in result.stderr
    assert "copy.dbn: does not begin with DBN" in result.stderr


def test_time_range_is_exact_and_leaves_snapshots_out(cli: Cli, data: Path) -> None:
    result = cli("time-range", "--date", "2025-12-16", "--schema", "mbp-10")
    assert result.returncode == 0
    assert "2025-12-16 mbp-10: 1,001 records in 1 file, span 999 ms, read in" in result.stdout
    assert f"first   2025-12-16 14:30:00.000000000  09:30:00.000000000   {T0}" in result.stdout
    assert "1 snapshot record is left out" in result.stdout
    document = json.loads(cli("time-range", "--date", "2025-12-16", "--schema", "mbp-10", "--json").stdout)
    assert (document["first_ns"], document["last_ns"]) == (T0, T0 + 999 * MS)
    assert (document["snapshots"], document["first_recv_ns"], document["span_s"]) == (1, DAY_NS, 0.999)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--date", "2025-12-17", "--schema", "trades"], 6, "no data for 2025-12-17"),
        (["--date", "2025-12-16", "--schema", "mbo"], 2, "there is no schema 'mbo' here"),
        (["--schema", "trades"], 2, "missing option '--date'"),
        (["--date", "2025-12-16", "--schema", "trades", "--data-dir", "x"], 6, "there is no data folder x"),
    ],
)
def test_time_range_of_what_is_not_there(cli: Cli, data: Path, arguments: list[str], code: int, said: str) -> None:
    result = cli("time-range", *arguments)
    assert result.returncode == code
    assert said in result.stderr
    assert result.stdout == ""


def test_time_range_of_a_damaged_file_says_so_beside_the_figures(cli: Cli, data: Path) -> None:
    (path,) = data.glob("trades/*")
    path.write_bytes(path.read_bytes()[:-7])
    result = cli("time-range", "--date", "2025-12-16", "--schema", "trades")
    assert result.returncode == 3
    assert "trades: 49 records" in result.stdout
    assert "cut short inside record 50" in result.stderr
    path.write_bytes(b"nonsense")
    result = cli("time-range", "--date", "2025-12-16", "--schema", "trades")
    assert result.returncode == 1
    assert "does not begin with DBN" in result.stderr


def test_events_prints_the_schema_of_one_type_or_of_all(cli: Cli) -> None:
    assert [one["$id"] for one in json.loads(cli("events").stdout)] == [kind.schema_id for kind in KINDS]
    for name in ("FuturesTrade", "futures.trades", "futures.trades.v1", "market.futures.trades"):
        assert json.loads(cli("events", name).stdout)["title"] == FuturesTrade.__name__
    result = cli("events", "Nonsense")
    assert result.returncode == 2
    assert "one of StockTrade, StockQuote" in result.stderr


def test_sample_writes_days_that_discover_and_replay_read(cli: Cli, tmp_path: Path) -> None:
    result = cli("sample", "--date", "2025-12-18..2025-12-20", "--length", "5s")
    assert result.returncode == 0
    assert "2025-12-20 is a Saturday" in result.stderr
    rows = cli("discover").stdout
    assert rows.count("synthetic") == 4
    assert "Fri 2025-12-19" in rows
    assert cli("sample", "--date", "2025-12-18", "--length", "5s").returncode == 2
    assert cli("sample", "--date", "2025-12-18", "--length", "5s", "--force").returncode == 0
    for odd in (
        ["--length", "0"],
        ["--start", "2025-12-18T14:00Z"],
        ["--date", "2025-12-20"],
        ["--date", "9999-12-31"],
    ):
        result = cli("sample", "--data-dir", "new", *odd)
        assert (result.returncode, "Traceback" in result.stderr) == (2, False)


def test_sample_never_mixes_with_files_of_the_vendor(cli: Cli, data: Path) -> None:
    result = cli("sample", "--date", "2025-12-18")
    assert result.returncode == 2
    assert "never mixed" in result.stderr


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
