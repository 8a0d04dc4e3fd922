"""Text of many rows at once: numbers in their slots, and rows joined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.market.byte_rows import blank, byte_rows, fill_ints, int_slots, joined, layout


def written(values: list[int], wide: bool) -> list[bytes]:
    rows = blank(len(values), layout([b"<", *int_slots("n", wide=wide), b">"]))
    fill_ints(rows, "n", np.array(values, np.int64), wide=wide)
    return bytes(joined(byte_rows(rows), end=b"\n")).split(b"\n")[:-1]


@given(st.lists(st.integers(0, 9_999), min_size=1))
def test_a_narrow_slot_takes_numbers_of_four_digits(values: list[int]) -> None:
    assert written(values, wide=False) == [b"<%d>" % value for value in values]


@given(st.lists(st.integers(0, 9_999_999_999) | st.sampled_from([10**k + d for k in range(10) for d in (-1, 0)])))
def test_a_wide_slot_takes_numbers_of_ten_digits(values: list[int]) -> None:
    assert written(values or [0], wide=True) == [b"<%d>" % value for value in values or [0]]


def test_a_row_is_its_template_until_its_slots_are_filled() -> None:
    dtype, template = layout([b"ab", ("x", "u4"), b"c", ("group", np.dtype("S2"), 3)])
    assert template == b"ab\0\0\0\0c" + b"\0" * 6
    rows = blank(2, (dtype, template))
    assert byte_rows(rows).tolist() == [list(template)] * 2
    rows["x"], rows["group"][:, 1] = np.frombuffer(b"wxyz", "u4"), b"gg"
    assert bytes(joined(byte_rows(rows), end=b"|")) == b"abwxyzcgg|" * 2


def test_parts_side_by_side_make_one_line_a_row() -> None:
    left, right = (np.frombuffer(text, np.uint8).reshape(2, -1) for text in (b"a\0bb", b"1\0\000234"))
    assert joined(left, right, end=b"\r\n") == b"a1\r\nbb234\r\n"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_any_number_of_rows_can_be_made(count: int) -> None:
    assert bytes(joined(byte_rows(blank(count, layout([b"x"]))), end=b"")) == b"x" * count
