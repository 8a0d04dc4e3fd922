"""What the live side looks like while it runs: a pure view of its counters.

:func:`render` draws a snapshot for a terminal, :func:`progress_line` says the same in one plain line.
"""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from spyctl.events import OptionTrade, StockQuote
from spyctl.live import SUBJECTS, Live
from spyctl.stats import Percentiles
from spyctl.strikes import OptionTicker
from spyctl.times import NEW_YORK, SECOND, clock_text, duration_text

_GLYPHS = {
    "up": ("●", "green"),
    "connecting": ("◌", "yellow"),
    "reconnecting": ("◌", "yellow"),
    "refused": ("✗", "red"),
}
_BARS = "▁▂▃▄▅▆▇█"
_FIXED_LINES = 11
_RECENT_NS = 10 * SECOND
_LINE_LENGTH = 16


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
    feeds: Sequence[FeedView]
    symbol: str
    spot: float | None
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
    notes: Sequence[tuple[int, str]]
    warnings: int


class View:
    """Looks at the live side; :meth:`draw` and :meth:`line` show it as it is now."""

    def __init__(self, live: Live, title: str, where: str, stream: str) -> None:
        self._live = live
        self._title, self._where, self._stream = title, where, stream
        self._history: deque[LiveSnapshot] = deque()
        self._spots: deque[float] = deque(maxlen=_LINE_LENGTH)
        self._spot_at_ns = 0

    def draw(self, height: int) -> RenderableType:
        """Draw the live side, with rates over the last two seconds."""
        current = self.snapshot()
        self._history.append(current)
        while current.clock_ns - self._history[0].clock_ns > 2 * SECOND:
            self._history.popleft()
        return render(self._history[0] if len(self._history) > 1 else None, current, height)

    def line(self) -> str:
        """Say how it goes."""
        return progress_line(self.snapshot())

    def snapshot(self) -> LiveSnapshot:
        """Copy the counters."""
        live, clock_ns, now_ns = self._live, time.monotonic_ns(), time.time_ns()
        window, manager = live.window, live.window.manager
        price = window.spot.price
        if price is not None and clock_ns - self._spot_at_ns >= SECOND:
            self._spot_at_ns = clock_ns
            self._spots.append(price)
        delivery, gap = live.delivery, next(reversed([*live.gaps.recent, *live.gaps.open_now.values()]), None)
        last_gap = ""
        if gap is not None:
            end = gap.to_ns or now_ns
            ended = "closed" if gap.to_ns is not None else "open"
            last_gap = f"{gap.feed} {(end - gap.from_ns) / SECOND:.1f} s at {_clock(gap.from_ns)}, {ended}"
        return LiveSnapshot(
            clock_ns=clock_ns,
            now_ns=now_ns,
            title=self._title,
            where=self._where,
            run_id=live.run_id,
            state=_state(live),
            feeds=[_feed_view(live, market) for market in live.feeds],
            symbol=live.options.symbol,
            spot=price,
            spots=tuple(self._spots),
            quote=live.intake.last_quote,
            expiry=manager.expiry or date.min,
            is_0dte=window.is_0dte,
            strike_range=manager.strike_range,
            centre=manager.centre,
            strikes=manager.strikes(),
            added={_strike(topic): (clock_ns - ns) / SECOND for topic, ns in window.added.items()},
            leaving={_strike(topic): (ns - clock_ns) / SECOND for topic, ns in window.leaving.items()},
            prints=dict(live.intake.last_prints),
            counts=dict(live.intake.prints),
            volumes=dict(live.intake.volumes),
            by_subject=dict(live.by_subject),
            received=live.intake.received,
            published=live.published,
            acked=live.acked,
            duplicates=live.doubles,
            rejected=sum(live.intake.rejected.values()),
            dropped=live.dropped,
            queued=live.queued,
            gaps=live.gaps.count,
            last_gap=last_gap,
            latency_ms=Percentiles.of(live.intake.latency_ns),
            ack_ms=Percentiles.of(delivery.ack_ns),
            stream=self._stream,
            last_seq=delivery.last_seq,
            notes=tuple(live.notes),
            warnings=live.warnings,
        )


