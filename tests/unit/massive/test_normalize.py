"""Massive's frames → events, by the rules at the head of the module; nothing on the wire makes it raise."""

import json
import logging
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.market.events import EventSource, OptionQuote, OptionTrade, StockQuote, StockTrade
from spyctl.market.feeds import IndexValue
from spyctl.market.subjects import decode, encode, subject_of
from spyctl.massive.normalize import Parsed, Reject, Status, count_equal, from_model, from_rest, normalize, parse_frame

MS = 1_765_895_467_112
RECV = MS * 1_000_000 + 2_345_678
WS = EventSource.POLYGON_WS
TRADE = {"ev": "T", "sym": "SPY", "x": 4, "i": "118", "z": 2, "p": 680.31, "s": 100, "c": [14], "t": MS, "q": 5140}
QUOTE = {
    "ev": "Q", "sym": "SPY", "bx": 11, "bp": 680.3, "bs": 400, "ax": 12, "ap": 680.32, "as": 700, "c": 1, "t": MS,
    "q": 5141, "z": 2, "i": [604],
}  # fmt: skip
STATUS = {"ev": "status", "status": "success", "message": "subscribed to: T.SPY"}
OPTION = {"ev": "T", "sym": "O:SPY251216C00680000", "x": 312, "p": 2.18, "s": 10, "c": [209], "t": MS, "q": 77}


def parsed(*messages: Any, market: str = "stocks") -> Parsed:
    return parse_frame(json.dumps(messages), market, RECV, WS)


def rejected(*messages: Any, market: str = "stocks") -> list[str]:
    result = parsed(*messages, market=market)
    assert not result.events
    return [reject.reason for reject in result.rejects]


def only(result: Parsed) -> Any:
    assert (len(result.events), result.rejects) == (1, [])
    return result.events[0][0]


def test_a_stock_trade() -> None:
    assert only(parsed(TRADE)) == StockTrade(
        MS * 1_000_000, RECV, WS, "SPY", 680.31, 100, exchange=4, conditions=[14], seq=5140
    )


def test_a_stock_quote() -> None:
    assert only(parsed(QUOTE)) == StockQuote(MS * 1_000_000, RECV, WS, "SPY", 680.3, 680.32, 400, 700, 11, 12, 5141)


def test_an_option_trade() -> None:
    assert only(parsed(OPTION, market="options")) == OptionTrade(
        MS * 1_000_000, RECV, WS, "SPY", "O:SPY251216C00680000", "2025-12-16", 680.0, "C", 2.18, 10,
        conditions=[209], seq=77,
    )  # fmt: skip


OPTION_QUOTE = {
    "ev": "Q", "sym": "O:SPY251216C00680000", "bx": 302, "bp": 2.17, "bs": 12, "ax": 312, "ap": 2.19, "as": 40, "t": MS,
    "q": 78,
}  # fmt: skip


def test_an_option_quote() -> None:
    assert only(parsed(OPTION_QUOTE, market="options")) == OptionQuote(
        MS * 1_000_000, RECV, WS, "SPY", "O:SPY251216C00680000", "2025-12-16", 680.0, "C", 2.17, 2.19, 12, 40, 302, 312,
        78,
    )  # fmt: skip


def test_a_side_that_an_option_quote_leaves_out_is_none() -> None:
    message = {key: value for key, value in OPTION_QUOTE.items() if key not in ("bp", "bs", "bx")}
    quote = only(parsed(message, market="options"))
    assert (quote.bid_px, quote.bid_sz, quote.bid_exch, quote.ask_px) == (0.0, 0, None, 2.19)


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"sym": None}, "no_sym"), ({"sym": "SPY"}, "bad_ticker"), ({"sym": ["O"]}, "bad_ticker"), ({"ap": None}, "no_ap"),
     ({"bp": -1}, "bad_price"), ({"as": 1.5}, "bad_size"), ({"t": None}, "no_t")],
)  # fmt: skip
def test_an_option_quote_with_a_field_that_is_wrong_is_rejected(change: dict[str, Any], reason: str) -> None:
    assert rejected(OPTION_QUOTE | change, market="options") == [reason]


def test_the_identity_of_an_option_quote_is_its_sequence_on_a_day() -> None:
    texts = [
        parsed(OPTION_QUOTE | change, market="options").events[0][1]
        for change in ({}, {"bs": 9}, {"q": 79}, {"t": MS + 86_400_000}, {"q": None}, {"q": None, "bs": 9})
    ]
    assert texts[0] == texts[1] == f"Q.O:SPY251216C00680000.78.{MS // 86_400_000}"
    assert len(set(texts)) == 5


