"""The tapes of one stream in a folder: one a New York trading day, and what an earlier process left of them.

The day is that of the *stored* time. That time grows with the sequence, so a tape is one stretch of the stream, and is
never opened again once the next one has begun; event time would scatter a rehearsal of an old day over old tapes.
"""

import fcntl
import os
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from spyctl.errors import DamagedFileError, UsageError, path_text
from spyctl.market.lines import StreamMessage
from spyctl.market.sessions import trading_day_end, trading_day_of
from spyctl.replay.tapes.contents import Contents, Missing, Origin, Sidecar, read_sidecar
from spyctl.replay.tapes.milestones import Milestone, Milestones
from spyctl.replay.tapes.names import TapeName
from spyctl.replay.tapes.reader import TapeReader
from spyctl.replay.tapes.writer import TapeWriter, cut_to_whole_frames
from spyctl.timing.clock import Clock, SystemClock

_AWAY = "move the tape away, or record into another folder"


class Recording:
    """Where the messages of a stream go, and how far that is.

    ``next_seq`` is the sequence from which on the stream has to be read, ``None`` where there is no tape of it yet.
    ``notes`` say what was found of an earlier process, ``gaps`` what the stream no longer held; ``anew`` says that the
    stream was made anew since the last tape. ``written`` are the tapes of this process, with what is on them. Raises
    :class:`UsageError` where another process records into the folder, or other subjects were,
    :class:`DamagedFileError`, :class:`OSError`.
    """

    def __init__(self, folder: Path, origin: Origin, *, clock: Clock | None = None) -> None:
        self.folder = folder
        self.origin = origin
        self.notes: list[str] = []
        self.gaps: list[Missing] = []
        self.written: list[tuple[Path, Contents]] = []  # by this process
        self.next_seq: int | None = None
        self.anew = False
        self._clock = clock or SystemClock()
        self._tape: TapeWriter | None = None
        self._name: TapeName | None = None
        self._end_ns = 0  # of the day of the tape
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(folder / f".{origin.stream}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take_over()
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def tapes(self) -> list[Path]:
        """The tapes that this process has written to, or found open."""
        return [path for path, _ in self.written]

    @property
    def tape(self) -> TapeWriter | None:
        """The tape that is written to, ``None`` before the first message."""
        return self._tape

    def write(self, messages: Sequence[StreamMessage], read_to_seq: int) -> None:
        """Append messages of the stream, in its order; they are on disk when this returns.

        The stream was read to ``read_to_seq``. What is on tape already is left out. Raises :class:`FullDiskError`,
        :class:`OSError`.
        """
        first = self.next_seq or 0
        left = [message for message in messages if message.seq >= first]
        while left:
            if self._tape is None or left[0].stored_ns >= self._end_ns:
                self._tape = self._next_tape(left[0].stored_ns)
            count = max(1, bisect_left(left, self._end_ns, key=lambda message: message.stored_ns))
            self._tape.append(left[:count])
            self.next_seq = left[count - 1].seq + 1
            left = left[count:]
        self.read_to(read_to_seq)

    def read_to(self, seq: int) -> None:
        """Note up to which sequence the stream was read."""
        self.next_seq = max(self.next_seq or 0, seq + 1)
        if self._tape is not None:
            self._tape.read_to(self.next_seq - 1)

    def note_missing(self, missing: Missing) -> None:
        """Note that the stream no longer holds some messages: what comes next is behind them."""
        self.gaps.append(missing)
        self.next_seq = missing.last_seq + 1
        if self._tape is not None:
            self._tape.note_missing(missing)

    def close(self) -> None:
        """End the tape in order, and let another process have the folder."""
        try:
            if self._tape is not None:
                self._tape.close()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Leave everything as a killed process does."""
        if self._tape is not None:
            self._tape.close(in_order=False)
            self._tape = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _next_tape(self, stored_ns: int) -> TapeWriter:
        if self._tape is not None:
            self._tape.close()
        day = trading_day_of(stored_ns)
        if self._name is None or self._name.day < day:  # else it is a further part of that day
            self._name = TapeName(self.origin.stream, day, 1)
        gaps = [] if self.written else list(self.gaps)
        sidecar = Sidecar(self.origin, self._name.day, (self.next_seq or 1) - 1, gaps)
        return self._open(self._name, sidecar, Contents())

    def _open(
        self, name: TapeName, sidecar: Sidecar, contents: Contents, milestones: Sequence[Milestone] = ()
    ) -> TapeWriter:
        path = self.folder / name.text
        writer = TapeWriter(path, sidecar, contents, self._clock, milestones)
        self._end_ns = trading_day_end(name.day)
        self.written.append((path, contents))
        return writer

    # --- what an earlier process left

    def _take_over(self) -> None:
        stream = self.origin.stream
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"another process records {stream} into {path_text(self.folder)}", "record into another folder"
            ) from None
        names = [name for path in self.folder.iterdir() if (name := TapeName.of(path)) is not None]
        self._name = max((name for name in names if name.stream == stream), default=None)
        if self._name is None:
            return
        path = self.folder / self._name.text
        sidecar, last_seq = self._sidecar_of(path)
        if cut := cut_to_whole_frames(path):
            self.notes.append(f"{path.name}: its last {cut:,} bytes were not written to their end: cut off")
        if sidecar.origin.born != self.origin.born:
            self.anew = True
            self.notes.append(f"stream {stream} was made anew since {path.name}: a new tape begins")
            self._name = self._name._replace(part=self._name.part + 1)
            return
        reader, contents = TapeReader(path), Contents()
        summed, set_so_far = Milestones(), list[Milestone]()
        for lines in reader.lines():
            contents.add(lines.messages(reader.subjects))
            if (milestone := summed.add(lines, reader.place)) is not None:
                set_so_far.append(milestone)
        if (milestone := summed.end()) is not None:
            set_so_far.append(milestone)
        contents.undecoded = reader.findings.rejected["no_event"]
        self.notes += [f"{damage.message}: that part is missing" for damage in reader.findings.damage]
        if reader.last_seq < last_seq:  # what was promised to be there is not: it is recorded again
            sidecar.read_to_seq = 0
        sidecar.read_to_seq = max(sidecar.read_to_seq, reader.last_seq)
        self.next_seq = sidecar.read_to_seq + 1
        self._tape = self._open(self._name, sidecar, contents, set_so_far)

    def _sidecar_of(self, path: Path) -> tuple[Sidecar, int]:
        # What stands beside a tape, and the last sequence that should be on it.
        found = read_sidecar(path)
        if found is None:
            raise DamagedFileError(str(path), "has no .json beside it, which says of which stream it is", remedy=_AWAY)
        sidecar, document = found
        if sidecar.origin.subjects != self.origin.subjects:
            recorded = ", ".join(sidecar.origin.subjects)
            raise UsageError(f"{path_text(path)} is a tape of {recorded}", "the same subjects, or another folder")
        return sidecar, document.get("last_seq") or 0
