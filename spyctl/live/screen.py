"""What the live side looks like while it runs.

:func:`render` draws a snapshot for a terminal of any size (from 130×30 on with consumers and notes beside it; below
80×24 with less), :func:`progress_line` says the same in one plain line. Both are pure.
"""

from collections.abc import Callable, Sequence

from rich.text import Text

from spyctl.live.backlog import MAX_EVENTS
from spyctl.live.snapshot import FeedNow, FuturesNow, LiveSnapshot, WindowNow
from spyctl.market.events import Aggressor
from spyctl.market.feeds import FeedState
from spyctl.market.option_tickers import OptionTicker
from spyctl.summary import OptionQuotes
from spyctl.terminal.alarms import ACK_MS, ARRIVAL_MS, BACKLOG, WAITING_S
from spyctl.terminal.boxes import Lines, box, line, rule, screen, side_by_side, spark
from spyctl.terminal.fields import Column, Field, figure, grid, row, stack, word
from spyctl.terminal.panels import (
    alarm,
    consumer_rows,
    consumers_field,
    latency_fields,
    note_line,
    note_rows,
    process_fields,
)
from spyctl.terminal.text import latency_text
from spyctl.timing.instants import NEW_YORK, SECOND, clock_text, duration_text

WIDE, TALL = 130, 30
STALE_S = 15.0
LINE_LENGTH = 48
_GLYPHS = {
    FeedState.CONNECTING: ("◌", "yellow"),
    FeedState.UP: ("●", "green"),
    FeedState.RECONNECTING: ("◌", "yellow"),
    FeedState.REFUSED: ("✗", "red"),
    FeedState.STOPPED: ("■", "dim"),
}
_RATES = {
    "stocks.trades": ("trades", 7, 1), "stocks.quotes": ("quotes", 9, 0), "options.trades": ("option trades", 7, 2),
    "futures.trades": ("futures", 7, 3), "futures.mbp10": ("books", 9, 4),
}  # fmt: skip
_MAIN = 92
_LEAST_STRIKES = 2
_RECENT_NS = 10 * SECOND
_NEW_S = 30.0
_FOOTER = ("Ctrl-C ends it after what is in flight", "Ctrl-Z suspends it")


def render(previous: LiveSnapshot | None, current: LiveSnapshot, width: int = 80, height: int = 24) -> Text:
    """Draw a snapshot; ``previous``, about two seconds older, gives the rates.

    Every line fits, no figure is cut, and there are never more lines than ``height``.
    """
    wide = width >= WIDE and height >= TALL
    return screen((_wide if wide else _narrow)(previous, current, width, height))


def _narrow(previous: LiveSnapshot | None, current: LiveSnapshot, width: int, height: int) -> Lines:
    hint = [word("Ctrl-C ends", "dim", rank=2)]
    last = note_line(current.notes[-1], width) if _has_news(current) else _place(current, width, hint)
    top, end = [(0, [_title(current, width)]), (9, [rule(width)])], [(6, [last])]
    return _filled(height, lambda strikes: [*top, *_market(previous, current, width, strikes), *end])


def _wide(previous: LiveSnapshot | None, current: LiveSnapshot, width: int, height: int) -> Lines:
    place = (6, [_place(current, _MAIN - 2)])
    left = _filled(height - 7, lambda strikes: [*_market(previous, current, _MAIN - 2, strikes), place])
    right = width - _MAIN
    consumers = consumer_rows(current.server.consumers, right - 3, len(left))
    usage = row(right, *process_fields(current.usage))
    body = side_by_side(box("market", left, _MAIN), box("consumers", consumers, right, right=usage))
    rows = height - len(body) - 4
    warnings = row(width, figure("warnings", f"{current.warnings:,}", alarm(current.warnings)))
    notes = box("notes", note_rows(current.notes, rows, width - 2), width, right=warnings)
    return [
        _title(current, width),
        *body,
        *notes,
        row(width, *(word(text, "dim", rank=i) for i, text in enumerate(_FOOTER))),
    ]


