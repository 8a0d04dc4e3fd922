"""The rows, totals, mappings and holes that ``discover`` shows of DBN files."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.support.folders import MONDAY, NEW, shifted
from tests.support.records import ES, T0, book, trade, write_file

pytestmark = pytest.mark.usefixtures("cache")


def test_weekends_are_no_holes_and_job_files_are_in_the_json(cli: Cli, tmp_path: Path) -> None:
    for n in (4, 7):  # a Friday and a Monday
        day = MONDAY + timedelta(days=n)
        write_file(tmp_path / "dbn-data", "trades", [trade(T0 + shifted(day))], day=day)
    (tmp_path / "dbn-data" / "manifest.json").write_text("{")
    document = json.loads(cli("discover", "--json").stdout)
    assert document["holes"] == {}
    assert "manifest.json: cannot be read" in document["job_files"][0]


def test_verbose_shows_the_mapping_in_force(cli: Cli, week: Path) -> None:
    out = cli("discover", "--schema", "trades", "-v").stdout
    assert out.count(f"ES.c.0           instrument {ES} ") == 3
    assert out.count(f"ES.c.0           instrument {NEW} ") == 2
    assert "2025-12-18 to 2026-03-20" in out
    first = json.loads(cli("discover", "--schema", "trades", "-v", "--json").stdout)["files"][0]
    assert first["mappings"] == [
        {
            "symbol": "ES.c.0",
            "instrument_id": ES,
            "kind": "outright",
            "first_date": "2025-09-20",
            "last_date": "2025-12-17",
        }
    ]


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


def test_a_holiday_is_no_hole_and_an_early_close_is_named(cli: Cli, tmp_path: Path) -> None:
    for n, day in enumerate((date(2025, 11, 26), date(2025, 11, 28), date(2025, 12, 24), date(2025, 12, 26))):
        write_file(tmp_path / "dbn-data", "trades", [trade(T0 + shifted(day))], day=day)
        if n != 1:
            write_file(tmp_path / "dbn-data", "mbp-10", [book(T0 + shifted(day))], day=day)
    result = cli("discover")
    assert "no trades file for 2025-11-27 (Thanksgiving Day), 2025-12-01, " in result.stderr
    assert "2025-12-25" not in json.loads(cli("discover", "--json").stdout)["holes"]["trades"]


def test_a_file_of_several_days_tells_of_those_without_a_record(cli: Cli, tmp_path: Path) -> None:
    days = [MONDAY + timedelta(days=n) for n in (0, 7, 21)]
    name = "glbx-mdp3-20251215-20260105.trades.dbn"
    write_file(tmp_path / "dbn-data", "trades", [trade(T0 + shifted(day)) for day in days], name=name)
    result = cli("discover")
    assert result.returncode == 0
    assert " Mon 2025-12-15..2026-01-05 " in result.stdout
    assert ": 3 dates, 1 file, 3 records" in result.stdout
    assert f"! {name} has no record on 2025-12-16, 2025-12-17, 2025-12-18, 2025-12-19 and 7 more" in result.stderr
    assert "2025-12-25" not in json.loads(cli("discover", "--json").stdout)["files"][0]["without_record"]
