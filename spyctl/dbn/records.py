"""DBN bytes → header and records, without any I/O: versions 1 to 3, one schema or the mixed records of a live capture.

A file, a capture and a gateway all hand in bytes here. What is whole comes out as numpy structured arrays; what is not
a record raises, or is kept as the problem of a :class:`RecordSplitter`. Layout: databento/dbn (Rust), ``record.rs``
and ``decode/dbn``; trades (48 bytes) and mbp-10 (368 bytes) are the same in all three versions.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import databento_dbn
import numpy as np
from numpy.typing import NDArray

from spyctl.market.symbology import Mapping, header_mappings
from spyctl.timing.instants import DAY

Records = NDArray[np.void]

MAX_VERSION = 3
PREFIX_BYTES = 8  # magic, version, length of the metadata
_UNDEF = (1 << 64) - 1

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
_RTYPE_DEFINITION = 0x13
_DEFINITION_BYTES = {1: 360, 2: 400, 3: 520}  # by version
_KNOWN_RTYPES = frozenset(map(int, databento_dbn.RType.variants()))
# Those whose size is the same in all versions: trades, mbp-1, mbp-10, status, imbalance, bars, mbo, quotes.
_SIZES = {0x00: 48, 0x01: 80, 0x0A: 368, 0x12: 40, 0x14: 112, 0xA0: 56, 0xB1: 80}
_SIZES |= dict.fromkeys((0x11, *range(0x20, 0x25)), 56) | dict.fromkeys(range(0xC0, 0xC5), 80)


JOINED = "a second DBN header (joined files)"


class MalformedHeaderError(Exception):
    """Bytes that are not a DBN header; ``remedy`` says what to do about their source."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True)
class Header:
    """The metadata before the records; ``start_ns`` and ``end_ns`` bound the query, not the records.

    ``schema`` is ``None`` for a live capture, ``size`` counts its bytes, prefix included. ``names`` are the intervals
    in which each symbol asked for stood for an instrument, as the decoder gives them.
    """

    version: int
    dataset: str
    schema: str | None
    symbols: tuple[str, ...]
    stype_in: str | None
    start_ns: int
    end_ns: int | None
    ts_out: bool
    size: int
    stype_out: str
    names: MappingType[str, Sequence[MappingType[str, Any]]]

    @cached_property
    def mappings(self) -> tuple[Mapping, ...]:
        """The names of the instruments; of two for one instrument, the one that was asked for first comes first."""
        mappings = header_mappings(self.names, self.stype_out)
        places = {symbol: place for place, symbol in enumerate(self.symbols)}  # the decoder keeps no order
        return tuple(
            sorted(
                mappings, key=lambda mapping: (places.get(mapping.symbol, len(places)), mapping.symbol, mapping.first)
            )
        )


def begins_header(data: bytes) -> bool:
    """Tell whether bytes where a record should begin are the header of another file."""
    return data[:3] == b"DBN" and 1 <= int.from_bytes(data[3:4]) <= MAX_VERSION


def find_header(data: bytes, dataset: str) -> int:
    """Return where in some bytes the header of another file of the same dataset begins, -1 where none does."""
    name = dataset.encode()[:16]
    if data.rfind(name) < 0:  # as it nearly always is; from behind and without zeros is three times as fast
        return -1
    mark = name.ljust(16, b"\0")
    at = data.find(mark)
    while at >= 0 and not (at >= PREFIX_BYTES and begins_header(data[at - PREFIX_BYTES : at])):
        at = data.find(mark, at + 1)
    return at - PREFIX_BYTES if at >= 0 else -1


def metadata_length(prefix: bytes) -> int:
    """Return how many bytes of metadata follow the eight of the prefix. Raises :class:`MalformedHeaderError`."""
    if prefix[:3] != b"DBN":
        raise MalformedHeaderError("does not begin with DBN", "keep only DBN files in the data folder")
    version = prefix[3]
    if not 1 <= version <= MAX_VERSION:
        raise MalformedHeaderError(f"DBN version {version}, but this spyctl reads 1 to {MAX_VERSION}", "update spyctl")
    return int.from_bytes(prefix[4:PREFIX_BYTES], "little")


def parse_header(data: bytes) -> Header:
    """Read prefix and metadata. Raises :class:`MalformedHeaderError`."""
    try:
        metadata = databento_dbn.Metadata.decode(data)
        names = metadata.mappings  # raises for a year that no date has
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # DBNError, ValueError, or a panic of the decoder, which is not an Exception
        raise MalformedHeaderError(f"unreadable DBN header ({error})", "download it again") from None
    return Header(
        version=data[3],
        dataset=metadata.dataset,
        schema=str(metadata.schema) if metadata.schema is not None else None,
        symbols=tuple(metadata.symbols),
        stype_in=str(metadata.stype_in) if metadata.stype_in is not None else None,
        start_ns=metadata.start,
        end_ns=metadata.end if metadata.end not in (None, 0, _UNDEF) else None,
        ts_out=bool(metadata.ts_out),
        size=len(data),
        stype_out=str(metadata.stype_out),
        names=names,
    )


@cache
def record_dtype(schema: str, *, ts_out: bool) -> np.dtype[np.void]:
    """Return the layout of one record; a gateway may append the time at which it sent it."""
    dtype = RECORD_DTYPES[schema]
    return np.dtype([*dtype.descr, ("ts_out", "u8")]) if ts_out else dtype


