"""The published contract in one place: event ↔ subject and event ↔ bytes.

:data:`SUBJECTS` is the one table of subjects. The index of a subject there is its *rank*, the small number that
stands for it in an encoded batch.
"""

import types
from dataclasses import dataclass
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

import orjson

from spyctl.errors import PayloadError
from spyctl.market.events import (
    BOOK_DEPTH,
    MBP10,
    BidAskLevel,
    Event,
    FuturesTrade,
    Gap,
    OptionQuote,
    OptionTrade,
    Reset,
    StockQuote,
    StockTrade,
)

STREAM = "MARKET_DATA"
STREAM_SUBJECTS = ("market.*", "market.*.*")


@dataclass(frozen=True, slots=True)
class Kind:
    """An event type with the names it has outside: its subject and its schema id."""

    event_type: type[Any]
    subject: str
    schema_id: str


KINDS = (
    Kind(StockTrade, "market.stocks.trades", "stocks.trades.v1"),
    Kind(StockQuote, "market.stocks.quotes", "stocks.quotes.v1"),
    Kind(OptionTrade, "market.options.trades", "options.trades.v1"),
    Kind(FuturesTrade, "market.futures.trades", "futures.trades.v1"),
    Kind(MBP10, "market.futures.mbp10", "futures.mbp10.v1"),
    Kind(Gap, "market.gaps", "gaps.v1"),
    Kind(Reset, "market.resets", "resets.v1"),
    Kind(OptionQuote, "market.options.quotes", "options.quotes.v1"),
)
# Trades rank before the book change of the same instant. A new event type goes to the end.
SUBJECTS = tuple(kind.subject for kind in KINDS)
_RANKS = {subject: rank for rank, subject in enumerate(SUBJECTS)}
_BY_TYPE = {kind.event_type: kind for kind in KINDS}
HINTS = {event_type: get_type_hints(event_type) for event_type in (*_BY_TYPE, BidAskLevel)}
_BY_SUBJECT = {kind.subject: kind for kind in KINDS}


def stream_name(prefix: str = "") -> str:
    """Name the stream that holds the events published under ``prefix`` (none: the real one)."""
    return f"{prefix}_{STREAM}" if prefix else STREAM


def prefix_of(stream: str) -> str:
    """Return the prefix of the events that a stream of this name holds."""
    return "" if stream == STREAM else stream.removesuffix(f"_{STREAM}")


def with_prefix(subject: str, prefix: str = "") -> str:
    """Put a rehearsal's prefix before a subject."""
    return f"{prefix}.{subject}" if prefix else subject


def subject_table(prefix: str = "") -> tuple[str, ...]:
    """Return all subjects under ``prefix``, indexed by rank."""
    return tuple(with_prefix(subject, prefix) for subject in SUBJECTS)


def rank_of(subject: str) -> int:
    """Return the rank of a subject (without prefix)."""
    return _RANKS[subject]


def subject_of(event: Event | type[Event]) -> str:
    """Return the subject (without prefix) on which this event, or this type of event, is published."""
    event_type = event if isinstance(event, type) else type(event)
    return _BY_TYPE[event_type].subject


def encode(event: Event) -> bytes:
    """Write an event as the stream holds it: compact JSON, keys in the order of the fields."""
    return orjson.dumps(event)


def decode(subject: str, payload: bytes) -> Event:
    """Read a message back into its event, checking every key and every value.

    ``subject`` may carry a prefix. Raises :class:`PayloadError`, naming the key, where the payload is not
    exactly what :func:`encode` can have written for that subject.
    """
    plain = subject if subject.startswith("market.") else subject.partition(".")[2]
    kind = _BY_SUBJECT.get(plain)
    if kind is None:
        raise PayloadError(f"no event type is published on {subject!r}")
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise PayloadError(f"{subject}: not JSON ({error})") from None
    event: Event = _build(kind.event_type, document, kind.schema_id)
    return event


def _build(event_type: type[Any], document: Any, where: str) -> Any:
    if not isinstance(document, dict):
        raise PayloadError(f"{where}: an object was expected, not {type(document).__name__}")
    hints = HINTS[event_type]
    if list(document) != list(hints):
        odd = sorted(set(document) ^ set(hints))
        raise PayloadError(f"{where}: " + (f"keys do not fit: {', '.join(odd)}" if odd else "keys out of order"))
    return event_type(**{key: _value(hints[key], document[key], f"{where}.{key}") for key in hints})


def _value(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        if value is None:
            return None
        hint = next(arg for arg in get_args(hint) if arg is not type(None))
    origin = get_origin(hint)
    if origin is tuple:
        if not isinstance(value, list) or len(value) != BOOK_DEPTH:
            raise PayloadError(f"{where}: exactly {BOOK_DEPTH} levels were expected")
        return tuple(_build(get_args(hint)[0], level, f"{where}[{i}]") for i, level in enumerate(value))
    if origin is list and isinstance(value, list):
        return [_value(get_args(hint)[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            if isinstance(value, bool):
                raise ValueError
            return hint(value)
        except ValueError:
            allowed = ", ".join(str(member.value) for member in hint)
            shown = repr(value)[:40] if isinstance(value, str | int | float) else f"a {type(value).__name__}"
            raise PayloadError(f"{where}: {shown} is not one of {allowed}") from None
    if type(value) is hint:
        return value
    name = getattr(hint, "__name__", str(hint))
    raise PayloadError(f"{where}: {type(value).__name__} found, {name} expected")
