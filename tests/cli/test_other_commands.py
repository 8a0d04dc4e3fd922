"""``events``, ``server`` and the program as a whole."""

import json
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.support.records import DAY_NS, MS, T0, book, trade, write_file


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
