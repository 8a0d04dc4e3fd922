"""Whether a file is what the vendor sent: its structure from end to end, its size and sha256 in the manifest."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import zstandard

from spyctl.dbn.file_info import DBNFileInfo, archive_of
from spyctl.dbn.file_memory import FileMemory, open_memory
from spyctl.dbn.reader import DBNFile
from spyctl.dbn.records import Records
from spyctl.dbn.sidecars import ManifestEntries
from spyctl.dbn.zstd import walk_frames
from spyctl.errors import DamagedFileError

_READ = 1 << 20
_FETCH_AGAIN = "download it again"


@dataclass(frozen=True, slots=True)
class FileCheck:
    """How a file was verified: ``by`` its ``sha256``, by its ``archive`` where it lies unpacked beside it, or by
    ``reading`` it where there is nothing to compare it with."""

    by: str
    problem: DamagedFileError | None


class KnownHashes:
    """The sha256 of files hashed before, remembered until the size or time of a file changes."""

    def __init__(self, memory: FileMemory) -> None:
        self._memory = memory

    def of(self, path: Path, advance: Callable[[int], None]) -> str:
        """Return the sha256 of a file, read only where it has changed; ``advance`` is told the bytes read."""
        status = path.stat()
        stamp = status.st_size, status.st_mtime_ns
        known = self._memory.get(path, stamp)
        if isinstance(known, str):
            return known
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while data := file.read(_READ):
                digest.update(data)
                advance(len(data))
        self._memory.put({path: (stamp, digest.hexdigest())})
        return digest.hexdigest()


def known_hashes() -> KnownHashes:
    """Open the memory of hashes in the user's cache folder."""
    return KnownHashes(open_memory("sha256"))


class Checkable(Protocol):
    """A file that can be checked: its size, what is known of it, and :meth:`chunks`, which reads it to its end."""

    @property
    def key(self) -> tuple[Path, str]: ...
    @property
    def path(self) -> Path: ...
    @property
    def size(self) -> int: ...
    @property
    def compressed(self) -> bool: ...
    @property
    def manifest(self) -> ManifestEntries: ...
    @property
    def problem(self) -> DamagedFileError | None: ...
    def chunks(self) -> Iterator[Records]: ...


def check_file(info: Checkable, hashes: KnownHashes, advance: Callable[[int], None]) -> FileCheck:
    """Verify a file against everything there is; ``advance`` is told how many of its bytes are done.

    A compressed file is followed by the headers of its frames, a plain one by its records. Where a manifest has a
    hash, the bytes are verified against it; an unpacked file against its archive, where that is still there, and
    the archive to the manifest; elsewhere the file is read and unpacked to its end.
    """
    done = 0

    def count(size: int) -> None:
        nonlocal done
        size = min(size, info.size - done)
        done += size
        advance(size)

    by = "sha256" if info.manifest.file is not None and info.manifest.file.sha256 else "reading"
    if by == "reading" and not info.compressed and archive_of(info.path).is_file():
        by = "archive"
    try:
        problem = info.problem
        if problem is None and isinstance(info, DBNFileInfo) and by == "archive":
            problem = _unlike_archive(info, hashes, count)
        problem = problem or _problem(info, hashes, count)
    except OSError as error:
        problem = DamagedFileError(str(info.path), f"cannot be read ({error.strerror})", remedy="check the disk")
    except DamagedFileError as error:
        problem = error
    advance(info.size - done)
    return FileCheck(by, problem)


def _unlike_archive(info: DBNFileInfo, hashes: KnownHashes, count: Callable[[int], None]) -> DamagedFileError | None:
    path, archive, listed = str(info.path), archive_of(info.path), info.manifest.archive
    if listed is not None and listed.sha256 is not None and hashes.of(archive, lambda _: None) != listed.sha256:
        reason = f"its archive {archive.name} is not the bytes whose sha256 manifest.json gives"
        return DamagedFileError(path, reason, remedy=_FETCH_AGAIN)
    try:
        if (problem := walk_frames(archive).problem) is not None:
            raise problem
        header, packed = info.file.header, DBNFile(archive, info.schema).header
    except DamagedFileError as error:
        return DamagedFileError(path, f"its archive {archive.name} is damaged: {error.reason}", remedy=_FETCH_AGAIN)
    unpacking = zstandard.ZstdDecompressor().stream_reader(archive.open("rb"), read_across_frames=True)
    with info.path.open("rb") as file, unpacking:
        done = 0
        if packed.version != header.version:  # rewritten, which changes the header and leaves the records
            done = len(file.read(header.size))
            unpacking.read(packed.size)
        while True:
            mine = file.read(_READ)
            try:
                theirs = unpacking.read(_READ)
            except zstandard.ZstdError:
                return DamagedFileError(path, f"its archive {archive.name} is damaged", remedy=_FETCH_AGAIN)
            if mine != theirs:
                both = zip(mine, theirs, strict=False)
                done += next((i for i, (a, b) in enumerate(both) if a != b), min(len(mine), len(theirs)))
                what = "shorter than what" if done == info.size else "not what"
                records = max(0, done - header.size) // info.file.dtype.itemsize
                reason = f"{what} its archive {archive.name} holds,"
                return DamagedFileError(path, reason, offset=done, records=records, remedy="unpack it again")
            if not mine:
                return None
            done += len(mine)
            count(len(mine))


def _problem(info: Checkable, hashes: KnownHashes, count: Callable[[int], None]) -> DamagedFileError | None:
    if info.compressed and (problem := walk_frames(info.path).problem) is not None:
        return problem
    listed = info.manifest.file
    if listed is not None and listed.size != info.size:
        reason = f"{info.size:,} bytes long, but manifest.json says {listed.size:,}"
        return DamagedFileError(str(info.path), reason, remedy=_FETCH_AGAIN)
    hashed = listed is not None and listed.sha256 is not None
    if listed is not None and hashed and hashes.of(info.path, count) != listed.sha256:
        reason = "not the bytes whose sha256 manifest.json gives"
        try:
            for _ in info.chunks():
                pass
        except DamagedFileError as error:  # the hash tells that, the records where
            return DamagedFileError(
                str(info.path), f"{reason}; {error.reason}", offset=error.offset, records=error.records,
                remedy=_FETCH_AGAIN,
            )  # fmt: skip
        return DamagedFileError(str(info.path), reason, remedy=_FETCH_AGAIN)
    if not (hashed and info.compressed):
        for chunk in info.chunks():
            count(0 if hashed else chunk.nbytes)
    return None
