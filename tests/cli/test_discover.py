"""``spyctl discover`` and ``time-range`` on a week with faults planted, and what a replay says of them."""

import hashlib
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import zstandard

from tests.conftest import Cli
from tests.support.records import ES, MS, SECOND, T0, book, metadata, trade, write_file

MONDAY = date(2025, 12, 15)
NEW = 42_140_878
ROLL = {
    "ES.c.0": [
        (date(2025, 9, 20), date(2025, 12, 18), str(ES)),
        (date(2025, 12, 18), date(2026, 3, 21), str(NEW)),
    ]
}


def shifted(day: date) -> int:
    return (day - date(2025, 12, 16)).days * 86_400 * SECOND


@pytest.fixture
def week(tmp_path: Path) -> Path:
    """Monday is whole; Tuesday has no books; Wednesday is degraded; Thursday rolls; Friday is cut short."""
    root = tmp_path / "dbn-data"
    for n in range(5):
        day = MONDAY + timedelta(days=n)
        at, instrument_id = T0 + shifted(day), ES if n < 3 else NEW
        trades = [trade(at + i * MS, instrument_id=instrument_id, sequence=i) for i in range(50)]
        books = [book(at + i * MS, instrument_id=instrument_id, sequence=i) for i in range(100)]
        write_file(root, "trades", trades, day=day, mappings=ROLL, compressed=True)
        if n != 1:
            write_file(root, "mbp-10", books, day=day, mappings=ROLL)
    path = root / "MBP-10" / "glbx-mdp3-20251219.mbp-10.dbn"
    path.write_bytes(path.read_bytes()[:-356])
    (root / "condition.json").write_text(json.dumps([{"date": "2025-12-17", "condition": "degraded"}]))
    (root / "glbx-mdp3-20251216.ohlcv-1d.dbn").write_bytes(metadata("ohlcv-1d"))
    return root


@pytest.fixture(autouse=True)
def cache(environment: dict[str, str], tmp_path: Path) -> None:
    environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")


def test_a_week_with_its_faults(cli: Cli, week: Path) -> None:
    result = cli("discover")
    assert result.returncode == 3
    rows = {tuple(line.split()[1:3]): line for line in result.stdout.splitlines() if " 2025-" in line}
    assert rows["2025-12-16", "trades"].endswith(" no mbp-10 that day")
    assert rows["2025-12-17", "trades"].endswith(" degraded")
    assert rows["2025-12-19", "mbp-10"].endswith(" cut short")
    assert "! no mbp-10 file for 2025-12-16" in result.stderr
    assert "glbx-mdp3-20251216.ohlcv-1d.dbn is passed over: holds ohlcv-1d" in result.stderr
    assert "cut short inside record 100 at byte" in result.stderr
    document = json.loads(cli("discover", "--json").stdout)
    assert document["holes"] == {"mbp-10": ["2025-12-16"]}
    assert len(document["files"]) == 9


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


def test_a_check_verifies_an_unpacked_file_against_its_archive(cli: Cli, tmp_path: Path) -> None:
    path = write_file(tmp_path / "dbn-data", "trades", [trade(T0 + i) for i in range(9)])
    whole = path.read_bytes()
    archive = zstandard.ZstdCompressor(write_content_size=False).compress(whole)
    path.with_name(f"{path.name}.zst").write_bytes(archive)
    result = cli("discover", "--check")
    assert result.returncode == 0
    assert "archive ✓" in result.stdout
    assert "checked: 0 good by sha256, 1 by the archive beside, 0 by reading to the end, 0 not" in result.stdout
    path.write_bytes(path.read_bytes()[:-48])
    result = cli("discover", "--check")
    assert result.returncode == 3
    assert (
        "glbx-mdp3-20251216.trades.dbn: shorter than what its archive glbx-mdp3-20251216.trades.dbn.zst holds, at"
        in (result.stderr)
    )


def test_a_check_verifies_every_file_against_its_manifest(cli: Cli, week: Path) -> None:
    files: list[dict[str, Any]] = []
    for path in sorted((week / "trades").iterdir()):
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        files.append({"filename": path.name, "size": len(data), "hash": f"sha256:{digest}"})
    files.append({"filename": "glbx-mdp3-20251221.trades.dbn.zst", "size": 1, "hash": "sha256:" + "0" * 64})
    (week / "trades" / "manifest.json").write_text(json.dumps({"files": files}))

    result = cli("discover", "--check")
    assert result.returncode == 3
    assert "checked: 5 good by sha256, 3 by reading to the end, 2 not" in result.stdout
    assert "glbx-mdp3-20251221.trades.dbn.zst: listed in manifest.json, and not there" in result.stderr

    bent = week / "trades" / "glbx-mdp3-20251216.trades.dbn.zst"
    data = bytearray(bent.read_bytes())
    data[-1] ^= 1
    bent.write_bytes(data)
    result = cli("discover", "--check", "--schema", "trades")
    assert result.returncode == 3
    assert "checked: 4 good by sha256" in result.stdout
    assert "damaged" in result.stdout
    files = json.loads(cli("discover", "--check", "--json").stdout)["files"]
    (problem,) = (one["problem"] for one in files if one["path"].endswith(bent.name))
    assert "glbx-mdp3-20251216.trades.dbn.zst" in problem


