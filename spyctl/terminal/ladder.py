"""The book of a future: the last trade, and the ladder of bids and asks."""

from itertools import accumulate

from rich.text import Text

from spyctl.market.events import MBP10, FuturesTrade
from spyctl.terminal.boxes import Lines, bar_left, bar_right, line
from spyctl.terminal.event_lines import SIDES
from spyctl.terminal.fields import Column, Field, figure, grid, row, spare, word
from spyctl.terminal.prints import SIDE_STYLES

_DEEP = 70  # columns from which on the depth of the book is added up
_SUMS = 40


def book_lines(
    trade: FuturesTrade | None,
    book: MBP10 | None,
    width: int,
    levels: int,
    *,
    largest: int = 1,
    headings: bool = False,
) -> Lines:
    """Write the last trade, and as many levels of the book, with ``headings`` over their columns.

    ``largest`` is the size whose bar is full, as long as no larger one is shown.
    """
    if levels < 1:
        return []
    spread = "·"
    if book is not None and (best := book.levels[0]).bid_px is not None and best.ask_px is not None:
        spread = f"{best.ask_px - best.bid_px:,.2f}"
    head = row(width, *_last_trade(trade), right=[figure("spread", spread, rank=2)] if book is not None else [])
    if book is None:
        return [head, *(Text() for _ in range(levels))]
    ladder = _ladder(book, width, levels, largest, deep=headings and width >= _DEEP)
    sums = [_sums(book, width)] if levels == 10 and width >= _SUMS else []
    return [head, *(ladder if headings else ladder[1:]), *sums]


def _last_trade(trade: FuturesTrade | None) -> list[Field]:
    if trade is None:
        return []
    side, style = SIDES[trade.aggressor].strip(), SIDE_STYLES[trade.aggressor]
    price = line(("last ", "dim"), f"{trade.price:,.2f} × {trade.size:,}", (f" {side}" if side else "", style))
    return [word(trade.symbol, rank=1), Field(price)]


def _ladder(book: MBP10, width: int, levels: int, largest: int, *, deep: bool) -> Lines:
    shown = book.levels[:levels]
    largest = max(largest, *(max(level.bid_sz, level.ask_sz) for level in shown))
    bids = [f"{level.bid_px:,.2f}" if level.bid_px is not None else "·" for level in shown]
    asks = [f"{level.ask_px:,.2f}" if level.ask_px is not None else "·" for level in shown]
    figures = [
        Column("size", [f"{level.bid_sz:,}" for level in shown], 1, width=5),
        Column("bid", bids, width=9),
        Column("ask", asks, width=9, gap=3),
        Column("size", [f"{level.ask_sz:,}" for level in shown], 1, width=5),
    ]
    if deep:
        bid_depth, ask_depth = (
            [f"{depth:,}" for depth in accumulate(sizes)]
            for sizes in ([level.bid_sz for level in shown], [level.ask_sz for level in shown])
        )
        figures = [
            Column("depth", bid_depth, 3, width=7), *figures, Column("depth", ask_depth, 3, width=7),
        ]  # fmt: skip
    cells = spare(width, *figures) // 2 - 2
    if cells < 2:
        return grid(width, *figures)
    bars = [
        Column("", [(bar_left(level.bid_sz, largest, cells), "green") for level in shown], 2),
        Column("", [(bar_right(level.ask_sz, largest, cells), "red") for level in shown], 2, gap=2),
    ]
    return grid(width, bars[0], *figures, bars[1])


def _sums(book: MBP10, width: int) -> Text:
    bid_sz, ask_sz = sum(level.bid_sz for level in book.levels), sum(level.ask_sz for level in book.levels)
    sums = line((f"{bid_sz:,} in 10 bids", "dim")), line((f"{ask_sz:,} in 10 asks", "dim"))
    return row(width, Field(sums[0]), right=[Field(sums[1])])
