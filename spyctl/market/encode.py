"""Canonical columns → the bytes that are published, a whole batch at a time.

A batch becomes a byte matrix with one row per event. A row starts as a template, the JSON of the event with
empty slots; the slots are filled column by column from tables of ready-made digits, with ``\\0`` where a number is
shorter than its slot, and at the end every ``\\0`` is dropped at once. The bytes are those of ``orjson.dumps(event)``:
a price below 10^6 units has at most 15 significant digits, so the shortest text that reads back as
``float64(px) / 1e9`` is its plain decimal expansion. What lies outside (huge or tiny prices, instants of other
centuries) is encoded event by event.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import orjson
from numpy.typing import NDArray

from spyctl.market.byte_rows import (
    LEADING,
    PADDED,
    TRAILING,
    TWO_LEADING,
    TWO_PADDED,
    Bytes,
    Ints,
    Layout,
    Part,
    blank,
    byte_rows,
    fill_ints,
    int_slots,
    joined,
    layout,
)
from spyctl.market.columns import EVENT_TYPES, SCHEMAS, UNDEF_PRICE, Batch, Rows, events
from spyctl.market.subjects import rank_of, subject_of

PIECE = 1024  # events encoded at once, so that a paced replay is never held up for long

_TRADE_RANK, _BOOK_RANK = (rank_of(subject_of(EVENT_TYPES[schema])) for schema in SCHEMAS)
_NS = 1_000_000_000
_FIRST_NS, _END_NS = 10**18, (1 << 63) - 1  # instants with 19 digits
_PRICE_END = 10**15  # 1e-9 units: below it a price has at most 15 significant digits
_PRICE_MIN = 10**6  # from 0.001 on no exponent is written


@dataclass(slots=True)
class EncodedBatch:
    """Events ready to be published, in order.

    ``rows`` is the byte matrix: row i without its ``\\0`` is the JSON of event i. ``ranks`` index the table
    :data:`spyctl.market.subjects.SUBJECTS`, ``sort_ns`` are the times that pacing follows and ``late`` marks
    events whose ``ts_event`` lies outside the reorder window. ``ids`` are message ids, also as a byte matrix, where
    events bring their own (else ``None``). ``received_ns`` (monotonic) is when the oldest of them arrived, 0 for
    events from a file.
    """

    rows: Bytes
    lengths: NDArray[np.uint32]
    ranks: NDArray[np.uint8]
    sort_ns: NDArray[np.int64]
    late: NDArray[np.bool_]
    ids: Bytes | None = None
    received_ns: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, piece: slice) -> "EncodedBatch":
        return EncodedBatch(
            self.rows[piece],
            self.lengths[piece],
            self.ranks[piece],
            self.sort_ns[piece],
            self.late[piece],
            self.ids[piece] if self.ids is not None else None,
            self.received_ns,
        )

    def lines(self) -> bytearray:
        """Return all payloads, each followed by a newline."""
        return joined(self.rows, end=b"\n")

    def last_payload(self, rank: int) -> bytes:
        """Return the payload of the last event with a rank; there must be one."""
        return self.payload(int(np.flatnonzero(self.ranks == rank)[-1]))

    def payload(self, i: int) -> bytes:
        """Return the payload of one event."""
        return bytes(self.rows[i].tobytes()).replace(b"\0", b"")

    def payloads(self) -> list[bytes]:
        """Return the payloads one by one."""
        return bytes(self.lines()).split(b"\n")[:-1]


def encode_batch(batch: Batch) -> Iterator[EncodedBatch]:
    """Yield the events of a batch as bytes, a bounded piece at a time; an empty batch gives an empty piece."""
    is_book, sort_ns, late = batch.is_book(), batch.column("sort_ns"), batch.column("late")
    ranks = np.where(is_book, np.uint8(_BOOK_RANK), np.uint8(_TRADE_RANK))
    for start in range(0, max(1, len(batch)), PIECE):
        piece = slice(start, start + PIECE)
        rows = _encode(batch, piece, is_book[piece])
        yield EncodedBatch(rows, _lengths(rows), ranks[piece], sort_ns[piece], late[piece])


def encoded_events(
    payloads: Sequence[bytes], ranks: Sequence[int], ids: Sequence[bytes] | None = None, received_ns: int = 0
) -> EncodedBatch:
    """Wrap the bytes of single events; nothing is late, and nothing is paced."""
    rows = _padded(payloads)
    none = np.zeros(len(payloads), np.int64)
    return EncodedBatch(
        rows,
        _lengths(rows),
        np.array(ranks, np.uint8),
        none,
        none.astype(bool),
        _padded(ids) if ids is not None else None,
        received_ns,
    )


def _padded(texts: Sequence[bytes]) -> Bytes:
    width = max(map(len, texts), default=0)
    return np.frombuffer(b"".join(text.ljust(width, b"\0") for text in texts), np.uint8).reshape(len(texts), width)


def _lengths(rows: Bytes) -> NDArray[np.uint32]:
    counts: NDArray[np.uint32] = (rows != 0).sum(axis=1, dtype=np.uint16).astype(np.uint32)
    return counts


def _encode(batch: Batch, piece: slice, is_book: NDArray[np.bool_]) -> Bytes:
    trades, books = batch.parts
    order = batch.order[piece]
    symbols = batch.names.as_json()
    text, odd = np.zeros((len(order), 0), np.uint8), np.zeros(len(order), bool)
    if len(order) and is_book.any():
        # In the place of a trade the book before it (or the first one) is written too, and then overwritten.
        numbers = order[np.maximum.accumulate(np.where(is_book, np.arange(len(order)), is_book.argmax()))]
        text, odd = _encode_books(_taken(books, numbers - len(trades)), symbols, batch.source)
    if not is_book.all():
        trade_text, trade_odd = _encode_trades(_taken(trades, order[~is_book]), symbols, batch.source)
        text = _written(text, ~is_book, trade_text)
        odd[~is_book] = trade_odd
    for i in odd.nonzero()[0].tolist():
        start = piece.start + i
        exact = orjson.dumps(next(events(batch[start : start + 1])))
        text = _written(text, slice(i, i + 1), np.frombuffer(exact, np.uint8))
    return text


def _taken(rows: Rows, numbers: Ints) -> Rows:
    first, count = int(numbers[0]), len(numbers)
    if int(numbers[-1]) - first == count - 1 and (np.diff(numbers) == 1).all():
        return rows[first : first + count]  # nearly always for trades, and for books without a trade between them
    return rows[numbers]


def _written(text: Bytes, where: NDArray[np.bool_] | slice, instead: Bytes) -> Bytes:
    if (more := instead.shape[-1] - text.shape[1]) > 0:
        text = np.pad(text, ((0, 0), (0, more)))
    text[where, : instead.shape[-1]] = instead
    text[where, instead.shape[-1] :] = 0
    return text


# --- layouts


def _price_slots(name: str, *, wide: bool) -> list[Part]:
    before: list[Part] = [(f"{name}.sign", "u1"), (f"{name}.4", "u2")] if wide else []
    behind: list[Part] = [(f"{name}.f4", "u4"), (f"{name}.f8", "u1")] if wide else []
    return [*before, (f"{name}.0", "u4"), (f"{name}.dot", "u1"), (f"{name}.f0", "u4"), *behind]


def _time_slots(name: str) -> list[Part]:
    return [(f"{name}.{i}", size) for i, size in enumerate(("u2", "u4", "u4", "u4", "u4", "u1"))]


def _head(source: str, symbol_width: int) -> list[Part]:
    return [
        b'{"ts_event_ns":', *_time_slots("ts_event_ns"),
        b',"ts_recv_ns":', *_time_slots("ts_recv_ns"),
        b',"source":"%b","symbol":' % source.encode(), ("symbol", f"S{symbol_width}"),
    ]  # fmt: skip


@cache
def _trade_layout(source: str, symbol_width: int, *, wide: bool) -> Layout:
    return layout(
        [
            *_head(source, symbol_width),
            b',"price":', *_price_slots("price", wide=wide),
            b',"size":', *int_slots("size", wide=wide),
            b',"aggressor":', ("aggressor", "S2"),
            b',"exchange":"', ("exchange", "S4"), b'","conditions":null,"seq":', *int_slots("seq", wide=True),
            b"}",
        ]
    )  # fmt: skip


@cache
def _book_layout(source: str, symbol_width: int, *, wide: bool) -> Layout:
    level, level_template = layout(
        [
            b',{"bid_px":', *_price_slots("bid_px", wide=wide),
            b',"bid_sz":', *int_slots("bid_sz", wide=wide),
            b',"ask_px":', *_price_slots("ask_px", wide=wide),
            b',"ask_sz":', *int_slots("ask_sz", wide=wide),
            b"}",
        ]
    )  # fmt: skip
    dtype, template = layout(
        [
            *_head(source, symbol_width),
            b',"levels":', ("levels", level, 10),
            b'],"is_snapshot":', ("is_snapshot", "S5"),
            b',"seq":', *int_slots("seq", wide=True),
            b"}",
        ]
    )  # fmt: skip
    assert dtype.fields is not None
    at = dtype.fields["levels"][1]
    levels = b"[" + (level_template * 10)[1:]
    return dtype, template[:at] + levels + template[at + len(levels) :]


# --- values

_NULL = int(np.frombuffer(b"null", "u4")[0])
_AGGRESSORS = np.array([b"0", b"1", b"-1"])  # indexed by the value itself: -1 is the last
_BOOLEANS = np.array([b"false", b"true"])


def _fill_times(rows: Rows, name: str, ns: Ints) -> None:
    seconds, below = np.divmod(ns, _NS)
    high, low = np.divmod(seconds % 10**8, 10_000)
    first, rest = np.divmod(below, 10**5)
    second, last = np.divmod(rest, 10)
    rows[f"{name}.0"] = TWO_PADDED[np.clip(seconds // 10**8, 0, 99)]
    for i, four in enumerate((high, low, first, second), 1):
        rows[f"{name}.{i}"] = PADDED[four]
    rows[f"{name}.5"] = last + ord("0")


def _fill_prices(rows: Rows, name: str, px: Ints, *, wide: bool) -> None:
    missing = px == UNDEF_PRICE
    some_missing = bool(missing.any())
    size = np.where(missing, 0, px) if some_missing else px
    if wide:
        rows[f"{name}.sign"] = np.where(size < 0, ord("-"), 0)
        size = np.abs(size)
        size = np.where((size < 0) | (size >= _PRICE_END), 0, size)  # odd ones are overwritten later
    whole, fraction = np.divmod(size // 10**5, 10_000)
    if wide:
        upper, whole = np.divmod(whole, 10_000)
        rows[f"{name}.4"] = np.where(upper > 0, TWO_LEADING[upper], 0)
        lower, last = np.divmod(size % 10**5, 10)
        more = (lower > 0) | (last > 0)
        rows[f"{name}.f4"] = np.where(more, np.where(last > 0, PADDED[lower], TRAILING[lower]), 0)
        rows[f"{name}.f8"] = np.where(last > 0, last + ord("0"), 0)
        digits = np.where(upper > 0, PADDED[whole], LEADING[whole])
        decimals = np.where(more, PADDED[fraction], TRAILING[fraction])
    else:
        digits, decimals = LEADING[whole], TRAILING[fraction]
    if some_missing:
        digits, decimals = np.where(missing, _NULL, digits), np.where(missing, 0, decimals)
    rows[f"{name}.0"] = digits
    rows[f"{name}.dot"] = np.where(missing, 0, ord(".")) if some_missing else ord(".")
    rows[f"{name}.f0"] = decimals


def _fill_head(rows: Rows, part: Rows, symbols: NDArray[np.bytes_]) -> NDArray[np.bool_]:
    # Returns which events have an instant that the slots cannot hold.
    for name in ("ts_event_ns", "ts_recv_ns"):
        _fill_times(rows, name, part[name])
    rows["symbol"] = symbols[0] if len(symbols) == 1 else symbols[part["symbol"]]
    fill_ints(rows, "seq", part["seq"], wide=True)
    odd: NDArray[np.bool_] = (part["ts_event_ns"] < _FIRST_NS) | (part["ts_recv_ns"] < _FIRST_NS)
    return odd


def _narrow(px: Ints) -> bool:
    # Multiples of 1e-4 from 0.001 up to 9999.9999, or zero: true of nearly every batch.
    return bool(px.min() >= 0 and px.max() < 10_000 * _NS and not (px % 10**5).any() and _plain(px))


def _plain(px: Ints) -> bool:
    return not ((px < _PRICE_MIN) & (px > 0)).any()


def _odd_price(px: Ints) -> NDArray[np.bool_]:
    size = np.abs(px)
    strange = (size < 0) | (size >= _PRICE_END) | ((size > 0) & (size < _PRICE_MIN))
    odd: NDArray[np.bool_] = strange & (px != UNDEF_PRICE)
    return odd


def _encode_trades(part: Rows, symbols: NDArray[np.bytes_], source: str) -> tuple[Bytes, NDArray[np.bool_]]:
    price, size = part["price"], part["size"]
    wide = not (_narrow(price) and size.max() < 10_000)
    rows = blank(len(part), _trade_layout(source, symbols.itemsize, wide=wide))
    odd = _fill_head(rows, part, symbols)
    _fill_prices(rows, "price", price, wide=wide)
    fill_ints(rows, "size", size, wide=wide)
    rows["aggressor"] = _AGGRESSORS[part["aggressor"]]
    rows["exchange"] = part["exchange"]
    return byte_rows(rows), odd | _odd_price(price) if wide else odd


def _encode_books(part: Rows, symbols: NDArray[np.bytes_], source: str) -> tuple[Bytes, NDArray[np.bool_]]:
    levels = part["levels"]
    columns = {name: np.ascontiguousarray(levels[name]) for name in ("bid_px", "bid_sz", "ask_px", "ask_sz")}
    sides = ("bid", "ask")
    defined = [np.where(columns[f"{side}_px"] == UNDEF_PRICE, 0, columns[f"{side}_px"]) for side in sides]
    wide = not (all(columns[f"{side}_sz"].max() < 10_000 for side in sides) and all(map(_narrow, defined)))
    rows = blank(len(part), _book_layout(source, symbols.itemsize, wide=wide))
    odd = _fill_head(rows, part, symbols)
    for side in sides:
        _fill_prices(rows["levels"], f"{side}_px", columns[f"{side}_px"], wide=wide)
        fill_ints(rows["levels"], f"{side}_sz", columns[f"{side}_sz"], wide=wide)
    rows["is_snapshot"] = _BOOLEANS[part["is_snapshot"].astype("i1")]
    if wide:
        odd |= (_odd_price(columns["bid_px"]) | _odd_price(columns["ask_px"])).any(axis=1)
    return byte_rows(rows), odd
