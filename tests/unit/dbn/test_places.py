"""Records by number, and the first one of a time, in plain and in packed files."""

from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from spyctl.dbn.places import count_at_most, find_places
from spyctl.dbn.reader import DBNFile
from spyctl.errors import DamagedFileError
from tests.support.records import T0, content, metadata, trade, write_file, zstd_frames

TIMES = [T0 + i // 3 * 10 for i in range(300)]
RECORDS = [trade(ns, ns) for ns in TIMES]


@settings(max_examples=25)
@given(st.booleans(), st.lists(st.integers(-20, 1_100), min_size=1, max_size=5), st.integers(500, 6_000))
def test_the_first_record_of_a_time_is_found(
    tmp_path_factory: pytest.TempPathFactory, compressed: bool, shifts: list[int], frame_bytes: int
) -> None:
    head = metadata("trades")
    data = content(RECORDS, head)
    path = tmp_path_factory.mktemp("places") / "x.dbn"
    path.write_bytes(zstd_frames(data, len(head), frame_bytes) if compressed else data)
    places = find_places(DBNFile(path))
    assert places is not None
    assert places.count == 300
    for shift in shifts:
        assert places.first_from(T0 + shift) == sum(ns < T0 + shift for ns in TIMES)


@settings(max_examples=40)
@given(st.booleans(), st.integers(0, 300), st.integers(1, 400), st.integers(7, 6_000), st.integers(0, 40))
def test_the_records_from_a_number_on_in_pieces_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, compressed: bool, start: int, size: int, frame_bytes: int, rest: int
) -> None:
    """Frames may be smaller than a record, and a plain file may end inside one."""
    head = metadata("trades")
    data = content(RECORDS, head)
    path = tmp_path_factory.mktemp("places") / "x.dbn"
    path.write_bytes(zstd_frames(data, len(head), frame_bytes) if compressed else data + bytes(rest))
    file = DBNFile(path)
    places = find_places(file)
    assert places is not None
    pieces = list(places.records(size, start))
    assert all(1 <= len(piece) <= size for piece in pieces)
    joined = np.concatenate([np.empty(0, file.dtype), *pieces])
    assert joined.tobytes() == data[len(head) + start * file.dtype.itemsize :]


def test_a_file_that_shrinks_meanwhile_is_damaged(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", RECORDS)
    places = find_places(DBNFile(path))
    assert places is not None
    with path.open("r+b") as file:
        file.truncate(500)
    with pytest.raises(DamagedFileError, match="shrunk"):
        list(places.records(100))


def test_a_frame_that_is_broken_is_damage_behind_what_is_whole(tmp_path: Path) -> None:
    head = metadata("trades")
    data = bytearray(zstd_frames(content(RECORDS, head), len(head), 480))
    path = tmp_path / "x.dbn.zst"
    path.write_bytes(data)
    whole = DBNFile(path).frames.whole
    data[whole[20].end - 9 : whole[20].end] = bytes([0xFF] * 9)
    path.write_bytes(data)
    places = find_places(DBNFile(path))
    assert places is not None
    seen: list[int] = []
    with pytest.raises(DamagedFileError, match="corrupt zstd data"):
        seen.extend(map(len, places.records(7)))
    assert 0 < sum(seen) <= 190


def test_frames_that_do_not_say_their_size_and_captures_give_no_places(tmp_path: Path) -> None:
    path = tmp_path / "x.dbn.zst"
    data = content(RECORDS, metadata("trades"))
    writer = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    path.write_bytes(writer.compress(data) + writer.flush())
    assert find_places(DBNFile(path)) is None
    assert 300 <= count_at_most(DBNFile(path)) < 300 + (1 << 17) // 48
    path.write_bytes(content(RECORDS, metadata(None, symbols=())))
    assert find_places(DBNFile(path)) is None


def test_a_plain_file_holds_what_its_length_says(tmp_path: Path) -> None:
    assert count_at_most(DBNFile(write_file(tmp_path, "trades", RECORDS))) == 300
