"""zstd files: unpacked frame after frame, so that a cut is noticed, or followed by the headers of their frames alone.

Each frame is a header and blocks of three bytes' header and a stated length, so a file that ends where a
frame ends is whole as far as it can tell. Layout: RFC 8878, section 3.1.
"""

import mmap
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, Protocol

import zstandard

from spyctl.errors import DamagedFileError

MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"
_MAX_BLOCK = 1 << 17
_READ = 1 << 14  # compressed bytes at a time; keeps what one step can expand to small
_FETCH_AGAIN = "download it again"


class ByteReader(Protocol):
    """What bytes are read from, front to back."""

    def read(self, size: int) -> bytes:
        """Return the next bytes, fewer than ``size`` near the end. Raises :class:`DamagedFileError`."""
        ...


class PeekReader(ByteReader, Protocol):
    """One that can also be looked ahead in."""

    def peek(self, size: int) -> bytes:
        """Return what :meth:`read` would, and leave it to be read; nothing where it would raise."""
        ...


class ZstdReader:
    """Unpacks frame after frame.

    The library's own stream reader ends silently where the file does, so each frame is followed by hand: a file that
    ends inside one is cut short.
    """

    def __init__(self, packed: ByteReader, path: str, offset: int = 0) -> None:
        """``offset`` is where in the file ``packed`` begins, for the words about damage."""
        self._packed = packed
        self._path = path
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._inside = False
        self._consumed = offset
        self._ready = bytearray()
        self._failure: DamagedFileError | None = None

    def read(self, size: int) -> bytes:
        """Return the next unpacked bytes; everything whole comes before :class:`DamagedFileError`."""
        while len(self._ready) < size and self._failure is None and self._more():
            pass
        if not self._ready and self._failure is not None:
            raise self._failure
        data = self._first(size)
        del self._ready[:size]
        return data

    def peek(self, size: int) -> bytes:
        """Return what :meth:`read` would, and leave it to be read; nothing where it would raise."""
        while len(self._ready) < size and self._failure is None and self._more():
            pass
        return self._first(size)

    def _first(self, size: int) -> bytes:
        with memoryview(self._ready) as ready, ready[:size] as first:
            return bytes(first)

    def _more(self) -> bool:
        data = self._packed.read(_READ)
        if not data:
            if self._inside:
                self._failure = self._damage("cut short")
            return False
        while data:
            if self._frame.eof:
                if data[:3] == b"DBN":
                    self._failure = self._damage("a DBN file that is not packed follows (joined files)")
                    return False
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            try:
                self._ready += self._frame.decompress(data)
            except zstandard.ZstdError:
                self._failure = self._damage("corrupt zstd data")
                return False
            rest = self._frame.unused_data if self._frame.eof else b""
            self._consumed += len(data) - len(rest)
            self._inside = not self._frame.eof
            data = rest
        return True

    def _damage(self, reason: str) -> DamagedFileError:
        return DamagedFileError(self._path, reason, offset=self._consumed, remedy=_FETCH_AGAIN)


