"""``spyctl sample``: days that every other command reads, and days for which there is nothing to write."""

import json
from pathlib import Path

from tests.conftest import Cli
from tests.support.folders import write_one_day


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


def test_sample_says_what_to_do_next_and_what_it_wrote(cli: Cli) -> None:
    result = cli("sample", "--date", "2025-12-18", "--length", "5s", "--json", "--data-dir", "es")
    assert "next     spyctl replay --date 2025-12-18 --speed 10 --data-dir ./es" in result.stderr
    files = json.loads(result.stdout)["files"]
    assert [file["schema"] for file in files] == ["trades", "mbp-10"]
    assert all(file["records"] > 0 for file in files)
    nothing = cli("sample", "--date", "2025-12-20", "--json")
    assert json.loads(nothing.stdout)["exit_code"] == 2


def test_sample_never_mixes_with_files_of_the_vendor(cli: Cli, tmp_path: Path) -> None:
    write_one_day(tmp_path / "dbn-data")
    result = cli("sample", "--date", "2025-12-18")
    assert result.returncode == 2
    assert "never mixed" in result.stderr


def test_sample_skips_days_without_a_session_unless_told_when_to_begin(cli: Cli, tmp_path: Path) -> None:
    result = cli("sample", "--date", "2025-12-24..2025-12-25", "--length", "2s")
    assert result.returncode == 0
    assert "! 2025-12-25 is a holiday (Christmas Day): it has no regular session, so there is no file" in result.stderr
    alone = cli("sample", "--date", "2025-12-14")
    assert alone.returncode == 2
    assert "error: 2025-12-14 is a Sunday: it has no regular session" in alone.stderr
    assert cli("sample", "--date", "2025-12-14", "--start", "18:00", "--length", "2s").returncode == 0
    assert len(list(tmp_path.glob("dbn-data/*/*.zst"))) == 4