def test_every_event_is_what_the_stream_promises() -> None:
    for message, market in ((TRADE, "stocks"), (QUOTE, "stocks"), (OPTION, "options")):
        event = only(parsed(message, market=market))
        assert decode(subject_of(event), encode(event)) == event


def test_statuses_are_handed_on() -> None:
    status = {"ev": "status", "status": "success", "message": "subscribed to: T.SPY"}
    result = parsed(status, TRADE)
    assert result.statuses == [Status("success", "subscribed to: T.SPY")]
    assert len(result.events) == 1


# --- frames (faults 1 to 5)


@pytest.mark.parametrize(
    "frame", ["", "x", '[{"ev":"T"', b"\xff\xfe", "null", "17", '"text"', "[" * 100_000, b"\x00" * 100]
)
def test_a_frame_that_is_no_message_is_one_reject_with_a_sample(frame: str | bytes) -> None:
    result = parse_frame(frame, "stocks", RECV, WS)
    assert [reject.reason for reject in result.rejects] == ["bad_frame"]
    assert len(result.rejects[0].sample) <= 200


def test_a_bare_object_is_one_message_and_bytes_are_json_too() -> None:
    assert only(parse_frame(orjson.dumps(TRADE), "stocks", RECV, WS)).price == 680.31


def test_the_good_messages_of_a_frame_are_kept() -> None:
    result = parsed(TRADE, 5, None, {"sym": "SPY"}, {"ev": "ZZ"}, QUOTE, TRADE | {"p": None})
    assert [type(event).__name__ for event, _ in result.events] == ["StockTrade", "StockQuote"]
    assert [reject.reason for reject in result.rejects] == ["no_object", "no_object", "no_ev", "unknown_ev ZZ", "no_p"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("AM", "unknown_ev AM"), ("LULD", "unknown_ev LULD"), ("", "unknown_ev"), (7, "unknown_ev"), ("a b", "unknown_ev"),
     ("x" * 9, "unknown_ev"), ("\n", "unknown_ev"), (["T"], "unknown_ev")],
)  # fmt: skip
def test_what_is_unknown_is_counted_by_its_name_where_it_has_one(kind: object, reason: str) -> None:
    assert [reject.reason for reject in parsed({"ev": kind}).rejects] == [reason]


def test_a_price_that_is_no_number_costs_its_message_alone() -> None:
    frame = json.dumps([TRADE, TRADE | {"p": float("nan")}, TRADE | {"p": float("inf")}])
    result = parse_frame(frame, "stocks", RECV, WS)
    assert len(result.events) == 1
    assert [reject.reason for reject in result.rejects] == ["bad_price", "bad_price"]


# --- fields (faults 6 to 10, 16)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sym": None}, "no_sym"), ({"t": None}, "no_t"), ({"p": None}, "no_p"), ({"s": None}, "no_s"),
        ({"p": 0}, "bad_price"), ({"p": -1.5}, "bad_price"), ({"p": "680.31"}, "bad_price"), ({"p": True}, "bad_price"),
        ({"s": -1}, "bad_size"), ({"s": "100"}, "bad_size"), ({"t": "now"}, "bad_t"), ({"t": 0}, "bad_t"),
        ({"t": 5}, "bad_t"), ({"t": 10**19}, "bad_t"), ({"sym": "SP>Y"}, "bad_sym"), ({"sym": "S*"}, "bad_sym"),
        ({"sym": ""}, "bad_sym"), ({"sym": "A" * 13}, "bad_sym"), ({"sym": 7}, "bad_sym"),
    ],
)  # fmt: skip
def test_a_trade_with_a_field_that_is_missing_or_wrong_is_rejected(change: dict[str, Any], reason: str) -> None:
    assert rejected(TRADE | change) == [reason]


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"bp": None}, "no_bp"), ({"ap": -0.01}, "bad_price"), ({"bs": None}, "no_bs"), ({"as": 0.5}, "bad_size")],
)
def test_a_quote_with_a_field_that_is_missing_or_wrong_is_rejected(change: dict[str, Any], reason: str) -> None:
    assert rejected(QUOTE | change) == [reason]


def test_crossed_locked_and_one_sided_quotes_are_published_as_they_are() -> None:
    for change in ({"bp": 680.40}, {"bp": 680.32}, {"bp": 0, "bs": 0}, {"ap": 0.0, "as": 0}):
        event = only(parsed(QUOTE | change))
        assert all(getattr(event, {"bp": "bid_px", "ap": "ask_px"}[key]) == value
                   for key, value in change.items() if key in ("bp", "ap"))  # fmt: skip


