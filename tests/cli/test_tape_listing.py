"""Tapes in ``discover``, ``time-range`` and completion."""

import json
from pathlib import Path
from typing import Any

import pytest

from spyctl.cli.tape_listing import subject_ranges
from spyctl.market.lines import json_lines
from spyctl.replay.tapes import catalog
from spyctl.replay.tapes.catalog import scan_tapes
from spyctl.replay.tapes.contents import sidecar_path
from spyctl.timing.instants import DAY
from tests.support.folders import write_one_day
from tests.support.here import Here
from tests.support.tapes import STORED_NS, message, messages, record


@pytest.fixture
def tapes(tmp_path: Path) -> Path:
    """Two trading days."""
    folder = tmp_path / "tapes"
    record(folder, [*messages(1, 60), *(message(n, stored_ns=STORED_NS + DAY + n) for n in range(61, 91))])
    return folder


def test_discover_shows_a_row_for_each_tape(here: Here, tapes: Path) -> None:
    result = here("discover", "--data-dir", "tapes")
    assert result.returncode == 0, result.stderr
    head, first, second, total = result.stdout.splitlines()
    assert head.split()[:3] == ["trading", "day", "stream"]
    assert first.startswith(" Tue 2025-12-16 MARKET_DATA     60 ")
    assert "1 to 60" in first
    assert second.startswith(" Wed 2025-12-17 MARKET_DATA     30 ")
    assert total.startswith(" 2 tapes, 90 events, ")
    one = here("discover", "--data-dir", str(next(tapes.glob("*16.jsonl.zst"))))
    assert " 1 tape, 60 events" in one.stdout


def test_a_check_names_what_is_wrong_and_is_exit_3(here: Here, tapes: Path) -> None:
    good = here("discover", "--check", "--data-dir", "tapes")
    assert (good.returncode, good.stdout.count("good")) == (0, 3)
    path = next(tapes.glob("*16.jsonl.zst"))
    path.write_bytes(path.read_bytes()[:-9])
    result = here("discover", "--check", "--data-dir", "tapes", "--json")
    document = json.loads(result.stdout)
    assert result.returncode == 3
    assert "cut short at byte" in document["problems"][0]
    assert [bool(tape["problems"]) for tape in document["tapes"]] == [True, False]
    assert f"! {document['problems'][0]}" in result.stderr
    assert "cut short" in here("discover", "--data-dir", "tapes").stdout


def test_the_true_number_of_lines_that_are_left_out_is_told(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "tapes" / "x.jsonl"
    path.parent.mkdir()
    path.write_bytes(json_lines(messages(1, 100)) + json_lines(messages(1, 100)) + b"no\n" * 2)
    result = here("discover", "--check", "--data-dir", "tapes")
    assert result.returncode == 3
    first, *_, last = result.stderr.splitlines()
    assert first.endswith("102 lines are left out: 100 repeated sequence, 2 no event")
    assert last.endswith("and 98 more of this kind; --json lists the first of them")
    problems = json.loads(here("discover", "--check", "--data-dir", "tapes", "--json").stdout)["problems"]
    assert problems[0].endswith("102 lines are left out: 100 repeated sequence, 2 no event")


def test_overlapping_tapes_are_told(here: Here, tapes: Path, tmp_path: Path) -> None:
    record(tmp_path / "tapes" / "more", messages(40, 70))
    result = here("discover", "--data-dir", "tapes")
    assert result.returncode == 0
    assert "overlaps ./tapes/MARKET_DATA-2025-12-16.jsonl.zst: what both hold is played once" in result.stderr or (
        "overlaps ./tapes/more/MARKET_DATA-2025-12-16.jsonl.zst" in result.stderr
    )


def test_tapes_beside_dbn_files_are_listed_too(here: Here, tapes: Path, tmp_path: Path) -> None:
    write_one_day(tmp_path / "tapes")
    result = here("discover", "--data-dir", "tapes")
    assert " 2 tapes, 90 events" in result.stdout
    assert "mbp-10" in result.stdout
    assert len(json.loads(here("discover", "--data-dir", "tapes", "--json").stdout)["tapes"]) == 2


def test_the_time_range_of_a_trading_day_by_subject(here: Here, tapes: Path) -> None:
    result = here("time-range", "--date", "2025-12-16", "--data-dir", "tapes")
    assert result.returncode == 0, result.stderr
    assert " Tue 2025-12-16 market.futures.mbp10      10 15:14:07.392000000 15:14:07.446000000" in result.stdout
    document = json.loads(here("time-range", "--date", "all", "--data-dir", "tapes", "--json").stdout)
    assert len(document["ranges"]) == 12
    assert document["ranges"][0]["records"] == 10
    books = here("time-range", "--date", "last", "--schema", "mbp-10", "--data-dir", "tapes").stdout.splitlines()
    assert len(books) == 2
    missing = here("time-range", "--date", "2025-12-18", "--data-dir", "tapes")
    assert missing.returncode == 6
    assert "no data for 2025-12-18 in ./tapes, which holds 2025-12-16, 2025-12-17" in missing.stderr


def test_what_nobody_has_counted_is_read(tapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in tapes.glob("*.zst"):
        sidecar_path(path).unlink()
    monkeypatch.setattr(catalog, "SMALL", 1)
    infos = scan_tapes(tapes)
    assert [info.contents for info in infos] == [{}, {}]
    rows: list[Any] = subject_ranges(infos)
    assert [row[2] for row in rows] == [10] * 6 + [5] * 6
