"""Where in a file the records of a time lie, found without reading the file.

The records of a file lie in the order of ``ts_recv``, so a few looks tell: into a plain file anywhere, into a
compressed one frame by frame, where its frames say how much they hold. What is looked at is not checked: whether a file
is whole tells only its reader.
"""

import os
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import lru_cache, partial
from itertools import accumulate
from typing import Protocol

import numpy as np
import zstandard

from spyctl.dbn.reader import DBNFile
from spyctl.dbn.records import Records
from spyctl.dbn.sort_times import effective_recv
from spyctl.dbn.zstd import Frames
from spyctl.errors import DamagedFileError

_LARGEST_FRAME = 64_000_000  # unpacked bytes; to look into a larger one takes as long as reading on
_FRAMES_KEPT = 4
_ROOM = 4_096  # records
_SAMPLED = 4_096
_BLOCK = 1 << 20
_WORKERS, _AHEAD = 2, 3  # what is read and unpacked while what lies before it is looked at

_Part = Callable[[], bytes]  # some bytes, yet to be read


class _Content(Protocol):
    # The unpacked bytes of a file.
    def read(self, offset: int, size: int) -> bytes: ...

    def parts(self, offset: int) -> Iterator[_Part]: ...  # all of them from an offset on


class Places:
    """The records of a file by number, from 0: as many as ``count``."""

    def __init__(self, file: DBNFile, count: int, content: _Content) -> None:
        self.count = count
        self._dtype = file.dtype
        self._start = file.header.size
        self._content = content

    def record(self, number: int) -> bytes:
        """Return a record."""
        size = self._dtype.itemsize
        return self._content.read(self._start + number * size, size)

    def recv_ns(self, number: int) -> int:
        """Return the effective ``ts_recv`` of a record."""
        return int(effective_recv(np.frombuffer(self.record(number), self._dtype))[0])

    def at(self, ns: int) -> Iterator[bytes]:
        """Yield the records received at an instant."""
        for number in range(self.first_from(ns), self.count):
            if self.recv_ns(number) != ns:
                return
            yield self.record(number)

    def records(self, size: int, start: int = 0) -> Generator[Records, None, None]:
        """Yield the records from number ``start`` on, at most ``size`` at a time.

        Raises :class:`DamagedFileError` where they cannot be unpacked, or the file has shrunk.
        """
        step = self._dtype.itemsize
        rest = np.empty(0, np.uint8)
        with closing(_read_ahead(self._content.parts(self._start + start * step))) as parts:
            for part in parts:
                data = np.frombuffer(part, np.uint8)
                if len(rest):  # of a record that lies in two parts, or in more
                    missing = step - len(rest)
                    rest, data = np.concatenate([rest, data[:missing]]), data[missing:]
                    if len(rest) < step:
                        continue
                    yield rest.view(self._dtype)
                whole = len(data) // step * step
                records = data[:whole].view(self._dtype)
                for first in range(0, len(records), size):
                    yield records[first : first + size]
                rest = data[whole:]

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
        return Places(file, (file.size - file.header.size) // file.dtype.itemsize, _Plain(file))
    frames = file.frames
    if frames.content is None or max(frame.content_at_most for frame in frames.whole) > _LARGEST_FRAME:
        return None
    return Places(file, (frames.content - file.header.size) // file.dtype.itemsize, _Packed(file, frames))


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


def _read_ahead(parts: Iterator[_Part]) -> Generator[bytes, None, None]:
    # The parts in order; those behind the first one are read while the ones before them are looked at.
    if (first := next(parts, None)) is None:
        return
    yield first()
    ahead: deque[Future[bytes]] = deque()
    pool = ThreadPoolExecutor(_WORKERS)
    try:
        for part in parts:
            ahead.append(pool.submit(part))
            if len(ahead) > _AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class _Plain:
    def __init__(self, file: DBNFile) -> None:
        self._file = file
        self._data = np.memmap(file.path, np.uint8, "r")

    def read(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size].tobytes()

    def parts(self, offset: int) -> Iterator[_Part]:
        for start in range(offset, len(self._data), _BLOCK):
            yield partial(self._part, start)

    def _part(self, start: int) -> bytes:
        size, path = min(_BLOCK, len(self._data) - start), self._file.path
        try:
            with path.open("rb", buffering=0) as file:
                data = os.pread(file.fileno(), size, start)
        except OSError as error:
            raise DamagedFileError(str(path), f"cannot be read ({error.strerror})", offset=start) from None
        if len(data) < size:
            raise DamagedFileError(str(path), "shrunk since it was looked at", offset=start + len(data))
        return data


class _Packed:
    def __init__(self, file: DBNFile, frames: Frames) -> None:
        self._path = str(file.path)
        self._packed = np.memmap(file.path, np.uint8, "r")
        self._frames = frames.whole
        self._starts = list(accumulate((frame.content or 0 for frame in frames.whole), initial=0))
        self._kept = lru_cache(_FRAMES_KEPT)(self._unpack)

    def read(self, offset: int, size: int) -> bytes:
        data = b""
        while len(data) < size:
            at = offset + len(data)
            number = self._at(at)
            data += self._kept(number)[at - self._starts[number] :][: size - len(data)]
        return data

    def parts(self, offset: int) -> Iterator[_Part]:
        first = self._at(offset)
        yield lambda: self._kept(first)[offset - self._starts[first] :]
        for number in range(first + 1, len(self._frames)):
            yield partial(self._unpack, number)

    def _at(self, offset: int) -> int:
        return min(bisect_right(self._starts, offset), len(self._frames)) - 1

    def _unpack(self, number: int) -> bytes:
        frame = self._frames[number]
        try:
            return zstandard.ZstdDecompressor().decompress(self._packed[frame.start : frame.end].tobytes())
        except zstandard.ZstdError:
            raise DamagedFileError(self._path, "corrupt zstd data", offset=frame.start) from None
