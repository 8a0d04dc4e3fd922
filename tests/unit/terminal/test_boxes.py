"""Lines, boxes and bars: each as wide as it should be."""

import pytest
from rich.text import Text

from spyctl.terminal.boxes import (
    bar_left,
    bar_right,
    box,
    chart,
    curve,
    line,
    progress,
    rule,
    screen,
    side_by_side,
    spark,
)


def test_a_box_has_its_width_whatever_is_inside() -> None:
    lines = box("market", [line("short"), line("far too long for this box")], 16, right=line(" ES "), height=3)
    assert [text.cell_len for text in lines] == [16] * 5
    assert [text.plain for text in lines] == [
        lines[0].plain,
        "│short         │",
        "│far too long …│",
        "│              │",
        "╰──────────────╯",
    ]
    assert lines[0].plain.startswith("╭─ market ")
    assert lines[0].plain.endswith(" ES ─╮")


def test_a_title_that_does_not_fit_is_left_out() -> None:
    assert box("market", [], 16, right=line(" a long title "))[0].plain == "╭─ market ─────╮"


@pytest.mark.parametrize("width", range(16, 24))
def test_a_box_has_its_width_whatever_its_titles(width: int) -> None:
    lines = box("market", [], width, right=line(" 1234567  "))
    assert {text.cell_len for text in lines} == {width}
    assert ("1234567" in lines[0].plain) == (width >= 21)


def test_blocks_stand_side_by_side() -> None:
    left, right = [line("a"), line("b")], [line("1"), line("2")]
    assert [text.plain for text in side_by_side(left, right)] == ["a1", "b2"]


def test_blocks_of_different_heights_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        side_by_side([line("a"), line("b")], [line("1")])


def test_sparks_keep_the_scale_they_are_given() -> None:
    assert spark([0, 1, 2, 4], 4, 4) == "▁▃▅█"
    assert spark([9, 0, 4], 2, 8) == "▁▅"
    assert spark([9], 2, 4) == "█"
    assert spark([0, 0], 2, 0) == "▁▁"
    assert spark([], 2, 1) == ""


def test_a_curve_has_two_dots_to_a_cell_and_four_to_a_row() -> None:
    assert curve([0, 1, 2, 3], 2, 1, 0, 3) == ["\u2860\u280a"]
    assert curve([4, None, None, 0], 2, 2, 0, 4) == ["\u2801 ", " \u2880"]
    assert curve([1, 1], 1, 1, 1, 1) == [" "]


def test_a_chart_grows_from_below() -> None:
    assert chart([0, 1, 2], 2, 2) == ["  █", " ██"]
    assert chart([0, 1, 2], 2, 4) == ["   ", " ▄█"]
    assert chart([], 1, 1) == [""]


def test_bars_grow_away_from_the_middle() -> None:
    assert (bar_left(1, 2, 4), bar_right(1, 2, 4)) == ("  ██", "██  ")
    assert (bar_left(3, 8, 4), bar_right(3, 8, 4)) == ("  ▐█", "█▌  ")
    assert (bar_left(0, 0, 4), bar_right(0, 0, 4)) == ("    ", "    ")


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "────"), (0.5, "━━──"), (0.625, "━━╸─"), (2.0, "━━━━"), (-1.0, "────")]
)
def test_progress_stays_within_its_cells(share: float, text: str) -> None:
    assert progress(share, 4).plain == text


def test_a_screen_is_its_lines() -> None:
    assert screen([Text("a"), rule(2)]).plain == "a\n──"


def test_a_line_shows_nothing_that_steers_a_terminal() -> None:
    assert line("a\x1b[2J", ("b\r\nc", "dim"), line("d")).plain == "a␛[2Jb␍␊cd"
    assert box("t\x07", [], 9)[0].plain == "╭─ t␇ ──╮"
