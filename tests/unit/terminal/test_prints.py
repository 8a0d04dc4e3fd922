"""The tape: the last trades, one a line."""

from dataclasses import replace

from spyctl.market.events import Aggressor, FuturesTrade, OptionTrade
from spyctl.terminal.fields import row
from spyctl.terminal.prints import Print, print_rows
from tests.support.events import option_trade, trade
from tests.support.replay_screen import SNAPSHOT

FUTURES = [trade for trade in SNAPSHOT.market.tape if isinstance(trade, FuturesTrade)]


def lines(trades: list[Print], rows: int = 5, width: int = 80) -> list[str]:
    return [line.plain.rstrip() for line in print_rows(trades, rows, width)]


def test_trades_stand_in_columns_below_a_heading() -> None:
    assert lines([*FUTURES]) == [
        " New York        price  size",
        " 09:30:00.000 6,815.25     3 ▲ buy",
        " 09:30:00.001 6,815.00     4 ▼ sell",
        " 09:30:00.002 6,814.75     5",
        " 09:30:00.003 6,814.50     6 ▲ buy",
    ]


def test_sides_have_a_colour_and_a_word() -> None:
    drawn = row(80)
    for line in print_rows(FUTURES, 5, 80):
        drawn.append_text(line)
    styles = {drawn.plain[span.start : span.end].strip(): span.style for span in drawn.spans}
    assert (styles["▲ buy"], styles["▼ sell"]) == ("green", "red")


def test_different_instruments_are_named_and_options_show_the_quote_that_they_met() -> None:
    quoted = replace(option_trade(680), opt_bid=2.1, opt_ask=2.15, aggressor=Aggressor.BUY)
    heading, option, stock = lines([quoted, trade()])
    assert heading.endswith("bid × ask")
    assert "SPY 16 Dec 680 C" in option
    assert option.endswith("▲ buy  2.10 × 2.15")
    assert "SPY " in stock
    assert "buy" not in stock


def test_an_option_trade_whose_quote_is_not_known_shows_none() -> None:
    trades: list[Print] = [option_trade(680), option_trade(681)]
    assert all(isinstance(trade, OptionTrade) for trade in trades)
    assert " × " not in "".join(lines(trades)[1:])


def test_where_there_is_little_room_the_time_goes_first_and_without_trades_nothing_is_drawn() -> None:
    assert lines([*FUTURES], width=25)[1] == " 6,815.25     3 ▲ buy"
    assert lines([]) == []