def _strike(topic: str) -> int:
    return int(topic[-8:]) // 1000


def _clock(ns: int) -> str:
    return clock_text(ns, NEW_YORK, 0)


def _state(live: Live) -> str:
    if live.stopped_by:
        return "■ finishing"
    states = {feed.state for feed in live.feeds.values()}
    if "reconnecting" in states:
        return "◌ reconnecting"
    return "● streaming" if "up" in states and "connecting" not in states else "◌ connecting"


def _feed_view(live: Live, market: str) -> FeedView:
    feed = live.feeds[market]
    now_s = time.monotonic()
    if market == "stocks":
        topics = " ".join(sorted(feed.desired, reverse=True))
    else:
        leaving = len(live.window.leaving)
        expiry = live.window.manager.expiry
        topics = f"O:{live.options.symbol}{expiry:%y%m%d}: {len(live.window.manager.held)}"
        topics += f" + {leaving}" if leaving else ""
    return FeedView(
        market,
        feed.state,
        now_s - feed.up_since_s if feed.state == "up" else 0.0,
        topics,
        len(feed.held & feed.desired),
        len(feed.desired),
        now_s - feed.last_frame_s if feed.last_frame_s else None,
    )


def render(previous: LiveSnapshot | None, current: LiveSnapshot, height: int = 24) -> RenderableType:
    """Draw a snapshot; ``previous``, about two seconds older, gives the rates."""
    room = max(3, height - _FIXED_LINES - len(current.feeds))
    return Group(
        _title(current),
        Rule(style="dim", characters="─"),
        *(_feed_line(feed) for feed in current.feeds),
        _spot_line(current),
        _window_line(current),
        _strikes_table(current, room),
        _rates(previous, current),
        *_figures(current),
        *_notes(current, room - len(current.strikes) - 1),
    )


def _title(current: LiveSnapshot) -> RenderableType:
    line = Table.grid(expand=True)
    line.add_column()
    line.add_column(justify="right")
    clocks = f"{_clock(current.now_ns)} New York   {clock_text(current.now_ns, None, 0)} UTC"
    colour = "green" if current.state.startswith("●") else "yellow"
    left = Text.assemble(" spyctl ", (current.title, "bold"), "   ", (current.state, colour), f"   {clocks}")
    line.add_row(left, Text(f"run {current.run_id} ", style="dim"))
    return line


def _feed_line(feed: FeedView) -> RenderableType:
    glyph, colour = _GLYPHS.get(feed.state, ("■", "dim"))
    line = Table.grid(expand=True)
    line.add_column()
    line.add_column(justify="right")
    what = f"up {duration_text(int(feed.up_s) * SECOND)}" if feed.state == "up" else feed.state
    left = Text.assemble(f" {feed.market:<8} ", (glyph, colour), f" {what:<13} {feed.topics}")
    ago = f"{_short(feed.quiet_s)} ago" if feed.quiet_s is not None else "·"
    enough = "" if feed.held == feed.desired else "yellow"
    line.add_row(left, Text.assemble((f"{feed.held} of {feed.desired} subscribed", enough), f"  {ago:>10} "))
    return line


def _short(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.0f} s"


def _spot_line(current: LiveSnapshot) -> Text:
    line = Text(f" {current.symbol}  ")
    if current.spot is None:
        return line.append("waiting for the first quote", "yellow")
    low, high = min(current.spots, default=0.0), max(current.spots, default=0.0)
    bars = "".join(_BARS[round((spot - low) / (high - low) * 7) if high > low else 3] for spot in current.spots)
    line.append(f"{current.spot:.2f}", "bold").append(f"  {bars:<{_LINE_LENGTH}}  ")
    if (quote := current.quote) is not None:
        line.append(f"{quote.bid_px:.2f} × {quote.bid_sz:,}  {quote.ask_px:.2f} × {quote.ask_sz:,}   ")
    day = current.expiry
    line.append(
        f"{'0DTE' if current.is_0dte else 'next'} {day:%a} {day.day} {day:%b}", "" if current.is_0dte else "yellow"
    )
    return line


def _window_line(current: LiveSnapshot) -> Text:
    if not current.strikes:
        return Text(" window  opens with the first spot", "dim")
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


