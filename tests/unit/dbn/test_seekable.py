"""Files of one frame can be jumped in: by a copy in frames, made once, never of damaged ones."""

from pathlib import Path

import pytest
import zstandard

from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.places import find_places
from spyctl.dbn.seekable import _KEPT, make_copy, with_places
from spyctl.replay.source import DBNIngestor
from tests.support.records import MS, T0, trade, write_file


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "spyctl" / "seekable"


def single_frame(root: Path, count: int = 500, cut: int = 0) -> DBNFileInfo:
    path = write_file(root, "trades", [trade(T0 + i * MS, sequence=i) for i in range(count)])
    packed = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    data = packed.compress(path.read_bytes()) + packed.flush()
    path.with_name(f"{path.name}.zst").write_bytes(data[: len(data) - cut])
    path.unlink()
    (info,) = DBNIngestor(root).discover_files()
    return info


def test_a_file_of_one_frame_gets_a_copy_with_places(tmp_path: Path, cache: Path) -> None:
    info = single_frame(tmp_path / "data")
    assert find_places(info.file) is None
    assert with_places(info) is info
    make_copy(info)
    copy = with_places(info)
    places = find_places(copy.file)
    assert places is not None
    assert places.count == 500
    assert [records.tobytes() for records in copy.chunks()] == [records.tobytes() for records in info.chunks()]
    (made,) = cache.iterdir()
    stamp = made.stat().st_mtime_ns
    make_copy(info)
    assert made.stat().st_mtime_ns == stamp


def test_a_damaged_file_gets_none(tmp_path: Path, cache: Path) -> None:
    make_copy(single_frame(tmp_path / "data", count=20_000, cut=7))
    assert not cache.exists() or not list(cache.iterdir())


def test_a_copy_that_is_no_file_of_ours_is_not_used(tmp_path: Path, cache: Path) -> None:
    info = single_frame(tmp_path / "data")
    make_copy(info)
    (made,) = cache.iterdir()
    made.write_bytes(b"nonsense")
    assert with_places(info) is info


def test_only_the_newest_copies_are_kept(tmp_path: Path, cache: Path) -> None:
    for i in range(_KEPT + 2):
        make_copy(single_frame(tmp_path / str(i), count=3))
    assert len(list(cache.iterdir())) == _KEPT
