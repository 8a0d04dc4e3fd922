"""Writing one tape: a zstd frame at a time, on disk before anybody is told."""

import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson
import zstandard

from spyctl.dbn.zstd import frame_at, frame_behind
from spyctl.errors import FullDiskError, path_text
from spyctl.market.lines import StreamMessage, holds_object, json_lines
from spyctl.market.subjects import subject_table
from spyctl.replay.tapes.contents import Contents, Missing, Sidecar, sidecar_path, sync_folder, write_whole
from spyctl.replay.tapes.lines import read_lines
from spyctl.replay.tapes.milestones import Milestone, Milestones, beside
from spyctl.replay.tapes.reader import Place
from spyctl.timing.clock import Clock
from spyctl.timing.instants import SECOND

FRAME_BYTES = 4_000_000
LEVEL = 3
SIDECAR_EVERY_NS = 10 * SECOND
_AROUND = 80  # bytes of a line beside subject and payload, at most


class TapeWriter:
    """A tape that is appended to, and the ``.json`` beside it; ``contents`` are those it has already.

    The milestones beside it are those of ``milestones``, which were set so far. Raises :class:`OSError`.
    """

    def __init__(
        self, path: Path, sidecar: Sidecar, contents: Contents, clock: Clock, milestones: Sequence[Milestone] = ()
    ) -> None:
        self.path = path
        self.contents = contents
        self.size = path.stat().st_size if path.exists() else 0
        self._sidecar = sidecar
        self._clock = clock
        self._due_ns = 0
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True)
        sidecar.whole = False
        self._write_sidecar()  # before the tape: without it nobody knows of which stream that is
        self._file = path.open("ab", buffering=0)
        sync_folder(path.parent)
        self._subjects = subject_table(sidecar.origin.prefix)
        self._milestones = Milestones(milestones[-1] if milestones else None)
        self._place = milestones[-1].place if milestones else Place()
        self._milestone_file = beside(path)
        self._milestone_file.begin(milestones)

    def append(self, messages: Sequence[StreamMessage]) -> None:
        """Append messages of the stream; they are on disk when this returns.

        Raises :class:`FullDiskError` or :class:`OSError`, after which the tape ends where it did before.
        """
        parts = _frames(messages)
        ends: list[int] = []
        texts = [json_lines(part) for part in parts]
        with self._full_disk_told():
            try:
                for text in texts:
                    frame = memoryview(self._compressor.compress(text))
                    ends.append((ends[-1] if ends else self.size) + len(frame))
                    while frame:
                        frame = frame[self._file.write(frame) :]
                os.fsync(self._file.fileno())
            except OSError:
                with suppress(OSError):
                    self._file.truncate(self.size)
                raise
        self.size = os.fstat(self._file.fileno()).st_size
        for part, text, end in zip(parts, texts, ends, strict=True):
            self._set_milestone(text, end)
            events = part
            if b'"undecoded":' in text:
                events = [message for message in part if holds_object(message.payload)]
            self.contents.add(events, len(part) - len(events))

    def read_to(self, seq: int) -> None:
        """Note up to which sequence the stream was read; the ``.json`` is renewed now and then."""
        self._sidecar.read_to_seq = seq
        if self._clock.now_ns() >= self._due_ns:
            self._write_sidecar()

    def note_missing(self, missing: Missing) -> None:
        """Note what the stream no longer held when it was to be recorded."""
        self._sidecar.gaps.append(missing)
        self._write_sidecar()

    def close(self, *, in_order: bool = True) -> None:
        """Close the tape; its ``.json`` says that it was ended ``in_order``."""
        self._file.close()
        if in_order and (milestone := self._milestones.end()) is not None:
            self._milestone_file.add(milestone)
        if in_order:
            self._sidecar.whole = True
            self._write_sidecar()

    @contextmanager
    def _full_disk_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in FullDiskError.ERRNOS:
                raise FullDiskError(path_text(self.path), self.contents.all.last_seq) from None
            raise

    def _set_milestone(self, text: bytes, end: int) -> None:
        lines = read_lines(text, self._subjects)
        number = self._place.lines + len(lines) + len(lines.bad)
        newest = (int(lines.seq[-1]), int(lines.stored_ns.max())) if len(lines) else self._place[2:]
        self._place = Place(end, number, *newest)
        if (milestone := self._milestones.add(lines, self._place)) is not None:
            self._milestone_file.add(milestone)

    def _write_sidecar(self) -> None:
        document = self._sidecar.document(self.contents, self.size)
        with self._full_disk_told():
            write_whole(sidecar_path(self.path), orjson.dumps(document, option=orjson.OPT_INDENT_2))
        self._due_ns = self._clock.now_ns() + SIDECAR_EVERY_NS


def _frames(messages: Sequence[StreamMessage]) -> list[Sequence[StreamMessage]]:
    # Messages whose lines make a frame each.
    parts, start, size = [], 0, 0
    for i, message in enumerate(messages):
        needs = len(message.payload) + len(message.subject) + _AROUND
        if size + needs > FRAME_BYTES and i > start:
            parts.append(messages[start:i])
            start, size = i, 0
        size += needs
    return [*parts, messages[start:]]


def cut_to_whole_frames(path: Path) -> int:
    """Cut off what lies behind the last whole frame of a tape; returns how many bytes that were."""
    size = path.stat().st_size
    if not size:
        return 0
    end = 0
    with path.open("r+b") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            while end < size and (frame := frame_at(data, end) or frame_behind(data, end)) is not None:
                end = frame.end
        if end < size:
            file.truncate(end)
            os.fsync(file.fileno())
    return size - end
