"""What the live side looks like while it runs.

:func:`render` draws a snapshot for a terminal (80×24 and up; from 120×30 on with consumers and notes beside it),
:func:`progress_line` says the same in one plain line. Both are pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from rich.text import Text

from spyctl.bus.consumers import Consumer
from spyctl.live.session import SUBJECTS
from spyctl.market.events import OptionTrade, StockQuote
from spyctl.market.option_tickers import OptionTicker
from spyctl.terminal.boxes import Lines, beside, box, line, pairs, rule, screen, spark, spread
from spyctl.terminal.panels import alarm, consumer_rows, note_line, note_rows, process_rows
from spyctl.terminal.process import Usage
from spyctl.timing.histogram import Percentiles
from spyctl.timing.instants import NEW_YORK, SECOND, clock_text, duration_text
from spyctl.timing.notes import Note

WIDE, TALL = 130, 30
STALE_S = 15.0
LINE_LENGTH = 48
_GLYPHS = {
    "up": ("●", "green"),
    "connecting": ("◌", "yellow"),
    "reconnecting": ("◌", "yellow"),
    "refused": ("✗", "red"),
}
_MAIN = 92
_FIXED_LINES = 11
_RECENT_NS = 10 * SECOND
_HINT = "Ctrl-C ends"
_FOOTER = " Ctrl-C ends it after what is in flight   Ctrl-Z suspends it"


@dataclass(frozen=True, slots=True)
class FeedView:
    """One feed at a moment; ``quiet_s`` since its last frame."""

    market: str
    state: str
    up_s: float
    topics: str
    held: int
    desired: int
    quiet_s: float | None


@dataclass(frozen=True, slots=True)
class LiveSnapshot:
    """The live side at one moment; times in Unix ns, ``clock_ns`` monotonic."""

    clock_ns: int
    now_ns: int
    title: str
    where: str
    run_id: str
    state: str
    connected: bool
    feeds: Sequence[FeedView]
    symbol: str
    spot: float | None
    spot_age_s: float
    spots: Sequence[float]
    quote: StockQuote | None
    expiry: date
    is_0dte: bool
    strike_range: int
    centre: int | None
    strikes: Sequence[int]
    added: Mapping[int, float]
    leaving: Mapping[int, float]
    prints: Mapping[str, OptionTrade]
    counts: Mapping[str, int]
    volumes: Mapping[str, int]
    by_subject: Mapping[str, int]
    received: int
    published: int
    acked: int
    duplicates: int
    rejected: int
    dropped: int
    queued: int
    gaps: int
    last_gap: str
    latency_ms: Percentiles | None
    ack_ms: Percentiles | None
    stream: str
    last_seq: int | None
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
        _window_line(current),
        *_strikes_table(current, room),
        _rates(previous, current),
        *_figures(current),
    ]
    top = [_title(current, width)]
    if not wide:
        place = spread(_news(current) or _place(current), line((f"{_HINT} ", "dim")), width)
        return screen([*top, rule(width), *left, place][:height])
    right = width - main
    left.append(_place(current))
    consumers = [*consumer_rows(current.consumers, right - 2, len(left) - 4), *process_rows(current.usage)]
    body = beside(box("market", left, main), box("consumers", consumers, right))
    rows = max(1, height - len(body) - 4)
    notes = box("notes", note_rows(current.notes, rows), width, right=f"warnings {current.warnings:,}")
    return screen([*top, *body, *notes, line((_FOOTER, "dim"))][:height])


def _title(current: LiveSnapshot, width: int) -> Text:
    clocks = f"{_clock(current.now_ns)} New York   {clock_text(current.now_ns, None, 0)} UTC"
    colour = "green" if current.state.startswith("●") else "yellow"
    left = line(" spyctl ", (current.title, "bold"), "   ", (current.state, colour), f"   {clocks}")
    return spread(left, line((f"run {current.run_id} ", "dim")), width)


def _feed_line(feed: FeedView, width: int) -> Text:
    glyph, colour = _GLYPHS.get(feed.state, ("■", "dim"))
    what = f"up {duration_text(int(feed.up_s) * SECOND)}" if feed.state == "up" else feed.state
    left = line(f" {feed.market:<8} ", (glyph, colour), f" {what:<13} {feed.topics}")
    ago = f"{_short(feed.quiet_s)} ago" if feed.quiet_s is not None else "·"
    enough = "" if feed.held == feed.desired else "yellow"
    return spread(left, line((f"{feed.held} of {feed.desired} subscribed", enough), f"  {ago:>10} "), width)


def _short(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.0f} s"


def _spot_line(current: LiveSnapshot, bars: int) -> Text:
    line = Text(f" {current.symbol}  ", end="")
    if current.spot is None:
        return line.append("waiting for the first quote", "yellow")
    low = min(current.spots, default=0.0)
    shown = spark([spot - low for spot in current.spots], bars)
    line.append(f"{current.spot:.2f}", "bold").append("  ").append(f"{shown:<{bars}}", "cyan").append("  ")
    if current.spot_age_s >= STALE_S:
        line.append(f"{duration_text(int(current.spot_age_s) * SECOND)} old, no sound quote since   ", "yellow")
    elif (quote := current.quote) is not None:
        line.append(f"{quote.bid_px:.2f} × {quote.bid_sz:,}  {quote.ask_px:.2f} × {quote.ask_sz:,}   ")
    day = current.expiry
    line.append(
        f"{'0DTE' if current.is_0dte else 'next'} {day:%a} {day.day} {day:%b}", "" if current.is_0dte else "yellow"
    )
    return line


def _window_line(current: LiveSnapshot) -> Text:
    if not current.strikes:
        return Text(" window  opens with the first spot", "dim", end="")
    line = Text.assemble(
        (" window  ", "dim"),
        (f"{current.strikes[0]} to {current.strikes[-1]}", "bold"),
        f", ±{current.strike_range} of {current.centre}.00",
    )
    recent = {strike: age for strike, age in current.added.items() if age < 30 and len(current.strikes) > 1}
    if recent and len(recent) < len(current.strikes):
        strike = min(recent, key=recent.__getitem__)
        line.append(f"   + {strike} added {recent[strike]:.0f} s ago", "green")
    if current.leaving:
        strike = min(current.leaving, key=current.leaving.__getitem__)
        line.append(f"   − {strike} leaves in {max(0.0, current.leaving[strike]):.0f} s", "yellow")
    return line


def _strikes_table(current: LiveSnapshot, lines: int) -> Lines:
    heads = ("volume", "trades", "call", "strike", "put", "trades", "volume")
    rows = [line((_row(heads), "dim"))]
    shown = sorted(current.strikes, reverse=True)
    if len(shown) > lines and current.centre is not None:
        first = max(0, min(shown.index(current.centre) - lines // 2, len(shown) - lines))
        shown = shown[first : first + lines]
    sums = [0, 0, 0, 0]
    for strike in sorted(current.strikes, reverse=True):
        sides = [str(OptionTicker(current.symbol, current.expiry, right, 1000 * strike)) for right in "CP"]
        cells = [
            (current.volumes.get(side, 0), current.counts.get(side, 0), current.prints.get(side)) for side in sides
        ]
        for i, (volume, count, _) in enumerate(cells):
            sums[2 * i] += volume
            sums[2 * i + 1] += count
        if strike in shown:
            (calls, call_count, call), (puts, put_count, put) = cells
            new = current.added.get(strike, 60.0) < 30 and len(current.added) < len(current.strikes)
            mark = f"► {strike} ◄" if strike == current.centre else f"+ {strike}  " if new else f"{strike}"
            prices = [f"{one.price:.2f}" if one else "·" for one in (call, put)]
            text = _row((f"{calls:,}", f"{call_count:,}", prices[0], mark, prices[1], f"{put_count:,}", f"{puts:,}"))
            rows.append(line((text, "bold" if strike == current.centre else "green" if new else "")))
    what = "in the window" if len(shown) == len(current.strikes) else f"all {len(current.strikes)} strikes"
    total = _row((f"{sums[0]:,}", f"{sums[1]:,}", "", what, "", f"{sums[3]:,}", f"{sums[2]:,}"))
    return [*rows, line((total, "dim"))]


def _row(cells: Sequence[str]) -> str:
    volume, trades, call, strike, put, puts, put_volume = cells
    return f"{volume:>9} {trades:>8} {call:>8}   {strike:^13}   {put:>8} {puts:>8} {put_volume:>9}"


def _rates(previous: LiveSnapshot | None, current: LiveSnapshot) -> Text:
    elapsed = (current.clock_ns - previous.clock_ns) / SECOND if previous else 0.0
    found = []
    for subject, name in zip(SUBJECTS, ("trades", "quotes", "option trades"), strict=False):
        count = current.by_subject.get(subject, 0)
        rate = ""
        if previous is not None and elapsed > 0:
            rate = f" {(count - previous.by_subject.get(subject, 0)) / elapsed:,.0f}/s"
        found.append((name, f"{count:,}{rate}"))
    return pairs(*found)


def _figures(current: LiveSnapshot) -> Lines:
    queued = [("queued", f"{current.queued:,}", "yellow")] if current.queued else []
    latency, ack = (f"{p.p50:.1f}/{p.p99:.1f} ms" if p else "·" for p in (current.latency_ms, current.ack_ms))
    third = line((" latency p50/p99   event to received ", "dim"), latency, ("   received to acked ", "dim"), ack)
    gaps = pairs(
        ("duplicates", f"{current.duplicates:,}"), ("rejected", f"{current.rejected:,}", alarm(current.rejected)),
        ("dropped", f"{current.dropped:,}", "red" if current.dropped else ""),
        ("gaps", f"{current.gaps:,}" + (f": {current.last_gap}" if current.last_gap else ""), alarm(current.gaps)),
    )  # fmt: skip
    return [
        pairs(
            ("received", f"{current.received:,}"), ("published", f"{current.published:,}"),
            ("acked", f"{current.acked:,}"), ("in flight", f"{current.published - current.acked:,}"), *queued,
        ),
        gaps,
        third,
    ]  # fmt: skip


def _place(current: LiveSnapshot) -> Text:
    seq = f" seq {current.last_seq:,}" if current.last_seq else ""
    worst = max(current.consumers, key=lambda one: one.behind, default=None)
    behind = f", {worst.behind:,} behind" if worst is not None and worst.behind else ""
    readers = f"{len(current.consumers)}{behind}" if worst is not None else "none"
    return pairs(("NATS", f"{current.where}   {current.stream}{seq}"), ("consumers", readers))


def _news(current: LiveSnapshot) -> Text | None:
    # The newest note for as long as it is news.
    if current.notes and current.now_ns - current.notes[-1].ns < _RECENT_NS:
        return note_line(current.notes[-1])
    return None


def progress_line(current: LiveSnapshot) -> str:
    """Say how it goes in one line; what is wrong only where it is not zero."""
    trouble = "".join(
        f"  {name} {count:,}"
        for name, count in (
            ("duplicates", current.duplicates),
            ("rejected", current.rejected),
            ("dropped", current.dropped),
            ("queued", current.queued),
            ("gaps", current.gaps),
        )
        if count
    )
    feeds = "  ".join(f"{feed.market} {feed.state}" for feed in current.feeds)
    feeds += "" if current.connected else "  NATS away"
    spot = f"{current.spot:.2f}" if current.spot is not None else "·"
    window = f"{current.strikes[0]} to {current.strikes[-1]}" if current.strikes else "·"
    return (
        f"{_clock(current.now_ns)} New York  {feeds}  {current.symbol} {spot}  window {window}  "
        f"received {current.received:,}  acked {current.acked:,}{trouble}"
    )
