"""The book of a replay, as the screen shows it."""

from dataclasses import replace

from spyctl.replay.ladder import book_lines
from spyctl.replay.snapshot import MarketNow, Snapshot
from tests.support.replay_screen import SNAPSHOT, changed


def text(snapshot: Snapshot, width: int, levels: int) -> list[str]:
    return [line.plain for line in book_lines(snapshot, width, levels)]


def test_as_many_levels_are_drawn_as_have_room() -> None:
    assert [len(text(SNAPSHOT, 80, levels)) for levels in (0, 1, 5)] == [0, 2, 6]
    assert "40  6,815.00    6,815.25    20" in text(SNAPSHOT, 80, 1)[1]


def test_the_last_trade_stands_above_the_levels_with_its_side() -> None:
    assert text(SNAPSHOT, 80, 1)[0].split() == ["ES", "last", "6,815.25", "×", "3", "▲", "buy", "spread", "0.25"]


def test_without_a_book_its_lines_stay_empty() -> None:
    assert text(changed(market=MarketNow()), 80, 3) == ["", "", "", ""]


def test_a_side_without_a_price_has_no_spread() -> None:
    assert SNAPSHOT.market.book is not None
    best, *rest = SNAPSHOT.market.book.levels
    book = replace(SNAPSHOT.market.book, levels=(replace(best, bid_px=None), *rest))
    lines = text(changed(market=MarketNow(book)), 80, 1)
    assert "spread ·" in lines[0]
    assert "·    6,815.25" in lines[1]
