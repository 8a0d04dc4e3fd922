"""Text of many rows at once: numbers in their slots, and rows joined."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spyctl.market.byte_rows import blank, byte_rows, decimals, fill_ints, int_slots, layout, texts


def written(values: list[int], wide: bool) -> list[bytes]:
    rows = blank(len(values), layout([b"<", *int_slots("n", wide=wide), b">\n"]))
    fill_ints(rows, "n", np.array(values, np.int64), wide=wide)
    return texts(rows).without(0, 1).single()


@given(st.lists(st.integers(0, 9_999), min_size=1))
def test_a_narrow_slot_takes_numbers_of_four_digits(values: list[int]) -> None:
    assert written(values, wide=False) == [b"<%d>" % value for value in values]


@given(st.lists(st.integers(0, 9_999_999_999) | st.sampled_from([10**k + d for k in range(10) for d in (-1, 0)])))
def test_a_wide_slot_takes_numbers_of_ten_digits(values: list[int]) -> None:
    assert written(values or [0], wide=True) == [b"<%d>" % value for value in values or [0]]


def test_a_row_is_its_template_until_its_slots_are_filled() -> None:
    dtype, template = layout([b"ab", ("x", "u4"), b"c", ("y", "S2")])
    assert template == b"ab\0\0\0\0c\0\0"
    rows = blank(2, (dtype, template))
    assert byte_rows(rows).tolist() == [list(template)] * 2
    rows["x"], rows["y"] = np.frombuffer(b"wxyz", "u4"), b"v"
    assert bytes(byte_rows(rows)) == b"abwxyzcv\0" * 2


@given(
    st.sampled_from([np.uint32, np.int64]),
    st.lists(st.integers(0, 2**32 - 1) | st.sampled_from([10**k + d for k in range(10) for d in (-1, 0)]), min_size=1),
)
def test_decimals_have_no_zeros_before_them(kind: type[np.integer[Any]], values: list[int]) -> None:
    assert decimals(np.array(values, kind), b"}\n").single() == [b"%d}\n" % value for value in values]


def test_rows_become_lines_without_their_zeros() -> None:
    rows = np.frombuffer(b"a\0b\n\0\0c\ndef\n", "V4").copy()
    assert texts(rows).single() == [b"ab\n", b"c\n", b"def\n"]
    assert len(texts(rows[:0])) == 0
