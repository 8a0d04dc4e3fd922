"""``spyctl discover --report``: a day's quality as a table, as JSON, as a picture."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.conftest import Cli
from tests.support.folders import write_week


@pytest.fixture
def week(tmp_path: Path) -> Path:
    return write_week(tmp_path / "dbn-data")


def test_a_report_as_table_json_and_picture(cli: Cli, week: Path, tmp_path: Path) -> None:
    result = cli("discover", "--report", "2025-12-17", "--picture", "day.svg")
    assert result.returncode == 0, result.stderr
    lines = {line[:28].strip(): line[28:].split() for line in result.stdout.splitlines()}
    assert lines["records"] == ["50", "100"]
    assert lines["unmatched trades"] == ["50", "0"]
    assert "! Databento calls 2025-12-17 degraded" in result.stdout
    assert "! trades: 50 unmatched trades" in result.stdout
    assert ElementTree.parse(tmp_path / "day.svg").getroot().tag.endswith("svg")
    document = json.loads(cli("discover", "--report", "2025-12-19", "--json").stdout)
    assert document["schemas"]["mbp-10"]["records"] == 99
    damaged = cli("discover", "--report", "2025-12-19")
    assert damaged.returncode == 3
    assert "cut short" in damaged.stderr
    assert cli("discover", "--report", "2025-12-25").returncode == 6
    assert cli("discover", "--report", "all").returncode == 2
    assert cli("discover", "--report", "2025-12-17", "--picture", "no/such/folder.svg").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["--picture", "day.svg"], "--report DAY --picture day.svg"),
        (["--report", "2025-12-17", "--picture", "day.png"], "--picture FILE.svg"),
        (["--report", "2025-12-17", "--picture", "."], "--picture FILE.svg"),
        (["--report", "2025-12-17", "--check"], "one of the two"),
    ],
)
def test_a_picture_that_would_not_be_drawn_is_refused(
    cli: Cli, week: Path, tmp_path: Path, arguments: list[str], remedy: str
) -> None:
    result = cli("discover", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert f"  try: {remedy}" in result.stderr
    assert not (tmp_path / "day.png").exists()
