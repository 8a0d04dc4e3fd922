"""The strikes of the window: what their calls and puts have traded, at which price, and their quotes."""

from collections.abc import Sequence

from rich.text import Text

from spyctl.live.snapshot import LiveSnapshot, WindowNow
from spyctl.market.option_tickers import OptionTicker
from spyctl.terminal.boxes import Lines, bar_left, bar_right, line
from spyctl.terminal.fields import Column, Field, grid, row, spare, word

_NEW_S = 30.0
_LEAST_BAR = 6


def window_line(window: WindowNow, width: int) -> Text:
    """Write the strikes of the window, and which one came or goes."""
    if not window.strikes:
        why = "opens with the first spot" if window.centre is None else f"nothing is listed around {window.centre}"
        return row(width, word(f"window  {why}", "dim"))
    first, last = window.strikes[0], window.strikes[-1]
    fields = [
        Field(
            line(
                ("window  ", "dim"),
                (f"{first:g} to {last:g}", "bold"),
                f", ±{window.strike_range} of {window.centre}.00",
            )
        )
    ]
    recent = {strike: age for strike, age in window.added.items() if age < _NEW_S and len(window.strikes) > 1}
    if recent and len(recent) < len(window.strikes):
        strike = min(recent, key=recent.__getitem__)
        fields.append(word(f"+ {strike:g} added {recent[strike]:2.0f} s ago", "green", rank=2))
    if window.leaving:
        strike = min(window.leaving, key=window.leaving.__getitem__)
        fields.append(word(f"− {strike:g} leaves in {max(0.0, window.leaving[strike]):2.0f} s", "yellow", rank=1))
    return row(width, *fields)


def strike_table(current: LiveSnapshot, width: int, most: int) -> Lines:
    """Write headings, at most so many strikes around the centre, and the sums of all."""
    window = current.window
    strikes = sorted(window.strikes, reverse=True)
    shown = strikes
    if len(shown) > most and window.middle is not None:
        first = max(0, min(shown.index(window.middle) - most // 2, len(shown) - most))
        shown = shown[first : first + most]
    traded = {strike: _traded(current, strike) for strike in strikes}
    sums = [f"{sum(counts[i] for counts in traded.values()):,}" for i in range(4)]
    prices, quotes = [_prices(current, strike) for strike in shown], [_quotes(current, strike) for strike in shown]
    what = "in the window" if len(shown) == len(strikes) else f"all {len(strikes)} strikes"
    cells = [[f"{traded[strike][i]:,}" for strike in shown] + [sums[i]] for i in range(4)]
    columns = [
        Column("volume", cells[0], 2, width=9),
        Column("trades", cells[1], 3, width=7),
        *([Column("bid × ask", [call for call, _ in quotes] + [""], 4, width=13)] if current.traded.quotes else []),
        Column("call", [call for call, _ in prices] + [""], 1, width=7),
        Column("strike", [_mark(window, strike) for strike in shown] + [what], width=13, flush="^", gap=3),
        Column("put", [put for _, put in prices] + [""], 1, width=7, gap=2),
        *([Column("bid × ask", [put for _, put in quotes] + [""], 4, width=13)] if current.traded.quotes else []),
        Column("trades", cells[3], 3, width=7),
        Column("volume", cells[2], 2, width=9),
    ]
    volumes = [(traded[strike][0], traded[strike][2]) for strike in shown]
    return grid(
        width,
        *_with_bars(columns, volumes, spare(width, *columns) // 2 - 2),
        styles=[_strike_style(window, strike) for strike in shown] + ["dim"],
    )


def _with_bars(columns: list[Column], volumes: Sequence[tuple[int, int]], bar: int) -> list[Column]:
    # The volumes of calls and puts as bars on either side, where there is room.
    if bar < _LEAST_BAR:
        return columns
    largest = max((max(pair) for pair in volumes), default=0)
    calls = [(bar_left(call, largest, bar), "cyan") for call, _ in volumes]
    puts = [(bar_right(put, largest, bar), "cyan") for _, put in volumes]
    return [Column("", [*calls, ""], 5), *columns, Column("", [*puts, ""], 5, gap=2)]


def _mark(window: WindowNow, strike: float) -> str:
    if strike == window.middle:
        return f"► {strike:g} ◄"
    return f"+ {strike:g}  " if _is_new(window, strike) else f"{strike:g}"


def _is_new(window: WindowNow, strike: float) -> bool:
    return window.added.get(strike, 2 * _NEW_S) < _NEW_S and len(window.added) < len(window.strikes)


def _strike_style(window: WindowNow, strike: float) -> str:
    return "bold" if strike == window.middle else "green" if _is_new(window, strike) else ""


def _tickers(current: LiveSnapshot, strike: float) -> tuple[str, str]:
    root, expiry = current.window.root, current.window.expiry
    call, put = (str(OptionTicker(root, expiry, right, round(1000 * strike))) for right in "CP")
    return call, put


def _traded(current: LiveSnapshot, strike: float) -> list[int]:
    # Contracts and prints, of the call and of the put.
    traded = current.traded
    return [count.get(side, 0) for side in _tickers(current, strike) for count in (traded.volumes, traded.counts)]


def _prices(current: LiveSnapshot, strike: float) -> tuple[str, str]:
    prints = (current.traded.prints.get(side) for side in _tickers(current, strike))
    call, put = (f"{last.price:,.2f}" if last is not None else "·" for last in prints)
    return call, put


def _quotes(current: LiveSnapshot, strike: float) -> tuple[str, str]:
    call, put = (current.traded.quotes.get(side) for side in _tickers(current, strike))
    return _quote_text(call), _quote_text(put)


def _quote_text(quote: tuple[float, float] | None) -> str:
    return f"{quote[0]:,.2f} × {quote[1]:,.2f}" if quote is not None else "·"