def with_ts_out(record: bytes, ns: int) -> bytes:
    """Return a record with the time at which a gateway sent it (Unix ns)."""
    return bytes((record[0] + 2,)) + record[1:] + ns.to_bytes(8, "little")


def record_bytes(header: Header) -> int:
    """Return the size of one record of a file of trades, mbp-10 or definitions."""
    size = _DEFINITION_BYTES.get(header.version) if header.schema == "definition" else None
    size = RECORD_DTYPES[str(header.schema)].itemsize if size is None else size
    return size + 8 * header.ts_out


def count_good(records: Records, schema: str) -> int:
    """Count the records from the first one on whose length and type are those of a schema."""
    wrong = (records["length"] != records.dtype.itemsize // 4) | (records["rtype"] != RTYPES[schema])
    return int(wrong.argmax()) if wrong.any() else len(records)


def may_hold_header(records: Records, schema: str) -> bool:
    """Tell whether the header of another file may lie in some records; false only where none does.

    A header is longer than a trade, so that a later record begins inside it. A book is longer, and one that is followed
    by a record again has all of the header in it, with the long stretch of zeros that is reserved there: no level has
    both prices at zero.
    """
    if count_good(records, schema) < len(records):
        return True
    if schema != "mbp-10":
        return False
    levels = records["levels"]
    zero = levels["bid_px"] == 0
    return bool(zero.any() and (zero & (levels["ask_px"] == 0)).any())


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole records of any kind: their bytes, the places in them where records begin, and their place in the file."""

    data: bytes
    starts: Sequence[int]
    offset: int = 0

    def of_schema(self, schema: str, dtype: np.dtype[np.void], size: int, epochs: Sequence[int]) -> Iterator[Records]:
        """Yield the records of one schema as arrays of at most ``size``; ``epochs`` are where new ones begin."""
        rtype, step = RTYPES[schema], dtype.itemsize
        mine = [at for at in self.starts if self.data[at] * 4 == step and self.data[at + 1] == rtype]
        starts = np.array(mine, np.intp)
        raw = np.frombuffer(self.data, np.uint8)
        for first in range(0, len(starts), size):
            places = starts[first : first + size]
            records = raw[places[:, None] + np.arange(step)].view(dtype).reshape(-1)
            yield _with_epochs(records, np.searchsorted(epochs, self.offset + places)) if epochs else records


def _with_epochs(records: Records, epochs: NDArray[np.intp]) -> Records:
    more = np.zeros(len(records), [*records.dtype.descr, ("epoch", "u2")])
    more[list(records.dtype.names or ())] = records
    more["epoch"] = epochs
    return more


class RecordSplitter:
    """Cuts bytes, as they come, into records of any kind; the first byte of each is its length in words of four.

    ``offset`` is where the next record begins, counted from the start of the header. ``problem`` says what is wrong
    there once something is; nothing more can be read then.
    """

    def __init__(self, header: Header) -> None:
        self.offset = header.size
        self.problem: str | None = None
        self._rest = b""
        self._ts_out_bytes = 8 if header.ts_out else 0

    @property
    def unfinished(self) -> int:
        """How many bytes of a record lie behind the last whole one."""
        return len(self._rest)

    def feed(self, data: bytes) -> Piece:
        """Take in the next bytes; returns what is whole now, perhaps nothing."""
        offset = self.offset
        data = self._rest + data
        starts: list[int] = []
        at, end = 0, len(data)
        while at < end:
            step = data[at] * 4
            if begins_header(data[at : at + 4]):
                self.problem = JOINED
                break
            if step < _HEADER_BYTES:
                self.problem = "not a DBN record"
                break
            if at + step > end:
                break
            if not self._is_known(data[at + 1], step):
                self.problem = "not a DBN record, or one of a later version"
                break
            starts.append(at)
            at += step
        self.offset += at
        self._rest = data[at:]
        return Piece(data[:at], starts, offset)

    def _is_known(self, rtype: int, step: int) -> bool:
        usual = _SIZES.get(rtype)
        return rtype in _KNOWN_RTYPES and (usual is None or step == usual + self._ts_out_bytes)


def record_decoder(header: Header) -> databento_dbn.DBNDecoder:
    """Return Databento's decoder for records that follow a header."""
    return databento_dbn.DBNDecoder(has_metadata=False, ts_out=header.ts_out, input_version=header.version)


def read_definitions(decoder: databento_dbn.DBNDecoder, piece: Piece) -> Iterator[tuple[str, int, int]]:
    """Yield what the ``definition`` records of a piece say: raw symbol, instrument id, UTC day (since 1970-01-01).

    Raises :class:`databento_dbn.DBNError` for records that cannot be decoded, :class:`ValueError` for others.
    """
    foreign = next((at for at in piece.starts if piece.data[at + 1] != _RTYPE_DEFINITION), None)
    decoder.write(piece.data[:foreign])
    for record in decoder.decode():
        if isinstance(record, databento_dbn.InstrumentDefMsg):
            ns = record.ts_event if record.ts_recv == _UNDEF else record.ts_recv
            yield record.raw_symbol, record.instrument_id, ns // DAY
    if foreign is not None:
        raise ValueError("not a definition")
