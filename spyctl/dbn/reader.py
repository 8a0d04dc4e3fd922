"""One DBN file, plain or zstd, version 1 to 3, as bounded chunks of numpy structured arrays.

A live capture names no schema and mixes records of all kinds; it is read as what one schema finds in it.

Databento's own readers end a file that was cut short as if it were whole. This one reads what is whole and
then raises :class:`DamagedFileError`. Layout of header and records: databento/dbn (Rust), ``record.rs``
and ``decode/dbn``; trades (48 bytes) and mbp-10 (368 bytes) are the same in all three versions.
"""

from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Protocol

import databento_dbn
import numpy as np
import zstandard
from numpy.typing import NDArray

from spyctl.dbn.zstd import is_zstd
from spyctl.errors import DamagedFileError, OtherSchemaError
from spyctl.market.symbology import CaptureMapping, Mapping, capture_mappings, header_mappings
from spyctl.timing.instants import DAY

Records = NDArray[np.void]

MAX_VERSION = 3
CHUNK_RECORDS = 2048
_ZSTD_READ = 1 << 14  # compressed bytes at a time; keeps what one step can expand to small
_MAX_METADATA = 64 << 20
_UNDEF = (1 << 64) - 1
_FETCH_AGAIN = "download it again"

_HEADER = [
    ("length", "u1"),
    ("rtype", "u1"),
    ("publisher_id", "u2"),
    ("instrument_id", "u4"),
    ("ts_event", "u8"),
]
_TRADE = [
    *_HEADER,
    ("price", "i8"),
    ("size", "u4"),
    ("action", "S1"),
    ("side", "S1"),
    ("flags", "u1"),
    ("depth", "u1"),
    ("ts_recv", "u8"),
    ("ts_in_delta", "i4"),
    ("sequence", "u4"),
]
_LEVEL = np.dtype(
    [
        ("bid_px", "i8"),
        ("ask_px", "i8"),
        ("bid_sz", "u4"),
        ("ask_sz", "u4"),
        ("bid_ct", "u4"),
        ("ask_ct", "u4"),
    ]
)
_HEADER_BYTES = np.dtype(_HEADER).itemsize
RECORD_DTYPES = {"trades": np.dtype(_TRADE), "mbp-10": np.dtype([*_TRADE, ("levels", _LEVEL, (10,))])}
RTYPES = {"trades": 0x00, "mbp-10": 0x0A}
_RTYPE_MAPPING, _RTYPE_ERROR = 0x16, 0x15
_KNOWN_RTYPES = frozenset(map(int, databento_dbn.RType.variants()))
# Of those whose size is the same in all versions: trades, mbp-1, mbp-10, status, imbalance, bars, mbo, quotes.
_SIZES = {0x00: 48, 0x01: 80, 0x0A: 368, 0x12: 40, 0x14: 112, 0xA0: 56, 0xB1: 80}
_SIZES |= dict.fromkeys((0x11, *range(0x20, 0x25)), 56) | dict.fromkeys(range(0xC0, 0xC5), 80)
_CAPTURE_READ = 1 << 20
_SAMPLED = 4_096


@dataclass(frozen=True, slots=True)
class Captured:
    """What a live capture holds: the kinds of its records, its symbol mappings, the gateway's words about errors, and
    the damage that ends it before its end, if any."""

    rtypes: frozenset[int]
    mappings: tuple[Mapping, ...]
    errors: tuple[str, ...]
    damage: DamagedFileError | None


@dataclass(frozen=True)
class Header:
    """The metadata at the start of a file; ``start_ns`` and ``end_ns`` bound the query, not the records."""

    version: int
    dataset: str
    schema: str | None
    symbols: tuple[str, ...]
    stype_in: str | None
    start_ns: int
    end_ns: int | None
    ts_out: bool
    size: int
    metadata: databento_dbn.Metadata

    @cached_property
    def mappings(self) -> tuple[Mapping, ...]:
        """The names of the instruments; of two for one instrument, that which was asked for first comes first."""
        found = header_mappings(self.metadata.mappings, str(self.metadata.stype_out))
        places = {symbol: place for place, symbol in enumerate(self.symbols)}  # the decoder keeps no order
        return tuple(sorted(found, key=lambda one: (places.get(one.symbol, len(places)), one.symbol, one.first)))


