"""One DBN file, plain or zstd, as bounded chunks of records.

Databento's own readers end a file that was cut short as if it were whole. This one reads what is whole and
then raises :class:`DamagedFileError`.
"""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from copy import copy
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO

import databento_dbn
import numpy as np

from spyctl.dbn.messages import CaptureSurvey
from spyctl.dbn.records import (
    JOINED,
    PREFIX_BYTES,
    MalformedHeaderError,
    Piece,
    Records,
    RecordSplitter,
    begins_header,
    count_good,
    find_header,
    may_hold_header,
    metadata_length,
    parse_header,
    read_definitions,
    record_bytes,
    record_decoder,
    record_dtype,
)
from spyctl.dbn.zstd import ByteReader, Frames, PeekReader, ZstdReader, is_zstd, walk_frames
from spyctl.errors import DamagedFileError, OtherSchemaError
from spyctl.market.columns import SCHEMAS

CHUNK_RECORDS = 2048
_MAX_METADATA = 64 << 20
_CAPTURE_READ = 1 << 20
_HEADER_START = 24  # bytes by which a header is told: prefix and dataset
_AHEAD = 1 << 13  # bytes of the next chunk: a record that holds a header shows by those behind it
_FETCH_AGAIN = "download it again"
_SPLIT = "split it there into the files that it was made of"


def is_dbn_name(name: str) -> bool:
    """Tell whether a file is named as DBN files are."""
    return name.endswith((".dbn", ".dbn.zst"))


class _PlainReader:
    # Reads a file from an offset on, as long as it was when it was looked at: what is appended later is not whole.
    def __init__(self, file: BinaryIO, path: str, length: int, offset: int = 0) -> None:
        file.seek(offset)
        self._file = file
        self._path = path
        self._at, self._length = offset, length

    def read(self, size: int) -> bytes:
        try:
            data = self._file.read(min(size, self._length - self._at))
            self._at += len(data)
            return data
        except OSError as error:
            raise DamagedFileError(
                self._path,
                f"cannot be read any further ({error.strerror})",
                offset=self._file.tell(),
                remedy="check the disk",
            ) from None

    def peek(self, size: int) -> bytes:
        try:
            return os.pread(self._file.fileno(), min(size, self._length - self._at), self._at)
        except OSError:
            return b""


