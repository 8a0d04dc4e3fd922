"""What a replay lacks, by the trades that only one of the two schemas shows."""

import numpy as np

from spyctl.dbn.gateway.refill import Refill
from spyctl.dbn.records import RECORD_DTYPES, Records
from spyctl.timing.instants import SECOND

T0 = 1_765_895_400_000_000_000


def records(schema: str, *seconds: float, action: bytes = b"T") -> Records:
    rows = np.zeros(len(seconds), RECORD_DTYPES[schema])
    rows["ts_event"] = [T0 + round(s * SECOND) for s in seconds]
    rows["action"] = action
    return rows


def refill(trades: tuple[float, ...], shown: tuple[float, ...]) -> Refill:
    result = Refill(T0, T0 + 10 * SECOND)
    result.take("trades", records("trades", *trades))
    result.take("mbp-10", records("mbp-10", *shown))
    return result


def test_trades_that_both_have_lack_nothing() -> None:
    assert refill((1, 2, 2), (1, 2, 2)).unmatched() == 0


def test_a_trade_is_missing_where_only_one_has_it() -> None:
    assert refill((1, 2), (1, 2, 2, 3)).unmatched() == 2
    assert refill((1, 2, 4), (1, 2)).unmatched() == 1


def test_a_change_of_the_book_is_no_trade() -> None:
    result = refill((1,), (1,))
    result.take("mbp-10", records("mbp-10", 2, action=b"A"))
    assert result.unmatched() == 0


def test_what_is_live_does_not_count() -> None:
    assert refill((1, 11), (1, 12, -1)).unmatched() == 0


def test_a_replay_that_broke_off_is_judged_as_far_as_it_came() -> None:
    result = refill((1, 5), (2,))
    assert (result.unmatched(T0 + 4 * SECOND), result.unmatched()) == (2, 3)


def test_it_is_over_when_something_well_after_its_beginning_comes() -> None:
    result = refill((1,), (10.5,))
    assert not result.is_past
    result.take("trades", records("trades", 11))
    assert result.is_past
