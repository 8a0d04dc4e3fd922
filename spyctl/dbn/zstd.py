"""The frames of a zstd file, followed by their headers alone: nothing is decompressed.

Each frame is a header and blocks of three bytes' header and a stated length, so a file that ends where a
frame ends is whole as far as it can tell. Layout: RFC 8878, section 3.1.
"""

import mmap
from dataclasses import dataclass
from pathlib import Path

import zstandard

from spyctl.errors import DamagedFileError

MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"
_MOST_BLOCK = 1 << 17
_FETCH_AGAIN = "download it again"


@dataclass(frozen=True, slots=True)
class Frames:
    """How many frames are whole, what is wrong behind them, if anything, and how many bytes they hold in all, ``None``
    where they do not say."""

    whole: int
    problem: DamagedFileError | None
    content: int | None


def is_zstd(start: bytes) -> bool:
    """Tell by its first four bytes whether a file is a zstd file; a frame to be skipped may come first."""
    return start == MAGIC or (start[1:4] == _SKIPPABLE and start[0] >> 4 == 5)


def walk_frames(path: Path) -> Frames:
    """Follow the frames of a file to its end. Raises :class:`DamagedFileError` where it cannot be opened."""
    if path.is_file() and not path.stat().st_size:
        return Frames(0, DamagedFileError(str(path), "empty", remedy=_FETCH_AGAIN), None)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _walk(data, str(path))
    except (OSError, ValueError) as error:
        raise DamagedFileError(str(path), f"cannot be opened ({error})", remedy=_FETCH_AGAIN) from None


def _walk(data: mmap.mmap, path: str) -> Frames:
    at, whole, size = 0, 0, len(data)
    content: int | None = 0
    while at < size:
        end = _frame_end(data, at, size)
        if end is None or end < 0:
            reason, offset = ("cut short", size) if end is None else ("no zstd frame", -end - 1)
            return Frames(whole, DamagedFileError(path, reason, offset=offset, remedy=_FETCH_AGAIN), None)
        said = _content(data[at : at + 18])
        content = content + said if content is not None and said is not None else None
        at, whole = end, whole + 1
    return Frames(whole, None, content)


def _content(start: bytes) -> int | None:
    # How many bytes a frame says it holds; none where it is to be skipped.
    if start[:4] != MAGIC:
        return 0
    try:
        size = zstandard.frame_content_size(start)
    except zstandard.ZstdError:
        return None
    return size if size >= 0 else None


def _frame_end(data: mmap.mmap, at: int, size: int) -> int | None:
    # Where a frame ends; None where the file ends first, -1 - offset where no frame can be.
    if size - at < 5:
        return None if MAGIC.startswith(data[at : at + 4][:4]) else -1 - at
    if data[at + 1 : at + 4] == _SKIPPABLE and data[at] >> 4 == 5:
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        return end if end <= size else None
    if data[at : at + 4] != MAGIC:
        return -1 - at
    descriptor = data[at + 4]
    single = descriptor >> 5 & 1
    content = (single, 2, 4, 8)[descriptor >> 6]
    place = at + 5 + (1 - single) + (0, 1, 2, 4)[descriptor & 3] + content
    while True:
        if place + 3 > size:
            return None
        head = data[place] | data[place + 1] << 8 | data[place + 2] << 16
        kind, length = head >> 1 & 3, head >> 3
        if kind == 3 or (kind != 1 and length > _MOST_BLOCK):
            return -1 - place
        place += 3 + (1 if kind == 1 else length)
        if head & 1:
            place += 4 * (descriptor >> 2 & 1)
            return place if place <= size else None
