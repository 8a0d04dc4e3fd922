"""Where in a file the records of a time lie, found without reading the file.

The records of a file lie in the order of ``ts_recv``, so a few looks tell: into a plain file anywhere, into a
compressed one frame by frame, where its frames say how much they hold.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import lru_cache
from itertools import accumulate

import numpy as np
import zstandard

from spyctl.dbn.reader import DBNFile
from spyctl.dbn.sort_times import effective_recv
from spyctl.dbn.zstd import Frames
from spyctl.errors import DamagedFileError

_LARGEST_FRAME = 64_000_000  # unpacked bytes; to look into a larger one takes as long as reading on
_FRAMES_KEPT = 4
_ROOM = 4_096  # records
_SAMPLED = 4_096
_Read = Callable[[int, int], bytes]  # unpacked offset and size → bytes


class Places:
    """The records of a file by number, from 0: as many as ``count``."""

    def __init__(self, file: DBNFile, count: int, read: _Read) -> None:
        self.count = count
        self._dtype = file.dtype
        self._start = file.header.size
        self._read = read

    def record(self, number: int) -> bytes:
        """Return a record."""
        size = self._dtype.itemsize
        return self._read(self._start + number * size, size)

    def recv_ns(self, number: int) -> int:
        """Return the effective ``ts_recv`` of a record."""
        return int(effective_recv(np.frombuffer(self.record(number), self._dtype))[0])

    def at(self, ns: int) -> Iterator[bytes]:
        """Yield the records received at an instant."""
        for number in range(self.first_from(ns), self.count):
            if self.recv_ns(number) != ns:
                return
            yield self.record(number)

    def start_for(self, ns: int) -> int:
        """Return a record number before which none is received at ``ns`` or later, with room for some that are not in
        the order of ``ts_recv``."""
        return max(0, self.first_from(ns) - _ROOM)

    def first_from(self, ns: int) -> int:
        """Return the number of the first record received at ``ns`` or later, ``count`` where there is none."""
        return bisect_left(range(self.count), ns, key=self.recv_ns)


def find_places(file: DBNFile) -> Places | None:
    """Return the places of the records of a file; ``None`` where only reading it from its beginning tells.

    Raises :class:`DamagedFileError` where it cannot be opened.
    """
    if file.header.schema is None:
        return None
    if not file.compressed:
        return Places(file, (file.size - file.header.size) // file.dtype.itemsize, _plain(file))
    frames = file.frames
    if frames.content is None or max(frame.content_at_most for frame in frames.whole) > _LARGEST_FRAME:
        return None
    return Places(file, (frames.content - file.header.size) // file.dtype.itemsize, _packed(file, frames))


def instrument_ids(file: DBNFile) -> frozenset[int]:
    """Return the instrument ids of some records: all over a plain file, else of the first ones."""
    if file.compressed or file.header.schema is None:
        with closing(file.chunks()) as chunks:
            ids = next(chunks, np.empty(0, file.dtype))["instrument_id"]
    else:
        count = (file.size - file.header.size) // file.dtype.itemsize
        if count == 0:
            return frozenset()
        records = np.memmap(file.path, file.dtype, "r", file.header.size, (count,))
        ids = records["instrument_id"][:: max(1, count // _SAMPLED)]
    return frozenset(np.unique(ids).tolist())


def count_at_most(file: DBNFile) -> int:
    """Return an upper bound of how many records a file holds."""
    content = file.frames.content_at_most if file.compressed else file.size
    size = 48 if file.header.schema is None else file.dtype.itemsize  # the smallest that is played
    return max(0, content - file.header.size) // size


def _plain(file: DBNFile) -> _Read:
    data = np.memmap(file.path, np.uint8, "r")

    def read(offset: int, size: int) -> bytes:
        return data[offset : offset + size].tobytes()

    return read


def _packed(file: DBNFile, frames: Frames) -> _Read:
    packed = np.memmap(file.path, np.uint8, "r")
    starts = list(accumulate((frame.content or 0 for frame in frames.whole), initial=0))

    @lru_cache(_FRAMES_KEPT)
    def unpacked(number: int) -> bytes:
        frame = frames.whole[number]
        try:
            return zstandard.ZstdDecompressor().decompress(packed[frame.start : frame.end].tobytes())
        except zstandard.ZstdError:
            raise DamagedFileError(str(file.path), "corrupt zstd data", offset=frame.start) from None

    def read(offset: int, size: int) -> bytes:
        data = b""
        while len(data) < size:
            at = offset + len(data)
            number = bisect_right(starts, at) - 1
            data += unpacked(number)[at - starts[number] :][: size - len(data)]
        return data

    return read
