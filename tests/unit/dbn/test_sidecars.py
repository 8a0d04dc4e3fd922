"""Job files: of the folder itself or the nearest one above."""

import json
from datetime import date
from pathlib import Path

import pytest

from spyctl.dbn.sidecars import Listed, Sidecars, is_synthetic, read_conditions, read_manifest
from spyctl.errors import DamagedFileError

DAY = date(2025, 12, 16)


def manifest(folder: Path, *names: str, digest: str = "sha256:" + "0" * 64) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    files = [{"filename": name, "size": 3, "hash": digest} for name in names]
    (folder / "manifest.json").write_text(json.dumps({"files": files}))


def test_a_file_is_listed_by_its_folder_or_one_above(tmp_path: Path) -> None:
    manifest(tmp_path, "a.dbn", "b.dbn")
    manifest(tmp_path / "job", "a.dbn", digest="md5:0")
    sidecars = Sidecars(tmp_path)
    assert sidecars.listed(tmp_path / "job" / "a.dbn") == Listed("a.dbn", 3, None)
    assert sidecars.listed(tmp_path / "job" / "b.dbn") == Listed("b.dbn", 3, "0" * 64)
    assert sidecars.listed(tmp_path / "c.dbn") is None


def test_listed_files_are_missing_unless_they_are_present_packed_or_unpacked(tmp_path: Path) -> None:
    manifest(tmp_path, "a.dbn.zst", "b.dbn.zst", "condition.json")
    sidecars = Sidecars(tmp_path)
    sidecars.manifest(tmp_path)
    assert sidecars.missing({"a.dbn"}) == [tmp_path / "b.dbn.zst"]


def test_the_nearest_condition_counts_and_available_days_are_not_told(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    days = {folder: [] for folder in (tmp_path, tmp_path / "job")}
    days[tmp_path] = [("2025-12-16", "degraded"), ("2025-12-17", "missing"), ("2025-12-18", "degraded")]
    days[tmp_path / "job"] = [("2025-12-16", "available")]
    for folder, conditions in days.items():
        document = [{"date": day, "condition": condition} for day, condition in conditions]
        (folder / "condition.json").write_text(json.dumps(document))
    assert Sidecars(tmp_path).conditions(tmp_path / "job", DAY, date(2025, 12, 17)) == {date(2025, 12, 17): "missing"}


def test_the_nearest_symbology_that_has_names_is_used(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "symbology.json").write_text('{"result": {}}')
    result = {"ESZ5": [{"d0": "2025-12-16", "d1": "2025-12-17", "s": "7"}]}
    (tmp_path / "symbology.json").write_text(json.dumps({"result": result}))
    assert [mapping.symbol for mapping in Sidecars(tmp_path).symbology(tmp_path / "job")] == ["ESZ5"]


def test_a_synthetic_folder_marks_those_below_and_not_those_beside(tmp_path: Path) -> None:
    for name in ("a/b", "c"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a" / "metadata.json").write_text('{"synthetic": true}')
    sidecars = Sidecars(tmp_path)
    assert [sidecars.synthetic(tmp_path / name) for name in ("a", "a/b", "c")] == [True, True, False]


def test_a_job_file_that_cannot_be_read_is_noted_once(tmp_path: Path) -> None:
    (tmp_path / "condition.json").write_text("{")
    sidecars = Sidecars(tmp_path)
    for _ in range(2):
        assert sidecars.conditions(tmp_path, DAY, DAY) == {}
    assert list(sidecars.unreadable) == [tmp_path / "condition.json"]


def test_job_files_that_are_not_there_are_empty_and_bad_ones_raise(tmp_path: Path) -> None:
    assert (read_manifest(tmp_path / "manifest.json"), read_conditions(tmp_path / "condition.json")) == ({}, {})
    assert not is_synthetic(tmp_path)
    (tmp_path / "metadata.json").write_text("{")
    with pytest.raises(DamagedFileError, match="cannot be read"):
        is_synthetic(tmp_path)
