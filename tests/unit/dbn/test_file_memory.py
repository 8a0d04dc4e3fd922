"""What is remembered of files: by size and time, and never in the way."""

from pathlib import Path

import pytest

from spyctl.dbn.file_memory import FileMemory

STAMP = (10, 1)


def test_a_value_is_remembered_until_size_or_time_change(tmp_path: Path) -> None:
    path, file = tmp_path / "cache" / "x.json", tmp_path / "a"
    FileMemory(path).put({file: (STAMP, [1, None])})
    memory = FileMemory(path)
    assert memory.get(file, STAMP) == [1, None]
    assert memory.get(file, (11, 1)) is None
    assert memory.get(file, (10, 2)) is None
    assert memory.get(tmp_path / "b", STAMP) is None


def test_two_that_remember_at_once_lose_nothing(tmp_path: Path) -> None:
    one, other = FileMemory(tmp_path / "x.json"), FileMemory(tmp_path / "x.json")
    assert (one.get(tmp_path, STAMP), other.get(tmp_path, STAMP)) == (None, None)
    one.put({tmp_path / "a": (STAMP, "a")})
    other.put({tmp_path / "b": (STAMP, "b")})
    assert [FileMemory(tmp_path / "x.json").get(tmp_path / name, STAMP) for name in "ab"] == ["a", "b"]


@pytest.mark.parametrize("text", ["", "[]", '{"/a": 1}', '{"/a": [10, 1]}', '{"/a": [10, 1, 2, 3]}'])
def test_a_memory_that_makes_no_sense_knows_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert FileMemory(tmp_path / "x.json").get(Path("/a"), STAMP) is None


def test_a_memory_that_cannot_be_kept_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    FileMemory(tmp_path / "cache" / "x.json").put({tmp_path: (STAMP, 1)})
