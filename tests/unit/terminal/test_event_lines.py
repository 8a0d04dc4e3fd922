"""Messages as lines for a person and for a program, and which of them are wanted."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.errors import PayloadError, UsageError
from spyctl.market.events import (
    MBP10,
    Aggressor,
    BidAskLevel,
    EventSource,
    FuturesTrade,
    Gap,
    OptionQuote,
    OptionTrade,
    StockQuote,
    StockTrade,
)
from spyctl.market.lines import StreamMessage, json_lines
from spyctl.market.subjects import KINDS, encode, subject_of
from spyctl.terminal.event_lines import (
    EventFilter,
    TextLines,
    day_text,
    subjects_of,
)
from spyctl.terminal.outgoing import Mark

NS, SIM = 1_765_898_047_388_000_000, EventSource.SIM


def line(event: Any, seq: int = 1_385_358) -> str:
    return TextLines().line(StreamMessage(seq, subject_of(event), 0, encode(event), 0))


def test_stock_quotes_have_bars_of_their_sizes() -> None:
    quote = StockQuote(NS, NS, SIM, "SPY", 680.3, 680.32, 400, 700)
    assert line(quote) == "1,385,358 10:14:07.388 stocks.quotes  SPY   680.30 × 400     ▐██│████    700 × 680.32"


def test_trades_are_price_times_size() -> None:
    stock = StockTrade(NS, NS, SIM, "SPY", 680.31, 100)
    assert line(stock) == "1,385,358 10:14:07.388 stocks.trades  SPY   680.31 × 100"
    option = OptionTrade(NS, NS, SIM, "SPY", "O:SPY251216C00680000", "2025-12-16", 680.0, "C", 2.18, 10)
    assert line(option) == "1,385,358 10:14:07.388 options.trades SPY 16 Dec 680 C     2.18 × 10"
    option = OptionTrade(
        NS, NS, SIM, "SPY", "O:SPY251216C00680000", "2025-12-16", 680.0, "C", 2.18, 10, 2.16, 2.18, Aggressor.BUY
    )
    assert line(option) == "1,385,358 10:14:07.388 options.trades SPY 16 Dec 680 C     2.18 × 10   ▲ buy  2.16 × 2.18"
    future = FuturesTrade(NS, NS, SIM, "ES", 6_815.25, 3, Aggressor.SELL)
    assert line(future) == "1,385,358 10:14:07.388 futures.trades ES 6,815.25 × 3    ▼ sell"


def test_sides_stand_in_one_column_whatever_the_size() -> None:
    columns = {line(FuturesTrade(NS, NS, SIM, "ES", 6_815.25, size, Aggressor.BUY)).index("▲") for size in (1, 23, 456)}
    assert len(columns) == 1


def test_colours_mark_sides_bars_gaps_and_what_cannot_be_read() -> None:
    def coloured(event: Any) -> str:
        message = StreamMessage(7, subject_of(event), 0, encode(event), 0)
        return TextLines(colour=True).line(message).replace(Mark.END, "}")

    dim = f"{Mark.DIM}10:14:07.388}}"
    trade = FuturesTrade(NS, NS, SIM, "ES", 6_815.25, 3, Aggressor.SELL)
    assert coloured(trade) == f"        7 {dim} futures.trades ES 6,815.25 × 3    {Mark.RED}▼ sell}}"
    quote = StockQuote(NS, NS, SIM, "SPY", 680.3, 680.32, 400, 700)
    assert f"{Mark.GREEN}▐██}}│{Mark.RED}████}}" in coloured(quote)
    opened = Gap(NS, NS, SIM, "options", NS, None, "cut", "g1", None)
    assert coloured(opened).endswith(f"options missing from now on{Mark.RED}: open (cut)}}")
    unread = TextLines(colour=True).line(StreamMessage(1, "market.gaps", NS, b"no", 0))
    assert f"{Mark.YELLOW}! market.gaps: not JSON" in unread


def test_a_symbol_cannot_colour_a_line() -> None:
    trade = FuturesTrade(NS, NS, SIM, f"E{Mark.RED}S\x1b", 6_815.25, 3, Aggressor.MID)
    message = StreamMessage(7, subject_of(trade), 0, encode(trade), 0)
    assert "E\ufffdS␛ 6,815.25" in TextLines(colour=True).line(message)


def test_option_quotes_name_their_contract() -> None:
    quote = OptionQuote(NS, NS, SIM, "SPY", "O:SPY251216C00680000", "2025-12-16", 680.0, "C", 2.16, 2.18, 12, 48)
    assert line(quote).endswith("options.quotes SPY 16 Dec 680 C     2.16 × 12       █│████    48 × 2.18")


def test_books_show_their_best_level_and_a_dot_where_a_side_is_empty() -> None:
    levels = [BidAskLevel(6_816.5, 22, None, 0), *[BidAskLevel(None, 0, None, 0)] * 9]
    assert line(MBP10(NS, NS, SIM, "ES", levels)).endswith("ES 6,816.50 × 22  ████│       0 × ·")


def test_gaps_are_open_or_say_what_is_missing() -> None:
    closed = Gap(NS, NS, SIM, "options", NS, NS + 1_407_000_000, "cut", "g1", 1)
    assert line(closed) == "1,385,358 10:14:07.388 gaps           options 1.407 s missing, 1 event: closed"
    opened = Gap(NS, NS, SIM, "options", NS, None, "cut", "g1", None)
    assert line(opened).endswith("options missing from now on: open (cut)")


def test_a_payload_of_another_shape_is_shown_and_counted() -> None:
    lines = TextLines()
    assert "! market.gaps: not JSON" in lines.line(StreamMessage(1, "market.gaps", NS, b"no", 0))
    assert lines.undecoded == 1


_OTHERS = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_EVENTS = [
    StockQuote(NS, NS, SIM, "SPY", 680.3, 680.32, 400, 700),
    OptionTrade(NS, NS, SIM, "SPY", "O:SPY251216C00680000", "2025-12-16", 680.0, "C", 2.18, 10),
    OptionQuote(NS, NS, SIM, "SPY", "O:SPY251216C00680000", "2025-12-16", 680.0, "C", 2.16, 2.18, 12, 48),
    MBP10(NS, NS, SIM, "ES", [BidAskLevel(6_816.5, 22, None, 0)] * 10),
    Gap(NS, NS, SIM, "options", NS, NS + 1, "cut", "g1", 1),
]


@given(st.sampled_from(_EVENTS), st.data())
def test_no_payload_of_others_makes_it_raise(event: Any, data: st.DataObject) -> None:
    document = json.loads(encode(event))
    document[data.draw(st.sampled_from(sorted(document)))] = data.draw(_OTHERS)
    payload = orjson.dumps(document)
    TextLines().line(StreamMessage(1, subject_of(event), NS, payload, 0))
    json_lines([StreamMessage(1, subject_of(event), NS, payload, 0)])
    EventFilter(frozenset(), "SPY", 1, 2).matches(document)


def test_a_nest_is_named_by_its_type() -> None:
    nest = "[" * 900 + "]" * 900
    payload = encode(_EVENTS[0]).replace(b'"sim"', nest.encode())
    assert "stocks.quotes.v1.source: a list is not one of" in TextLines().line(
        StreamMessage(1, "market.stocks.quotes", NS, payload, 0)
    )


def test_names_for_subjects() -> None:
    assert subjects_of(["futures"]) == ["market.futures.trades", "market.futures.mbp10"]
    assert subjects_of(["gaps", "options.trades", "gaps"]) == ["market.gaps", "market.options.trades"]
    assert subjects_of(["market.stocks.*"], "DRILL") == ["DRILL.market.stocks.trades", "DRILL.market.stocks.quotes"]
    assert subjects_of(["options"]) == ["market.options.trades", "market.options.quotes"]
    assert len(subjects_of([])) == len(KINDS)
    with pytest.raises(UsageError, match="there is no subject 'bonds'"):
        subjects_of(["bonds"])


def test_a_filter_looks_at_symbol_and_event_time_alone() -> None:
    assert not EventFilter(frozenset({"a"})).looks_inside
    wanted = EventFilter(frozenset({"a"}), "SPY", 10, 20)
    assert wanted.looks_inside
    assert wanted.matches({"symbol": "SPY", "ts_event_ns": 10})
    assert wanted.matches({"underlying": "SPY", "ts_event_ns": 19})
    assert wanted.matches({"option_symbol": "SPY", "ts_event_ns": 19})
    assert not wanted.matches({"symbol": "SPY", "ts_event_ns": 20})
    assert not wanted.matches({"symbol": "QQQ", "ts_event_ns": 15})
    assert not wanted.matches({"symbol": "SPY"})


def test_a_day_is_written_without_its_year() -> None:
    assert day_text("2025-12-06") == "6 Dec"
    for text in ("", "2025-13-01", "2025-12", "x-y-z"):
        with pytest.raises(PayloadError, match="is not a date"):
            day_text(text)
