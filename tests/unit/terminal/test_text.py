"""Sizes, counts, durations and styles."""

import pytest

from spyctl.errors import UsageError
from spyctl.terminal.outgoing import Mark
from spyctl.terminal.text import (
    bold,
    count,
    dim,
    elapsed_text,
    labelled,
    latency_text,
    parse_size,
    shortened,
    size_text,
)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1 kB"),
        (46_400, "46 kB"),
        (2_720_000, "2.72 MB"),
        (49_500_000, "49.5 MB"),
        (480_000_000, "480 MB"),
        (1_500_000_000, "1.50 GB"),
        (71_000_000_000, "71 GB"),
        (4_200_000_000_000, "4,200 GB"),
    ],
)
def test_sizes_have_three_digits_and_a_unit(size: int, text: str) -> None:
    assert size_text(size) == text


def test_only_one_of_a_kind_is_singular() -> None:
    assert [count("trades", number) for number in (0, 1, 2, 62_042)] == [
        "0 trades",
        "1 trade",
        "2 trades",
        "62,042 trades",
    ]


def test_elapsed_time_is_milliseconds_below_a_second() -> None:
    assert [elapsed_text(seconds) for seconds in (0.0004, 0.184, 1.0, 61.25)] == ["0 ms", "184 ms", "1.0 s", "61.2 s"]


def test_a_latency_takes_eight_columns_at_most() -> None:
    texts = [latency_text(ms) for ms in (0.04, 1.1, 9.99, 143.2, 999.4, 999.6, 11_383.7, 125_000.0)]
    assert texts == ["0.0 ms", "1.1 ms", "10.0 ms", "143 ms", "999 ms", "1.0 s", "11.4 s", "2 m 05 s"]


def test_a_long_text_loses_whole_words_and_shows_that() -> None:
    texts = [shortened("late by 1,234 ms", width) for width in (16, 15, 13, 8, 3)]
    assert texts == ["late by 1,234 ms", "late by 1,234…", "late by…", "late by…", "la…"]


def test_styles_are_left_out_without_colour_and_for_empty_text() -> None:
    assert (bold("x", colour=True), dim("x", colour=True)) == (f"{Mark.BOLD}x{Mark.END}", f"{Mark.DIM}x{Mark.END}")
    assert (bold("x", colour=False), dim("x", colour=False)) == ("x", "x")
    assert (bold("", colour=True), dim("", colour=True)) == ("", "")


def test_a_label_stands_before_the_first_line_alone() -> None:
    assert labelled("plan", "one", "two") == "plan     one\n         two"
    assert labelled("plan", "one", colour=True) == f"{Mark.DIM}plan     {Mark.END}one"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("2GB", 2_000_000_000),
        ("1.5 mb", 1_500_000),
        ("64k", 64_000),
        ("1e9", 1_000_000_000),
        ("3TB", 3 * 10**12),
    ],
)
def test_a_size_is_read_in_units_of_1000(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "2 GiB", "two"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size"):
        parse_size(text)
