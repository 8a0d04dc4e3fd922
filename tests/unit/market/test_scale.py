"""Scales with round ticks."""

import pytest

from spyctl.market.scale import round_bounds, round_step


@pytest.mark.parametrize(
    ("value", "step"), [(1, 1), (1.01, 2), (2.5, 5), (5.1, 10), (124.5, 200), (0.064, 0.1), (0.0031, 0.005), (10, 10)]
)
def test_steps_are_one_two_or_five_times_a_power_of_ten(value: float, step: float) -> None:
    assert round_step(value) == pytest.approx(step)


@pytest.mark.parametrize(
    ("low", "high", "step", "bounds"),
    [(6_814.1, 6_819.3, 2.0, (6_814, 6_820)), (5.0, 5.0, 1.0, (5, 6)), (-3.0, 2.0, 2.0, (-4, 2))],
)
def test_bounds_are_multiples_of_the_step_around_the_values(
    low: float, high: float, step: float, bounds: tuple[float, float]
) -> None:
    assert round_bounds(low, high, step) == bounds
