"""Axes of charts: round times at their true place, and a scale that holds while values grow."""

import math
from datetime import datetime
from functools import lru_cache

from spyctl.market.scale import round_bounds, round_step
from spyctl.timing.instants import DAY, HOUR, MINUTE, NEW_YORK, SECOND, clock_text

_STEPS = (
    *(n * SECOND for n in (1, 2, 5, 10, 15, 30)), *(n * MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR for n in (1, 2, 3, 6, 12)), *(n * DAY for n in (1, 2, 7, 14, 28)),
)  # fmt: skip
_CEILINGS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
_LEAST_STEP = 0.1  # between two prices
_SPACE = 3


def round_ceiling(value: float) -> float:
    """Return a round number that is not less than a value: the end of a scale that rarely changes."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(unit * step for step in _CEILINGS if unit * step >= value or step == _CEILINGS[-1])


def price_bounds(low: float, high: float) -> tuple[float, float]:
    """Return the ends of a scale that holds two prices: multiples of 1, 2 or 5 dimes, dollars, tens of dollars, …"""
    return round_bounds(low, high, round_step(max(high - low, 4 * _LEAST_STEP) / 4))


@lru_cache(maxsize=8)  # the same for every frame
def time_axis(first_ns: int, last_ns: int, cells: int) -> str:
    """Write the times of New York under a span drawn in so many columns, as many as have room.

    Each begins in the column that its time falls into. Where the span has a midnight, that is written as its date.
    """
    for step in _STEPS:
        labels = [(tick, _label(tick, step)) for tick in _ticks(first_ns, last_ns, step, cells)]
        text = _placed(labels, first_ns, last_ns, cells)
        if text is not None:
            return text
    return ""


def _ticks(first_ns: int, last_ns: int, step: int, most: int) -> list[int]:
    # Multiples of a step on the clocks of New York; one too many where there are more than could have room.
    tick = _aligned(first_ns + step - 1, step)
    ticks: list[int] = []
    while tick <= last_ns and len(ticks) <= most:
        ticks.append(tick)
        tick = _aligned(tick + step + step // 2, step)
    return ticks


def _aligned(ns: int, step: int) -> int:
    offset = datetime.fromtimestamp(ns // SECOND, NEW_YORK).utcoffset()
    local_ns = ns + (int(offset.total_seconds()) * SECOND if offset is not None else 0)
    return ns - local_ns % step


def _label(ns: int, step: int) -> str:
    moment = datetime.fromtimestamp(ns // SECOND, NEW_YORK)
    if step >= DAY or moment.time() == moment.min.time():
        return f"{moment.day} {moment:%b}"
    text = clock_text(ns, NEW_YORK, 0)
    return text if step < MINUTE else text[:5]


def _placed(labels: list[tuple[int, str]], first_ns: int, last_ns: int, cells: int) -> str | None:
    # None where they are too close to each other.
    text = ""
    for tick, label in labels:
        column = (tick - first_ns) * cells // max(1, last_ns - first_ns + 1)
        if text and column < len(text) + _SPACE:
            return None
        if column + len(label) <= cells:
            text = f"{text:<{column}}{label}"
    return text