class Frame(NamedTuple):
    """One frame: where it lies, how many bytes it says that it unpacks to, if it does, and how many it has at most."""

    start: int
    end: int
    content: int | None
    content_at_most: int


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of a file that are whole, and what is wrong behind them, if anything."""

    whole: tuple[Frame, ...]
    problem: DamagedFileError | None

    @property
    def content(self) -> int | None:
        """How many bytes they unpack to, ``None`` where they do not say, or are not all."""
        if self.problem is not None or any(frame.content is None for frame in self.whole):
            return None
        return sum(frame.content or 0 for frame in self.whole)

    @property
    def content_at_most(self) -> int:
        """How many bytes they unpack to at most."""
        return sum(frame.content_at_most for frame in self.whole)

    def place_of(self, offset: int) -> tuple[Frame, int]:
        """Return the frame that holds an unpacked offset, and where in it; all frames have to say what they hold."""
        starts = list(accumulate((frame.content or 0 for frame in self.whole), initial=0))
        number = min(bisect_right(starts, offset), len(self.whole)) - 1
        return self.whole[number], offset - starts[number]


def is_zstd(start: bytes) -> bool:
    """Tell by its first four bytes whether a file is a zstd file; a frame to be skipped may come first."""
    return start == MAGIC or (start[1:4] == _SKIPPABLE and start[0] >> 4 == 5)


def walk_frames(path: Path) -> Frames:
    """Follow the frames of a file to its end. Raises :class:`DamagedFileError` where it cannot be opened."""
    if path.is_file() and not path.stat().st_size:
        return Frames((), DamagedFileError(str(path), "empty", remedy=_FETCH_AGAIN))
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _walk(data, str(path))
    except (OSError, ValueError) as error:
        raise DamagedFileError(str(path), f"cannot be opened ({error})", remedy=_FETCH_AGAIN) from None


def frame_at(data: mmap.mmap, at: int) -> Frame | None:
    """Return the frame that begins at a place, ``None`` where none does that is whole."""
    try:
        end, blocks = _frame_end(data, at, len(data))
    except _BadFrameError:
        return None
    content = _content(data[at : at + 18])
    return Frame(at, end, content, content if content is not None else blocks * _MAX_BLOCK)


def frame_behind(data: mmap.mmap, at: int) -> Frame | None:
    """Return the next whole frame that begins behind a place, ``None`` where there is none."""
    while (at := data.find(MAGIC, at + 1)) >= 0:
        if (frame := frame_at(data, at)) is not None:
            return frame
    return None


def _walk(data: mmap.mmap, path: str) -> Frames:
    at, size = 0, len(data)
    whole: list[Frame] = []
    while at < size:
        try:
            end, blocks = _frame_end(data, at, size)
        except _BadFrameError as error:
            problem = DamagedFileError(path, error.reason, offset=error.offset, remedy=_FETCH_AGAIN)
            return Frames(tuple(whole), problem)
        content = _content(data[at : at + 18])
        whole.append(Frame(at, end, content, content if content is not None else blocks * _MAX_BLOCK))
        at = end
    return Frames(tuple(whole), None)


class _BadFrameError(Exception):
    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset


def _content(start: bytes) -> int | None:
    # How many bytes a frame says it holds; none where it is to be skipped.
    if start[:4] != MAGIC:
        return 0
    try:
        size = zstandard.frame_content_size(start)
    except zstandard.ZstdError:
        return None
    return size if size >= 0 else None


def _frame_end(data: mmap.mmap, at: int, size: int) -> tuple[int, int]:
    # Where the frame that begins at ``at`` ends, and how many blocks it has; raises where the file ends first, or no
    # frame can be.
    cut_short, no_frame = _BadFrameError("cut short", size), _BadFrameError("not a zstd frame", at)
    if size - at < 5:
        raise cut_short if MAGIC.startswith(data[at : at + 4]) else no_frame
    if data[at + 1 : at + 4] == _SKIPPABLE and data[at] >> 4 == 5:
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        if end > size:
            raise cut_short
        return end, 0
    if data[at : at + 4] != MAGIC:
        raise no_frame
    descriptor = data[at + 4]
    single = descriptor >> 5 & 1
    content = (single, 2, 4, 8)[descriptor >> 6]
    place = at + 5 + (1 - single) + (0, 1, 2, 4)[descriptor & 3] + content
    last, blocks = False, 0
    while not last:
        if place + 3 > size:
            raise cut_short
        head = data[place] | data[place + 1] << 8 | data[place + 2] << 16
        last, kind, length = bool(head & 1), head >> 1 & 3, head >> 3
        if kind == 3 or (kind != 1 and length > _MAX_BLOCK):
            raise _BadFrameError("not a zstd frame", place)
        place += 3 + (1 if kind == 1 else length)
        blocks += 1
    place += 4 * (descriptor >> 2 & 1)
    if place > size:
        raise cut_short
    return place, blocks
