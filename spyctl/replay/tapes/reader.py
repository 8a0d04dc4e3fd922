"""Reading a tape from its beginning: whole lines out of zstd frames or plain text, with what is wrong in it.

A frame that is damaged is left out and reading goes on with the next whole one, so a flipped byte costs one frame.
"""

import mmap
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import zstandard

from spyctl.dbn.zstd import ZstdReader, frame_at, frame_behind, is_zstd
from spyctl.errors import DamagedFileError
from spyctl.market.subjects import subject_table
from spyctl.replay.tapes.lines import UNKNOWN, Lines, read_lines
from spyctl.terminal.text import reasons_text

PIECE = 1 << 22  # bytes of text read at once
LONGEST_LINE = 1 << 24
_MOST_PLACES = 20
_PREFIX = re.compile(rb'"subject":"(?:([A-Za-z0-9_-]+)\.)?market\.')
AGAIN = "what is whole is played; record that time again while the stream still holds it"


@dataclass(slots=True)
class Findings:
    """What reading tapes has met: ``lines`` counts all of them, ``rejected`` those that are left out, by reason.

    ``places`` name the first of the rejected lines.
    """

    lines: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    places: list[str] = field(default_factory=list)
    damage: list[DamagedFileError] = field(default_factory=list)

    @property
    def unnamed(self) -> int:
        """How many of the rejected lines ``places`` do not name."""
        return max(0, self.rejected.total() - len(self.places))

    def problems(self, name: str) -> list[str]:
        """Say what is wrong with a tape of that name: damage, how many lines are left out where not each is named, and
        their places."""
        problems = [damage.message for damage in self.damage]
        if self.unnamed:
            problems.append(f"{name}: {self.rejected.total():,} lines are left out: {reasons_text(self.rejected)}")
        return problems + self.places

    def reject(self, reason: str, place: str, count: int = 1) -> None:
        """Note lines that are left out."""
        self.rejected[reason] += count
        if len(self.places) < _MOST_PLACES:
            self.places.append(place)


class Place(NamedTuple):
    """A place in a tape at which reading can begin: its byte, how many lines are before it, and the newest sequence and
    stored time of these."""

    offset: int = 0
    lines: int = 0
    seq: int = UNKNOWN
    stored_ns: int = UNKNOWN


Advance = Callable[[float], None]  # takes how many bytes of a file were just read


def tell_nobody(_: float) -> None:
    """Progress that nobody wants to see."""