def is_dbn_name(name: str) -> bool:
    """Tell whether a file is named as DBN files are."""
    return name.endswith((".dbn", ".dbn.zst"))


class _Reader(Protocol):
    def read(self, size: int) -> bytes: ...

    def offset(self) -> int: ...


class _PlainReader:
    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file = file
        self._path = path

    def read(self, size: int) -> bytes:
        return _read(self._file, size, self._path)

    def offset(self) -> int:
        return self._file.tell()


class _ZstdReader:
    # Decompresses frame after frame. The library's own stream reader ends silently where the file does,
    # so each frame is followed by hand: a file that ends inside one is cut short.
    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file = file
        self._path = path
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._inside = False
        self._fed = 0
        self._ready = bytearray()
        self._failure: DamagedFileError | None = None

    def offset(self) -> int:
        return self._fed

    def read(self, size: int) -> bytes:
        while len(self._ready) < size and self._failure is None and self._more():
            pass
        if not self._ready and self._failure is not None:
            raise self._failure
        data = bytes(self._ready[:size])
        del self._ready[:size]
        return data

    def _more(self) -> bool:
        data = _read(self._file, _ZSTD_READ, self._path)
        if not data:
            if self._inside:
                self._failure = DamagedFileError(self._path, "cut short", offset=self._fed, remedy=_FETCH_AGAIN)
            return False
        while data:
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            try:
                self._ready += self._frame.decompress(data)
            except zstandard.ZstdError:
                self._failure = DamagedFileError(self._path, "corrupt zstd data", offset=self._fed, remedy=_FETCH_AGAIN)
                return False
            rest = self._frame.unused_data if self._frame.eof else b""
            self._fed += len(data) - len(rest)
            self._inside = not self._frame.eof
            data = rest
        return True


def _read(file: BinaryIO, size: int, path: str) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise DamagedFileError(
            path, f"cannot be read on ({error.strerror})", offset=file.tell(), remedy="look at the disk"
        ) from None


