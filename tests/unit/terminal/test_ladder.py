"""The book of a future, as the screens show it."""

from dataclasses import replace

from spyctl.market.events import MBP10, FuturesTrade
from spyctl.terminal.ladder import book_lines
from tests.support.replay_screen import SNAPSHOT

TRADE = SNAPSHOT.market.trade


def book() -> MBP10:
    assert SNAPSHOT.market.book is not None
    return SNAPSHOT.market.book


def text(
    trade: FuturesTrade | None, book: MBP10 | None, width: int, levels: int, *, headings: bool = False
) -> list[str]:
    return [line.plain for line in book_lines(trade, book, width, levels, headings=headings)]


def test_as_many_levels_are_drawn_as_have_room() -> None:
    assert [len(text(TRADE, book(), 80, levels)) for levels in (0, 1, 5)] == [0, 2, 6]
    assert text(TRADE, book(), 80, 1)[1].split()[1:-1] == ["40", "6,815.00", "6,815.25", "20"]  # no depth unless named


def test_the_last_trade_stands_above_the_levels_with_its_side() -> None:
    words = text(TRADE, book(), 80, 1)[0].split()
    assert words == ["ES", "last", "6,815.25", "×", "3", "▲", "buy", "spread", "0.25"]


def test_headings_name_the_columns_and_a_wide_ladder_adds_up_its_depth() -> None:
    assert text(TRADE, book(), 60, 3, headings=True)[1].split() == ["size", "bid", "ask", "size"]
    _, heads, *levels = text(TRADE, book(), 90, 3, headings=True)
    assert heads.split() == ["depth", "size", "bid", "ask", "size", "depth"]
    assert [(row.split()[1], row.split()[-2]) for row in levels] == [("40", "20"), ("81", "41"), ("123", "63")]


def test_without_a_book_its_lines_stay_empty() -> None:
    assert text(None, None, 80, 3) == ["", "", "", ""]


def test_a_side_without_a_price_has_no_spread() -> None:
    best, *rest = book().levels
    lines = text(TRADE, replace(book(), levels=(replace(best, bid_px=None), *rest)), 60, 1)
    assert "spread ·" in lines[0]
    assert "·    6,815.25" in lines[1]
