"""What the live side looks like while it runs.

:func:`render` draws a snapshot for a terminal (80×24 and up; from 120×30 on with consumers and notes side_by_side it),
:func:`progress_line` says the same in one plain line. Both are pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from rich.text import Text

from spyctl.bus.consumers import Consumer
from spyctl.market.events import OptionTrade, StockQuote
from spyctl.market.feeds import FeedState
from spyctl.market.option_tickers import OptionTicker
from spyctl.summary import LiveDetails, RunSummary
from spyctl.terminal.boxes import Lines, box, line, pairs, rule, screen, side_by_side, spark, spread
from spyctl.terminal.panels import alarm, consumer_rows, note_line, note_rows, process_rows
from spyctl.terminal.process import Usage
from spyctl.timing.instants import NEW_YORK, SECOND, clock_text, duration_text
from spyctl.timing.notes import Note

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
_MAIN = 92
_FIXED_LINES = 11
_RECENT_NS = 10 * SECOND
_NEW_S = 30.0
_HINT = "Ctrl-C ends"
_FOOTER = " Ctrl-C ends it after what is in flight   Ctrl-Z suspends it"


@dataclass(frozen=True, slots=True)
class FeedNow:
    """One feed at a moment; ``quiet_s`` since its last frame."""

    name: str
    state: FeedState
    up_s: float
    topics: str
    held: int
    desired: int
    quiet_s: float | None


@dataclass(frozen=True, slots=True)
class SpotNow:
    """The underlying: its spot, how old that is, the spots of the last minute, and the last quote."""

    symbol: str
    price: float | None
    age_s: float
    history: Sequence[float]
    quote: StockQuote | None


@dataclass(frozen=True, slots=True)
class WindowNow:
    """The strike window, in whole dollars; ``added`` seconds ago, ``leaving`` in so many seconds."""

    expiry: date
    is_0dte: bool
    strike_range: int
    centre: int | None
    strikes: Sequence[int]
    added: Mapping[int, float]
    leaving: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class OptionsNow:
    """What the option contracts have traded, by ticker: the last print, prints and contracts."""

    prints: Mapping[str, OptionTrade]
    counts: Mapping[str, int]
    volumes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LiveScene:
    """What does not change while it runs: the command, and the server that it publishes to."""

    title: str
    where: str


@dataclass(frozen=True, slots=True)
class LiveSnapshot:
    """The live side at one moment: ``now_ns`` Unix ns, ``clock_ns`` monotonic."""

    clock_ns: int
    now_ns: int
    scene: LiveScene
    state: str
    connected: bool
    feeds: Sequence[FeedNow]
    spot: SpotNow
    window: WindowNow
    options: OptionsNow
    summary: RunSummary[LiveDetails]
    last_gap: str
    notes: Sequence[Note]
    warnings: int
    consumers: Sequence[Consumer]
    usage: Usage


def _clock(ns: int) -> str:
    return clock_text(ns, NEW_YORK, 0)


def render(previous: LiveSnapshot | None, current: LiveSnapshot, width: int = 80, height: int = 24) -> Text:
    """Draw a snapshot; ``previous``, about two seconds older, gives the rates.

    Every line fits, and there are never more lines than ``height``.
    """
    wide = width >= WIDE and height >= TALL
    main = _MAIN if wide else width
    room = max(3, height - _FIXED_LINES - len(current.feeds))
    inner = main - 2 * wide
    left = [
        *(_feed_line(feed, inner) for feed in current.feeds),
        _spot_line(current, 28 if wide else 16),
        _window_line(current.window),
        *_strikes_table(current, room),
        _rates(previous, current),
        *_figures(current, inner),
    ]
    top = [_title(current, width)]
    if not wide:
        place = spread(_news(current) or _place(current), line((f"{_HINT} ", "dim")), width)
        return screen([*top, rule(width), *left, place][:height])
    right = width - main
    left.append(_place(current))
    consumers = [*consumer_rows(current.consumers, right - 2, len(left) - 4), *process_rows(current.usage)]
    body = side_by_side(box("market", left, main), box("consumers", consumers, right))
    rows = max(1, height - len(body) - 4)
    notes = box("notes", note_rows(current.notes, rows), width, right=f"warnings {current.warnings:,}")
    return screen([*top, *body, *notes, line((_FOOTER, "dim"))][:height])


def _title(current: LiveSnapshot, width: int) -> Text:
    clocks = f"{_clock(current.now_ns)} New York   {clock_text(current.now_ns, None, 0)} UTC"
    colour = "green" if current.state.startswith("●") else "yellow"
    left = line(" spyctl ", (current.scene.title, "bold"), "   ", (current.state, colour), f"   {clocks}")
    return spread(left, line((f"run {current.summary.run_id} ", "dim")), width)


def _feed_line(feed: FeedNow, width: int) -> Text:
    glyph, colour = _GLYPHS[feed.state]
    what = f"up {duration_text(int(feed.up_s) * SECOND)}" if feed.state is FeedState.UP else feed.state
    left = line(f" {feed.name:<8} ", (glyph, colour), f" {what:<13} {feed.topics}")
    ago = f"{_short(feed.quiet_s)} ago" if feed.quiet_s is not None else "·"
    enough = "" if feed.held == feed.desired else "yellow"
    return spread(left, line((f"{feed.held} of {feed.desired} subscribed", enough), f"  {ago:>10} "), width)


def _short(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.0f} s"


def _spot_line(current: LiveSnapshot, bars: int) -> Text:
    spot, window = current.spot, current.window
    text = Text(f" {spot.symbol}  ", end="")
    if spot.price is None:
        return text.append("waiting for the first quote", "yellow")
    low = min(spot.history, default=0.0)
    chart = spark([price - low for price in spot.history], bars)
    text.append(f"{spot.price:.2f}", "bold").append("  ").append(f"{chart:<{bars}}", "cyan").append("  ")
    if spot.age_s >= STALE_S:
        text.append(f"{duration_text(int(spot.age_s) * SECOND)} old, no sound quote since   ", "yellow")
    elif (quote := spot.quote) is not None:
        text.append(f"{quote.bid_px:.2f} × {quote.bid_sz:,}  {quote.ask_px:.2f} × {quote.ask_sz:,}   ")
    day = window.expiry
    when = "0DTE" if window.is_0dte else "next"
    return text.append(f"{when} {day:%a} {day.day} {day:%b}", "" if window.is_0dte else "yellow")


def _window_line(window: WindowNow) -> Text:
    if not window.strikes:
        return Text(" window  opens with the first spot", "dim", end="")
    text = Text.assemble(
        (" window  ", "dim"),
        (f"{window.strikes[0]} to {window.strikes[-1]}", "bold"),
        f", ±{window.strike_range} of {window.centre}.00",
    )
    recent = {strike: age for strike, age in window.added.items() if age < _NEW_S and len(window.strikes) > 1}
    if recent and len(recent) < len(window.strikes):
        strike = min(recent, key=recent.__getitem__)
        text.append(f"   + {strike} added {recent[strike]:.0f} s ago", "green")
    if window.leaving:
        strike = min(window.leaving, key=window.leaving.__getitem__)
        text.append(f"   − {strike} leaves in {max(0.0, window.leaving[strike]):.0f} s", "yellow")
    return text


def _strikes_table(current: LiveSnapshot, lines: int) -> Lines:
    window = current.window
    heads = ("volume", "trades", "call", "strike", "put", "trades", "volume")
    rows = [line((_row(heads), "dim"))]
    shown = sorted(window.strikes, reverse=True)
    if len(shown) > lines and window.centre is not None:
        first = max(0, min(shown.index(window.centre) - lines // 2, len(shown) - lines))
        shown = shown[first : first + lines]
    sums = [0, 0, 0, 0]
    for strike in sorted(window.strikes, reverse=True):
        traded = _traded(current, strike)
        sums = [total + count for total, count in zip(sums, traded, strict=True)]
        if strike in shown:
            rows.append(_strike_row(current, strike, traded))
    what = "in the window" if len(shown) == len(window.strikes) else f"all {len(window.strikes)} strikes"
    total = _row((f"{sums[0]:,}", f"{sums[1]:,}", "", what, "", f"{sums[3]:,}", f"{sums[2]:,}"))
    return [*rows, line((total, "dim"))]


def _tickers(current: LiveSnapshot, strike: int) -> tuple[str, str]:
    symbol, expiry = current.spot.symbol, current.window.expiry
    call, put = (str(OptionTicker(symbol, expiry, right, 1000 * strike)) for right in "CP")
    return call, put


def _traded(current: LiveSnapshot, strike: int) -> list[int]:
    # Contracts and prints, of the call and of the put.
    options = current.options
    return [count.get(side, 0) for side in _tickers(current, strike) for count in (options.volumes, options.counts)]


def _strike_row(current: LiveSnapshot, strike: int, traded: Sequence[int]) -> Text:
    window = current.window
    calls, call_count, puts, put_count = traded
    new = window.added.get(strike, 2 * _NEW_S) < _NEW_S and len(window.added) < len(window.strikes)
    mark = f"► {strike} ◄" if strike == window.centre else f"+ {strike}  " if new else f"{strike}"
    prints = [current.options.prints.get(side) for side in _tickers(current, strike)]
    call, put = (f"{last.price:.2f}" if last is not None else "·" for last in prints)
    text = _row((f"{calls:,}", f"{call_count:,}", call, mark, put, f"{put_count:,}", f"{puts:,}"))
    return line((text, "bold" if strike == window.centre else "green" if new else ""))


def _row(cells: Sequence[str]) -> str:
    volume, trades, call, strike, put, puts, put_volume = cells
    return f"{volume:>9} {trades:>8} {call:>8}   {strike:^13}   {put:>8} {puts:>8} {put_volume:>9}"


def _rates(previous: LiveSnapshot | None, current: LiveSnapshot) -> Text:
    elapsed_s = (current.clock_ns - previous.clock_ns) / SECOND if previous is not None else 0.0
    rows = []
    for subject, name in zip(current.summary.events.by_subject, ("trades", "quotes", "option trades"), strict=False):
        count = current.summary.events.by_subject[subject]
        rate = ""
        if previous is not None and elapsed_s > 0:
            rate = f" {(count - previous.summary.events.by_subject[subject]) / elapsed_s:,.0f}/s"
        rows.append((name, f"{count:,}{rate}"))
    return pairs(*rows)


def _figures(current: LiveSnapshot, width: int) -> Lines:
    summary, events, details = current.summary, current.summary.events, current.summary.details
    queued = [("queued", f"{details.queued:,}", "yellow")] if details.queued else []
    latency, ack = (f"{p.p50:.1f}/{p.p99:.1f} ms" if p else "·" for p in (details.latency_ms, summary.delivery.ack_ms))
    return [
        pairs(
            ("received", f"{details.received:,}"), ("published", f"{events.published:,}"),
            ("acked", f"{events.acked:,}"), ("in flight", f"{events.published - events.acked:,}"), *queued,
        ),
        _trouble(current, width),
        line((" latency p50/p99   event to received ", "dim"), latency, ("   received to acked ", "dim"), ack),
    ]  # fmt: skip


def _trouble(current: LiveSnapshot, width: int) -> Text:
    # Which gap was the last is said where there is room for it.
    events = current.summary.events
    for gaps in (f"{events.gaps:,}: {current.last_gap}" if current.last_gap else "", f"{events.gaps:,}"):
        text = pairs(
            ("duplicates", f"{events.duplicates:,}"), ("rejected", f"{events.rejected:,}", alarm(events.rejected)),
            ("dropped", f"{events.dropped:,}", "red" if events.dropped else ""), ("gaps", gaps, alarm(events.gaps)),
        )  # fmt: skip
        if gaps and len(text.plain.rstrip()) <= width:
            break
    return text


def _place(current: LiveSnapshot) -> Text:
    delivery = current.summary.delivery
    seq = f" seq {delivery.last_seq:,}" if delivery.last_seq else ""
    worst = max(current.consumers, key=lambda consumer: consumer.behind, default=None)
    behind = f", {worst.behind:,} behind" if worst is not None and worst.behind else ""
    readers = f"{len(current.consumers)}{behind}" if worst is not None else "none"
    return pairs(("NATS", f"{current.scene.where}   {delivery.stream}{seq}"), ("consumers", readers))


def _news(current: LiveSnapshot) -> Text | None:
    # The newest note for as long as it is news.
    if current.notes and current.now_ns - current.notes[-1].ns < _RECENT_NS:
        return note_line(current.notes[-1])
    return None


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
            ("queued", details.queued),
            ("gaps", events.gaps),
        )
        if count
    )
    feeds = "  ".join(f"{feed.name} {feed.state}" for feed in current.feeds)
    feeds += "" if current.connected else "  NATS away"
    price = f"{spot.price:.2f}" if spot.price is not None else "·"
    window = f"{strikes[0]} to {strikes[-1]}" if strikes else "·"
    return (
        f"{_clock(current.now_ns)} New York  {feeds}  {spot.symbol} {price}  window {window}  "
        f"received {details.received:,}  acked {events.acked:,}{trouble}"
    )
