"""Which index the options of a root are on."""

import pytest

from spyctl.market.index_options import index_of, listed_under


@pytest.mark.parametrize(
    ("symbol", "index", "listed"),
    [("SPX", "I:SPX", "SPX"), ("SPXW", "I:SPX", "SPX"), ("XSP", "I:XSP", "XSP"), ("NDXP", "I:NDX", "NDX")],
)
def test_an_index_may_have_two_roots_which_are_listed_under_it(symbol: str, index: str, listed: str) -> None:
    assert (index_of(symbol), listed_under(symbol)) == (index, listed)


@pytest.mark.parametrize("symbol", ["SPY", "BRK.B", "SPXL"])
def test_a_stock_has_none(symbol: str) -> None:
    assert (index_of(symbol), listed_under(symbol)) == (None, symbol)
