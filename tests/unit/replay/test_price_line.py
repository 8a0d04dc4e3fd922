"""The price over a plan."""

from spyctl.replay.bins import BINS
from spyctl.replay.price_line import PriceLine
from spyctl.timing.instants import SECOND
from tests.support.records import T0


def line() -> PriceLine:
    return PriceLine(T0, T0 + BINS * SECOND - 1)


def test_columns_between_two_looks_lie_on_the_line_between_them() -> None:
    prices = line()
    prices.note(T0, 100.0)
    prices.note(T0 + 4 * SECOND, 102.0)
    assert prices.values[:6] == [100.0, 100.5, 101.0, 101.5, 102.0, None]


def test_what_was_jumped_over_has_no_price() -> None:
    prices = line()
    prices.note(T0, 100.0)
    prices.move()
    prices.note(T0 + 3 * SECOND, 103.0)
    assert prices.values[:5] == [100.0, None, None, 103.0, None]


def test_event_time_outside_the_plan_counts_at_its_ends_and_going_back_draws_no_line() -> None:
    prices = line()
    prices.note(T0 + 2 * BINS * SECOND, 101.0)
    prices.note(T0 - SECOND, 99.0)
    assert (prices.values[0], prices.values[-1], prices.values[1:-1]) == (99.0, 101.0, [None] * (BINS - 2))
