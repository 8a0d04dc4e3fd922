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
    assert "! 2025-12-17 is degraded, says Databento" in result.stdout
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
