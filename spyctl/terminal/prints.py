"""The tape: the last trades, one a line, with their side and, for options, the quote that they met."""

from collections.abc import Sequence

from spyctl.market.events import Aggressor, FuturesTrade, OptionTrade, StockTrade
from spyctl.terminal.boxes import Lines
from spyctl.terminal.event_lines import SIDES, day_text
from spyctl.terminal.fields import Column, grid
from spyctl.timing.instants import NEW_YORK, clock_text

Print = FuturesTrade | OptionTrade | StockTrade
SIDE_STYLES = {Aggressor.BUY: "green", Aggressor.SELL: "red", Aggressor.MID: ""}


def print_rows(
    trades: Sequence[Print], rows: int, width: int, *, nearest: tuple[str, str] = ("", ""), digits: int = 3
) -> Lines:
    """Write a heading and the first trades, in at most ``rows`` lines; their names where there are several.

    Of the options of one underlying and expiry (``nearest``) only strike and right are named; ``digits`` are those of
    the seconds.
    """
    shown = trades[: rows - 1]
    if not shown:
        return []
    sides, names = [side_of(trade) for trade in shown], [_name(trade, nearest) for trade in shown]
    several = len({_name(trade, nearest) for trade in trades}) > 1
    columns = [
        Column("New York", [clock_text(trade.ts_event_ns, NEW_YORK, digits) for trade in shown], 3, flush="<"),
        *([Column("", names, 2, flush="<")] if several else []),
        Column("price", [f"{trade.price:,.2f}" for trade in shown], width=8),
        Column("size", [f"{trade.size:,}" for trade in shown], 0, width=5),
        Column("", [(SIDES[side].strip(), SIDE_STYLES[side]) for side in sides], 1, width=6, flush="<"),
    ]
    if any(isinstance(trade, OptionTrade) for trade in shown):
        columns.append(Column("bid × ask", [quote_text(trade) for trade in shown], 4, width=13, flush="<"))
    return grid(width, *columns)


def side_of(trade: Print) -> Aggressor:
    """Return who took liquidity; of a stock trade nobody knows."""
    return Aggressor.MID if isinstance(trade, StockTrade) else trade.aggressor


def quote_text(trade: Print) -> str:
    """Write the quote that an option trade met, where it is known."""
    if not isinstance(trade, OptionTrade) or trade.opt_bid is None or trade.opt_ask is None:
        return ""
    return f"{trade.opt_bid:,.2f} × {trade.opt_ask:,.2f}"


def _name(trade: Print, nearest: tuple[str, str]) -> str:
    if isinstance(trade, OptionTrade):
        if (trade.underlying, trade.exp_date) == nearest:
            return f"{trade.strike:g} {trade.right}"
        return f"{trade.underlying} {day_text(trade.exp_date)} {trade.strike:g} {trade.right}"
    return trade.symbol
