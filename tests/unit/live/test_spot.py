"""The spot that the strike window follows."""

import pytest

from spyctl.live.spot import Spot
from spyctl.timing.instants import SECOND


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
