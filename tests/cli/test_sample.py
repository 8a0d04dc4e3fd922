"""``spyctl sample``: synthetic days that the other commands read."""

from pathlib import Path

from tests.conftest import Cli
from tests.support.records import T0, trade, write_file


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


def test_sample_never_mixes_with_files_of_the_vendor(cli: Cli, tmp_path: Path) -> None:
    write_file(tmp_path / "dbn-data", "trades", [trade(T0)])
    result = cli("sample", "--date", "2025-12-18")
    assert result.returncode == 2
    assert "never mixed" in result.stderr
