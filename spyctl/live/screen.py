"""What the live side looks like while it runs.

:func:`render` draws a snapshot for a terminal of any size (from 130×30 on with consumers and notes beside it; below
80×24 with less), :func:`progress_line` says the same in one plain line. Both are pure.
"""

from collections.abc import Callable, Sequence

from rich.text import Text

from spyctl.live.backlog import MAX_EVENTS
from spyctl.live.market_lines import feed_line, futures_line, spot_chart, spot_line
from spyctl.live.snapshot import LiveSnapshot
from spyctl.live.strike_table import strike_table, window_line
from spyctl.summary import OptionQuotes
from spyctl.terminal.alarms import ACK_MS, ARRIVAL_MS, BACKLOG, WAITING_S
from spyctl.terminal.boxes import Lines, box, line, rule, screen, side_by_side
from spyctl.terminal.fields import Field, figure, row, stack, word
from spyctl.terminal.ladder import book_lines
from spyctl.terminal.panels import (
    alarm,
    consumer_rows,
    consumers_field,
    latency_fields,
    note_line,
    note_rows,
    process_row,
)
from spyctl.terminal.prints import print_rows
from spyctl.terminal.text import latency_text
from spyctl.timing.instants import NEW_YORK, SECOND, clock_text, duration_text

WIDE, TALL = 130, 30
_RATES = {
    "stocks.trades": ("trades", 7, 1), "stocks.quotes": ("quotes", 9, 0), "options.trades": ("option trades", 7, 2),
    "futures.trades": ("futures", 7, 3), "futures.mbp10": ("books", 9, 4),
}  # fmt: skip
_SIDE, _BROAD = (40, 60), 170  # of the column beside the market; the second from so many columns on
_CONSUMERS, _LEAST_TAPE, _LEAST_BOTTOM, _PANEL = 5, 4, 4, 56
_LEAST_STRIKES = 2
_RECENT_NS = 10 * SECOND
_FOOTER = ("Ctrl-C ends the run once what is in flight is stored", "Ctrl-Z suspends it")


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
    side = _SIDE[width >= _BROAD]
    main = width - side
    place = (6, [_place(current, main - 2)])
    most = height - _LEAST_BOTTOM - 6
    market = _filled(most, lambda strikes: [*_market(previous, current, main - 2, strikes), place])
    return [
        _title(current, width),
        *side_by_side(box("market", market, main), _side(current, side, len(market) + 2)),
        *_bottom(current, width, height - len(market) - 6),
        row(width, *(word(text, "dim", rank=i) for i, text in enumerate(_FOOTER))),
    ]


def _side(current: LiveSnapshot, width: int, height: int) -> Lines:
    # The tape above the consumers, or the consumers alone; boxes of so many lines altogether.
    usage = process_row(current.usage, width)
    tape = height - _CONSUMERS - 4
    rows = _CONSUMERS if tape >= _LEAST_TAPE else height - 2
    consumers = box("consumers", consumer_rows(current.server.consumers, width - 3, rows), width, right=usage)
    if tape < _LEAST_TAPE:
        return consumers
    nearest = current.spot.symbol, f"{current.window.expiry:%Y-%m-%d}"
    prints = print_rows(current.traded.tape, tape, width - 2, nearest=nearest, digits=0 if width < _SIDE[1] else 3)
    return [*box("last trades", prints, width, height=tape), *consumers]


def _bottom(current: LiveSnapshot, width: int, rows: int) -> Lines:
    # Notes, and beside them the book of the futures and the spot, as far as they are known and have room.
    panels: list[Lines] = []
    futures = next((feed.futures for feed in current.feeds if feed.futures is not None), None)
    if futures is not None and futures.book is not None:
        levels = max(1, min(10, rows - 2))
        ladder = book_lines(futures.trade, futures.book, _PANEL - 2, levels, headings=True)
        panels.append(box(f"{futures.book.symbol} book", ladder, _PANEL, height=rows))
    spot = current.spot
    if spot.history and (not panels or width >= _BROAD):
        minutes = line(f" last {duration_text(len(spot.history) * SECOND)} ")
        panels.insert(0, box(spot.symbol, spot_chart(spot, _PANEL - 2, rows), _PANEL, right=minutes, height=rows))
    left = width - _PANEL * len(panels)
    warnings = row(left, figure("warnings", f"{current.warnings:,}", alarm(current.warnings)))
    notes = box("notes", note_rows(current.notes, rows, left - 2), left, right=warnings)
    return side_by_side(notes, *panels)


def _filled(height: int, blocks: Callable[[int], list[tuple[int, Lines]]]) -> Lines:
    # As many strikes as there is room for, beside what matters more.
    least = stack(height, *blocks(_LEAST_STRIKES))
    return stack(height, *blocks(_LEAST_STRIKES + height - len(least)))


def _market(previous: LiveSnapshot | None, current: LiveSnapshot, width: int, strikes: int) -> list[tuple[int, Lines]]:
    # The middle of the screen, with so many strikes.
    counts, trouble, latencies = _figures(current, width)
    names = {feed.name for feed in current.feeds} or {"stocks", "options"}
    followed = bool(names & {"stocks", "options"})  # options of an index have no stock
    stocks: list[tuple[int, Lines]] = [(1, [spot_line(current, width)])] if followed else []
    options: list[tuple[int, Lines]] = []
    if "options" in names:
        others = current.window.others
        options = [
            (4, [window_line(current.window, width)]),
            (4, [row(width, word("also    ", "dim"), word(others))] if others else []),
            (5, strike_table(current, width, strikes)),
        ]
    return [
        (2, [feed_line(feed, width) for feed in current.feeds]),
        *stocks,
        (1, [futures_line(feed.futures, width) for feed in current.feeds if feed.futures is not None]),
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
        figure("gaps", f"{events.gaps:,}", alarm(events.gaps - events.gaps_filled)),
        word(current.last_gap, alarm(events.gaps - events.gaps_filled), rank=3),
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
    market = f"  {spot.symbol} {price}" if names & {"stocks", "options"} else ""
    if "options" in names:
        market += f"  window {f'{strikes[0]:g} to {strikes[-1]:g}' if strikes else '·'}"
    for futures in (feed.futures for feed in current.feeds):
        if futures is not None and futures.trade is not None:
            market += f"  {futures.trade.symbol} {futures.trade.price:.2f}"
    return (
        f"{_clock(current.now_ns)} New York  {feeds}{market}  "
        f"received {details.received:,}  acked {events.acked:,}{trouble}"
    )