@pytest.mark.parametrize(
    ("change", "size", "notes"),
    [
        ({"s": 0}, 0, ["zero_size"]),
        ({"s": 0, "ds": "0.5"}, 0, ["fractional"]),
        ({"s": 1, "ds": "1.25"}, 1, ["fractional"]),
        ({"s": 100, "ds": "100.000"}, 100, []),
        ({"s": None, "ds": "12.5"}, 12, ["fractional"]),
        ({"s": 2.5}, 2, ["fractional"]),
        ({"s": 3.0}, 3, []),
    ],
)
def test_sizes_are_whole_shares_and_fractions_are_counted(change: dict[str, Any], size: int, notes: list[str]) -> None:
    result = parsed(TRADE | change)
    assert (only(result).size, result.notes) == (size, notes)


@pytest.mark.parametrize(
    ("t", "ns", "notes"),
    [
        (MS, MS * 10**6, []),
        (MS // 1000, MS // 1000 * 10**9, ["time_unit"]),
        (MS * 1000 + 7, (MS * 1000 + 7) * 1000, ["time_unit"]),
        (MS * 10**6 + 7, MS * 10**6 + 7, ["time_unit"]),
    ],
)
def test_the_unit_of_a_time_is_told_by_its_magnitude(t: int, ns: int, notes: list[str]) -> None:
    result = parsed(TRADE | {"t": t})
    assert (only(result).ts_event_ns, result.notes) == (ns, notes)


@pytest.mark.parametrize(
    "sym", ["SPY", "O:SPY251216C0068000", "O:SPY.>251216C00680000", "O:SPY251316C00680000", 5, [1]]
)
def test_a_malformed_option_ticker_is_rejected(sym: Any) -> None:
    assert rejected(OPTION | {"sym": sym}, market="options") == ["bad_ticker"]


def test_conditions_are_passed_on_in_any_of_their_shapes() -> None:
    for given_, expected in (([1, 2], [1, 2]), ([], []), (7, [7]), (None, None), ([1, "x", None], [1])):
        assert only(parsed(TRADE | {"c": given_})).conditions == expected
    assert only(parsed({key: value for key, value in TRADE.items() if key != "c"})).conditions is None


def test_integers_that_no_json_reader_holds_are_left_out() -> None:
    event = only(parsed(TRADE | {"q": 1 << 70, "x": -(1 << 70), "c": [1, 1 << 64]}))
    assert (event.seq, event.exchange, event.conditions) == (None, None, [1])
    encode(event)


def test_cancels_of_options_are_ordinary_trades() -> None:
    assert only(parsed(OPTION | {"c": [201]}, market="options")).conditions == [201]


# --- identity (fault 12)


def identity(message: dict[str, Any], market: str = "stocks") -> str:
    ((_, result),) = parsed(message, market=market).events
    return result


def test_the_identity_is_the_vendors_own() -> None:
    assert identity(TRADE) == identity(TRADE | {"c": [], "q": 9, "s": 5})  # symbol, exchange, TRF, id, day
    for change in ({"i": "119"}, {"x": 5}, {"trfi": 202}, {"sym": "QQQ"}, {"t": MS + 86_400_000}):
        assert identity(TRADE) != identity(TRADE | change)
    assert identity(QUOTE) != identity(QUOTE | {"q": 5142})
    assert identity(QUOTE) == identity(QUOTE | {"bs": 1})
    assert identity(OPTION, "options") == identity(OPTION | {"q": 78, "c": []}, "options")  # REST has neither
    for change in ({"p": 2.19}, {"s": 11}, {"x": 300}, {"t": MS + 1}):
        assert identity(OPTION, "options") != identity(OPTION | change, "options")


def test_the_identity_of_a_trade_is_the_same_over_rest() -> None:
    rest = {
        "sip_timestamp": MS * 10**6 + 123_456, "price": 680.31, "size": 100, "exchange": 4, "id": "118",
        "sequence_number": 5140, "conditions": [14], "tape": 2, "participant_timestamp": MS * 10**6,
    }  # fmt: skip
    ((event, rest_identity),) = normalize([from_rest("SPY", rest)], "stocks", RECV, EventSource.POLYGON_REST).events
    assert rest_identity == identity(TRADE)
    assert (event.ts_event_ns, event.source) == (MS * 10**6 + 123_456, EventSource.POLYGON_REST)


@given(st.text())
def test_an_identity_is_fit_for_a_header_whatever_the_vendor_sends(trade_id: str) -> None:
    header = identity(TRADE | {"i": trade_id})
    assert header.isascii()
    assert header.isprintable()
    assert " " not in header
    assert 0 < len(header) <= 120


# --- whatever arrives

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*TRADE, *QUOTE, "ds", "trfi"]), inner),
    max_leaves=20,
)


