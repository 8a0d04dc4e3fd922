"""Massive (Polygon) messages → canonical events: the only place that knows what the fields on the wire mean.

| field     | stock trade T | stock quote Q      | option trade T | option quote Q     | rule                     |
|-----------|---------------|--------------------|----------------|--------------------|--------------------------|
| sym       | symbol        | symbol             | option_symbol  | option_symbol      | options: tickers, ``O:`` |
| t         | ts_event_ns   | ts_event_ns        | ts_event_ns    | ts_event_ns        | ms; others by magnitude  |
| p, bp, ap | price         | bid_px, ask_px     | price          | bid_px, ask_px     | not negative             |
| s, bs, as | size          | bid_sz, ask_sz     | size           | bid_sz, ask_sz     | shares since 2025-11-03  |
| ds        |               |                    |                |                    | counted if `fractional`  |
| x, bx, ax | exchange      | bid_exch, ask_exch |                | bid_exch, ask_exch | the vendor's ids         |
| c         | conditions    |                    | conditions     |                    | passed on                |
| q         | seq           | seq                | seq            | seq                |                          |

Prices are finite, those of trades above 0. An option often has no bid: a side that is left out of its quote is 0 × 0.

A message becomes an event with its *identity*, the vendor's own, which is the same for a copy that arrives again, be
it over REST: symbol, exchange, TRF and trade id on a day for stock trades, symbol and sequence on a day for quotes,
and for option trades, which have no id, contract, millisecond, exchange, price and size. Of equal prints the second and
further ones get a number: over REST by their count, over the socket by their sequences, which REST does not know. What
cannot become an event is a *reject* with a reason. Units and fields: https://massive.com/docs/websocket.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeGuard

import orjson

from spyctl.errors import PayloadError
from spyctl.market.events import EventSource, OptionQuote, OptionTrade, StockQuote, StockTrade
from spyctl.market.feeds import Arrival, IndexValue, LiveEvent, Reject
from spyctl.market.option_tickers import OptionTicker, parse_option_ticker
from spyctl.timing.instants import DAY

STOCKS, OPTIONS, INDICES = "stocks", "options", "indices"
SAMPLE_BYTES = 200
# (below, factor to ns): seconds, milliseconds, microseconds, nanoseconds up to the year 2100.
_UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (1 << 63, 1))
_MS = 10**6
EQUAL = "equal"  # what we add to a trade of REST: which of several equal ones it is
_EARLIEST_NS, _LATEST_NS = 10**18, 4 * 10**18
_MAX_ID = 120
_MAX_KIND = 8
_NO_SIDES = {"bp": 0, "bs": 0, "ap": 0, "as": 0}
# Attributes of the client libraries' parsed messages → the names on the wire.
_MODEL_FIELDS = {
    "event_type": "ev", "symbol": "sym", "timestamp": "t", "price": "p", "size": "s", "exchange": "x", "id": "i",
    "sequence_number": "q", "trf_id": "trfi", "fractional_shares": "ds", "bid_price": "bp", "ask_price": "ap",
    "bid_size": "bs", "ask_size": "as", "bid_exchange_id": "bx", "ask_exchange_id": "ax", "conditions": "c",
}  # fmt: skip
_REST_FIELDS = {
    "sip_timestamp": "t", "price": "p", "size": "s", "exchange": "x", "id": "i", "sequence_number": "q",
    "trf_id": "trfi", "conditions": "c",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Status:
    """What the server says about the connection: ``status`` and ``message`` as it wrote them."""

    status: str
    message: str


@dataclass(slots=True)
class Parsed:
    """What one frame held; ``events`` come with their identities, ``notes`` name what is odd about an event.

    ``values`` are those of indices, in messages ``V`` with ``T``, ``val`` and ``t``.
    """

    events: list[tuple[LiveEvent, str]] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    values: list[IndexValue] = field(default_factory=list)

    def arrival(self, feed: str, clock_ns: int) -> Arrival:
        """Return what of it a feed hands on, which arrived at ``clock_ns`` (monotonic)."""
        return Arrival(feed, self.events, self.rejects, self.notes, clock_ns, self.values)


class _RejectedError(Exception):
    pass


def parse_frame(frame: str | bytes, market: str, ts_recv_ns: int, source: EventSource) -> Parsed:
    """Read one frame of a market's socket; nothing that arrives makes it raise.

    ``ts_recv_ns`` is when the frame arrived (Unix ns), the same for all its events.
    """
    try:
        document = orjson.loads(frame)
    except orjson.JSONDecodeError:
        try:
            document = json.loads(frame)  # slower, but it reads NaN, so that the others of the frame are kept
        except (ValueError, RecursionError):
            return Parsed(rejects=[Reject("bad_frame", _sample(frame))])
    if isinstance(document, dict):
        document = [document]
    if not isinstance(document, list):
        return Parsed(rejects=[Reject("bad_frame", _sample(frame))])
    return normalize(document, market, ts_recv_ns, source)


def normalize(messages: Iterable[object], market: str, ts_recv_ns: int, source: EventSource) -> Parsed:
    """Turn messages, in wire form, into events; never raises."""
    parsed = Parsed()
    for message in messages:
        if not isinstance(message, dict):
            parsed.rejects.append(Reject("no_object", _sample(message)))
            continue
        kind = message.get("ev")
        try:
            if kind == "status":
                parsed.statuses.append(Status(_words(message, "status"), _words(message, "message")))
            elif kind == "T":
                trade = _option_trade if market == OPTIONS else _stock_trade
                parsed.events.append(trade(message, ts_recv_ns, source, parsed.notes))
            elif kind == "Q":
                quote = _option_quote if market == OPTIONS else _stock_quote
                parsed.events.append(quote(message, ts_recv_ns, source, parsed.notes))
            elif kind == "V" and market == INDICES:
                parsed.values.append(_index_value(message, parsed.notes))
            else:
                parsed.rejects.append(Reject("no_ev" if kind is None else _unknown(kind), _sample(message)))
        except _RejectedError as reason:
            parsed.rejects.append(Reject(str(reason), _sample(message)))
        except (ArithmeticError, ValueError, TypeError, RecursionError):  # numbers of absurd length
            parsed.rejects.append(Reject("absurd", _sample(message)))
    return parsed


def numbered(identity: str, number: int) -> str:
    """Return the identity of one of several equal prints, which are counted from 1."""
    return identity if number == 1 else f"{identity}.{number}"


def count_equal(trades: Iterable[dict[str, Any]]) -> None:
    """Number those of the trades (in wire form, of REST) that are equal in all that tells an option print."""
    met: Counter[tuple[str, ...]] = Counter()
    for trade in trades:
        t = trade.get("t")
        ms = t // _MS if _is_int(t) else t
        key = tuple(str(value) for value in (trade.get("sym"), ms, trade.get("x"), trade.get("p"), trade.get("s")))
        met[key] += 1
        trade[EQUAL] = met[key]


def from_model(message: object) -> object:
    """Turn a message that a client library has parsed back into wire form; anything else is left as it is."""
    if isinstance(message, dict) or not hasattr(message, "event_type"):
        return message
    fields = {wire: getattr(message, name, None) for name, wire in _MODEL_FIELDS.items()}
    return {wire: value for wire, value in fields.items() if value is not None}


def from_rest(symbol: str, trade: dict[str, Any]) -> dict[str, Any]:
    """Turn a trade of the REST endpoint ``/v3/trades`` into wire form."""
    return {"ev": "T", "sym": symbol} | {wire: trade[name] for name, wire in _REST_FIELDS.items() if name in trade}


def _unknown(kind: object) -> str:
    # Counted by its name, where it looks like one.
    named = isinstance(kind, str) and kind.isascii() and kind.isalnum() and len(kind) <= _MAX_KIND
    return f"unknown_ev {kind}" if named else "unknown_ev"


def _sample(message: object) -> str:
    if isinstance(message, str):
        return message[:SAMPLE_BYTES]
    try:
        return repr(message)[:SAMPLE_BYTES]
    except (RecursionError, ValueError):
        return f"a {type(message).__name__}"


# --- the four messages


def _stock_trade(
    message: dict[str, Any], ts_recv_ns: int, source: EventSource, notes: list[str]
) -> tuple[StockTrade, str]:
    symbol, ts_event_ns = _symbol(message), _time(message, notes)
    price, size = _price(message, "p", above_zero=True), _trade_size(message, notes)
    exchange, seq = _optional_int(message, "x"), _optional_int(message, "q")
    trade_id, reporter = _id(message, "i"), _id(message, "trfi")
    if trade_id is None:
        which = f"{ts_event_ns // _MS}.{seq}.{price}.{size}"
    else:
        which = f"{reporter or 0}.{trade_id}.{ts_event_ns // DAY}"
    event = StockTrade(ts_event_ns, ts_recv_ns, source, symbol, price, size, exchange, _conditions(message), seq)
    return event, _identity(f"T.{symbol}.{exchange}.{which}")


def _stock_quote(
    message: dict[str, Any], ts_recv_ns: int, source: EventSource, notes: list[str]
) -> tuple[StockQuote, str]:
    symbol, ts_event_ns = _symbol(message), _time(message, notes)
    bid_px, ask_px = _price(message, "bp"), _price(message, "ap")
    bid_sz, ask_sz = _size(message, "bs"), _size(message, "as")
    seq = _optional_int(message, "q")
    event = StockQuote(
        ts_event_ns, ts_recv_ns, source, symbol, bid_px, ask_px, bid_sz, ask_sz,
        _optional_int(message, "bx"), _optional_int(message, "ax"), seq,
    )  # fmt: skip
    if seq is None:
        return event, _identity(f"Q.{symbol}.{ts_event_ns // _MS}.{bid_px}.{bid_sz}.{ask_px}.{ask_sz}")
    return event, f"Q.{symbol}.{seq}.{ts_event_ns // DAY}"


def _option_trade(
    message: dict[str, Any], ts_recv_ns: int, source: EventSource, notes: list[str]
) -> tuple[OptionTrade, str]:
    (symbol, ticker), ts_event_ns = _option(message), _time(message, notes)
    price, size = _price(message, "p", above_zero=True), _trade_size(message, notes)
    exchange, seq = _optional_int(message, "x"), _optional_int(message, "q")
    event = OptionTrade(
        ts_event_ns, ts_recv_ns, source, ticker.root, symbol, ticker.expiry.isoformat(), ticker.strike,
        ticker.right, price, size, conditions=_conditions(message), seq=seq,
    )  # fmt: skip
    number = _optional_int(message, EQUAL) if source is EventSource.POLYGON_REST else None
    return event, numbered(f"T.{symbol}.{ts_event_ns // _MS}.{exchange}.{price}.{size}", number or 1)


def _option_quote(
    message: dict[str, Any], ts_recv_ns: int, source: EventSource, notes: list[str]
) -> tuple[OptionQuote, str]:
    message = _NO_SIDES | message
    (symbol, ticker), ts_event_ns = _option(message), _time(message, notes)
    bid_px, ask_px = _price(message, "bp"), _price(message, "ap")
    bid_sz, ask_sz = _size(message, "bs"), _size(message, "as")
    seq = _optional_int(message, "q")
    event = OptionQuote(
        ts_event_ns, ts_recv_ns, source, ticker.root, symbol, ticker.expiry.isoformat(), ticker.strike,
        ticker.right, bid_px, ask_px, bid_sz, ask_sz, _optional_int(message, "bx"), _optional_int(message, "ax"), seq,
    )  # fmt: skip
    if seq is None:
        return event, f"Q.{symbol}.{ts_event_ns // _MS}.{bid_px}.{bid_sz}.{ask_px}.{ask_sz}"
    return event, f"Q.{symbol}.{seq}.{ts_event_ns // DAY}"


def _index_value(message: dict[str, Any], notes: list[str]) -> IndexValue:
    symbol = message.get("T")
    if not isinstance(symbol, str):
        raise _RejectedError("no_T")
    return IndexValue(symbol, _price(message, "val", above_zero=True), _time(message, notes))


# --- the fields


def _option(message: dict[str, Any]) -> tuple[str, OptionTicker]:
    symbol = message.get("sym")
    if symbol is None:
        raise _RejectedError("no_sym")
    if isinstance(symbol, str):
        with suppress(PayloadError):
            return symbol, parse_option_ticker(symbol)
    raise _RejectedError("bad_ticker")


def _symbol(message: dict[str, Any]) -> str:
    symbol = message.get("sym")
    if symbol is None:
        raise _RejectedError("no_sym")
    if not isinstance(symbol, str) or not 0 < len(symbol) <= 12 or not symbol.replace(".", "").isalnum():
        raise _RejectedError("bad_sym")
    return symbol


def _time(message: dict[str, Any], notes: list[str]) -> int:
    value = message.get("t")
    if value is None:
        raise _RejectedError("no_t")
    if type(value) is not int or value <= 0:
        raise _RejectedError("bad_t")
    for below, factor in _UNITS:
        if value < below:
            if factor != _MS:
                notes.append("time_unit")
            ns = value * factor
            if _EARLIEST_NS <= ns < _LATEST_NS:
                return ns
            break
    raise _RejectedError("bad_t")


def _price(message: dict[str, Any], key: str, *, above_zero: bool = False) -> float:
    value = message.get(key)
    if value is None:
        raise _RejectedError(f"no_{key}")
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0 or (above_zero and value == 0):
        raise _RejectedError("bad_price")
    return float(value)


def _size(message: dict[str, Any], key: str) -> int:
    value = message.get(key)
    if value is None:
        raise _RejectedError(f"no_{key}")
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise _RejectedError("bad_size")
    return value


def _trade_size(message: dict[str, Any], notes: list[str]) -> int:
    exact = message.get("ds")
    if isinstance(exact, str):
        whole, _, fraction = exact.partition(".")
        if fraction.strip("0"):
            notes.append("fractional")
        if message.get("s") is None and whole.isascii() and whole.isdigit() and len(whole) < 16:
            return int(whole)
    size = message.get("s")
    if type(size) is float and math.isfinite(size) and not size.is_integer() and size > 0:
        notes.append("fractional")
        return int(size)
    shares = _size(message, "s")
    if shares == 0 and exact is None:
        notes.append("zero_size")
    return shares


def _words(message: dict[str, Any], key: str) -> str:
    value = message.get(key, "")
    if not isinstance(value, str):
        raise _RejectedError("bad_status")
    return value


def _id(message: dict[str, Any], key: str) -> str | int | None:
    # Part of an identity, so it must be one thing: what is neither text nor number is no id.
    value = message.get(key)
    if value is None or isinstance(value, str) or _is_int(value):
        return value
    raise _RejectedError("bad_id")


def _optional_int(message: dict[str, Any], key: str) -> int | None:
    value = message.get(key)
    return value if _is_int(value) else None


def _conditions(message: dict[str, Any]) -> list[int] | None:
    value = message.get("c")
    if isinstance(value, list):
        return [item for item in value if _is_int(item)]
    return [value] if _is_int(value) else None


def _is_int(value: object) -> TypeGuard[int]:
    return type(value) is int and -(1 << 63) <= value < 1 << 63


def _identity(text: str) -> str:
    # It becomes a header: what does not fit into one is replaced by its digest.
    if len(text) <= _MAX_ID and text.isascii() and text.isprintable() and " " not in text:
        return text
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
