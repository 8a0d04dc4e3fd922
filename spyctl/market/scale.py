"""Scales with round ticks, for charts and pictures."""

import math

_FACTORS = (1.0, 2.0, 5.0, 10.0)


def round_step(value: float) -> float:
    """Return the smallest of 1, 2 or 5 times a power of ten that is not less than a value above 0."""
    unit = 10.0 ** math.floor(math.log10(value))
    return next(unit * factor for factor in _FACTORS if unit * factor >= value or factor == _FACTORS[-1])


def round_bounds(low: float, high: float, step: float) -> tuple[float, float]:
    """Return the ends of a scale that holds two values: different multiples of a step."""
    bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
    return bottom, top if top > bottom else bottom + step
