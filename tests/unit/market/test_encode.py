"""Bytes of whole batches against ``orjson.dumps`` of each event."""

from datetime import date

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spyctl.market import event_texts
from spyctl.market.columns import MBP10_DTYPE, TRADE_DTYPE, UNDEF_PRICE, Batch, Names, events
from spyctl.market.encode import PIECE, encode_batch
from spyctl.market.events import EventSource
from spyctl.market.subjects import SUBJECTS, subject_of
from spyctl.timing.instants import day_start
from tests.support.kernels import encoded_by, encoders

T0 = day_start(date(2025, 12, 16))
# What fits the narrow slots is written apart from what does not: a batch has values of one kind, or of several.
ticks = st.integers(0, 39_999).map(lambda n: n * 250_000_000)
cents = st.integers(-(10**8), 10**8).map(lambda n: n * 10_000_000)
grid = st.integers(0, 10**8 - 1).map(lambda n: n * 10**5)
plain = st.integers(-(10**15) + 1, 10**15 - 1)
edges = st.sampled_from([s * (10**k + d) for s in (1, -1) for k in range(19) for d in (-1, 0, 1)])
anything = st.integers(-(2**63), 2**63 - 1) | edges | plain
undefined = st.just(UNDEF_PRICE)
price_kinds = [ticks, ticks | undefined, cents, grid, grid | undefined, plain | undefined, anything | undefined]
price_kinds += [ticks | plain, ticks | grid | anything]
today = st.integers(T0, T0 + 86_400 * 10**9)
instants = st.sampled_from([today, today, st.integers(0, 2**63 - 1)])
size_kinds = [st.integers(0, 9_999), st.integers(0, 2**32 - 1), st.sampled_from([0, 9_999, 10_000, 10**8 - 1, 10**8])]
size_kinds += [st.integers(0, 999) | st.just(10_000)]
symbols = st.lists(
    st.text(min_size=1) | st.sampled_from(["ES", "ESM4 P5230", "UD:1V: VT 2828809"]), min_size=1, max_size=5
)


@st.composite
def a_batch(draw: st.DrawFn) -> Batch:
    names = Names()
    numbers = [names.number(text) for text in draw(symbols)]
    number = st.sampled_from(numbers)
    prices, sizes = draw(st.sampled_from(price_kinds)), draw(st.sampled_from(size_kinds))
    ns = draw(instants)
    common = st.tuples(ns, ns, ns, number, st.integers(0, 2**32 - 1), st.booleans())
    exchanges = st.sampled_from([b"CME", b"IFEU", b"XOFF"])
    sides = st.sampled_from([1, -1, 0])
    trades = draw(st.lists(st.tuples(common, prices.filter(lambda p: p != UNDEF_PRICE), sizes, sides, exchanges)))
    level = st.tuples(prices, sizes, prices, sizes)
    changes = st.dictionaries(st.integers(0, 9), level, max_size=3)  # a book is the one before it but for these
    books, levels = [], draw(st.lists(level, min_size=10, max_size=10))
    for head, snap, changed in draw(st.lists(st.tuples(common, st.booleans(), changes), max_size=12)):
        levels = [changed.get(depth, before) for depth, before in enumerate(levels)]
        books.append((head, snap, levels))
    trade_rows = np.array([(*head, *rest) for head, *rest in trades], TRADE_DTYPE)
    book_rows = np.array([(*head, snap, levels) for head, snap, levels in books], MBP10_DTYPE)
    count = len(trades) + len(books)
    order = np.array(draw(st.permutations(range(count))), np.intp)
    return Batch((trade_rows, book_rows), order, names, draw(st.sampled_from(EventSource)))


@settings(max_examples=400)
@given(a_batch(), st.sampled_from([0, 3, 16]))
def test_the_bytes_are_those_of_orjson_event_by_event(batch: Batch, few: int) -> None:
    expected = [orjson.dumps(event) for event in events(batch)]
    for compiled in encoders():
        with pytest.MonkeyPatch.context() as patch, encoded_by(compiled):
            patch.setattr(event_texts, "_FEW", few)  # in a small batch, nearly all that is wide is written one by one
            pieces = list(encode_batch(batch))
        assert [payload for piece in pieces for payload in piece.payloads()] == expected

    assert [int(s) for piece in pieces for s in piece.sort_ns] == batch.column("sort_ns").tolist()
    assert [bool(late) for piece in pieces for late in piece.late] == batch.column("late").tolist()
    assert [SUBJECTS[r] for piece in pieces for r in piece.ranks.tolist()] == [subject_of(e) for e in events(batch)]


def test_a_large_batch_comes_in_bounded_pieces() -> None:
    names = Names()
    names.number("ES")
    rows = np.zeros(3 * PIECE + 1, TRADE_DTYPE)
    rows["seq"] = np.arange(len(rows))
    batch = Batch((rows, np.empty(0, MBP10_DTYPE)), np.arange(len(rows))[::-1].copy(), names)

    pieces = list(encode_batch(batch))

    assert sum(map(len, pieces)) == len(rows)
    assert len(pieces) == 4
    assert max(map(len, pieces)) - min(map(len, pieces)) <= 1
    assert max(map(len, pieces)) <= PIECE
    found = [orjson.loads(payload)["seq"] for piece in pieces for payload in piece.payloads()]
    assert found == list(range(len(rows)))[::-1]


@given(a_batch(), st.integers(0, 5), st.integers(0, 9))
def test_a_slice_of_a_batch_holds_the_same_events(batch: Batch, start: int, length: int) -> None:
    piece = batch[start : start + length]
    assert list(events(piece)) == list(events(batch))[start : start + length]
    assert sum(len(part) for part in piece.parts) == len(piece)


def test_a_slice_of_an_encoded_batch_holds_the_same_payloads() -> None:
    names = Names()
    names.number("ES")
    rows = np.zeros(9, TRADE_DTYPE)
    rows["ts_event_ns"] = rows["ts_recv_ns"] = T0 + np.arange(9)
    (encoded,) = encode_batch(Batch((rows, np.empty(0, MBP10_DTYPE)), np.arange(9), names))
    assert encoded[2:5].payloads() == encoded.payloads()[2:5]
    assert encoded.lines() == b"".join(payload + b"\n" for payload in encoded.payloads())
