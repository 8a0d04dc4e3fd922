"""What the live screen says of each feed, of the spot and of the futures."""

from rich.text import Text

from spyctl.live.snapshot import FeedNow, FuturesNow, LiveSnapshot, SpotNow
from spyctl.market.events import Aggressor
from spyctl.market.feeds import FeedState
from spyctl.terminal.axis import price_bounds
from spyctl.terminal.boxes import Lines, curve, line, spark
from spyctl.terminal.fields import Field, figure, row, word
from spyctl.terminal.prints import SIDE_STYLES
from spyctl.timing.instants import SECOND, duration_text

STALE_S = 15.0
_LEAST_BARS, _MOST_BARS, _BESIDE_BARS = 12, 48, 70
_MARGIN = 10
_GLYPHS = {
    FeedState.CONNECTING: ("◌", "yellow"),
    FeedState.UP: ("●", "green"),
    FeedState.RECONNECTING: ("◌", "yellow"),
    FeedState.REFUSED: ("✗", "red"),
    FeedState.STOPPED: ("■", "dim"),
}


def feed_line(feed: FeedNow, width: int) -> Text:
    """Write the state of a feed, what it holds, and when it last brought something."""
    glyph, colour = _GLYPHS[feed.state]
    what = f"up {duration_text(int(feed.up_s) * SECOND)}" if feed.state is FeedState.UP else feed.state
    ago = f"{_short(feed.quiet_s)} ago" if feed.quiet_s is not None else "·"
    enough = "" if feed.held == feed.desired else "yellow"
    return row(
        width,
        Field(line(f"{feed.name:<8} ", (glyph, colour), f" {what:<12}")),
        word(feed.topics, rank=3),
        right=[word(f"{feed.held} of {feed.desired} subscribed", enough, rank=1), word(f"{ago:>10}", rank=2)],
    )


def _short(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else duration_text(int(seconds) * SECOND)


def spot_line(current: LiveSnapshot, width: int) -> Text:
    """Write the spot, its last minute, its quote, and the expiry of the options."""
    spot, window = current.spot, current.window
    if spot.price is None:
        return row(width, word(spot.symbol), word("waiting for the first quote", "yellow"))
    bars = max(_LEAST_BARS, min(_MOST_BARS, width - _BESIDE_BARS))
    chart = spark([price - spot.lowest for price in spot.history], bars, spot.highest - spot.lowest)
    quote = word("")
    if spot.age_s >= STALE_S:
        quote = word(f"{duration_text(int(spot.age_s) * SECOND)} old, no sound quote since", "yellow", rank=1)
    elif (last := spot.quote) is not None:
        quote = word(f"{last.bid_px:,.2f} × {last.bid_sz:<6,} {last.ask_px:,.2f} × {last.ask_sz:<5,}", rank=1)
    day = window.expiry
    when = f"{'0DTE' if window.is_0dte else 'next'} {day:%a} {day.day} {day:%b}"
    return row(
        width,
        Field(line(f"{spot.symbol}  ", (f"{spot.price:,.2f}", "bold"))),
        word(f"{chart:<{bars}}", "cyan", rank=3),
        quote,
        word(when, "" if window.is_0dte else "yellow", rank=2),
    )


def futures_line(futures: FuturesNow, width: int) -> Text:
    """Write the last trade of the futures and their best quote."""
    trade, book = futures.trade, futures.book
    if book is None:
        return row(width, word("futures"), word("waiting for the first book", "yellow"))
    side = trade.aggressor if trade is not None else Aggressor.MID
    glyph = {Aggressor.BUY: "▲", Aggressor.SELL: "▼"}.get(side, "·")
    last = f"{trade.price:,.2f}" if trade is not None else "·"
    top = book.levels[0]
    bid, ask = (f"{price:,.2f}" if price is not None else "·" for price in (top.bid_px, top.ask_px))
    again = [figure("sent again", f"{futures.refilled:,}", rank=2)] if futures.refilled else []
    return row(
        width,
        Field(line(f"{book.symbol}   ", (last, "bold"), (f" {glyph}", SIDE_STYLES[side]))),
        word(f"{bid} × {top.bid_sz:<6,} {ask} × {top.ask_sz:<5,}", rank=1),
        *again,
    )


def spot_chart(spot: SpotNow, width: int, rows: int) -> Lines:
    """Draw the spots of the last minutes, one a second, on the scale of the run."""
    if not spot.history:
        return []
    low, high = price_bounds(spot.lowest, spot.highest)
    drawn = curve(spot.history, width - _MARGIN - 1, rows, low, high)
    labels = [f"{high:,.2f}", *("" for _ in drawn[2:]), f"{low:,.2f}"]
    return [line((f"{label:>{_MARGIN - 1}} ", "dim"), (text, "yellow"))
            for label, text in zip(labels, drawn, strict=False)]  # fmt: skip
