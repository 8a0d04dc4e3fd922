import dataclasses
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.errors import PayloadError
from spyctl.market.events import (
    MBP10,
    Aggressor,
    BidAskLevel,
    Event,
    EventSource,
    FuturesTrade,
    Gap,
    OptionQuote,
    OptionTrade,
    Reset,
    ResetReason,
    StockQuote,
    StockTrade,
)
from spyctl.market.subjects import (
    KINDS,
    SUBJECTS,
    decode,
    encode,
    rank_of,
    stream_name,
    subject_of,
    subject_table,
    with_prefix,
)

ns = st.integers(0, 2**63 - 1)
price = st.floats(allow_nan=False, allow_infinity=False)
size = st.integers(0, 2**32 - 1)
maybe_int = st.none() | st.integers(0, 2**63 - 1)
conditions = st.none() | st.lists(st.integers(0, 999), max_size=4)
source = st.sampled_from(EventSource)
levels = st.lists(
    st.builds(BidAskLevel, st.none() | price, size, st.none() | price, size), min_size=10, max_size=10
).map(tuple)
events = st.one_of(
    st.builds(StockTrade, ns, ns, source, st.text(), price, size, maybe_int, conditions, maybe_int),
    st.builds(StockQuote, ns, ns, source, st.text(), price, price, size, size, maybe_int, maybe_int, maybe_int),
    st.builds(
        OptionTrade, ns, ns, source, st.text(), st.text(), st.text(), price, st.sampled_from("CP"), price, size,
        st.none() | price, st.none() | price, st.sampled_from(Aggressor), conditions, maybe_int,
    ),
    st.builds(
        OptionQuote, ns, ns, source, st.text(), st.text(), st.text(), price, st.sampled_from("CP"), price, price, size,
        size, maybe_int, maybe_int, maybe_int,
    ),
    st.builds(
        FuturesTrade, ns, ns, source, st.text(), price, size, st.sampled_from(Aggressor), st.text(), conditions,
        maybe_int,
    ),
    st.builds(MBP10, ns, ns, source, st.text(), levels, st.booleans(), maybe_int),
    st.builds(Gap, ns, ns, source, st.text(), ns, st.none() | ns, st.text(), st.text(), maybe_int),
    st.builds(Reset, ns, ns, source, st.text(), st.sampled_from(ResetReason), ns, ns, st.integers(0, 999)),
)  # fmt: skip

TRADE = FuturesTrade(1, 2, EventSource.DIRECT_FEED, "ES", 6800.0, 3, Aggressor.SELL, seq=9)


@given(events)
def test_every_event_reads_back_equal_from_its_own_subject(event: Event) -> None:
    payload = encode(event)
    assert payload == orjson.dumps(event)
    assert decode(with_prefix(subject_of(event), "P"), payload) == event


@given(events)
def test_keys_come_in_the_order_of_the_fields(event: Event) -> None:
    assert list(json.loads(encode(event))) == [field.name for field in dataclasses.fields(event)]


def test_a_futures_trade_on_the_wire() -> None:
    assert encode(TRADE) == (
        b'{"ts_event_ns":1,"ts_recv_ns":2,"source":"direct_feed","symbol":"ES","price":6800.0,"size":3,'
        b'"aggressor":-1,"exchange":"CME","conditions":null,"seq":9}'
    )


def altered(**changes: Any) -> bytes:
    return orjson.dumps(orjson.loads(encode(TRADE)) | changes)


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        (b"", "not JSON"),
        (b"[]", "list"),
        (b"{}", "price"),
        (altered(extra=1), "extra"),
        (altered(price="6800"), "price"),
        (altered(price=None), "price"),
        (altered(size=1.5), "size"),
        (altered(size=True), "size"),
        (altered(aggressor=2), "aggressor"),
        (altered(source="nobody"), "source"),
        (altered(conditions=["a"]), "conditions"),
        (orjson.dumps(dict(reversed(orjson.loads(encode(TRADE)).items()))), "order"),
    ],
)
def test_a_payload_of_another_shape_is_refused_and_the_key_named(payload: bytes, named: str) -> None:
    with pytest.raises(PayloadError, match=named):
        decode("market.futures.trades", payload)


def test_a_book_has_exactly_ten_levels() -> None:
    level = BidAskLevel(1.0, 1, 2.0, 1)
    payload = encode(MBP10(1, 2, EventSource.DIRECT_FEED, "ES", (level,) * 9))
    with pytest.raises(PayloadError, match="10 levels"):
        decode("market.futures.mbp10", payload)


@pytest.mark.parametrize("subject", ["market.resets", "futures.trades", "", "market.futures"])
def test_a_subject_without_event_type_is_refused(subject: str) -> None:
    with pytest.raises(PayloadError):
        decode(subject, encode(TRADE))


def test_names_under_a_prefix() -> None:
    assert stream_name("REHEARSAL") == "REHEARSAL_MARKET_DATA"
    assert with_prefix("market.gaps", "REHEARSAL") == "REHEARSAL.market.gaps"


def test_the_rank_of_a_subject_is_its_index_in_the_one_table() -> None:
    assert [rank_of(kind.subject) for kind in KINDS] == list(range(len(KINDS)))
    assert [SUBJECTS[rank_of(kind.subject)] for kind in KINDS] == [kind.subject for kind in KINDS]
    assert subject_table() == SUBJECTS
    assert subject_table("DRILL") == tuple(f"DRILL.{subject}" for subject in SUBJECTS)


def test_futures_trades_rank_before_books() -> None:
    assert rank_of(subject_of(FuturesTrade)) < rank_of(subject_of(MBP10))
