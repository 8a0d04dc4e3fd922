"""The plan in equal parts."""

from hypothesis import given
from hypothesis import strategies as st

from spyctl.replay.bins import BINS, Bins


@given(st.integers(0, 1 << 62), st.integers(0, 1 << 62), st.data())
def test_each_instant_lies_in_one_part_and_they_have_an_order(first: int, length: int, data: st.DataObject) -> None:
    bins = Bins(first, first + length)
    instants = sorted(data.draw(st.lists(st.integers(first, first + length), min_size=1, max_size=5)))
    parts = [bins.at(ns) for ns in instants]
    assert parts == sorted(parts)
    assert (bins.at(first), bins.at(first - 1), bins.at(first + length + 1)) == (0, 0, BINS - 1)
    assert 0 <= parts[0] <= parts[-1] < BINS


@given(st.integers(0, BINS - 1), st.integers(BINS * 10, 1 << 50))
def test_the_middle_of_a_part_lies_in_it(number: int, length: int) -> None:
    bins = Bins(7, 7 + length)
    assert bins.at(bins.middle_ns(number)) == number