def _filled(height: int, blocks: Callable[[int], list[tuple[int, Lines]]]) -> Lines:
    # As many strikes as there is room for, beside what matters more.
    least = stack(height, *blocks(_LEAST_STRIKES))
    return stack(height, *blocks(_LEAST_STRIKES + height - len(least)))


def _market(previous: LiveSnapshot | None, current: LiveSnapshot, width: int, strikes: int) -> list[tuple[int, Lines]]:
    # The middle of the screen, with so many strikes.
    counts, trouble, latencies = _figures(current, width)
    names = {feed.name for feed in current.feeds} or {"stocks", "options"}
    stocks: list[tuple[int, Lines]] = [(1, [_spot_line(current, width)])] if "stocks" in names else []
    options: list[tuple[int, Lines]] = []
    if "options" in names:
        others = current.window.others
        options = [
            (4, [_window_line(current.window, width)]),
            (4, [row(width, word("also    ", "dim"), word(others))] if others else []),
            (5, _strikes_table(current, width, strikes)),
        ]
    return [
        (2, [_feed_line(feed, width) for feed in current.feeds]),
        *stocks,
        (1, [_futures_line(feed.futures, width) for feed in current.feeds if feed.futures is not None]),
        *options,
        (7, [_rates(previous, current, width)]),
        (1, [counts]),
        (3, [trouble]),
        (8, [latencies]),
    ]


def _clock(ns: int) -> str:
    return clock_text(ns, NEW_YORK, 0)


def _title(current: LiveSnapshot, width: int) -> Text:
    colour = "green" if current.state.startswith("●") else "yellow"
    colour = WAITING_S.alarm(current.server.waiting_ns / SECOND).style or colour
    return row(
        width,
        word("spyctl", rank=3),
        word(current.scene.title, "bold", rank=1),
        word(current.state, colour),
        word(f"{_clock(current.now_ns)} New York", rank=2),
        word(f"{clock_text(current.now_ns, None, 0)} UTC", rank=5),
        right=[word(f"run {current.summary.run_id}", "dim", rank=4)],
    )


def _feed_line(feed: FeedNow, width: int) -> Text:
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


def _spot_line(current: LiveSnapshot, width: int) -> Text:
    spot, window = current.spot, current.window
    if spot.price is None:
        return row(width, word(spot.symbol), word("waiting for the first quote", "yellow"))
    bars = 12 if width < WIDE - _MAIN + 48 else 28
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


def _futures_line(futures: FuturesNow, width: int) -> Text:
    trade, book = futures.trade, futures.book
    if book is None:
        return row(width, word("futures"), word("waiting for the first book", "yellow"))
    glyph = {Aggressor.BUY: "▲", Aggressor.SELL: "▼"}.get(trade.aggressor, "·") if trade is not None else "·"
    last = f"{trade.price:,.2f}" if trade is not None else "·"
    top = book.levels[0]
    bid, ask = (f"{price:,.2f}" if price is not None else "·" for price in (top.bid_px, top.ask_px))
    again = [figure("sent again", f"{futures.refilled:,}", rank=2)] if futures.refilled else []
    return row(
        width,
        Field(line(f"{book.symbol}   ", (last, "bold"), f" {glyph}")),
        word(f"{bid} × {top.bid_sz:<6,} {ask} × {top.ask_sz:<5,}", rank=1),
        *again,
    )


def _window_line(window: WindowNow, width: int) -> Text:
    if not window.strikes:
        return row(width, word("window  opens with the first spot", "dim"))
    first, last = window.strikes[0], window.strikes[-1]
    fields = [
        Field(
            line(("window  ", "dim"), (f"{first} to {last}", "bold"), f", ±{window.strike_range} of {window.centre}.00")
        )
    ]
    recent = {strike: age for strike, age in window.added.items() if age < _NEW_S and len(window.strikes) > 1}
    if recent and len(recent) < len(window.strikes):
        strike = min(recent, key=recent.__getitem__)
        fields.append(word(f"+ {strike} added {recent[strike]:2.0f} s ago", "green", rank=2))
    if window.leaving:
        strike = min(window.leaving, key=window.leaving.__getitem__)
        fields.append(word(f"− {strike} leaves in {max(0.0, window.leaving[strike]):2.0f} s", "yellow", rank=1))
    return row(width, *fields)


