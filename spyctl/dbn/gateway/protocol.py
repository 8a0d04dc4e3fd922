"""The protocol of Databento's live gateway, without any I/O: bytes in, bytes and records out.

::

    gateway  lsg_version=0.6.2
    gateway  cram=CHALLENGE
    client   auth=SHA256(CHALLENGE|KEY)-LAST5|dataset=GLBX.MDP3|encoding=dbn|ts_out=1|…
    gateway  success=1|session_id=…                      or  success=0|error=TEXT
    client   schema=trades|stype_in=continuous|symbols=ES.c.0|start=NS|snapshot=0|id=1|is_last=1
    client   start_session=0
    gateway  DBN: metadata, then records without end

The key itself never goes on the wire. Of the gateway's lines unknown keys are ignored, and so are lines that say
nothing we wait for. https://databento.com/docs/api-reference-live/basics
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from spyctl.dbn.records import (
    PREFIX_BYTES,
    Header,
    MalformedHeaderError,
    Piece,
    RecordSplitter,
    metadata_length,
    parse_header,
)
from spyctl.market.symbology import is_continuous

DATASET = "GLBX.MDP3"
SCHEMAS = ("trades", "mbp-10")
MAX_LINE = 1 << 16
MAX_METADATA = 1 << 24
SYMBOLS_A_LINE = 500
_BUCKET = 5  # characters of the key that tell the gateway which one is meant


class Stage(StrEnum):
    """How far a session has come."""

    GREETING = "greeting"
    AUTHENTICATION = "authentication"
    HEADER = "header"
    RECORDS = "records"


class GatewayProtocolError(Exception):
    """The gateway sent what the protocol does not know."""


class LoginRefusedError(Exception):
    """The gateway refuses the key, the dataset or one connection more; the text is the gateway's."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks for what: the key, the dataset, and how often the gateway must say something (whole seconds)."""

    api_key: str = field(repr=False)
    dataset: str = DATASET
    heartbeat_s: int = 10
    client: str = "spyctl"

    def line(self, challenge: str) -> bytes:
        """Return the answer to a challenge."""
        digest = sha256(f"{challenge}|{self.api_key}".encode()).hexdigest()
        return control_line(
            auth=f"{digest}-{self.api_key[-_BUCKET:]}",
            dataset=self.dataset,
            encoding="dbn",
            ts_out=1,
            compression="none",
            heartbeat_interval_s=self.heartbeat_s,
            slow_reader_behavior="warn",  # by default mbp-10 records are skipped
            client=self.client,
        )


@dataclass(frozen=True, slots=True)
class Subscription:
    """Symbols of one schema; with ``start_ns`` (Unix ns) what happened from then on comes first."""

    schema: str
    symbols: Sequence[str]
    start_ns: int | None = None

    def lines(self, number: int) -> Iterator[bytes]:
        """Yield the lines that subscribe to them; ``number`` tells the subscriptions of a session apart."""
        by_type: dict[str, list[str]] = {}
        for symbol in self.symbols:
            by_type.setdefault(symbol_type(symbol), []).append(symbol)
        for stype_in, symbols in by_type.items():
            for first in range(0, len(symbols), SYMBOLS_A_LINE):
                start = {} if self.start_ns is None else {"start": self.start_ns}
                yield control_line(
                    schema=self.schema,
                    stype_in=stype_in,
                    symbols=",".join(symbols[first : first + SYMBOLS_A_LINE]),
                    **start,
                    snapshot=0,
                    id=number,
                    is_last=int(first + SYMBOLS_A_LINE >= len(symbols)),
                )


def symbol_type(symbol: str) -> str:
    """Return what a symbol is to the gateway: continuous (``ES.c.0``), parent (``ES.FUT``) or raw (``ESZ5``)."""
    if is_continuous(symbol):
        return "continuous"
    return "parent" if symbol.endswith((".FUT", ".OPT", ".SPOT")) else "raw_symbol"


def control_line(**fields: object) -> bytes:
    """Write a control line."""
    return ("|".join(f"{key}={value}" for key, value in fields.items()) + "\n").encode()


def parse_line(line: bytes) -> dict[str, str]:
    """Read a control line; what is no field is left out."""
    parts = (part.partition("=") for part in line.decode("utf-8", "replace").strip().split("|"))
    return {key: value for key, equals, value in parts if equals}


@dataclass(frozen=True, slots=True)
class Received:
    """What some bytes of the gateway come to: what to answer, and the records that are whole now."""

    answer: bytes = b""
    piece: Piece | None = None


class GatewayProtocol:
    """One session; :meth:`receive` takes what the gateway sends, cut wherever it may be.

    ``header`` is there once the records begin.
    """

    def __init__(self, login: Login, subscriptions: Iterable[Subscription]) -> None:
        self.stage = Stage.GREETING
        self.header: Header | None = None
        self._login = login
        self._subscriptions = tuple(subscriptions)
        self._buffer = b""
        self._splitter: RecordSplitter | None = None

    @property
    def problem(self) -> str | None:
        """What is wrong behind the last whole record; nothing more can be read then."""
        return self._splitter.problem if self._splitter is not None else None

    def receive(self, data: bytes) -> Received:
        """Take in the next bytes.

        Raises :class:`LoginRefusedError`, and :class:`GatewayProtocolError` where the bytes make no sense; the session
        is over then.
        """
        if self._splitter is not None:
            return Received(piece=self._records(data))
        self._buffer += data
        answer = b""
        while not self._begins_records():
            line, newline, rest = self._buffer.partition(b"\n")
            if not newline:
                if len(line) > MAX_LINE:
                    raise GatewayProtocolError("a line without an end")
                return Received(answer)
            self._buffer = rest
            answer += self._take(parse_line(line))
        return Received(answer, self._begin_records())

    def _begins_records(self) -> bool:
        return self.stage is Stage.HEADER and self._buffer[:3] == b"DBN"

    def _take(self, fields: dict[str, str]) -> bytes:
        # A control line; returns what to answer.
        if fields.get("success") == "0" or ("error" in fields and "success" not in fields):
            raise LoginRefusedError(fields.get("error") or "no reason given")
        if self.stage is Stage.GREETING and "cram" in fields:
            self.stage = Stage.AUTHENTICATION
            return self._login.line(fields["cram"])
        if self.stage is Stage.AUTHENTICATION and "success" in fields:
            self.stage = Stage.HEADER
            numbered = enumerate(self._subscriptions, 1)
            lines = [line for number, subscription in numbered for line in subscription.lines(number)]
            return b"".join([*lines, control_line(start_session=0)])
        return b""

    def _begin_records(self) -> Piece | None:
        if len(self._buffer) < PREFIX_BYTES:
            return None
        try:
            size = PREFIX_BYTES + metadata_length(self._buffer)
            if size > MAX_METADATA:
                raise GatewayProtocolError(f"metadata of {size:,} bytes")
            if len(self._buffer) < size:
                return None
            self.header = parse_header(self._buffer[:size])
        except MalformedHeaderError as error:
            raise GatewayProtocolError(error.reason) from None
        self.stage = Stage.RECORDS
        self._splitter = RecordSplitter(self.header)
        rest, self._buffer = self._buffer[size:], b""
        return self._records(rest)

    def _records(self, data: bytes) -> Piece:
        assert self._splitter is not None
        return self._splitter.feed(data)
