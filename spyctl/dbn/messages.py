"""What a live gateway says between its data: the names of instruments, notices, and errors.

Layout and codes: databento/dbn (Rust), ``record.rs`` and ``enums.rs``; a message of an older version has no code.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import databento_dbn

from spyctl.dbn.records import Header, Piece, record_decoder
from spyctl.market.symbology import CaptureMapping, Mapping, capture_mappings

Kind = TypeVar("Kind", bound=StrEnum)
_ERROR, _SYSTEM = 0x15, 0x17  # mappings lie between


class NoticeKind(StrEnum):
    """What a notice is about."""

    HEARTBEAT = "heartbeat"
    SUBSCRIBED = "subscription acknowledged"
    SLOW_READER = "slow reader"
    REPLAYED = "replay completed"
    OTHER = "other"


class ErrorKind(StrEnum):
    """What an error is about."""

    KEY = "key refused"
    CONNECTIONS = "too many connections"
    SYMBOL = "symbol not resolved"
    SUBSCRIPTION = "subscription refused"
    SKIPPED = "records skipped"
    AGED_OUT = "replay aged out"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Notice:
    """A system message; ``offset`` is where it stands, counted from the start of the header."""

    kind: NoticeKind
    text: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class GatewayFault:
    """An error message; ``offset`` is where it stands, counted from the start of the header."""

    kind: ErrorKind
    text: str
    offset: int = 0


_SIZES = {0x15: (80, 320), 0x16: (80, 176), 0x17: (80, 320)}  # in version 1, and from 2 on
Message = CaptureMapping | Notice | GatewayFault
_NOTICES = {0: NoticeKind.HEARTBEAT, 1: NoticeKind.SUBSCRIBED, 2: NoticeKind.SLOW_READER, 3: NoticeKind.REPLAYED}
_ERRORS = {
    1: ErrorKind.KEY, 2: ErrorKind.KEY, 3: ErrorKind.CONNECTIONS, 4: ErrorKind.SYMBOL, 5: ErrorKind.SUBSCRIPTION,
    7: ErrorKind.SKIPPED, 8: ErrorKind.AGED_OUT,
}  # fmt: skip
# For messages without a code: a word that tells.
_NOTICE_WORDS = {
    "heartbeat": NoticeKind.HEARTBEAT, "subscription request": NoticeKind.SUBSCRIBED, "slow": NoticeKind.SLOW_READER,
    "replay": NoticeKind.REPLAYED,
}  # fmt: skip
_ERROR_WORDS = {
    "skipped": ErrorKind.SKIPPED, "authentication": ErrorKind.KEY, "deactivated": ErrorKind.KEY,
    "connection limit": ErrorKind.CONNECTIONS, "symbol": ErrorKind.SYMBOL, "subscription": ErrorKind.SUBSCRIPTION,
    "license": ErrorKind.SUBSCRIPTION, "entitle": ErrorKind.SUBSCRIPTION,
}  # fmt: skip


def read_messages(header: Header, piece: Piece) -> Iterator[Message]:
    """Yield the messages among some records; a damaged one says nothing."""
    data = piece.data
    for at in piece.starts:
        if _ERROR <= data[at + 1] <= _SYSTEM:
            message = _read(header, data[at : at + data[at] * 4], piece.offset + at)
            if message is not None:
                yield message


def _read(header: Header, record: bytes, offset: int) -> Message | None:
    if len(record) != _SIZES[record[1]][header.version > 1] + 8 * header.ts_out:
        return None  # the decoder would panic
    decoder = record_decoder(header)
    try:
        decoder.write(record)
        message = next(iter(decoder.decode()), None)
    except (databento_dbn.DBNError, ValueError):
        return None
    match message:
        case databento_dbn.SymbolMappingMsg():
            symbols = message.stype_in_symbol, message.stype_out_symbol
            times = message.ts_event, message.start_ts, message.end_ts
            return CaptureMapping(*symbols, message.instrument_id, *times, offset)
        case databento_dbn.ErrorMsg():
            return GatewayFault(error_kind(message.err, message.code), message.err, offset)
        case databento_dbn.SystemMsg():
            return Notice(_notice_kind(message.msg, message.code), message.msg, offset)
    return None


def error_kind(text: str, code: object = None) -> ErrorKind:
    """Tell what an error is about, by its code or, where it has none, by its words."""
    return _ERRORS.get(_number(code)) or _by_words(_ERROR_WORDS, text, ErrorKind.OTHER)


def _notice_kind(text: str, code: object) -> NoticeKind:
    return _NOTICES.get(_number(code)) or _by_words(_NOTICE_WORDS, text, NoticeKind.OTHER)


def _number(code: object) -> int:
    return int(code) if isinstance(code, databento_dbn.ErrorCode | databento_dbn.SystemCode) else -1


def _by_words(kinds: dict[str, Kind], text: str, otherwise: Kind) -> Kind:
    return next((kind for word, kind in kinds.items() if word in text.lower()), otherwise)


def live_header(dataset: str) -> bytes:
    """Return the metadata with which a live session begins: of version 3, with ``ts_out``."""
    by_id = databento_dbn.SType.from_str("instrument_id")
    return bytes(databento_dbn.Metadata(dataset, 0, None, by_id, None, ts_out=True, version=3))


def notice_record(kind: NoticeKind, text: str, ns: int) -> bytes:
    """Return the record of a notice at an instant (Unix ns)."""
    number = next((number for number, known in _NOTICES.items() if known is kind), None)
    code = None if number is None else databento_dbn.SystemCode.from_int(number)
    return bytes(databento_dbn.SystemMsg(ns, text, code))


def fault_record(kind: ErrorKind, text: str, ns: int) -> bytes:
    """Return the record of an error at an instant (Unix ns)."""
    number = next((number for number, known in _ERRORS.items() if known is kind), None)
    code = None if number is None else databento_dbn.ErrorCode.from_int(number)
    return bytes(databento_dbn.ErrorMsg(ns, text, code=code))


def mapping_record(symbol: str, stype_in: str, raw_symbol: str, instrument_id: int, ns: int) -> bytes:
    """Return the record that says which instrument a symbol stands for from an instant on (Unix ns)."""
    kinds = databento_dbn.SType.from_str(stype_in), databento_dbn.SType.from_str("raw_symbol")
    far = databento_dbn.UNDEF_TIMESTAMP
    return bytes(databento_dbn.SymbolMappingMsg(1, instrument_id, ns, kinds[0], symbol, kinds[1], raw_symbol, far, far))


class CaptureSurvey:
    """What a live capture holds, piece after piece: types of records, symbol mappings, errors told by the gateway."""

    def __init__(self, header: Header) -> None:
        self.rtypes: set[int] = set()
        self.errors: list[str] = []
        self._header = header
        self._mappings: list[CaptureMapping] = []

    @property
    def mappings(self) -> tuple[Mapping, ...]:
        """The names of the instruments."""
        return capture_mappings(self._mappings)[0]

    @property
    def epochs(self) -> tuple[int, ...]:
        """Where new epochs begin, in unpacked bytes: an id or a symbol goes to another instrument there."""
        return capture_mappings(self._mappings)[1]

    def add(self, piece: Piece) -> None:
        """Look through the next records."""
        self.rtypes.update(piece.data[at + 1] for at in piece.starts)
        for message in read_messages(self._header, piece):
            match message:
                case CaptureMapping():
                    self._mappings.append(message)
                case GatewayFault():
                    self.errors.append(message.text)
