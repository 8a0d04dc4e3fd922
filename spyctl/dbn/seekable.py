"""Compressed files that can only be read from their beginning, as copies in frames that say how much they hold.

Databento's files are of many frames, in which a place is found at once. One that was packed again as a single frame is
not: for jumps in it a copy is made once, in the user's cache folder, and kept for later runs.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import zstandard
from platformdirs.unix import Unix

from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.places import find_places
from spyctl.dbn.reader import DBNFile
from spyctl.errors import DamagedFileError

_FRAME_BYTES = 4 << 20
_KEPT = 8  # copies
_LEVEL = 1


def with_places(info: DBNFileInfo) -> DBNFileInfo:
    """Return a file as it can be jumped in: its copy, where it needs one and that was made."""
    if _needs_copy(info.file) and (path := _copy_of(info.file)).is_file():
        try:
            return replace(info, file=DBNFile(path))
        except DamagedFileError:
            path.unlink(missing_ok=True)
    return info


def make_copy(info: DBNFileInfo) -> None:
    """Make the copy of a file that needs one; nothing for a damaged file, and where there is no room for it.

    Takes some seconds for each GB of records.
    """
    file = info.file
    if not _needs_copy(file) or info.problem is not None or (path := _copy_of(file)).is_file():
        return
    part = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as packed:
            for frame in _frames(file):
                packed.write(zstandard.ZstdCompressor(level=_LEVEL).compress(frame))
        part.replace(path)
        for old in sorted(path.parent.glob("*.dbn.zst"), key=lambda each: -each.stat().st_mtime)[_KEPT:]:
            old.unlink(missing_ok=True)
    except (OSError, DamagedFileError):
        part.unlink(missing_ok=True)  # it is read from its beginning, then


def _needs_copy(file: DBNFile) -> bool:
    return file.compressed and file.header.schema is not None and find_places(file) is None


def _copy_of(file: DBNFile) -> Path:
    name = blake2b(f"{file.path.absolute()} {file.stamp}".encode(), digest_size=16).hexdigest()
    return Unix("spyctl").user_cache_path / "seekable" / f"{name}.dbn.zst"


def _frames(file: DBNFile) -> Iterator[bytes]:
    # The unpacked bytes, the header first, in pieces of whole records.
    with closing(file.chunks(_FRAME_BYTES // file.dtype.itemsize)) as chunks:
        with file.path.open("rb") as packed:
            yield zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True).read(file.header.size)
        for records in chunks:
            yield records.tobytes()
