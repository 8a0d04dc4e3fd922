"""Option tickers, the window's decision, and the spot it follows."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.errors import PayloadError, UsageError
from spyctl.live.spot import Spot
from spyctl.live.strike_manager import StrikeManager
from spyctl.market.option_tickers import OptionTicker, parse_option_ticker
from spyctl.timing.instants import SECOND

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
def test_what_is_no_ticker_is_refused(text: str) -> None:
    with pytest.raises(PayloadError):
        parse_option_ticker(text)


def test_the_window_is_every_whole_dollar_around_the_centre_calls_and_puts() -> None:
    manager = StrikeManager(5, expiry=DAY)
    add, remove = manager.get_target_strikes(680.31)
    assert len(add) == 4 * 5 + 2
    assert remove == []
    assert add[0] == "T.O:SPY251216C00675000"
    assert add[-1] == "T.O:SPY251216P00685000"
    assert (manager.centre, manager.strikes()) == (680, list(range(675, 686)))


def test_it_moves_when_the_spot_has_moved_by_half_a_dollar() -> None:
    manager = StrikeManager(2, expiry=DAY)
    assert manager.should_update(680.40)
    manager.get_target_strikes(680.40)
    assert not manager.should_update(680.89)
    assert not manager.should_update(679.91)
    assert manager.should_update(680.90)
    add, remove = manager.get_target_strikes(680.90)
    assert add == ["T.O:SPY251216C00683000", "T.O:SPY251216P00683000"]
    assert remove == ["T.O:SPY251216C00678000", "T.O:SPY251216P00678000"]


def test_only_listed_strikes_are_taken_where_the_list_is_known() -> None:
    manager = StrikeManager(3, expiry=DAY, listed={680_000, 682_000, 682_500})
    add, _ = manager.get_target_strikes(681.0)
    assert add == [f"T.O:SPY251216{right}00{strike}000" for right in "CP" for strike in (680, 682)]


def test_a_roll_changes_every_contract() -> None:
    manager = StrikeManager(1, expiry=DAY)
    manager.get_target_strikes(680.0)
    add, remove = manager.roll(date(2025, 12, 17))
    assert (len(add), len(remove)) == (6, 6)
    assert all("251217" in topic for topic in add)


@given(st.lists(st.floats(1, 2_000), min_size=1, max_size=50), st.integers(0, 20))
def test_additions_and_removals_always_lead_to_the_window(prices: list[float], strike_range: int) -> None:
    manager, held = StrikeManager(strike_range, expiry=DAY), set()
    for price in prices:
        add, remove = manager.get_target_strikes(price)
        assert not held & set(add)
        assert set(remove) <= held
        held = (held | set(add)) - set(remove)
        assert held == manager.held
        assert all(abs(int(topic[-8:]) / 1000 - price) <= strike_range + 0.5 for topic in held)


def test_a_silly_range_and_a_missing_expiry_are_refused() -> None:
    for strike_range in (-1, 101):
        with pytest.raises(UsageError, match="strike range"):
            StrikeManager(strike_range)
    with pytest.raises(UsageError, match="expiry"):
        StrikeManager().get_target_strikes(680)


def spot_at(*quotes: tuple[float, float]) -> float | None:
    spot = Spot()
    for i, (bid, ask) in enumerate(quotes):
        spot.quote(bid, ask, i)
    return spot.price


def test_the_spot_is_the_middle_of_a_sound_quote() -> None:
    assert spot_at((680.30, 680.32)) == pytest.approx(680.31)
    assert spot_at((680.30, 680.32), (680.40, 680.38)) == pytest.approx(680.31)  # crossed
    assert spot_at((680.30, 680.32), (680.40, 680.40)) == pytest.approx(680.31)  # locked
    assert spot_at((680.30, 680.32), (0.0, 680.38)) == pytest.approx(680.31)  # one-sided
    assert spot_at((680.30, 680.32), (600.0, 700.0)) == pytest.approx(680.31)  # wide


def test_a_jump_is_believed_after_three_in_a_row() -> None:
    before = (680.30, 680.32)
    for after in ((640.00, 640.02), (691.00, 691.02), (678.50, 678.52)):
        assert spot_at(before, after) == pytest.approx(680.31)
        assert spot_at(before, after, before, after, before, after) == pytest.approx(680.31)
        assert spot_at(before, after, after, after) == pytest.approx(after[0] + 0.01)


def test_jumps_that_disagree_and_spreads_beyond_half_a_per_cent_are_not_believed() -> None:
    before = (680.30, 680.32)
    assert spot_at(before, (640.00, 640.02), (720.00, 720.02), (600.00, 600.02)) == pytest.approx(680.31)
    assert spot_at(before, (679.10, 682.90)) == pytest.approx(680.31)  # 0.56 %
    assert spot_at(before, (679.00, 682.00)) == pytest.approx(680.50)  # 0.442 %


def test_trades_count_only_while_there_are_no_quotes() -> None:
    spot = Spot()
    spot.trade(680.0, [14], SECOND * 10)
    assert spot.price == 680.0
    spot.trade(681.0, [37], SECOND * 11)  # an odd lot does not update the last price
    assert spot.price == 680.0
    spot.quote(681.00, 681.02, SECOND * 12)
    spot.trade(683.0, None, SECOND * 13)
    assert spot.price == pytest.approx(681.01)
    spot.trade(682.0, None, SECOND * 18)
    assert spot.price == 682.0
