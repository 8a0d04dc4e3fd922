from hypothesis import given
from hypothesis import strategies as st

from spyctl.timing.histogram import Histogram, Percentiles, Recent


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


def test_what_was_counted_since_a_copy_is_told_apart() -> None:
    histogram = Histogram()
    histogram.add(1_000, 5)
    earlier = histogram.copy()
    histogram.add(1_000, 2)
    histogram.add(9_000_000)
    newer = histogram.since(earlier)
    assert (earlier.count, newer.count, histogram.count) == (5, 3, 8)
    assert newer.percentile(99) == histogram.percentile(100)


def test_recent_latencies_are_those_of_the_last_seconds() -> None:
    histogram = Histogram()
    recent = Recent(histogram, span_ns=2)
    assert recent.p99_ms(0) is None
    histogram.add(50_000_000)
    slow = recent.p99_ms(1)
    assert slow is not None
    assert 47 < slow < 53
    histogram.add(1_000_000, 9)
    assert recent.p99_ms(2) == slow  # it is one of the last two ns still
    fast = recent.p99_ms(3)
    assert fast is not None
    assert 0.9 < fast < 1.1
    assert recent.p99_ms(5) is None