def test_report_and_time_range_refuse_the_mixtures_that_a_replay_refuses(cli: Cli, tmp_path: Path) -> None:
    write_file(tmp_path / "dbn-data" / "v", "trades", [trade(T0)])
    write_file(tmp_path / "dbn-data" / "s", "mbp-10", [book(T0)])
    (tmp_path / "dbn-data" / "s" / "metadata.json").write_text('{"synthetic": true}')
    for arguments in (("discover", "--report", "2025-12-16"), ("time-range", "--date", "2025-12-16")):
        result = cli(*arguments)
        assert result.returncode == 2
        assert "never merged" in result.stderr


def test_a_report_as_table_json_and_picture(cli: Cli, week: Path, tmp_path: Path) -> None:
    result = cli("discover", "--report", "2025-12-17", "--picture", "day.svg")
    assert result.returncode == 0, result.stderr
    lines = {line[:28].strip(): line[28:].split() for line in result.stdout.splitlines()}
    assert lines["records"] == ["50", "100"]
    assert lines["trades without their twin"] == ["50", "0"]
    assert "! 2025-12-17 is degraded, says Databento" in result.stdout
    assert "! trades: 50 trades without a twin" in result.stdout
    assert ElementTree.parse(tmp_path / "day.svg").getroot().tag.endswith("svg")
    document = json.loads(cli("discover", "--report", "2025-12-19", "--json").stdout)
    assert document["schemas"]["mbp-10"]["records"] == 99
    damaged = cli("discover", "--report", "2025-12-19")
    assert damaged.returncode == 3
    assert "cut short" in damaged.stderr
    assert cli("discover", "--report", "2025-12-25").returncode == 6
    assert cli("discover", "--report", "all").returncode == 2
    assert cli("discover", "--report", "2025-12-17", "--picture", "no/such/folder.svg").returncode == 2


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


def test_a_replay_says_what_it_plays_rolls_and_leaves_out(cli: Cli, week: Path) -> None:
    result = cli("replay", "--speed", "max", "--sink", "stdout", "--date", "2025-12-16..2025-12-19")
    assert result.returncode == 3
    assert "! 2025-12-17 is degraded, says Databento: data may be missing" in result.stderr
    assert (
        f"note: ES rolls at 2025-12-18T00:00Z, from instrument {ES} to {NEW}; prices are not adjusted" in result.stderr
    )
    assert "cut short inside record 100" in result.stderr
    assert len(result.stdout.splitlines()) == 4 * 50 + 2 * 100 + 99
    assert "glbx-mdp3-20251216.ohlcv-1d.dbn is left out: holds ohlcv-1d" in result.stderr


def test_only_the_symbols_asked_for_are_played(cli: Cli, tmp_path: Path) -> None:
    mappings = {
        name: [(date(2025, 1, 1), date(2026, 1, 1), str(number))]
        for number, name in enumerate(["ESZ5", "ESH6", "ESZ5-ESH6"], start=100)
    }
    records = [trade(T0 + i, instrument_id=100 + i % 3) for i in range(30)]
    write_file(tmp_path / "dbn-data", "trades", records, symbols=["ES.FUT"], mappings=mappings, stype_in="parent")
    result = cli("replay", "--speed", "max", "--sink", "stdout", "--symbol", "spread", "--symbol", "esh6")
    assert result.returncode == 0, result.stderr
    symbols = {json.loads(line)["event"]["symbol"] for line in result.stdout.splitlines()}
    assert symbols == {"ESH6", "ESZ5-ESH6"}
    assert "20 events: 20 trades of spread, esh6" in result.stderr
    nothing = cli("replay", "--symbol", "NQ")
    assert nothing.returncode == 6
    assert "no NQ in ./dbn-data, which holds ES.FUT, ESH6, ESZ5, ESZ5-ESH6" in nothing.stderr
    assert " ESZ5-ESH6        instrument 102        spread" in cli("discover", "-v").stdout
