"""Which contracts the window wants for a spot."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.errors import UsageError
from spyctl.live.strike_manager import StrikeManager

DAY = date(2025, 12, 16)


def test_the_window_is_every_whole_dollar_around_the_centre_calls_and_puts() -> None:
    manager = StrikeManager(5, expiry=DAY)
    add, remove = manager.get_target_strikes(680.31)
    assert len(add) == 4 * 5 + 2
    assert remove == []
    assert add[0] == "T.O:SPY251216C00675000"
    assert add[-1] == "T.O:SPY251216P00685000"
    assert (manager.centre, manager.strikes()) == (680, list(range(675, 686)))


def test_the_window_moves_when_the_spot_has_moved_by_half_a_dollar() -> None:
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
    assert add == [f"T.O:SPY251216{right}00{strike}" for right in "CP" for strike in (680_000, 682_000, 682_500)]


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


def test_listed_strikes_are_taken_in_whatever_steps_they_come() -> None:
    manager = StrikeManager(2, "BRK.B", date(2025, 12, 19), [497_500, 499_500, 500_000, 500_500, 502_000, 502_500])
    manager.get_target_strikes(500.2)
    assert sorted({int(topic[-8:]) for topic in manager.held}) == [499_500, 500_000, 500_500, 502_000]
    assert {topic.partition("2")[0] for topic in manager.held} == {"T.O:BRKB"}
