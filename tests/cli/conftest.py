"""Folders of data that several commands are tried on."""

from pathlib import Path

import pytest

from tests.support.folders import write_one_day, write_week


@pytest.fixture
def week(tmp_path: Path) -> Path:
    return write_week(tmp_path / "dbn-data")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_one_day(tmp_path / "dbn-data")


@pytest.fixture
def cache(environment: dict[str, str], tmp_path: Path) -> None:
    environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
