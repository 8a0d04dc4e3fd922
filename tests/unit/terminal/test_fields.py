"""Fields are shown whole or not at all, the least important go first."""

from rich.text import Text

from spyctl.terminal.boxes import line
from spyctl.terminal.fields import Column, figure, grid, row, spare, stack, word


def test_a_row_leaves_out_the_highest_rank_first() -> None:
    fields = figure("late", "3"), word("synthetic", rank=2), figure("p99", "11.4 s", rank=1)
    assert row(40, *fields).plain == " late 3   synthetic   p99 11.4 s"
    assert row(30, *fields).plain == " late 3   p99 11.4 s"
    assert row(18, *fields).plain == " late 3"
    assert row(5, *fields).plain == ""


def test_fields_on_the_right_stand_flush_and_empty_ones_nowhere() -> None:
    left, right = [word("left"), word("")], [word("right", rank=1), word("")]
    assert row(20, *left, right=right).plain == " left         right "
    assert row(14, *left, right=right).plain == " left   right "
    assert row(12, *left, right=right).plain == " left"


def test_a_figure_keeps_the_place_of_what_follows() -> None:
    rows = [row(40, figure("acked", text, width=7), word("next")).plain for text in ("1", "999,999")]
    assert [text.index("next") for text in rows] == [17, 17]


def test_a_grid_leaves_out_whole_columns_those_of_one_rank_together() -> None:
    columns = (
        Column("volume", ["123,456"], 1),
        Column("strike", [("680", "bold")], flush="^", width=8),
        Column("volume", ["9"], 1),
    )
    assert [text.plain for text in grid(30, *columns)] == ["  volume  strike  volume", " 123,456   680         9"]
    assert [text.plain for text in grid(23, *columns)] == ["  strike ", "   680   "]
    assert grid(3, *columns) == [Text()]
    assert spare(30, *columns) == 6


def test_a_grid_without_heads_has_none_and_lines_may_have_a_style() -> None:
    (drawn,) = grid(20, Column("", ["a"], flush="<", width=3), Column("", ["1"]), styles=["green"])
    assert (drawn.plain, drawn.style) == (" a   1", "green")


def test_a_stack_leaves_out_whole_blocks() -> None:
    blocks = (0, [line("title")]), (2, [line("a"), line("b")]), (1, [line("end")])
    assert [text.plain for text in stack(4, *blocks)] == ["title", "a", "b", "end"]
    assert [text.plain for text in stack(3, *blocks)] == ["title", "end"]
    assert [text.plain for text in stack(1, *blocks)] == ["title"]
