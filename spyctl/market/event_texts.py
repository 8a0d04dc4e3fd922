"""Columns → the JSON of each event, by templates and tables of ready-made digits.

Rows of numbers become a byte matrix: each row starts as a template with empty slots, which are filled column by column,
with ``\\0`` where a number is shorter than its slot; then every ``\\0`` is dropped at once. Most rows fit the narrow
template, with prices on a grid of 1e-4 and sizes below 10,000; those that do not are written apart from them, with the
wide one. A price below 10^6 units has at most 15 significant digits, so the shortest text that reads back as
``float64(px) / 1e9`` is its plain decimal expansion. What lies outside (huge or tiny prices, instants of other
centuries) is written one by one.

A book differs from the one before it in a level or two, so only the levels that changed are written; the others are
copied.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from spyctl.market.byte_rows import (
    LEADING,
    PADDED,
    TRAILING,
    TWO_LEADING,
    TWO_PADDED,
    Ints,
    Layout,
    Part,
    blank,
    byte_rows,
    decimals,
    fill_ints,
    int_slots,
    layout,
    looked_up,
    split_at,
    texts,
)
from spyctl.market.columns import LEVEL_DTYPE, MBP10_DTYPE, UNDEF_PRICE, Batch, Names, Rows, events, price, taken
from spyctl.market.events import BOOK_DEPTH, BidAskLevel, EventSource
from spyctl.market.texts import SideBySide, Texts

_NS = 1_000_000_000
_FIRST_NS = 10**18  # instants with 19 digits
_GRID = 10**5  # 1e-9 units: prices on it have four decimals at most
_NARROW_END = 10_000 * _NS
_PRICE_END = 10**15  # 1e-9 units: below it a price has at most 15 significant digits
_PRICE_MIN = 10**6  # from 0.001 on no exponent is written
_FEW = 16  # rows that are sooner written one by one than all together
_SIDES = ("bid", "ask")

_NULL = int(np.frombuffer(b"null", "u4")[0])
_AGGRESSORS = np.array([b"0", b"1", b"-1"])  # indexed by the value itself: -1 is the last
_LEVELS, _IS_SNAPSHOT, _SEQ = b',"levels":[', b'],"is_snapshot":', b',"seq":'
_SNAPSHOT = Texts.of([_IS_SNAPSHOT + value + _SEQ for value in (b"false", b"true")])

Flags = NDArray[np.bool_]


def trade_texts(part: Rows, names: Names, source: EventSource) -> Texts:
    """Write trades (at least one), each with a newline behind it."""
    odd_times = (part["ts_event_ns"] < _FIRST_NS) | (part["ts_recv_ns"] < _FIRST_NS)
    wide = odd_times | ~_is_narrow(part["price"]) | (part["size"] >= 10_000)
    symbols = names.as_json()

    def written(rows: Rows, *, wide: bool) -> Texts:
        return _trades(rows, symbols, source, wide=wide)

    def single(rows: Rows) -> list[bytes]:
        batch = Batch((rows, np.empty(0, MBP10_DTYPE)), np.arange(len(rows)), names, source)
        return [orjson.dumps(event) + b"\n" for event in events(batch)]

    return _by_kind(part, wide, lambda: odd_times | _odd_price(part["price"]), written, single)


def book_texts(part: Rows, names: Names, source: EventSource) -> SideBySide:
    """Write books (at least one), each with a newline behind it."""
    symbols = names.as_json().tolist()
    return SideBySide(
        [
            _heads(part, source),
            Texts.of([symbol + _LEVELS for symbol in symbols])[part["symbol"].astype(np.intp)],
            _levels(part),
            _SNAPSHOT[part["is_snapshot"].astype(np.intp)],
            decimals(part["seq"], b"}\n"),
        ]
    )


def _by_kind(
    rows: Rows,
    wide: Flags,
    odd: Callable[[], Flags],
    written: Callable[..., Texts],
    single: Callable[[Rows], Sequence[bytes]],
) -> Texts:
    # Writes each row in the way that it needs: one by one what no template holds, and the wide ones where they are few.
    few = np.count_nonzero(wide) <= _FEW
    alone = wide if few else odd()
    if few and not wide.any():
        return written(rows, wide=False)
    ways: list[tuple[Flags, Callable[[Rows], Texts]]] = [
        (~(wide | alone), lambda some: written(some, wide=False)),
        (wide & ~alone, lambda some: written(some, wide=True)),
        (alone, lambda some: Texts.of(single(some))),
    ]
    groups = []
    for chosen, write in ways:
        numbers = np.flatnonzero(chosen)
        if len(numbers):
            groups.append((numbers, write(taken(rows, numbers))))
    return Texts.gathered(groups)


# --- layouts


def _price_slots(name: str, *, wide: bool) -> list[Part]:
    before: list[Part] = [(f"{name}.sign", "u1"), (f"{name}.4", "u2")] if wide else []
    behind: list[Part] = [(f"{name}.f4", "u4"), (f"{name}.f8", "u1")] if wide else []
    return [*before, (f"{name}.0", "u4"), (f"{name}.dot", "u1"), (f"{name}.f0", "u4"), *behind]


def _time_slots(name: str) -> list[Part]:
    return [(f"{name}.{i}", size) for i, size in enumerate(("u2", "u4", "u4", "u4", "u4", "u1"))]


def _head(source: str) -> list[Part]:
    return [
        b'{"ts_event_ns":', *_time_slots("ts_event_ns"),
        b',"ts_recv_ns":', *_time_slots("ts_recv_ns"),
        b',"source":"%b","symbol":' % source.encode(),
    ]  # fmt: skip


def _trade(source: str, symbol_width: int, *, wide: bool) -> list[Part]:
    return [
        *_head(source), ("symbol", f"S{symbol_width}"),
        b',"price":', *_price_slots("price", wide=wide),
        b',"size":', *int_slots("size", wide=wide),
        b',"aggressor":', ("aggressor", "S2"),
        b',"exchange":"', ("exchange", "S4"), b'","conditions":null,"seq":', *int_slots("seq", wide=True),
        b"}\n",
    ]  # fmt: skip


def _level(*, wide: bool) -> list[Part]:
    return [
        b',{"bid_px":', *_price_slots("bid_px", wide=wide),
        b',"bid_sz":', *int_slots("bid_sz", wide=wide),
        b',"ask_px":', *_price_slots("ask_px", wide=wide),
        b',"ask_sz":', *int_slots("ask_sz", wide=wide),
        b"}\n",
    ]  # fmt: skip


@cache
def _head_layout(source: str) -> Layout:
    return layout(_head(source))


@cache
def _trade_layout(source: str, symbol_width: int, *, wide: bool) -> Layout:
    return layout(_trade(source, symbol_width, wide=wide))


@cache
def _level_layout(*, wide: bool) -> Layout:
    return layout(_level(wide=wide))


class Literals(NamedTuple):
    """What stands between the values: of a trade, of a level (its end without the newline), and of a book around them.

    A book begins as a trade does, up to its symbol, and ends as one.
    """

    trade: tuple[bytes, ...]
    level: tuple[bytes, ...]
    book: tuple[bytes, ...]


@cache
def literals(source: EventSource) -> Literals:
    """Return the texts between the values of events from a source."""
    trade, level = (
        tuple(part for part in parts if isinstance(part, bytes))
        for parts in (_trade(source, 1, wide=False), _level(wide=False))
    )
    return Literals(trade, (*level[:-1], level[-1].rstrip()), (_LEVELS, _IS_SNAPSHOT, _SEQ))


# --- values


def _fill_times(rows: Rows, name: str, ns: Ints) -> None:
    # Odd ones are written otherwise; their digits only have to be found in the tables.
    ns = np.clip(ns, 0, None)
    seconds, below = split_at(ns, _NS)
    century, seconds = split_at(seconds, 10**8)
    high, low = split_at(seconds.astype(np.uint32), 10_000)
    first, rest = split_at(below.astype(np.uint32), 10**5)
    second, last = split_at(rest, 10)
    rows[f"{name}.0"] = looked_up(TWO_PADDED, century)
    for i, four in enumerate((high, low, first, second), 1):
        rows[f"{name}.{i}"] = looked_up(PADDED, four)
    rows[f"{name}.5"] = last + ord("0")


def _fill_prices(rows: Rows, name: str, px: Ints, *, wide: bool) -> None:
    missing = px == UNDEF_PRICE
    some_missing = bool(missing.any())
    size = np.where(missing, 0, px) if some_missing else px
    if wide:
        rows[f"{name}.sign"] = np.where(size < 0, ord("-"), 0)
        size = np.abs(size)
    whole, fraction = split_at(size // _GRID, 10_000)
    if wide:
        upper, whole = split_at(whole, 10_000)
        rows[f"{name}.4"] = np.where(upper > 0, TWO_LEADING[upper], 0)
        lower, last = split_at(size % _GRID, 10)
        more = (lower > 0) | (last > 0)
        rows[f"{name}.f4"] = np.where(more, np.where(last > 0, PADDED[lower], TRAILING[lower]), 0)
        rows[f"{name}.f8"] = np.where(last > 0, last + ord("0"), 0)
        digits = np.where(upper > 0, PADDED[whole], LEADING[whole])
        decimals = np.where(more, PADDED[fraction], TRAILING[fraction])
    else:
        digits, decimals = looked_up(LEADING, whole), looked_up(TRAILING, fraction)
    if some_missing:
        digits, decimals = np.where(missing, _NULL, digits), np.where(missing, 0, decimals)
    rows[f"{name}.0"] = digits
    rows[f"{name}.dot"] = np.where(missing, 0, ord(".")) if some_missing else ord(".")
    rows[f"{name}.f0"] = decimals


def _is_narrow(px: Ints) -> Flags:
    # Multiples of 1e-4 from 0.001 up to 9999.9999, or zero, or none: true of nearly every price.
    on_grid = (px >= _PRICE_MIN) & (px < _NARROW_END) & (px // _GRID * _GRID == px)
    narrow: Flags = on_grid | (px == 0) | (px == UNDEF_PRICE)
    return narrow


def _odd_price(px: Ints) -> Flags:
    size = np.abs(px)
    strange = (size < 0) | (size >= _PRICE_END) | ((size > 0) & (size < _PRICE_MIN))
    odd: Flags = strange & (px != UNDEF_PRICE)
    return odd


def _heads(part: Rows, source: EventSource) -> Texts:
    rows = blank(len(part), _head_layout(source))
    odd = np.zeros(len(part), bool)
    for name in ("ts_event_ns", "ts_recv_ns"):
        _fill_times(rows, name, part[name])
        odd |= part[name] < _FIRST_NS
    width = rows.dtype.itemsize
    heads = Texts(byte_rows(rows).ravel(), np.arange(len(part)) * width, np.full(len(part), width))
    if not odd.any():
        return heads
    times = zip(part["ts_event_ns"][odd].tolist(), part["ts_recv_ns"][odd].tolist(), strict=True)
    form = b'{"ts_event_ns":%d,"ts_recv_ns":%d,"source":"%b","symbol":'
    single = Texts.of([form % (*pair, source.encode()) for pair in times])
    usual = np.flatnonzero(~odd)
    return Texts.gathered([(usual, heads[usual]), (np.flatnonzero(odd), single)])


def _trades(part: Rows, symbols: NDArray[np.bytes_], source: EventSource, *, wide: bool) -> Texts:
    rows = blank(len(part), _trade_layout(source, symbols.itemsize, wide=wide))
    for name in ("ts_event_ns", "ts_recv_ns"):
        _fill_times(rows, name, part[name])
    rows["symbol"] = symbols[0] if len(symbols) == 1 else symbols[part["symbol"]]
    _fill_prices(rows, "price", part["price"], wide=wide)
    fill_ints(rows, "size", part["size"], wide=wide)
    rows["aggressor"] = _AGGRESSORS[part["aggressor"]]
    rows["exchange"] = part["exchange"]
    fill_ints(rows, "seq", part["seq"], wide=True)
    return texts(rows)


# --- levels


def _levels(part: Rows) -> Texts:
    # The levels of books, ten a row; those of one symbol are compared with those of its book before.
    count, symbols = len(part), part["symbol"]
    order = None if (symbols == symbols[0]).all() else np.argsort(symbols, kind="stable")
    words = np.ascontiguousarray(part["levels"].view("u8"))
    if order is not None:
        words = words[order]
    other = (words[1:] != words[:-1]).reshape(count - 1, BOOK_DEPTH, 3)
    changed = np.ones((BOOK_DEPTH, count), bool)
    changed[:, 1:] = (other[..., 0] | other[..., 1] | other[..., 2]).T
    places = np.flatnonzero(changed)
    depth, row = split_at(places, count)
    written = _level_texts(taken(words.view(LEVEL_DTYPE).ravel(), row * BOOK_DEPTH + depth))
    firsts = int(np.searchsorted(places, count))
    written.starts[:firsts] += 1  # no comma before the first of a book
    written.lengths[:firsts] -= 1
    assert written.bounds  # counted once for all that is chosen of them
    numbers = (np.cumsum(changed.ravel()) - 1).reshape(BOOK_DEPTH, count)  # the text of the last change before it
    if order is not None:
        numbers[:, order] = numbers.copy()
    return written[np.ascontiguousarray(numbers.T)]


def _level_texts(levels: Rows) -> Texts:
    wide = np.zeros(len(levels), bool)
    for side in _SIDES:
        wide |= ~_is_narrow(levels[f"{side}_px"]) | (levels[f"{side}_sz"] >= 10_000)

    def odd() -> Flags:
        flags: Flags = _odd_price(levels["bid_px"]) | _odd_price(levels["ask_px"])
        return flags

    return _by_kind(levels, wide, odd, _written_levels, _single_levels).without(0, 1)  # newlines


def _written_levels(levels: Rows, *, wide: bool) -> Texts:
    rows = blank(len(levels), _level_layout(wide=wide))
    for side in _SIDES:
        _fill_prices(rows, f"{side}_px", levels[f"{side}_px"], wide=wide)
        fill_ints(rows, f"{side}_sz", levels[f"{side}_sz"], wide=wide)
    return texts(rows)


def _single_levels(levels: Rows) -> list[bytes]:
    found = [
        BidAskLevel(price(bid_px), bid_sz, price(ask_px), ask_sz) for bid_px, bid_sz, ask_px, ask_sz in levels.tolist()
    ]
    return [b"," + orjson.dumps(level) + b"\n" for level in found]
