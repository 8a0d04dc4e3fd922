"""Option tickers and their parts."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.errors import PayloadError
from spyctl.market.option_tickers import OptionTicker, parse_option_ticker

DAY = date(2025, 12, 16)


@given(
    st.from_regex(r"[A-Z0-9.]{1,6}", fullmatch=True),
    st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    st.sampled_from("CP"),
    st.integers(1, 99_999_999),
)
def test_a_ticker_reads_back(root: str, expiry: date, right: str, strike_milli: int) -> None:
    ticker = OptionTicker(root, expiry, right, strike_milli)
    assert parse_option_ticker(str(ticker)) == ticker


def test_the_parts_of_a_ticker() -> None:
    ticker = parse_option_ticker("O:SPY251216C00676500")
    assert (ticker.root, ticker.expiry, ticker.right, ticker.strike) == ("SPY", DAY, "C", 676.5)
    assert parse_option_ticker("O:SPY1251216C00676000").root == "SPY1"  # an adjusted series, not SPY
    assert parse_option_ticker("O:2SPY251216P00676000").root == "2SPY"


@pytest.mark.parametrize(
    "text",
    [
        "", "O:", "SPY251216C00676000", "o:SPY251216C00676000", "O:spy251216C00676000", "O:SPY   251216C00676000",
        "O:SPY251316C00676000", "O:SPY250229C00676000", "O:SPY251216X00676000", "O:SPY251216C0676000",
        "O:SPY251216C000676000", "O:SPY251216C00000000", "O:SPY251216C00676000\n", "O:SPY251216C0067600٣",
        "O:SP*251216C00676000", "O:SP>251216C00676000", "O:251216C00676000",
    ],
)  # fmt: skip
def test_what_is_not_a_ticker_is_refused(text: str) -> None:
    with pytest.raises(PayloadError):
        parse_option_ticker(text)