class DBNFile:
    """A DBN file whose header has been read; :meth:`chunks` reads its records.

    ``schema`` says what to read of a live capture; any other file has one of its own. ``size`` is in bytes on disk,
    ``compressed`` tells whether it is a zstd file, so that its length says nothing of its records. A file that is
    another one, shorter or longer than it was here is damaged.
    """

    def __init__(self, path: Path, schema: str | None = None) -> None:
        """Read the header. Raises :class:`DamagedFileError` where that is not possible."""
        self.path = path
        with closing(_open(path)) as file:
            status = os.fstat(file.fileno())
            self.size, self.stamp = status.st_size, (status.st_size, status.st_mtime_ns)
            self._inode = status.st_dev, status.st_ino
            reader = self._reader(file)
            self.compressed = isinstance(reader, ZstdReader)
            start = _read_header(reader, str(path))
        try:
            self.header = parse_header(start)
        except MalformedHeaderError as error:
            raise DamagedFileError(str(path), error.reason, remedy=error.remedy) from None
        self._start = hash(start)
        self._epochs: Sequence[int] = ()
        self.schema = self.header.schema or schema

    def of_schema(self, schema: str, epochs: Sequence[int]) -> "DBNFile":
        """Return the same live capture, to read one schema of it; ``epochs`` are where new ones begin."""
        file = copy(self)
        file.schema, file._epochs = schema, epochs
        return file

    def _open_again(self) -> BinaryIO:
        file = _open(self.path)
        status = os.fstat(file.fileno())
        if (status.st_dev, status.st_ino) != self._inode:
            file.close()
            raise self._changed("replaced by another file since it was looked at")
        return file

    def _reader(self, file: BinaryIO) -> PeekReader:
        file.seek(0)
        magic = file.read(4)
        plain = _PlainReader(file, str(self.path), self.size)
        return ZstdReader(plain, str(self.path)) if is_zstd(magic) else plain

    def _records(self, file: BinaryIO, start: int = 0) -> PeekReader:
        # A reader that stands at a record.
        reader = self._reader(file)
        if hash(_exactly(reader, self.header.size)) != self._start:
            raise self._changed("not the header that it had when it was looked at")
        if not start:
            return reader
        offset = self.header.size + start * self.dtype.itemsize
        if not self.compressed:
            return _PlainReader(file, str(self.path), self.size, offset)
        frame, rest = self.frames.place_of(offset)
        reader = ZstdReader(_PlainReader(file, str(self.path), self.size, frame.start), str(self.path), frame.start)
        _exactly(reader, rest)
        return reader

    @cached_property
    def frames(self) -> Frames:
        """The frames of a compressed file. Raises :class:`DamagedFileError` where it cannot be opened."""
        return walk_frames(self.path)

    def _compare(self, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        size = status.st_size
        if size != self.size:
            what = "still growing" if size > self.size else "shrunk"
            raise self._changed(f"{what}: {self.size:,} bytes when it was looked at, {size:,} now")
        self._records(file)
        if status.st_mtime_ns != self.stamp[1]:
            raise self._changed("written to since it was looked at")

    def _changed(self, reason: str) -> DamagedFileError:
        return DamagedFileError(str(self.path), reason, remedy="begin again when nobody writes to it any more")

    @property
    def dtype(self) -> np.dtype[np.void]:
        """The layout of one record. Raises :class:`OtherSchemaError` for a schema that is not replayed."""
        if self.schema not in SCHEMAS:
            held = self.schema or "mixed records of a live capture"
            raise OtherSchemaError(str(self.path), f"holds {held}, not trades or mbp-10")
        return record_dtype(self.schema, ts_out=self.header.ts_out)

    def first(self) -> Records:
        """Return the first record, as an array of one, or an empty one; never raises for what follows it."""
        with closing(self.chunks(1)) as chunks:
            return next(chunks, np.empty(0, self.dtype))

    def last(self) -> Records:
        """Return the last whole record of a plain file, as an array of one, or an empty one."""
        dtype = self.dtype
        with closing(_open(self.path)) as file:
            whole = (self.size - self.header.size) // dtype.itemsize
            file.seek(self.header.size + max(0, whole - 1) * dtype.itemsize)
            data = file.read(dtype.itemsize) if whole > 0 else b""
        return np.frombuffer(data, dtype)

    def chunks(self, size: int = CHUNK_RECORDS, start: int = 0) -> Generator[Records, None, None]:
        """Yield the records in file order, ``size`` at a time; those before number ``start`` are not looked at.

        Everything that is whole is yielded first; then :class:`DamagedFileError` tells where and why the rest cannot be
        read, if so. It may ``start`` behind the first only where :func:`~spyctl.dbn.places.find_places` finds places.
        """
        count = start
        try:
            for records in self._uniform(size, start) if self.header.schema else self._captured(size):
                count += len(records)
                yield records
        except DamagedFileError as error:
            error.records = count
            raise

    def _uniform(self, size: int, start: int) -> Iterator[Records]:
        dtype, schema = self.dtype, str(self.schema)
        step, count = dtype.itemsize, start
        with closing(self._open_again()) as file:
            reader = self._records(file, start)
            for data, joint in _up_to_header(
                reader, size * step, self.header.dataset, partial(_may_hold_header, dtype, schema)
            ):
                whole = len(data) // step
                records = np.frombuffer(data, dtype, count=whole)
                good = count_good(records, schema)
                if good:
                    yield records[:good]
                count += good
                offset = self.header.size + count * step
                if good < whole:
                    joined = _begins_file(data[good * step :][:4])
                    raise self._damage(JOINED if joined else f"not a {schema} record", offset)
                if joint:
                    raise self._damage(JOINED, offset + len(data) % step)
                if len(data) % step:
                    reader.read(1)  # a compressed file that was cut says so itself
                    joined = _begins_file(data[good * step :][:4])
                    raise self._damage(JOINED if joined else f"cut short inside record {count + 1:,}", offset)
            self._compare(file)

    def _captured(self, size: int) -> Iterator[Records]:
        dtype = self.dtype
        for piece in self._pieces():
            yield from piece.of_schema(str(self.schema), dtype, size, self._epochs)

    def survey(self) -> tuple[CaptureSurvey, DamagedFileError | None]:
        """Look through a live capture; returns what it holds, and the damage that ends it early, if any."""
        survey = CaptureSurvey(self.header)
        try:
            for piece in self._pieces():
                survey.add(piece)
        except DamagedFileError as error:
            return survey, error
        return survey, None

    def remnant(self) -> DamagedFileError | None:
        """Return the error for a plain file that ends inside a record, ``None`` for one that does not."""
        count, rest = divmod(self.size - self.header.size, record_bytes(self.header))
        reason = f"cut short inside record {count + 1:,}"
        return self._damage(reason, self.size - rest, count) if rest else None

    def definitions(self) -> Iterator[tuple[str, int, int]]:
        """Yield what a ``definition`` file says: raw symbol, instrument id, UTC day.

        Raises :class:`DamagedFileError` after all that is whole.
        """
        decoder, offset = record_decoder(self.header), self.header.size
        for piece in self._pieces():
            try:
                yield from read_definitions(decoder, piece)
            except (databento_dbn.DBNError, ValueError):
                raise self._damage("not a definition, somewhere behind", offset) from None
            offset += len(piece.data)

    def _pieces(self) -> Iterator[Piece]:
        # Mixed records, as they lie in the file.
        splitter = RecordSplitter(self.header)
        with closing(self._open_again()) as file:
            reader = self._records(file)
            for data, joint in _up_to_header(reader, _CAPTURE_READ, self.header.dataset):
                piece = splitter.feed(data)
                if piece.starts:
                    yield piece
                if splitter.problem is not None:
                    raise self._damage(splitter.problem, splitter.offset)
                if joint:
                    raise self._damage(JOINED, splitter.offset + splitter.unfinished)
            if splitter.unfinished:
                reader.read(1)  # a compressed file that was cut says so itself
                raise self._damage("cut short inside a record", splitter.offset)
            self._compare(file)

    def _damage(self, reason: str, offset: int, records: int = 0) -> DamagedFileError:
        remedy = _SPLIT if reason == JOINED else _FETCH_AGAIN
        if self.compressed:
            remedy = f"unpack it, then {_SPLIT}" if reason == JOINED else remedy
            reason += ", counted in unpacked bytes,"
        return DamagedFileError(str(self.path), reason, offset=offset, records=records, remedy=remedy)


def _exactly(reader: ByteReader, size: int) -> bytes:
    # A reader may give less than asked before the end; a chunk has to hold whole records.
    data = reader.read(size)
    while 0 < len(data) < size:
        try:
            more = reader.read(size - len(data))
        except DamagedFileError:
            break  # the next call meets it again, with nothing before it
        if not more:
            break
        data += more
    return data


def _up_to_header(
    reader: PeekReader, size: int, dataset: str, may_hold: Callable[[bytes, bytes], bool] = lambda *_: True
) -> Iterator[tuple[bytes, bool]]:
    # Chunks of ``size`` bytes, and whether the header of another file ends one; damage comes after what is whole.
    # ``may_hold`` tells of a chunk and the beginning of the next one whether a header may begin in the first.
    while data := _exactly(reader, size):
        ahead = reader.peek(min(size, _AHEAD))  # a header may lie across two chunks
        joint = find_header(data + ahead[:_HEADER_START], dataset) if may_hold(data, ahead) else -1
        yield (data, False) if joint < 0 else (data[:joint], True)
        if joint >= 0:
            return


def _may_hold_header(dtype: np.dtype[np.void], schema: str, data: bytes, ahead: bytes) -> bool:
    # A header is looked for byte by byte only where there may be one: that takes as long as all the rest.
    step = dtype.itemsize
    if len(data) % step or len(ahead) < step:
        return True
    return any(may_hold_header(np.frombuffer(part, dtype, count=len(part) // step), schema) for part in (data, ahead))


def _begins_file(start: bytes) -> bool:
    return begins_header(start) or is_zstd(start)


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise DamagedFileError(
            str(path), f"cannot be opened ({error.strerror})", remedy="make it readable for yourself"
        ) from None


def _read_header(reader: ByteReader, path: str) -> bytes:
    prefix = _exactly(reader, PREFIX_BYTES)
    if len(prefix) < PREFIX_BYTES:
        raise DamagedFileError(path, f"only {len(prefix)} bytes long, not a DBN file", remedy=_FETCH_AGAIN)
    try:
        length = metadata_length(prefix)
        body = _exactly(reader, min(length, _MAX_METADATA))
        if len(body) < length:
            raise DamagedFileError(
                path, "cut short inside the header", offset=PREFIX_BYTES + len(body), remedy=_FETCH_AGAIN
            )
    except MalformedHeaderError as error:
        raise DamagedFileError(path, error.reason, remedy=error.remedy) from None
    return prefix + body
