"""Axes: round times at their true place, scales that hold."""

import pytest

from spyctl.terminal.axis import price_bounds, round_ceiling, time_axis
from spyctl.timing.instants import DAY, HOUR, MINUTE, SECOND
from tests.support.records import T0  # 2025-12-16 09:30 New York


@pytest.mark.parametrize(
    ("value", "ceiling"),
    [(0, 1), (0.3, 0.3), (1, 1), (1.01, 1.5), (680, 700), (701, 1_000), (999, 1_000), (1_000, 1_000), (5_554, 7_000)],
)
def test_a_scale_ends_at_a_round_number(value: float, ceiling: float) -> None:
    assert round_ceiling(value) == pytest.approx(ceiling)


def test_a_scale_is_never_too_small() -> None:
    assert all(round_ceiling(n) >= n for n in range(1, 20_000))


@pytest.mark.parametrize(
    ("low", "high", "bounds"),
    [(6_814.1, 6_819.3, (6_814.0, 6_820.0)), (100.0, 100.0, (100.0, 100.1)), (-3.0, 2.0, (-4.0, 2.0))],
)
def test_a_scale_of_prices_has_round_ends(low: float, high: float, bounds: tuple[float, float]) -> None:
    assert price_bounds(low, high) == pytest.approx(bounds)


def test_round_times_stand_in_the_columns_they_fall_into() -> None:
    axis = time_axis(T0 - 5 * MINUTE, T0 + 5 * MINUTE - 1, 100)
    assert axis.split() == [f"09:{minute}" for minute in range(25, 35)]
    assert [axis.index(f"09:{minute}") for minute in (25, 30, 34)] == [0, 50, 90]


def test_a_span_that_begins_anywhere_has_round_times_all_the_same() -> None:
    axis = time_axis(T0 + 3 * MINUTE + 20 * SECOND, T0 + 63 * MINUTE + 20 * SECOND, 60)
    assert axis.split() == ["09:40", "09:50", "10:00", "10:10", "10:20", "10:30"][: len(axis.split())]
    assert axis.index("09:40") == 6


def test_seconds_are_written_where_they_matter() -> None:
    assert time_axis(T0, T0 + 10 * SECOND - 1, 60).split() == [f"09:30:0{n}" for n in (0, 2, 4, 6, 8)]


def test_several_days_have_their_dates() -> None:
    midnight = T0 + 14 * HOUR + 30 * MINUTE  # of the 17th
    axis = time_axis(T0, T0 + DAY, 100)
    assert "17 Dec" in axis
    assert axis.index("17 Dec") == (midnight - T0) * 100 // (DAY + 1)
    assert "12:00" in axis
    week = time_axis(T0, T0 + 5 * DAY, 80)
    assert [week.count(f"{day} Dec") for day in (17, 18, 19, 20, 21)] == [1, 1, 1, 1, 1]
    assert time_axis(T0, T0 + 40 * DAY, 40).split()[1] == "Dec"


def test_ticks_are_hours_of_new_york_on_both_sides_of_a_change_of_the_clocks() -> None:
    before = 1_762_056_000 * SECOND  # 2025-11-02 00:00 New York, whose clocks go back at 02:00
    axis = time_axis(before, before + DAY, 120)
    assert [text for text in axis.split() if ":" in text][:2] == ["02:00", "04:00"]
    assert axis.index("04:00") == 5 * HOUR * 120 // (DAY + 1)


@pytest.mark.parametrize("span_ns", [1, SECOND // 2, MINUTE, HOUR, DAY, 30 * DAY, 3_000 * DAY])
@pytest.mark.parametrize("cells", [1, 20, 80, 200])
def test_an_axis_never_needs_more_than_its_columns(span_ns: int, cells: int) -> None:
    assert len(time_axis(T0, T0 + span_ns, cells)) <= cells
