from hypothesis import given
from hypothesis import strategies as st

from spyctl.timing.histogram import Histogram, Percentiles


@given(st.lists(st.integers(2, 10**12), min_size=1, max_size=200), st.integers(1, 100))
def test_a_percentile_is_right_within_a_bucket(values: list[int], percent: int) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    rank = max(1, -(-percent * len(values) // 100))
    exact = sorted(values)[rank - 1]
    found = histogram.percentile(percent)
    assert found is not None
    assert 0.95 * exact <= found <= 1.05 * exact


def test_nothing_counted_has_no_percentiles() -> None:
    assert Percentiles.of(Histogram()) is None


def test_a_duration_may_be_counted_several_times_and_a_negative_one_is_none() -> None:
    histogram = Histogram()
    histogram.add(500, 9)
    histogram.add(-1)
    assert histogram.count == 10
    assert histogram.percentile(1) is not None