class DBNFile:
    """A DBN file whose header has been read; :meth:`chunks` reads its records.

    ``schema`` says what to read of a live capture; any other file has one of its own. ``compressed`` tells
    whether it is a zstd file, so that its length says nothing of its records.
    """

    def __init__(self, path: Path, schema: str | None = None) -> None:
        """Read the header. Raises :class:`DamagedFileError` where that is not possible."""
        self.path = path
        with closing(self._open()) as file:
            reader = self._reader(file)
            self.compressed = isinstance(reader, _ZstdReader)
            self.header = _read_header(reader, str(path))
        self.schema = self.header.schema or schema

    def _open(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise DamagedFileError(
                str(self.path), f"cannot be opened ({error.strerror})", remedy="give yourself the right to read it"
            ) from None

    def _reader(self, file: BinaryIO) -> _Reader:
        magic = file.read(4)
        file.seek(0)
        return _ZstdReader(file, str(self.path)) if is_zstd(magic) else _PlainReader(file, str(self.path))

    @property
    def dtype(self) -> np.dtype[np.void]:
        """The layout of one record. Raises :class:`DamagedFileError` for a schema that is not replayed."""
        dtype = RECORD_DTYPES.get(self.schema or "")
        if dtype is None:
            held = self.schema or "mixed records of a live capture"
            raise OtherSchemaError(str(self.path), f"holds {held}, not trades or mbp-10")
        return np.dtype([*dtype.descr, ("ts_out", "u8")]) if self.header.ts_out else dtype

    def first(self) -> Records:
        """Return the first record, as an array of one, or an empty one; never raises for what follows it."""
        with closing(self.chunks(1)) as chunks:
            return next(chunks, np.empty(0, self.dtype))

    def last(self) -> Records:
        """Return the last whole record of a plain file, as an array of one, or an empty one."""
        dtype = self.dtype
        with closing(self._open()) as file:
            whole = (self.path.stat().st_size - self.header.size) // dtype.itemsize
            file.seek(self.header.size + max(0, whole - 1) * dtype.itemsize)
            data = file.read(dtype.itemsize) if whole > 0 else b""
        return np.frombuffer(data, dtype)

    def chunks(self, size: int = CHUNK_RECORDS) -> Generator[Records, None, None]:
        """Yield the records in file order, ``size`` at a time.

        Everything that is whole is yielded first; then :class:`DamagedFileError` tells where and why the rest
        cannot be read, if so.
        """
        done = 0
        try:
            for records in self._uniform(size) if self.header.schema else self._captured(size):
                done += len(records)
                yield records
        except DamagedFileError as error:
            error.records = done
            raise

    def _uniform(self, size: int) -> Iterator[Records]:
        dtype = self.dtype
        step = size * dtype.itemsize
        done = 0
        with closing(self._open()) as file:
            reader = self._reader(file)
            _exactly(reader, self.header.size)
            while data := _exactly(reader, step):
                whole = len(data) // dtype.itemsize
                records = np.frombuffer(data, dtype, count=whole)
                good = self._good(records)
                if good:
                    yield records[:good]
                done += good
                offset = self.header.size + done * dtype.itemsize
                if good < whole:
                    raise self._damage(f"no {self.schema} record", reader, offset)
                if len(data) % dtype.itemsize:
                    reader.read(1)  # a compressed file that was cut tells so itself
                    raise self._damage(f"cut short inside record {done + 1:,}", reader, offset)

    def is_good(self, records: Records) -> bool:
        """Tell whether records are what the file says it holds."""
        return self._good(records) == len(records)

    def _good(self, records: Records) -> int:
        # How many records at the start are what the file says it holds.
        length, rtype = records.dtype.itemsize // 4, RTYPES[self.schema or ""]
        wrong = (records["length"] != length) | (records["rtype"] != rtype)
        return int(wrong.argmax()) if wrong.any() else len(records)

    def _captured(self, size: int) -> Iterator[Records]:
        dtype = self.dtype
        rtype, step = RTYPES[self.schema or ""], dtype.itemsize
        for data, places in self._walk():
            starts = np.array([at for at in places if data[at] * 4 == step and data[at + 1] == rtype], np.intp)
            raw = np.frombuffer(data, np.uint8)
            for first in range(0, len(starts), size):
                yield raw[starts[first : first + size, None] + np.arange(step)].view(dtype).reshape(-1)

    def instruments(self) -> frozenset[int]:
        """Return the instrument ids of some records: all over a plain file, else of the first ones."""
        if self.compressed or self.header.schema is None:
            with closing(self.chunks()) as chunks:
                ids = next(chunks, np.empty(0, self.dtype))["instrument_id"]
        else:
            count = (self.path.stat().st_size - self.header.size) // self.dtype.itemsize
            if count == 0:
                return frozenset()
            records = np.memmap(self.path, self.dtype, "r", self.header.size, (count,))
            ids = records["instrument_id"][:: max(1, count // _SAMPLED)]
        return frozenset(np.unique(ids).tolist())

    def captured(self) -> Captured:
        """Look through a live capture."""
        rtypes: set[int] = set()
        mappings: list[CaptureMapping] = []
        errors: list[str] = []
        damage = None
        try:
            for data, places in self._walk():
                for at in places:
                    rtype = data[at + 1]
                    rtypes.add(rtype)
                    if rtype not in (_RTYPE_MAPPING, _RTYPE_ERROR):
                        continue
                    match self._message(data[at : at + data[at] * 4]):
                        case databento_dbn.SymbolMappingMsg() as told:
                            symbols = told.stype_in_symbol, told.stype_out_symbol
                            mappings.append(
                                CaptureMapping(*symbols, told.instrument_id, told.ts_event, told.start_ts, told.end_ts)
                            )
                        case databento_dbn.ErrorMsg() as told:
                            errors.append(told.err)
        except DamagedFileError as error:
            damage = error
        return Captured(frozenset(rtypes), capture_mappings(mappings), tuple(errors), damage)

    def definitions(self) -> Iterator[tuple[str, int, int]]:
        """Yield what a ``definition`` file says, as far as it is whole: raw symbol, instrument id, UTC day."""
        decoder = self._decoder()
        with suppress(DamagedFileError, databento_dbn.DBNError):
            for data, _ in self._walk():
                decoder.write(data)
                for record in decoder.decode():
                    if isinstance(record, databento_dbn.InstrumentDefMsg):
                        ns = record.ts_event if record.ts_recv == _UNDEF else record.ts_recv
                        yield record.raw_symbol, record.instrument_id, ns // DAY

    def _decoder(self) -> databento_dbn.DBNDecoder:
        return databento_dbn.DBNDecoder(
            has_metadata=False, ts_out=self.header.ts_out, input_version=self.header.version
        )

    def _walk(self) -> Iterator[tuple[bytes, list[int]]]:
        # Pieces of a capture with the places in them where records begin; the length of each is its first byte.
        with closing(self._open()) as file:
            reader = self._reader(file)
            _exactly(reader, self.header.size)
            offset, rest, more = self.header.size, b"", 8 * self.header.ts_out
            while data := _exactly(reader, _CAPTURE_READ):
                data = rest + data
                places: list[int] = []
                at, end = 0, len(data)
                while at < end and (step := data[at] * 4) >= _HEADER_BYTES and at + step <= end:
                    if data[at + 1] not in _KNOWN_RTYPES or step != _SIZES.get(data[at + 1], step - more) + more:
                        if places:
                            yield data[:at], places
                        raise self._damage("no DBN record, or one of a later version", reader, offset + at)
                    places.append(at)
                    at += step
                if places:
                    yield data[:at], places
                offset, rest = offset + at, data[at:]
                if rest and rest[0] * 4 < _HEADER_BYTES:
                    raise self._damage("no DBN record", reader, offset)
            if rest:
                reader.read(1)
                raise self._damage("cut short inside a record", reader, offset)

    def _message(self, record: bytes) -> object:
        decoder = self._decoder()
        try:
            decoder.write(record)
            return next(iter(decoder.decode()), None)
        except (databento_dbn.DBNError, ValueError):  # a damaged one says nothing
            return None

    def _damage(self, reason: str, reader: _Reader, offset: int) -> DamagedFileError:
        if isinstance(reader, _ZstdReader):
            reason += ", counted in unpacked bytes,"
        return DamagedFileError(str(self.path), reason, offset=offset, remedy=_FETCH_AGAIN)


def _exactly(reader: _Reader, size: int) -> bytes:
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


def _read_header(reader: _Reader, path: str) -> Header:
    prefix = _exactly(reader, 8)
    if len(prefix) < 8:
        raise DamagedFileError(path, f"only {len(prefix)} bytes long, no DBN file", remedy=_FETCH_AGAIN)
    if prefix[:3] != b"DBN":
        raise DamagedFileError(path, "does not begin with DBN", remedy="only DBN files belong into the data folder")
    version, length = prefix[3], int.from_bytes(prefix[4:8], "little")
    if not 1 <= version <= MAX_VERSION:
        raise DamagedFileError(
            path, f"DBN version {version}, but this spyctl reads 1 to {MAX_VERSION}", remedy="update spyctl"
        )
    body = _exactly(reader, min(length, _MAX_METADATA))
    if len(body) < length:
        raise DamagedFileError(path, "cut short inside the header", offset=8 + len(body), remedy=_FETCH_AGAIN)
    try:
        metadata = databento_dbn.Metadata.decode(prefix + body)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # DBNError, ValueError, or a panic of the decoder, which is no Exception
        raise DamagedFileError(path, f"unreadable DBN header ({error})", remedy=_FETCH_AGAIN) from None
    return Header(
        version=version,
        dataset=metadata.dataset,
        schema=str(metadata.schema) if metadata.schema is not None else None,
        symbols=tuple(metadata.symbols),
        stype_in=str(metadata.stype_in) if metadata.stype_in is not None else None,
        start_ns=metadata.start,
        end_ns=metadata.end if metadata.end not in (None, 0, _UNDEF) else None,
        ts_out=bool(metadata.ts_out),
        size=8 + length,
        metadata=metadata,
    )