def _strikes_table(current: LiveSnapshot, lines: int) -> Table:
    table = Table.grid(padding=(0, 2), expand=False)
    for width, justify in (
        (9, "right"),
        (7, "right"),
        (7, "right"),
        (9, "center"),
        (7, "right"),
        (7, "right"),
        (9, "right"),
    ):
        table.add_column(justify=justify, min_width=width)  # type: ignore[arg-type]
    heads = ("volume", "trades", "call", "strike", "put", "trades", "volume")
    table.add_row(*(Text(head, style="dim") for head in heads))
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
            style = "bold" if strike == current.centre else ""
            table.add_row(
                f"{calls:,}", f"{call_count:,}", f"{call.price:.2f}" if call else "·", Text(mark, style),
                f"{put.price:.2f}" if put else "·", f"{put_count:,}", f"{puts:,}",
            )  # fmt: skip
    total = (
        f"{sums[0]:,}",
        f"{sums[1]:,}",
        "",
        "in the window" if len(shown) == len(current.strikes) else f"all {len(current.strikes)} strikes",
        "",
        f"{sums[3]:,}",
        f"{sums[2]:,}",
    )
    table.add_row(*(Text(cell, style="dim") for cell in total))
    return table


def _rates(previous: LiveSnapshot | None, current: LiveSnapshot) -> Text:
    line = Text(" ")
    elapsed = (current.clock_ns - previous.clock_ns) / SECOND if previous else 0.0
    for subject, name in zip(SUBJECTS, ("trades", "quotes", "option trades"), strict=False):
        count = current.by_subject.get(subject, 0)
        rate = ""
        if previous is not None and elapsed > 0:
            rate = f" {(count - previous.by_subject.get(subject, 0)) / elapsed:,.0f}/s"
        line.append(f"{name} ", "dim").append(f"{count:,}{rate}   ")
    return line


def _figures(current: LiveSnapshot) -> list[Text]:
    in_flight = current.published - current.acked
    first = Text.assemble(
        (" received ", "dim"), f"{current.received:,}   ", ("published ", "dim"), f"{current.published:,}   ",
        ("acked ", "dim"), f"{current.acked:,}   ", ("in flight ", "dim"), f"{in_flight:,}",
    )  # fmt: skip
    if current.queued:
        first.append("   queued ", "dim").append(f"{current.queued:,}", "yellow")
    second = Text(" ")
    for name, count, style in (
        ("duplicates", current.duplicates, ""),
        ("rejected", current.rejected, "yellow"),
        ("dropped", current.dropped, "red"),
        ("gaps", current.gaps, "yellow"),
    ):
        second.append(f"{name} ", "dim").append(f"{count:,}", style if count else "").append("  ")
    second.append(current.last_gap)
    latency, ack = (f"{p.p50:.1f}/{p.p99:.1f} ms" if p else "·" for p in (current.latency_ms, current.ack_ms))
    third = Text.assemble(
        (" latency p50/p99   event to received ", "dim"), latency, ("   received to acked ", "dim"), ack
    )
    seq = f" seq {current.last_seq:,}" if current.last_seq else ""
    fourth = Text.assemble((" NATS ", "dim"), f"{current.where}   {current.stream}{seq}")
    if current.notes and current.now_ns - current.notes[-1][0] < _RECENT_NS:
        fourth = _note(*current.notes[-1])
    return [first, second, third, fourth]


def _notes(current: LiveSnapshot, lines: int) -> list[RenderableType]:
    if lines < 1 or not current.notes:
        return []
    return [Rule(style="dim", characters="─"), *(_note(ns, text) for ns, text in current.notes[-lines:])]


def _note(ns: int, text: str) -> Text:
    return Text(f" {_clock(ns)}  {text}", no_wrap=True, overflow="ellipsis", style="yellow")


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
    spot = f"{current.spot:.2f}" if current.spot is not None else "·"
    window = f"{current.strikes[0]} to {current.strikes[-1]}" if current.strikes else "·"
    return (
        f"{_clock(current.now_ns)} New York  {feeds}  {current.symbol} {spot}  window {window}  "
        f"received {current.received:,}  acked {current.acked:,}{trouble}"
    )