def nearly(message: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    fields = {key: st.just(value) | _json for key, value in message.items() if key != "ev"}
    return st.fixed_dictionaries({"ev": st.just(message["ev"])}, optional=fields)


@given(
    st.lists(
        _json
        | nearly(STATUS)
        | nearly(TRADE)
        | nearly(QUOTE)
        | nearly(OPTION)
        | st.sampled_from([TRADE, QUOTE, OPTION])
    ),
    st.sampled_from(["stocks", "options"]),
)
def test_nothing_makes_it_raise_and_everything_is_accounted_for(messages: list[Any], market: str) -> None:
    result = normalize(messages, market, RECV, WS)
    assert len(result.events) + len(result.rejects) + len(result.statuses) == len(messages)
    for event, _ in result.events:
        assert decode(subject_of(event), encode(event)) == event


@given(st.binary() | st.text())
def test_no_bytes_make_it_raise(frame: bytes | str) -> None:
    parse_frame(frame, "stocks", RECV, WS)


@pytest.mark.parametrize("library", ["polygon", "massive"])
def test_messages_that_the_client_library_has_parsed_come_to_the_same(library: str) -> None:
    models = pytest.importorskip(f"{library}.websocket.models")
    for message, market in ((TRADE, "stocks"), (QUOTE, "stocks"), (OPTION, "options")):
        (model,) = models.parse([message], logging.getLogger("quiet"), models.Market(market))
        result = normalize([from_model(model)], market, RECV, WS)
        assert only(result) == only(parsed(message, market=market))


def test_numbers_and_nestings_of_absurd_size_are_rejects() -> None:
    deep: Any = []
    for _ in range(2_000):
        deep = [deep]
    for change in ({"p": 10**400}, {"s": None, "ds": "9" * 5_000}, {"t": 64 * 10**12}, {"s": None, "ds": "9" * 30}):
        result = normalize([TRADE | change, TRADE], "stocks", RECV, WS)
        assert (len(result.events), len(result.rejects)) == (1, 1), change
    assert [reject.reason for reject in normalize([deep, {"ev": deep}], "stocks", RECV, WS).rejects] == [
        "no_object",
        "unknown_ev",
    ]


@pytest.mark.parametrize(
    ("message", "field", "reason"),
    [
        (STATUS, "status", "bad_status"),
        (STATUS, "message", "bad_status"),
        (TRADE, "i", "bad_id"),
        (TRADE, "trfi", "bad_id"),
    ],
)
@pytest.mark.parametrize("depth", [1, 500, 900])
def test_a_text_that_is_a_nest_costs_its_message_alone(
    message: dict[str, Any], field: str, reason: str, depth: int
) -> None:
    nest = b"[" * depth + b"]" * depth
    hostile = orjson.dumps(message | {field: "NEST"}).replace(b'"NEST"', nest)
    result = parse_frame(b"[%b,%b]" % (hostile, orjson.dumps(TRADE)), "stocks", RECV, WS)
    assert ([reject.reason for reject in result.rejects], len(result.events)) == ([reason], 1)


def test_rejects_carry_a_sample() -> None:
    (reject,) = parsed(TRADE | {"p": -1}).rejects
    assert isinstance(reject, Reject)
    assert "'p': -1" in reject.sample


def test_equal_option_prints_of_rest_are_counted() -> None:
    row = {"price": 2.18, "size": 10, "exchange": 312}
    rows = [from_rest(OPTION["sym"], row | {"sip_timestamp": ns}) for ns in (MS * 10**6 + 5, MS * 10**6 + 9, RECV)]
    count_equal(rows)
    events = normalize(rows, "options", RECV, EventSource.POLYGON_REST).events
    first = identity(OPTION, "options")
    assert [name for _, name in events] == [first, f"{first}.2", first.replace(str(MS), str(RECV // 10**6))]
    assert parsed(OPTION | {"equal": 2}, market="options").events[0][1] == first  # over the socket it means nothing


def test_the_value_of_an_index_is_followed_and_no_event() -> None:
    value = {"ev": "V", "val": 6_800.25, "T": "I:SPX", "t": MS}
    odd = [value | {"val": 0}, value | {"val": None}, value | {"T": 5}, value | {"t": "x"}]
    found = parsed(value, *odd, market="indices")
    assert found.values == [IndexValue("I:SPX", 6_800.25, MS * 10**6)]
    assert (found.events, [reject.reason for reject in found.rejects]) == ([], ["bad_price", "no_val", "no_T", "bad_t"])
    assert [reject.reason for reject in parsed(value).rejects] == ["unknown_ev V"]