class TapeReader:
    """Reads one tape, or what comes through a pipe; ``prefix`` is known once the first line is read.

    Of a packed file that is written to meanwhile, so many bytes are read as are its ``size``.
    ``last_seq`` is the highest sequence so far, also of lines that hold no event. ``place`` is behind the lines that
    were given last, ``None`` where reading cannot begin there.
    """

    def __init__(
        self,
        source: Path | BinaryIO,
        findings: Findings | None = None,
        *,
        name: str = "",
        advance: Advance = tell_nobody,
        size: int | None = None,
    ) -> None:
        self.name = name or str(source)
        self.findings = findings if findings is not None else Findings()
        self.prefix = ""
        self.place: Place | None = None
        self._source = source
        self._advance = advance
        self._size = size
        self._subjects: tuple[str, ...] = ()
        self._line = 0
        self.last_seq = UNKNOWN
        self._newest = (UNKNOWN, UNKNOWN)  # sequence and stored time

    @property
    def subjects(self) -> tuple[str, ...]:
        """The table of subjects under the prefix of this tape."""
        return self._subjects or subject_table(self.prefix)

    def lines(self, start: Place | None = None) -> Iterator[Lines]:
        """Yield the messages in order, from a place of a file on, about :data:`PIECE` bytes at a time.

        Damage goes to ``findings``.
        """
        start = start or Place()
        self._line, self.last_seq, self._newest = start.lines, start.seq, (start.seq, start.stored_ns)
        for text, end in self._whole_lines(start.offset):
            if not self._subjects and (found := _PREFIX.search(text)) is not None:
                self.prefix = (found[1] or b"").decode()
                self._subjects = subject_table(self.prefix)
            lines = read_lines(text, self.subjects)
            count = len(lines) + len(lines.bad)
            for bad in lines.bad:
                number = self._line + 1 + text.count(b"\n", 0, bad.offset)
                self.findings.reject("no_event", f"{self.name}: line {number:,}: {bad.reason}")
                self.last_seq = max(self.last_seq, bad.seq)
            lines = self._in_order(lines)
            self._line += count
            self.findings.lines += count
            if len(lines):
                self.last_seq = max(self.last_seq, self._newest[0])
                self.place = Place(end, self._line, *self._newest) if end is not None else None
                yield lines

    def _in_order(self, lines: Lines) -> Lines:
        # Leaves out what came before; a stream that was made anew counts from 1 again, at a later time.
        seq, stored_ns = lines.seq, lines.stored_ns
        if not len(lines) or (seq[0] > self._newest[0] and (np.diff(seq) > 0).all()):
            if len(lines):
                self._newest = int(seq[-1]), int(stored_ns.max())
            return lines
        newest_seq, newest_ns = self._newest
        kept = np.ones(len(lines), bool)
        for i, (number, ns) in enumerate(zip(seq.tolist(), stored_ns.tolist(), strict=True)):
            if number == UNKNOWN:
                continue
            if number <= newest_seq and ns <= newest_ns:
                kept[i] = False
                place = self._line + 1 + lines.text.count(b"\n", 0, int(lines.starts[i]))
                text = f"{self.name}: line {place:,}: sequence {number:,} comes after {newest_seq:,}: left out"
                self.findings.reject("sequence_goes_back", text)
                continue
            newest_seq, newest_ns = number, max(newest_ns, ns)
        self._newest = newest_seq, newest_ns
        return lines if kept.all() else lines[kept]

    def _whole_lines(self, offset: int) -> "Iterator[tuple[bytes, int | None]]":
        # Each with its end in the file, where a line begins there that can be read without what is before.
        rest = b""
        for piece, end_at in self._pieces(offset):
            if not piece:
                rest = b""  # what follows damage does not continue what was before
                continue
            end = piece.rfind(b"\n") + 1
            if end:
                text, rest = rest + piece[:end], piece[end:]
                yield text, end_at if not rest else None
            else:
                rest += piece
            if len(rest) > LONGEST_LINE:
                self._note("a line that does not end", 0)
                return
        if rest:
            yield rest + b"\n", None

    def _note(self, reason: str, offset: int) -> None:
        self.findings.damage.append(DamagedFileError(self.name, reason, offset=offset, remedy=AGAIN))

    def _pieces(self, offset: int) -> "Iterator[tuple[bytes, int | None]]":
        # Text as it comes, with its end in the file where that is known; an empty piece where some is missing.
        if isinstance(self._source, Path):
            try:
                with self._source.open("rb") as file:
                    if is_zstd(file.read(4)):
                        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                            yield from self._frames(data, offset)
                        return
                    file.seek(offset)
                    while lines := file.read(PIECE):
                        lines += file.readline(LONGEST_LINE)
                        self._advance(len(lines))
                        yield lines, file.tell()
            except OSError as error:
                self._note(f"cannot be read ({error.strerror})", 0)
            return
        for piece in self._stream(self._source):
            yield piece, None

    def _stream(self, stream: BinaryIO) -> Iterator[bytes]:
        read = getattr(stream, "read1", stream.read)  # what is there, without waiting for more
        first = stream.read(4)
        if not is_zstd(first):
            yield from filter(None, [first])
            yield from iter(lambda: read(PIECE), b"")
            return
        reader = ZstdReader(_Joined(first, stream), self.name)
        with suppress(DamagedFileError):
            try:
                yield from iter(lambda: reader.read(PIECE), b"")
            except DamagedFileError as error:
                self._note(error.reason, error.offset)
                raise

    def _frames(self, data: mmap.mmap, at: int) -> "Iterator[tuple[bytes, int | None]]":
        size = min(len(data), self._size) if self._size is not None else len(data)
        while at < size:
            frame = frame_at(data, at)
            whole = frame is not None
            if frame is not None:
                try:
                    for piece, last in _unpacked(data[frame.start : frame.end]):
                        yield piece, frame.end if last else None
                    self._advance(frame.end - at)
                    at = frame.end
                    continue
                except zstandard.ZstdError:
                    pass
            behind = frame_behind(data, at)
            self._note("corrupt zstd data" if whole or behind is not None else "cut short", at)
            yield b"", None
            at = behind.start if behind is not None else size


class _Joined:
    # A stream with some bytes before it.
    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int) -> bytes:
        head, self._head = self._head[:size], self._head[size:]
        return head or self._stream.read(size)


def _unpacked(frame: bytes) -> Iterator[tuple[bytes, bool]]:
    # Pieces, and whether that is the last one. A frame may unpack to any size, and is checked as a whole: what was
    # given before its end counts.
    with zstandard.ZstdDecompressor().stream_reader(frame) as reader:
        piece = reader.read(PIECE)
        while piece:
            following = reader.read(PIECE)
            yield piece, not following
            piece = following
