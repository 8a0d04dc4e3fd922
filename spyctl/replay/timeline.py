"""Where in event time a replay is: the time, how far it has come, and the strip of the plan with what happens on it."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from rich.text import Text

from spyctl.market.sessions import session_place
from spyctl.replay.search import session_times
from spyctl.replay.snapshot import BINS, Snapshot
from spyctl.terminal.axis import round_bounds, round_ceiling, time_axis
from spyctl.terminal.boxes import Lines, chart, curve, line, progress
from spyctl.terminal.fields import Field, row, word
from spyctl.timing.instants import NEW_YORK, SECOND, clock_text, duration_text, span_text, whole_seconds

_LEAST_BAR = 8
_MARGIN = 12
_PLACE = 25


def time_of(current: Snapshot, ns: int, digits: int = 0) -> str:
    """Write a time of day in New York, after its date where the plan has several."""
    moments = (datetime.fromtimestamp(at // SECOND, NEW_YORK) for at in (ns, *_span(current)))
    day, *days = (f"{moment.day} {moment:%b} " for moment in moments)
    return (day if days[0] != days[1] else "") + clock_text(ns, NEW_YORK, digits)


def _span(current: Snapshot) -> tuple[int, int]:
    return current.scene.schedule.first_ns, current.scene.schedule.last_ns


def event_time(current: Snapshot, width: int, *, share: bool = False) -> Text:
    """Write the event time in both zones and its place in the session; with ``share`` how much is done too."""
    position = current.position
    if position.event_ns is None:
        return row(width, word("waiting for the first event"))
    place = word(f"{session_place(position.event_ns):>{_PLACE}}", rank=3)
    if position.quiet_to_ns is not None:
        left = duration_text(position.quiet_left_ns)
        place = word(f"quiet to {time_of(current, position.quiet_to_ns)}, in {left}", rank=1)
    times = line(("event time ", "dim"), (time_of(current, position.event_ns, 3), "bold"), (" New York", "dim"))
    utc = line(clock_text(position.event_ns), (" UTC", "dim"))
    return row(width, Field(times), Field(utc, 2), right=[place, *(_how_far(current) if share else [])])


def _how_far(current: Snapshot) -> list[Field]:
    position = current.position
    done = word(f"{int(position.share * 100):3} %")
    if position.wall_ns is None or position.left_ns is None:
        return [done]
    of = f"{duration_text(position.wall_ns)} of {duration_text(position.wall_ns + position.left_ns)}"
    return [done, word(f"{of:>22}", rank=2)]


def plan_strip(current: Snapshot, width: int) -> Text:
    """Draw the plan from its start to its end in one line, and how much of it is done."""
    start, end = span_text(*whole_seconds(*_span(current)), NEW_YORK).split(" → ")
    how_far = _how_far(current)
    tail = row(width - _LEAST_BAR - len(start) - 2, word(end, rank=3), *how_far)
    cells = max(0, width - len(start) - 2 - tail.cell_len)
    return line(f" {start} ", _strip(current, current.position.share, cells), tail)


def _strip(current: Snapshot, share: float, cells: int) -> Text:
    # How far it is, with session times, marks and the ends of a loop at their places.
    strip = progress(share, cells)
    if not current.control.keys or cells < _LEAST_BAR:
        return strip
    control, schedule = current.control, current.scene.schedule
    signs = dict.fromkeys(session_times(schedule.first_ns + 1, schedule.last_ns - 1), ("┊", "dim"))
    signs |= dict.fromkeys(control.marks, ("◆", "yellow"))
    ends = control.loop or ((control.loop_start_ns,) if control.loop_start_ns is not None else ())
    signs |= {ns: (sign, "bold yellow") for ns, sign in zip(ends, "AB", strict=False)}
    for ns, (sign, style) in signs.items():
        column = min(cells - 1, int(schedule.place(ns) * cells))
        strip = Text.assemble(strip[:column], (sign, style), strip[column + 1 :])
    return strip


def plan_chart(current: Snapshot, width: int, busy_rows: int, price_rows: int) -> Lines:
    """Draw the plan over the strip and its times, as far as it has been played: the middle of the book in
    ``price_rows`` lines, and how busy each part was in ``busy_rows``."""
    cells = min(BINS, width - _MARGIN - 1)
    values = [sum(part) / len(part) for part in _parts(current.density, cells)]
    largest = round_ceiling(max(values))
    axis = time_axis(*_span(current), cells)
    event_ns = current.position.event_ns
    place = current.scene.schedule.place(event_ns) if event_ns is not None else 0.0
    return [
        *_price_chart(current, cells, price_rows),
        *_labelled(chart(values, busy_rows, largest), "cyan", f"{largest:,.0f}/s"),
        line(" " * _MARGIN, _strip(current, place, cells)),
        line((" " * _MARGIN + axis, "dim")),
    ]


def _price_chart(current: Snapshot, cells: int, rows: int) -> Lines:
    prices = [price for price in current.market.prices if price is not None]
    if not prices or not rows:
        return [Text() for _ in range(rows)]
    low, high = round_bounds(min(prices), max(prices))
    return _labelled(curve(current.market.prices, cells, rows, low, high), "yellow", f"{high:,.2f}", f"{low:,.2f}")


def _labelled(rows: Sequence[str], style: str, top: str, bottom: str = "") -> Lines:
    labels = [top, *("" for _ in rows[2:]), bottom]
    return [line((f"{label:>{_MARGIN - 1}} ", "dim"), (text, style)) for label, text in zip(labels, rows, strict=False)]


def _parts(values: Sequence[float], count: int) -> list[Sequence[float]]:
    edges = [len(values) * i // count for i in range(count + 1)]
    return [values[start : max(start + 1, end)] for start, end in pairwise(edges)]
