"""zstd files: unpacked frame after frame, and followed by their frames' headers alone."""

import io
import mmap
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from spyctl.dbn.reader import DBNFile
from spyctl.dbn.zstd import ZstdReader, frame_at, frame_behind, is_zstd, walk_frames
from spyctl.errors import DamagedFileError
from tests.support.records import MS, T0, content, metadata, trade, write_file, zstd_frames

TRADES = [trade(T0 + i * MS, sequence=i) for i in range(400)]


def numbers(path: Path) -> tuple[list[int], DamagedFileError | None]:
    sequences: list[int] = []
    try:
        for chunk in DBNFile(path).chunks():
            sequences += chunk["sequence"].tolist()
    except DamagedFileError as error:
        return sequences, error
    return sequences, None


def test_frames_are_followed_without_unpacking(tmp_path: Path) -> None:
    head = metadata("trades")
    data = zstd_frames(content(TRADES, head), len(head), 1_920)
    path = tmp_path / "x.zst"
    ends = {i for i in range(len(data)) if data.startswith(b"\x28\xb5\x2f\xfd", i)}
    for length in range(1, len(data) + 1):
        path.write_bytes(data[:length])
        problem = walk_frames(path).problem
        assert (problem is None) == (length in ends or length == len(data)), length
    assert len(walk_frames(path).whole) == 11


@given(
    pieces=st.lists(st.binary(max_size=300_000), min_size=1, max_size=4),
    level=st.integers(1, 9),
    checksum=st.booleans(),
    sized=st.booleans(),
    tail=st.binary(max_size=20),
)
def test_any_frames_of_the_real_compressor_are_whole_and_anything_behind_them_is_not(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], level: int, checksum: bool, sized: bool, tail: bytes
) -> None:
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=checksum, write_content_size=sized)
    path = tmp_path_factory.mktemp("zstd") / "x.zst"
    whole = b"".join(map(compressor.compress, pieces)) + b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    path.write_bytes(whole + tail)
    frames = walk_frames(path)
    assert len(frames.whole) == len(pieces) + 1
    assert frames.content_at_most >= sum(map(len, pieces))
    assert (frames.problem is None) == (not tail)


def test_a_damaged_block_gives_what_lies_before_it(tmp_path: Path) -> None:
    head = metadata("trades")
    frames = [zstd_frames(content(TRADES, head), len(head), 48 * 20)]
    intact = zstd_frames(content(TRADES[:40], head), len(head), 48 * 20)
    data = bytearray(frames[0])
    data[len(intact)] ^= 0xFF  # the magic number of the next frame
    path = tmp_path / "bent.dbn.zst"
    path.write_bytes(data)

    sequences, error = numbers(path)

    assert sequences == list(range(40))
    assert error is not None
    assert "corrupt" in error.reason


def test_garbage_after_the_last_frame_is_noticed(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", TRADES, compressed=True)
    path.write_bytes(path.read_bytes() + b"garbage")

    sequences, error = numbers(path)

    assert sequences == list(range(400))
    assert error is not None


def test_frames_are_unpacked_as_one_stream_of_bytes_whatever_is_asked_for() -> None:
    parts = [bytes([i]) * (i * 1_000) for i in range(1, 8)]
    packed = b"".join(map(zstandard.compress, parts))
    for size in (1, 999, 100_000):
        reader = ZstdReader(io.BytesIO(packed), "x.zst")
        assert b"".join(iter(lambda reader=reader, size=size: reader.read(size), b"")) == b"".join(parts)


def test_what_is_whole_comes_before_the_damage() -> None:
    packed = zstandard.compress(b"whole") + zstandard.compress(b"cut" * 1_000)[:-3]
    reader = ZstdReader(io.BytesIO(packed), "x.zst")
    assert reader.read(5) == b"whole"
    with pytest.raises(DamagedFileError, match="cut short") as caught:
        reader.read(1)
    assert caught.value.offset == len(packed)


@pytest.mark.parametrize(
    ("tail", "reason", "back"),
    [
        (b"\x28\xb5", "cut short", 0),
        (b"odd bytes", "not a zstd frame", 9),
        (b"\x50\x2a\x4d\x18\xff\x00\x00\x00", "cut short", 0),
    ],
)
def test_the_walk_says_where_the_frames_end(tmp_path: Path, tail: bytes, reason: str, back: int) -> None:
    path = tmp_path / "x.zst"
    path.write_bytes(zstandard.compress(b"12345") + tail)
    frames = walk_frames(path)
    assert (len(frames.whole), frames.content) == (1, None)
    assert frames.problem is not None
    assert (frames.problem.reason, frames.problem.offset) == (reason, path.stat().st_size - back)
    path.write_bytes(zstandard.compress(b"12345") * 2)
    assert (len(walk_frames(path).whole), walk_frames(path).content) == (2, 10)


def test_a_zstd_file_is_told_by_its_first_bytes() -> None:
    assert is_zstd(zstandard.compress(b"x")[:4])
    assert is_zstd(b"\x50\x2a\x4d\x18")  # a frame to be skipped
    assert not is_zstd(b"DBN\x01")


def test_frames_are_found_again_behind_damage(tmp_path: Path) -> None:
    frames = [zstandard.compress(bytes([n]) * 1_000) for n in range(3)]
    path = tmp_path / "x.zst"
    path.write_bytes(frames[0] + b"\x28\xb5\x2f\xfd" + frames[1] + b"junk" + frames[2][:-1])
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        first = frame_at(data, 0)
        assert first is not None
        assert first[:3] == (0, len(frames[0]), 1_000)
        assert frame_at(data, first.end) is None
        second = frame_behind(data, first.end)
        assert second is not None
        assert second.end - second.start == len(frames[1])
        assert frame_behind(data, second.start) is None
