"""Events on disk that wait for the server, where they are too many for memory; they outlive the process.

A spool is a folder of blocks, oldest first; each is a zstd frame with a checksum. A block is written under another name
first, so that what a killed process leaves is whole; it is read when everything before it is stored, and deleted when
the stream holds all of it. So of the blocks left behind only the first is in doubt, and its events lie behind a
sequence of the stream that is noted.
"""

import fcntl
import os
import shutil
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import zstandard

from spyctl.live import pending
from spyctl.live.pending import Pending

KEPT_FREE = 256_000_000  # bytes of the disk that are left to others
_LEVEL = 1


def spool_folder(stream: str, born: str) -> Path:
    """Return the folder for the events of a stream, which was made at ``born``."""
    from platformdirs.unix import Unix

    return Unix("spyctl").user_state_path / "spool" / f"{stream}-{sha256(born.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Block:
    """A file of events: how many there are, how many of them came from a feed, and its bytes."""

    path: Path
    number: int
    count: int
    from_feeds: int
    size: int

    @classmethod
    def of(cls, path: Path) -> "Block":
        """Read a block's name. Raises :class:`ValueError` where it is not one, :class:`OSError`."""
        number, count, from_feeds = map(int, path.stem.split("-"))
        return cls(path, number, count, from_feeds, path.stat().st_size)

    def events(self) -> list[Pending]:
        """Return its events. Raises :class:`ValueError`, :class:`TypeError` and :class:`OSError` where that fails."""
        events = list(pending.read(_unpacked(self.path.read_bytes())))
        if len(events) != self.count:
            raise ValueError("not whole")
        return events


class Spool:
    """The blocks of one stream; ``limit`` is in bytes, ``len()`` counts the events not yet read.

    ``last_seq`` is the stream's last sequence now. ``recovered`` counts what an earlier process has left of feeds.
    Raises :class:`OSError` where the folder cannot be used, or another process uses it.
    """

    def __init__(self, folder: Path, limit: int, last_seq: int) -> None:
        self.limit = limit
        self._folder = folder
        self._seq_path = folder / "seq"
        self._last_seq = last_seq
        folder.mkdir(0o700, parents=True, exist_ok=True)
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for part in folder.glob("*.part"):
                part.unlink()
            self._unread = deque(sorted(map(Block.of, folder.glob("*.block")), key=lambda block: block.number))
            if not self._unread:
                self._seq_path.unlink(missing_ok=True)
        except (OSError, ValueError) as error:
            os.close(self._lock)
            raise OSError(*error.args) from None
        self._count = sum(block.count for block in self._unread)
        self._size = sum(block.size for block in self._unread)
        self._reading: Block | None = None
        self._known: Collection[str] = ()
        self._last_number = self._unread[-1].number if self._unread else 0
        self._old_number = self._last_number  # up to there from an earlier process
        self.recovered = sum(block.from_feeds for block in self._unread)

    def __len__(self) -> int:
        return self._count - len(self._known)

    @property
    def empty(self) -> bool:
        """Whether nothing is on disk, not even what is being published."""
        return not self._unread and self._reading is None

    @property
    def in_doubt(self) -> tuple[int, frozenset[str]]:
        """Return which identities the stream may hold, though nobody has noted it, and behind which sequence."""
        try:
            after_seq = int(self._seq_path.read_text())
            return after_seq, frozenset(event.identity for event in self._unread[0].events())
        except (IndexError, OSError, ValueError, TypeError):  # nothing was published, or what was cannot be read
            return 0, frozenset()

    @property
    def unread(self) -> bool:
        """Whether there is another block to read."""
        return bool(self._unread)

    def append(self, events: Sequence[Pending]) -> bool:
        """Write a block; returns whether there was room for it."""
        data = zstandard.ZstdCompressor(_LEVEL, write_checksum=True).compress(pending.written(events))
        from_feeds = sum(bool(event.feed) for event in events)
        path = self._folder / f"{self._last_number + 1:012}-{len(events)}-{from_feeds}.block"
        try:
            if self._size + len(data) > self.limit or shutil.disk_usage(self._folder).free < len(data) + KEPT_FREE:
                return False
            _write(path, data)
        except OSError:
            return False
        self._last_number += 1
        self._count += len(events)
        self._size += len(data)
        self._unread.append(Block(path, self._last_number, len(events), from_feeds, len(data)))
        return True

    def read(self) -> tuple[list[Pending], int]:
        """Return the events of the next block, and how many of feeds are missing because it cannot be read."""
        self._reading = block = self._unread.popleft()
        self._count -= block.count
        known, self._known = self._known, ()
        try:
            events = [event for event in block.events() if event.identity not in known]
        except (OSError, ValueError, TypeError):
            return [], block.from_feeds
        if block.number <= self._old_number:  # when they came, only the clock of that process knew
            events = [replace(event, received_ns=0) for event in events]
        return events, 0

    def acknowledge(self, seq: int | None) -> None:
        """Delete the block that was read: the stream holds it. ``seq`` is the last sequence so far, if it is known."""
        done, self._reading = self._reading, None
        self._size -= done.size if done is not None else 0
        self._last_seq = self._last_seq if seq is None else seq
        with suppress(OSError):  # in this order: a sequence that is too low costs time, one too high an event twice
            if done is not None:
                done.path.unlink(missing_ok=True)
            if self._unread:
                _write(self._seq_path, str(self._last_seq).encode())
            else:
                self._seq_path.unlink(missing_ok=True)

    def leave_out(self, stored: Collection[str]) -> None:
        """Leave out of the first block what the stream is known to hold, by its identities."""
        with suppress(OSError, ValueError, TypeError):  # one that cannot be read is told when it is its turn
            self._leave_out([event for event in self._unread[0].events() if event.identity in stored])

    def close(self) -> None:
        """Let another process have it; an empty one leaves nothing behind."""
        if self.empty:
            with suppress(OSError):
                (self._folder / "lock").unlink()
                self._folder.rmdir()
        os.close(self._lock)

    def _leave_out(self, known: Sequence[Pending]) -> None:
        self._known = {event.identity for event in known}
        self.recovered -= sum(bool(event.feed) for event in known)


def _unpacked(data: bytes) -> bytes:
    frame = zstandard.ZstdDecompressor().decompressobj()
    try:
        text = frame.decompress(data)
    except zstandard.ZstdError as error:
        raise ValueError("damaged") from error
    if not frame.eof:
        raise ValueError("not whole")
    return text


def _write(path: Path, data: bytes) -> None:
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
