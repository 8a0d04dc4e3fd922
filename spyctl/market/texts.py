"""Texts of different lengths in one buffer, copied many at once without looking at a byte.

numpy copies items of one size, but from any byte to any byte. A text is covered by two blocks, one from its start and
one up to its end, wherever it is at most twice as long as the shorter of them; so texts are copied in groups of about
the same length, with one block for what the shortest has and one for what the others have more. Where something is
written behind a text afterwards, one block will do, as long as the longest of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Places = NDArray[np.intp]
_COPIED = 1 << 17  # bytes: what is copied at once should stay in the cache


class Placeable(Protocol):
    """What can be written into a buffer, text by text."""

    @property
    def lengths(self) -> Places:
        """How many bytes each text has."""
        ...

    def place(self, out: Bytes, at: Places) -> None:
        """Copy each text to its place in a buffer; they must fit there, and must not overlap."""
        ...


class Bounds(NamedTuple):
    """What is true of some texts: none is shorter than ``least`` or longer than ``most``, or starts behind ``last``."""

    least: int
    most: int
    last: int


@dataclass(slots=True)
class Texts:
    """Text i is ``data[starts[i] : starts[i] + lengths[i]]``."""

    data: Bytes
    starts: Places
    lengths: Places
    _bounds: Bounds | None = field(default=None, repr=False)

    @classmethod
    def of(cls, texts: Sequence[bytes], end: bytes = b"") -> Self:
        """Hold some texts, each followed by ``end``, which is not part of it."""
        lengths = np.fromiter(map(len, texts), np.intp, len(texts))
        data = np.frombuffer(end.join((*texts, b"")), np.uint8)
        return cls(data, np.cumsum(lengths + len(end)) - lengths - len(end), lengths)

    @classmethod
    def split(cls, data: bytes) -> Self:
        """Hold lines, each with the newline at its end."""
        buffer = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(buffer == ord("\n")) + 1
        lengths = np.diff(ends, prepend=0)
        return cls(buffer, ends - lengths, lengths)

    @classmethod
    def joined(cls, groups: "Sequence[Texts]") -> Self:
        """Copy the texts of all groups, each with a newline behind it."""
        lengths = np.concatenate([texts.lengths for texts in groups])
        data = np.frombuffer(b"".join(texts.lines() for texts in groups), np.uint8)
        return cls(data, np.cumsum(lengths + 1) - lengths - 1, lengths)

    @classmethod
    def gathered(cls, groups: "Sequence[tuple[Places, Texts]]") -> "Texts":
        """Hold all texts of some groups; each comes with the numbers of its texts among all."""
        if len(groups) == 1:
            return groups[0][1]
        starts = np.empty(sum(len(texts) for _, texts in groups), np.intp)
        lengths = np.empty(len(starts), np.intp)
        offsets = accumulate((len(texts.data) for _, texts in groups), initial=0)
        for offset, (numbers, texts) in zip(offsets, groups, strict=False):
            starts[numbers] = texts.starts + offset
            lengths[numbers] = texts.lengths
        return cls(np.concatenate([texts.data for _, texts in groups]), starts, lengths)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, wanted: "slice | Places") -> "Texts":
        """Return some of the texts, or all in another order; nothing is copied."""
        return Texts(self.data, self.starts[wanted], self.lengths[wanted], self._bounds)

    @property
    def ends(self) -> Places:
        """Where each text ends."""
        return self.starts + self.lengths

    @property
    def bounds(self) -> Bounds:
        """What is true of them, and of those among which they were chosen; there must be a text."""
        if self._bounds is None:
            self._bounds = Bounds(int(self.lengths.min()), int(self.lengths.max()), int(self.starts.max()))
        return self._bounds

    def without(self, before: int, behind: int) -> "Texts":
        """Return the texts without so many bytes at the start, and at the end, of each."""
        return Texts(self.data, self.starts + before, self.lengths - (before + behind))

    def single(self) -> list[bytes]:
        """Return the texts one by one."""
        data = self.data.data
        return [bytes(data[start:end]) for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True)]

    def lines(self) -> memoryview:
        """Return all texts, each followed by a newline; without a copy where they lie like that."""
        if not len(self):
            return memoryview(b"")
        ends = self.ends
        if (
            ends[-1] < len(self.data)
            and (self.starts[1:] == ends[:-1] + 1).all()
            and (self.data[ends] == ord("\n")).all()
        ):
            return self.data.data[int(self.starts[0]) : int(ends[-1]) + 1]
        return SideBySide([self, repeated(b"\n", len(self))]).joined().data.data

    def raveled(self) -> "Texts":
        """Return the texts row by row."""
        return Texts(self.data, self.starts.ravel(), self.lengths.ravel(), self._bounds)

    def place_in_order(self, out: Bytes, at: Places, room: int) -> None:
        """Copy each text to its place in a buffer, where each begins at the end of the one before or behind it."""
        self.place(out, at, min(room, self.bounds.least) if _in_order() else 0)

    def place(self, out: Bytes, at: Places, room: int = 0) -> None:
        """Copy each text to its place in a buffer; they must fit there, and must not overlap.

        So many bytes of ``room`` behind each are written afterwards.
        """
        if not len(self):
            return
        least, most, last = self.bounds
        if most - least <= room and last + most <= len(self.data):
            _copy_blocks(self.data, self.starts, out, at, most)
        else:
            _copy(self.data, self.starts, out, at, self.lengths)


def repeated(text: bytes, count: int) -> Texts:
    """Return the same text so many times."""
    return Texts(np.frombuffer(text, np.uint8), np.zeros(count, np.intp), np.full(count, len(text), np.intp))


class SideBySide:
    """Rows of texts: each is made of a text of every part, one behind the other.

    A part whose places have two dimensions gives several texts a row.
    """

    def __init__(self, parts: Sequence[Texts]) -> None:
        self._parts = parts
        self._offsets: list[Places] = []
        self.lengths: Places = np.zeros(len(parts[0]), np.intp)
        for part in parts:
            self._offsets.append(self._offsets_of(part.lengths))

    def _offsets_of(self, lengths: Places) -> Places:
        # Where in a row the texts of a part begin; they make it longer.
        if lengths.ndim == 1:
            offsets = self.lengths
            self.lengths = self.lengths + lengths
            return offsets
        offsets = np.empty_like(lengths)
        for i, column in enumerate(lengths.T):
            offsets[:, i] = self.lengths
            self.lengths = self.lengths + column
        return offsets

    def place(self, out: Bytes, at: Places) -> None:
        """Copy each row to its place in a buffer; they must fit there, and must not overlap."""
        if not len(at):
            return
        for part, offsets, behind in zip(self._parts, self._offsets, (*self._parts[1:], None), strict=True):
            room = behind.bounds.least if behind is not None else 0
            if offsets.ndim == 1:
                part.place(out, at + offsets, room)
            else:
                part.raveled().place_in_order(out, (offsets + at[:, None]).ravel(), room)

    def joined(self) -> Texts:
        """Return the rows as texts, one behind the other."""
        starts = np.cumsum(self.lengths) - self.lengths
        out = np.empty(int(self.lengths.sum()), np.uint8)
        self.place(out, starts)
        return Texts(out, starts, self.lengths)


def _copy(source: Bytes, starts: Places, out: Bytes, at: Places, lengths: Places) -> None:
    least, most = int(lengths.min()), int(lengths.max())
    if most > 2 * least:
        short = lengths <= 2 * least
        for group in (short, ~short):
            _copy(source, starts[group], out, at[group], lengths[group])
        return
    _copy_blocks(source, starts, out, at, least)
    if most > least:
        shift = lengths - (most - least)
        _copy_blocks(source, starts + shift, out, at + shift, most - least)


def _copy_blocks(source: Bytes, starts: Places, out: Bytes, at: Places, size: int) -> None:
    if not size:
        return
    blocks, places = _blocks(source, size), _blocks(out, size)
    step = max(1, _COPIED // size)
    for first in range(0, len(starts), step):
        places[at[first : first + step]] = blocks[starts[first : first + step]]


@cache
def _in_order() -> bool:
    # Whether numpy copies blocks in the order of their places: it does, but promises nothing.
    count, size, step = 256, 64, 32
    numbers, places = np.arange(count, dtype=np.uint8), np.arange(count)
    out = np.zeros(count * size, np.uint8)
    _blocks(out, size)[places * step] = _blocks(np.repeat(numbers, size), size)[places * size]
    return np.array_equal(out[: count * step], np.repeat(numbers, step))


def _blocks(buffer: Bytes, size: int) -> NDArray[Any]:
    # Blocks of some bytes, one from each byte of a buffer on.
    return np.ndarray((len(buffer) - size + 1,), _block_dtype(size), buffer, strides=(1,))


@cache
def _block_dtype(size: int) -> np.dtype[np.void]:
    return np.dtype(f"V{size}")
