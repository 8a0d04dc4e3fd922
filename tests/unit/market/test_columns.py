"""Batches of columns: spellings of schemas, slices, and the exact reading as events."""

import numpy as np
import pytest

from spyctl.errors import UnknownSchemaError
from spyctl.market.columns import DTYPES, UNDEF_PRICE, Batch, Names, events, schema_name
from spyctl.market.events import MBP10, Aggressor, FuturesTrade


def batch(trade_times: list[int], book_times: list[int]) -> Batch:
    names = Names()
    parts = []
    for schema, times in (("trades", trade_times), ("mbp-10", book_times)):
        rows = np.zeros(len(times), DTYPES[schema])
        rows["sort_ns"] = rows["ts_event_ns"] = times
        rows["symbol"] = names.number("ES" if schema == "trades" else "NQ")
        parts.append(rows)
    order = np.argsort(np.concatenate([part["sort_ns"] for part in parts]), kind="stable")
    return Batch((parts[0], parts[1]), order, names)


@pytest.mark.parametrize(
    ("text", "name"),
    [("trades", "trades"), ("Trade", "trades"), ("mbp-10", "mbp-10"), ("MBP10", "mbp-10"), (" mbp_10 ", "mbp-10")],
)
def test_a_schema_is_read_in_any_spelling(text: str, name: str) -> None:
    assert schema_name(text) == name


def test_an_unknown_schema_is_refused_without_naming_a_flag() -> None:
    with pytest.raises(UnknownSchemaError, match="there is no schema 'mbo' here") as caught:
        schema_name("mbo")
    assert "--" not in caught.value.remedy


def test_a_symbol_keeps_its_number() -> None:
    names = Names()
    assert [names.number(text) for text in ("ES", "NQ", "ES")] == [0, 1, 0]
    assert names.texts == ["ES", "NQ"]


def test_a_slice_holds_the_events_of_its_range_and_no_other_rows() -> None:
    whole = batch([1, 4, 6], [1, 2, 5, 7])
    assert whole.column("sort_ns").tolist() == [1, 1, 2, 4, 5, 6, 7]
    for start in range(8):
        for end in range(start, 8):
            piece = whole[start:end]
            assert list(events(piece)) == list(events(whole))[start:end]
            assert sum(map(len, piece.parts)) == len(piece) == end - start


def test_columns_are_read_as_exact_events() -> None:
    two = batch([5], [5])
    two.parts[0]["price"], two.parts[0]["aggressor"], two.parts[0]["size"] = 6_799_750_000_000, -1, 3
    two.parts[1]["levels"]["bid_px"], two.parts[1]["levels"]["ask_px"] = UNDEF_PRICE, 6_800_000_000_000
    trade, book = events(two)
    assert isinstance(trade, FuturesTrade)
    assert (trade.symbol, trade.price, trade.size, trade.aggressor) == ("ES", 6799.75, 3, Aggressor.SELL)
    assert isinstance(book, MBP10)
    assert (book.symbol, book.levels[0].bid_px, book.levels[9].ask_px) == ("NQ", None, 6800.0)