def _strikes_table(current: LiveSnapshot, width: int, most: int) -> Lines:
    # A head, at most so many strikes around the centre, and the sums of all.
    window = current.window
    strikes = sorted(window.strikes, reverse=True)
    shown = strikes
    if len(shown) > most and window.centre is not None:
        first = max(0, min(shown.index(window.centre) - most // 2, len(shown) - most))
        shown = shown[first : first + most]
    traded = {strike: _traded(current, strike) for strike in strikes}
    sums = [f"{sum(counts[i] for counts in traded.values()):,}" for i in range(4)]
    prices = [_prices(current, strike) for strike in shown]
    what = "in the window" if len(shown) == len(strikes) else f"all {len(strikes)} strikes"
    cells = [[f"{traded[strike][i]:,}" for strike in shown] + [sums[i]] for i in range(4)]
    return grid(
        width,
        Column("volume", cells[0], 2, width=9),
        Column("trades", cells[1], 3, width=8),
        Column("call", [call for call, _ in prices] + [""], 1, width=8),
        Column("strike", [_mark(window, strike) for strike in shown] + [what], width=13, flush="^", gap=3),
        Column("put", [put for _, put in prices] + [""], 1, width=8, gap=3),
        Column("trades", cells[3], 3, width=8),
        Column("volume", cells[2], 2, width=9),
        styles=[_strike_style(window, strike) for strike in shown] + ["dim"],
    )


def _mark(window: WindowNow, strike: int) -> str:
    if strike == window.centre:
        return f"► {strike} ◄"
    return f"+ {strike}  " if _is_new(window, strike) else f"{strike}"


def _is_new(window: WindowNow, strike: int) -> bool:
    return window.added.get(strike, 2 * _NEW_S) < _NEW_S and len(window.added) < len(window.strikes)


def _strike_style(window: WindowNow, strike: int) -> str:
    return "bold" if strike == window.centre else "green" if _is_new(window, strike) else ""


def _tickers(current: LiveSnapshot, strike: int) -> tuple[str, str]:
    symbol, expiry = current.spot.symbol, current.window.expiry
    call, put = (str(OptionTicker(symbol, expiry, right, 1000 * strike)) for right in "CP")
    return call, put


def _traded(current: LiveSnapshot, strike: int) -> list[int]:
    # Contracts and prints, of the call and of the put.
    options = current.options
    return [count.get(side, 0) for side in _tickers(current, strike) for count in (options.volumes, options.counts)]


def _prices(current: LiveSnapshot, strike: int) -> tuple[str, str]:
    prints = (current.options.prints.get(side) for side in _tickers(current, strike))
    call, put = (f"{last.price:,.2f}" if last is not None else "·" for last in prints)
    return call, put


def _rates(previous: LiveSnapshot | None, current: LiveSnapshot, width: int) -> Text:
    elapsed_s = (current.clock_ns - previous.clock_ns) / SECOND if previous is not None else 0.0
    by_subject = current.summary.events.by_subject
    fields = []
    for subject in by_subject:
        name, columns, rank = _RATES.get(subject.rpartition("market.")[2], ("", 0, 0))
        if not name:
            continue
        rate = ""
        if previous is not None and elapsed_s > 0:
            rate = f" {(by_subject[subject] - previous.summary.events.by_subject[subject]) / elapsed_s:,.0f}/s"
        fields.append(figure(name, f"{by_subject[subject]:,}{rate}", rank=rank, width=columns + 7))
    return row(width, *fields)


def _figures(current: LiveSnapshot, width: int) -> tuple[Text, Text, Text]:
    # Where the events are, what went wrong, and the latencies.
    summary, events, details = current.summary, current.summary.events, current.summary.details
    waiting = details.waiting
    full = BACKLOG.alarm((waiting.queued - waiting.spooled) / MAX_EVENTS)  # what waits on disk is safe
    unsent = waiting.queued - details.quotes.waiting
    queued = [figure("queued", f"{unsent:,} {full.word}".rstrip(), full.style)] if unsent else []
    if waiting.spooled:
        queued.append(figure("on disk", f"{waiting.spooled:,}", "yellow"))
    counts = row(
        width,
        figure("received", f"{details.received:,}", rank=2, width=9),
        figure("published", f"{events.published:,}", rank=4, width=9),
        figure("acked", f"{events.acked:,}", rank=1, width=9),
        figure("in flight", f"{events.published - events.acked:,}", rank=3, width=5),
        *queued,
    )
    # Which gap was the last is said where there is room for it.
    trouble = row(
        width,
        figure("duplicates", f"{events.duplicates:,}", rank=2),
        figure("rejected", f"{events.rejected:,}", alarm(events.rejected), rank=1),
        figure("dropped", f"{events.dropped:,}", "red" if events.dropped else ""),
        figure("gaps", f"{events.gaps:,}", alarm(events.gaps)),
        word(current.last_gap, alarm(events.gaps), rank=3),
        *_sides(details.quotes),
    )
    latencies = row(
        width,
        *latency_fields("arrival", ARRIVAL_MS, current.arrival_now_ms, details.latency_ms, (1, 5, 3)),
        *latency_fields("ack", ACK_MS, current.server.ack_now_ms, summary.delivery.ack_ms, (0, 4, 2)),
    )
    return counts, trouble, latencies


def _sides(quotes: OptionQuotes) -> list[Field]:
    if quotes.share is None or quotes.wait_ms is None:
        return []
    return [figure("sides", f"{quotes.share:.1%} after {latency_text(quotes.wait_ms.p50)}", rank=4)]


def _place(current: LiveSnapshot, width: int, hint: Sequence[Field] = ()) -> Text:
    delivery = current.summary.delivery
    return row(
        width,
        figure("NATS", current.scene.where, rank=4),
        word(delivery.stream or "", rank=3),
        figure("seq", f"{delivery.last_seq:,}", width=9) if delivery.last_seq else word(""),
        consumers_field(current.server.consumers, rank=1),
        right=hint,
    )


def _has_news(current: LiveSnapshot) -> bool:
    # The newest note is news for a while.
    return bool(current.notes) and current.now_ns - current.notes[-1].ns < _RECENT_NS


def progress_line(current: LiveSnapshot) -> str:
    """Say how it goes in one line; what is wrong only where it is not zero."""
    events, details, spot, strikes = (
        current.summary.events, current.summary.details, current.spot, current.window.strikes,
    )  # fmt: skip
    trouble = "".join(
        f"  {name} {count:,}"
        for name, count in (
            ("duplicates", events.duplicates),
            ("rejected", events.rejected),
            ("dropped", events.dropped),
            ("queued", details.waiting.queued - details.quotes.waiting),
            ("gaps", events.gaps),
        )
        if count
    )
    feeds = "  ".join(f"{feed.name} {feed.state}" for feed in current.feeds)
    feeds += "" if current.server.connected else "  NATS away"
    feeds += f"  {current.state[2:]}" if "waiting for NATS" in current.state else ""
    names = {feed.name for feed in current.feeds} or {"stocks", "options"}
    price = f"{spot.price:.2f}" if spot.price is not None else "·"
    market = f"  {spot.symbol} {price}" if "stocks" in names else ""
    if "options" in names:
        market += f"  window {f'{strikes[0]} to {strikes[-1]}' if strikes else '·'}"
    for futures in (feed.futures for feed in current.feeds):
        if futures is not None and futures.trade is not None:
            market += f"  {futures.trade.symbol} {futures.trade.price:.2f}"
    return (
        f"{_clock(current.now_ns)} New York  {feeds}{market}  "
        f"received {details.received:,}  acked {events.acked:,}{trouble}"
    )
