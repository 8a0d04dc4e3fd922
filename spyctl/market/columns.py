"""Batches of canonical events as columns.

A batch is one numpy structured array per event type, so that whole batches are filtered, sorted and
encoded without touching single events. Prices are the integers of the file (1e-9 of the currency unit,
``UNDEF_PRICE`` where there is none); symbols are numbers into a table that the whole run shares.
Only :func:`events` turns rows into event objects.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from spyctl.errors import UnknownSchemaError
from spyctl.market.events import BOOK_DEPTH, MBP10, Aggressor, BidAskLevel, EventSource, FuturesTrade

UNDEF_PRICE = (1 << 63) - 1
PRICE_SCALE = 1e9
SOURCE = EventSource.DIRECT_FEED

Rows = NDArray[np.void]
_COMMON = {"sort_ns": "i8", "ts_event_ns": "i8", "ts_recv_ns": "i8", "symbol": "u4", "seq": "u4", "late": "?"}


def _aligned(fields: dict[str, Any]) -> np.dtype[np.void]:
    return np.dtype(list(fields.items()), align=True)  # columns of numbers at odd places are slow


# In memory the prices come first, so that a level has no holes.
LEVEL_DTYPE = np.dtype(
    {"names": ["bid_px", "bid_sz", "ask_px", "ask_sz"], "formats": ["i8", "u4", "i8", "u4"], "offsets": [0, 16, 8, 20]},
    align=True,
)
TRADE_DTYPE = _aligned({**_COMMON, "price": "i8", "size": "u4", "aggressor": "i1", "exchange": "S4"})
MBP10_DTYPE = _aligned({**_COMMON, "is_snapshot": "?", "levels": (LEVEL_DTYPE, (BOOK_DEPTH,))})
# The rank of a schema in the order of events: trades come before the book change of the same instant.
DTYPES = {"trades": TRADE_DTYPE, "mbp-10": MBP10_DTYPE}
SCHEMAS = tuple(DTYPES)
_SPELLINGS = {"trades": "trades", "trade": "trades", "mbp10": "mbp-10"}
EVENT_TYPES: dict[str, type[FuturesTrade] | type[MBP10]] = {"trades": FuturesTrade, "mbp-10": MBP10}


def schema_name(text: str) -> str:
    """Read a schema in any spelling (``MBP-10``, ``mbp_10``, ``mbp10``); raises :class:`UnknownSchemaError`."""
    compact = text.strip().lower().replace("-", "").replace("_", "").replace(" ", "")
    if compact not in _SPELLINGS:
        raise UnknownSchemaError(f"there is no schema {text!r} here", "trades or mbp-10")
    return _SPELLINGS[compact]


def taken(rows: Rows, wanted: "NDArray[np.intp] | NDArray[np.bool_]") -> Rows:
    """Return a copy of some rows; as plain bytes, since numpy copies records field by field."""
    found: Rows = _plain(rows)[wanted].view(rows.dtype)
    return found


def one_behind_the_other(pieces: Sequence[Rows], schema: str) -> Rows:
    """Return the rows of all pieces; a single piece is not copied."""
    if len(pieces) == 1:
        return pieces[0]
    dtype = DTYPES[schema]
    return np.concatenate([_plain(rows) for rows in pieces]).view(dtype) if pieces else np.empty(0, dtype)


def _plain(rows: Rows) -> Rows:
    plain: Rows = rows.view(f"V{rows.dtype.itemsize}")
    return plain


class Names:
    """The symbols of a run: text ↔ the number that stands for it in a column."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._as_json: NDArray[np.bytes_] = np.array([], "S1")

    def number(self, text: str) -> int:
        """Return the number of a symbol, giving out the next one to a new symbol."""
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return self._numbers[text]

    def as_json(self) -> NDArray[np.bytes_]:
        """Return each symbol as a JSON string, in an array that numbers index."""
        if len(self._as_json) < len(self.texts):
            self._as_json = np.array([orjson.dumps(text) for text in self.texts])
        return self._as_json


@dataclass(slots=True)
class Batch:
    """Events of both schemas in one order.

    ``parts`` are the rows of each schema, ``order`` indexes their concatenation (trades, then mbp-10) and
    says what comes first, second, …; ``len`` is the number of events. ``source`` is that of all of them.
    """

    parts: tuple[Rows, Rows]
    order: NDArray[np.intp]
    names: Names
    source: EventSource = SOURCE

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, piece: slice) -> "Batch":
        """Return the events of a range, with no other rows beside them."""
        trades = len(self.parts[0])
        order = self.order[piece]
        is_trade = order < trades
        rows = (taken(self.parts[0], order[is_trade]), taken(self.parts[1], order[~is_trade] - trades))
        renumbered = np.where(is_trade, np.cumsum(is_trade), is_trade.sum() + np.cumsum(~is_trade)) - 1
        return Batch(rows, renumbered, self.names, self.source)

    @property
    def sort_ns(self) -> NDArray[np.int64]:
        """The sort times of the events, in order."""
        return self.column("sort_ns")

    def column(self, name: str) -> NDArray[Any]:
        """Return a column that both schemas have, in the order of the events."""
        joined: NDArray[Any] = np.concatenate([part[name] for part in self.parts])[self.order]
        return joined

    def is_book(self) -> NDArray[np.bool_]:
        """Return for each event, in order, whether it is an mbp-10 (else a trade)."""
        books: NDArray[np.bool_] = self.order >= len(self.parts[0])
        return books


def events(batch: Batch) -> Iterator[FuturesTrade | MBP10]:
    """Turn a batch into event objects, in order; the exact, slow reading of the columns."""
    objects: list[FuturesTrade | MBP10] = [*_trades(batch.parts[0], batch.names.texts, batch.source)]
    objects += _mbp10s(batch.parts[1], batch.names.texts, batch.source)
    return (objects[index] for index in batch.order.tolist())


def _lists(rows: Rows, *columns: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(rows[column].tolist() for column in columns), strict=True)


def _trades(rows: Rows, texts: list[str], source: EventSource) -> Iterator[FuturesTrade]:
    columns = ("ts_event_ns", "ts_recv_ns", "symbol", "price", "size", "aggressor", "exchange", "seq")
    for ts_event, ts_recv, symbol, px, size, side, exchange, seq in _lists(rows, *columns):
        price, aggressor = px / PRICE_SCALE, Aggressor(side)
        yield FuturesTrade(ts_event, ts_recv, source, texts[symbol], price, size, aggressor, exchange.decode(), seq=seq)


def _mbp10s(rows: Rows, texts: list[str], source: EventSource) -> Iterator[MBP10]:
    columns = ("ts_event_ns", "ts_recv_ns", "symbol", "levels", "is_snapshot", "seq")
    for ts_event, ts_recv, symbol, levels, is_snapshot, seq in _lists(rows, *columns):
        book = tuple(
            BidAskLevel(price(bid_px), bid_sz, price(ask_px), ask_sz) for bid_px, bid_sz, ask_px, ask_sz in levels
        )
        yield MBP10(ts_event, ts_recv, source, texts[symbol], book, is_snapshot, seq)


def price(fixed: int) -> float | None:
    """Return a price in units of the currency, ``None`` where there is none."""
    return None if fixed == UNDEF_PRICE else fixed / PRICE_SCALE
