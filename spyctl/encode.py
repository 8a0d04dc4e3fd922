"""Canonical columns → the bytes that are published, a whole batch at a time.

A batch becomes a byte matrix with one row an event. A row starts as a template, the JSON of the event with
empty slots; the slots are filled column by column from tables of ready-made digits, with ``\\0`` where a number is
shorter than its slot, and at the end all ``\\0`` are dropped at once. The bytes are those of ``orjson.dumps(event)``:
a price below 10^6 units has at most 15 significant digits, so the shortest text that reads back as
``float64(px) / 1e9`` is its plain decimal expansion. What lies outside (huge or tiny prices, instants of other
centuries) is encoded event by event.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from spyctl.columns import EVENT_TYPES, SCHEMAS, UNDEF_PRICE, Batch, Rows, events
from spyctl.wire import subject_of

PIECE = 1024  # events encoded at once, so that a paced replay is never held up for long
SUBJECTS = tuple(subject_of(EVENT_TYPES[schema]) for schema in SCHEMAS)

Bytes = NDArray[np.uint8]
Ints = NDArray[Any]

_NS = 1_000_000_000
_FIRST_NS, _END_NS = 10**18, (1 << 63) - 1  # instants with 19 digits
_PRICE_END = 10**15  # 1e-9 units: below it a price has at most 15 significant digits
_PRICE_MIN = 10**6  # from 0.001 on no exponent is written


@dataclass(slots=True)
class EncodedBatch:
    """Events ready to be published, in order.

    ``rows`` is the byte matrix: row i without its ``\\0`` is the JSON of event i. ``ranks`` index
    :data:`SUBJECTS`, ``sort_ns`` are the times the pacing goes by and ``late`` marks events whose ``ts_event``
    lies outside the reorder window.
    """

    rows: Bytes
    ranks: NDArray[np.uint8]
    sort_ns: NDArray[np.int64]
    late: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, piece: slice) -> "EncodedBatch":
        return EncodedBatch(self.rows[piece], self.ranks[piece], self.sort_ns[piece], self.late[piece])

    def lines(self) -> bytes:
        """Return all payloads, each followed by a newline."""
        ended = np.empty((len(self.rows), self.rows.shape[1] + 1), np.uint8)
        ended[:, :-1] = self.rows
        ended[:, -1] = ord("\n")
        return ended.tobytes().translate(None, b"\0")

    def payloads(self) -> list[bytes]:
        """Return the payloads one by one."""
        return self.lines().split(b"\n")[:-1]


def encode_batch(batch: Batch) -> Iterator[EncodedBatch]:
    """Yield the events of a batch as bytes, a bounded piece at a time."""
    for start in range(0, len(batch), PIECE):
        piece = batch[start : start + PIECE]
        yield EncodedBatch(_encode(piece), piece.ranks(), piece.column("sort_ns"), piece.column("late"))


def _encode(batch: Batch) -> Bytes:
    trades, books = batch.parts
    symbols = [orjson.dumps(text) for text in batch.names.texts]
    width = max(map(len, symbols))
    encoded = [_encode_trades(trades, symbols, width), _encode_books(books, symbols, width)]
    odd = np.concatenate(
        [_odd_times(part) | odd_prices for part, (_, odd_prices) in zip(batch.parts, encoded, strict=True)]
    )
    odd = odd[batch.order].nonzero()[0]
    exact = {int(i): orjson.dumps(next(events(batch[i : i + 1]))) for i in odd}
    widths = [matrix.shape[1] for matrix, _ in encoded if len(matrix)] + [len(payload) for payload in exact.values()]
    rows = np.zeros((len(batch), max(widths)), np.uint8)
    is_book = batch.ranks().astype(bool)
    for (matrix, _), chosen, first in zip(encoded, (~is_book, is_book), (0, len(trades)), strict=True):
        if len(matrix):
            rows[chosen, : matrix.shape[1]] = matrix[batch.order[chosen] - first]
    for i, payload in exact.items():
        rows[i] = 0
        rows[i, : len(payload)] = np.frombuffer(payload, np.uint8)
    return rows


# --- layouts: a template with slots, as a packed structured dtype


_Part = bytes | tuple[str, str] | tuple[str, np.dtype[Any], int]


def _layout(parts: Sequence[_Part]) -> tuple[np.dtype[Any], bytes]:
    fields: list[Any] = []
    template = b""
    for part in parts:
        if isinstance(part, bytes):
            fields.append((f"literal{len(fields)}", f"V{len(part)}"))
            template += part
        else:
            fields.append(part if len(part) == 2 else (part[0], part[1], (part[2],)))
            template += bytes(np.dtype([fields[-1]]).itemsize)
    return np.dtype(fields), template


def _int_slots(name: str, wide: bool) -> list[_Part]:
    slots: list[_Part] = [(f"{name}.8", "u2"), (f"{name}.4", "u4")] if wide else []
    return [*slots, (f"{name}.0", "u4")]


def _price_slots(name: str, wide: bool) -> list[_Part]:
    before: list[_Part] = [(f"{name}.sign", "u1"), (f"{name}.4", "u2")] if wide else []
    behind: list[_Part] = [(f"{name}.f4", "u4"), (f"{name}.f8", "u1")] if wide else []
    return [*before, (f"{name}.0", "u4"), (f"{name}.dot", "u1"), (f"{name}.f0", "u4"), *behind]


def _time_slots(name: str) -> list[_Part]:
    return [(f"{name}.{i}", size) for i, size in enumerate(("u2", "u4", "u4", "u4", "u4", "u1"))]


def _head(symbol_width: int) -> list[_Part]:
    return [
        b'{"ts_event_ns":', *_time_slots("ts_event_ns"),
        b',"ts_recv_ns":', *_time_slots("ts_recv_ns"),
        b',"source":"direct_feed","symbol":', ("symbol", f"S{symbol_width}"),
    ]  # fmt: skip


@cache
def _trade_layout(symbol_width: int, wide: bool) -> tuple[np.dtype[Any], bytes]:
    return _layout(
        [
            *_head(symbol_width),
            b',"price":', *_price_slots("price", wide),
            b',"size":', *_int_slots("size", wide),
            b',"aggressor":', ("aggressor", "S2"),
            b',"exchange":"CME","conditions":null,"seq":', *_int_slots("seq", True),
            b"}",
        ]
    )  # fmt: skip


@cache
def _book_layout(symbol_width: int, wide: bool) -> tuple[np.dtype[Any], bytes]:
    level, level_template = _layout(
        [
            b',{"bid_px":', *_price_slots("bid_px", wide),
            b',"bid_sz":', *_int_slots("bid_sz", wide),
            b',"ask_px":', *_price_slots("ask_px", wide),
            b',"ask_sz":', *_int_slots("ask_sz", wide),
            b"}",
        ]
    )  # fmt: skip
    dtype, template = _layout(
        [
            *_head(symbol_width),
            b',"levels":', ("levels", level, 10),
            b'],"is_snapshot":', ("is_snapshot", "S5"),
            b',"seq":', *_int_slots("seq", True),
            b"}",
        ]
    )  # fmt: skip
    assert dtype.fields is not None
    at = dtype.fields["levels"][1]
    levels = b"[" + (level_template * 10)[1:]
    return dtype, template[:at] + levels + template[at + len(levels) :]


def _blank(count: int, layout: tuple[np.dtype[Any], bytes]) -> Rows:
    dtype, template = layout
    rows: Rows = np.empty(count, dtype)
    _matrix(rows)[:] = np.frombuffer(template, np.uint8)
    return rows


# --- digits


def _tables() -> tuple[Ints, Ints, Ints]:
    digits = np.arange(10_000)[:, None] // np.array([1000, 100, 10, 1]) % 10
    padded = (digits + ord("0")).astype(np.uint8)
    leading, trailing = padded.copy(), padded.copy()
    leading[:, :3][np.logical_and.accumulate(digits[:, :3] == 0, axis=1)] = 0
    trailing[:, 1:][np.logical_and.accumulate(digits[:, :0:-1] == 0, axis=1)[:, ::-1]] = 0
    found = tuple(np.ascontiguousarray(table).view("u4").ravel() for table in (padded, leading, trailing))
    return found[0], found[1], found[2]


# Four digits as one u4: with all zeros, without the leading ones, without the trailing ones (0 is "0").
_PADDED, _LEADING, _TRAILING = _tables()
_TWO_PADDED = (_PADDED >> 16).astype("u2")
_TWO_LEADING = (_LEADING >> 16).astype("u2")
_NULL = int(np.frombuffer(b"null", "u4")[0])
_AGGRESSORS = np.array([b"0", b"1", b"-1"])  # indexed by the value itself: -1 is the last
_BOOLEANS = np.array([b"false", b"true"])


def _fill_times(rows: Rows, name: str, ns: Ints) -> None:
    seconds, below = np.divmod(ns, _NS)
    high, low = np.divmod(seconds % 10**8, 10_000)
    first, rest = np.divmod(below, 10**5)
    second, last = np.divmod(rest, 10)
    rows[f"{name}.0"] = _TWO_PADDED[np.clip(seconds // 10**8, 0, 99)]
    for i, four in enumerate((high, low, first, second), 1):
        rows[f"{name}.{i}"] = _PADDED[four]
    rows[f"{name}.5"] = last + ord("0")


def _fill_ints(rows: Rows, name: str, values: Ints, wide: bool) -> None:
    if not wide:
        rows[f"{name}.0"] = _LEADING[values]
        return
    upper, low = np.divmod(values, 10_000)
    high, middle = np.divmod(upper, 10_000)
    rows[f"{name}.8"] = np.where(high > 0, _TWO_LEADING[high], 0)
    rows[f"{name}.4"] = np.where(high > 0, _PADDED[middle], np.where(middle > 0, _LEADING[middle], 0))
    rows[f"{name}.0"] = np.where(upper > 0, _PADDED[low], _LEADING[low])


def _fill_prices(rows: Rows, name: str, px: Ints, wide: bool) -> None:
    missing = px == UNDEF_PRICE
    some_missing = bool(missing.any())
    size = np.where(missing, 0, px) if some_missing else px
    if wide:
        rows[f"{name}.sign"] = np.where(size < 0, ord("-"), 0)
        size = np.abs(size)
        size = np.where((size < 0) | (size >= _PRICE_END), 0, size)  # odd ones are written over later
    whole, fraction = np.divmod(size // 10**5, 10_000)
    if wide:
        upper, whole = np.divmod(whole, 10_000)
        rows[f"{name}.4"] = np.where(upper > 0, _TWO_LEADING[upper], 0)
        lower, last = np.divmod(size % 10**5, 10)
        more = (lower > 0) | (last > 0)
        rows[f"{name}.f4"] = np.where(more, np.where(last > 0, _PADDED[lower], _TRAILING[lower]), 0)
        rows[f"{name}.f8"] = np.where(last > 0, last + ord("0"), 0)
        digits = np.where(upper > 0, _PADDED[whole], _LEADING[whole])
        decimals = np.where(more, _PADDED[fraction], _TRAILING[fraction])
    else:
        digits, decimals = _LEADING[whole], _TRAILING[fraction]
    if some_missing:
        digits, decimals = np.where(missing, _NULL, digits), np.where(missing, 0, decimals)
    rows[f"{name}.0"] = digits
    rows[f"{name}.dot"] = np.where(missing, 0, ord(".")) if some_missing else ord(".")
    rows[f"{name}.f0"] = decimals


def _fill_head(rows: Rows, part: Rows, symbols: Sequence[bytes]) -> None:
    for name in ("ts_event_ns", "ts_recv_ns"):
        _fill_times(rows, name, part[name])
    rows["symbol"] = symbols[0] if len(symbols) == 1 else np.array(symbols)[part["symbol"]]
    _fill_ints(rows, "seq", part["seq"], True)


def _odd_times(part: Rows) -> NDArray[np.bool_]:
    odd: NDArray[np.bool_] = (part["ts_event_ns"] < _FIRST_NS) | (part["ts_recv_ns"] < _FIRST_NS)
    return odd


def _narrow(px: Ints) -> bool:
    # Prices that are multiples of 1e-4 from 0.001 up to 9999.9999, or zero; nearly every batch.
    return bool(len(px) == 0 or (px.min() >= 0 and px.max() < 10_000 * _NS and not (px % 10**5).any() and _plain(px)))


def _plain(px: Ints) -> bool:
    return not ((px < _PRICE_MIN) & (px > 0)).any()


def _odd_price(px: Ints) -> NDArray[np.bool_]:
    size = np.abs(px)
    strange = (size < 0) | (size >= _PRICE_END) | ((size > 0) & (size < _PRICE_MIN))
    odd: NDArray[np.bool_] = strange & (px != UNDEF_PRICE)
    return odd


def _encode_trades(part: Rows, symbols: Sequence[bytes], width: int) -> tuple[Bytes, NDArray[np.bool_]]:
    price = part["price"]
    wide = not (_narrow(price) and (len(part) == 0 or part["size"].max() < 10_000))
    rows = _blank(len(part), _trade_layout(width, wide))
    if len(part):
        _fill_head(rows, part, symbols)
        _fill_prices(rows, "price", price, wide)
        _fill_ints(rows, "size", part["size"], wide)
        rows["aggressor"] = _AGGRESSORS[part["aggressor"]]
    return _matrix(rows), _odd_price(price) if wide else np.zeros(len(part), bool)


def _encode_books(part: Rows, symbols: Sequence[bytes], width: int) -> tuple[Bytes, NDArray[np.bool_]]:
    levels = part["levels"]
    columns = {name: np.ascontiguousarray(levels[name]) for name in ("bid_px", "bid_sz", "ask_px", "ask_sz")}
    sides = ("bid", "ask")
    defined = [np.where(columns[f"{side}_px"] == UNDEF_PRICE, 0, columns[f"{side}_px"]) for side in sides]
    small = all(len(part) == 0 or columns[f"{side}_sz"].max() < 10_000 for side in sides)
    wide = not (small and all(map(_narrow, defined)))
    rows = _blank(len(part), _book_layout(width, wide))
    if len(part):
        _fill_head(rows, part, symbols)
        for side in sides:
            _fill_prices(rows["levels"], f"{side}_px", columns[f"{side}_px"], wide)
            _fill_ints(rows["levels"], f"{side}_sz", columns[f"{side}_sz"], wide)
        rows["is_snapshot"] = _BOOLEANS[part["is_snapshot"].astype("i1")]
    if not wide:
        return _matrix(rows), np.zeros(len(part), bool)
    odd = _odd_price(columns["bid_px"]) | _odd_price(columns["ask_px"])
    return _matrix(rows), np.logical_or.reduce(odd, axis=1)


def _matrix(rows: Rows) -> Bytes:
    return rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)
