"""``spyctl time-range``: exact figures, several days, and what is said of damage."""

import json
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.support.records import DAY_NS, MS, T0, book, trade, write_file


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


def test_time_range_of_several_days(cli: Cli, week: Path) -> None:
    result = cli("time-range", "--date", "2025-12-15..2025-12-17")
    assert result.returncode == 0, result.stderr
    assert "Mon 2025-12-15 trades      50         0 14:30:00.000000000 14:30:00.049000000" in result.stdout
    assert " all: 350 records, span 48 h 00 m" in result.stdout
    assert result.stdout.count(" Tue 2025-12-16 ") == 1
    assert "! no files for 2025-12-14" in cli("time-range", "--date", "2025-12-14..2025-12-16").stderr
    document = json.loads(cli("time-range", "--date", "all", "--schema", "trades", "--json").stdout)
    assert [one["records"] for one in document["ranges"]] == [50] * 5
    assert cli("time-range", "--date", "all", "--symbol", "NQ").returncode == 6


def test_report_and_time_range_refuse_the_mixtures_that_a_replay_refuses(cli: Cli, tmp_path: Path) -> None:
    write_file(tmp_path / "dbn-data" / "v", "trades", [trade(T0)])
    write_file(tmp_path / "dbn-data" / "s", "mbp-10", [book(T0)])
    (tmp_path / "dbn-data" / "s" / "metadata.json").write_text('{"synthetic": true}')
    for arguments in (("discover", "--report", "2025-12-16"), ("time-range", "--date", "2025-12-16")):
        result = cli(*arguments)
        assert result.returncode == 2
        assert "never merged" in result.stderr
