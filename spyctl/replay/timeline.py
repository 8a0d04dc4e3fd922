"""Where in event time a replay is: the time, how far it has come, and the strip of the plan with what happens on it."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from math import ceil

from rich.text import Text

from spyctl.market.sessions import session_place
from spyctl.replay.bins import BINS
from spyctl.replay.search import session_times
from spyctl.replay.sightings import Trouble
from spyctl.replay.snapshot import Snapshot
from spyctl.terminal.axis import price_bounds, round_ceiling, time_axis
from spyctl.terminal.boxes import Lines, chart, curve, line, progress
from spyctl.terminal.fields import Field, row, word
from spyctl.timing.instants import NEW_YORK, SECOND, clock_text, duration_text, span_text, whole_seconds

_LEAST_BAR = 8
_MARGIN = 12
_PLACE = 25
_SIGNS = {
    "session time": ("┊", "dim"),
    "quiet": ("┄", "dim"),
    "roll": ("↻", "cyan"),
    Trouble.GAP: ("╳", "red"),
    Trouble.LATE: ("!", "yellow"),
    Trouble.STALL: ("▪", "red"),
    "mark": ("◆", "yellow"),
    "loop A": ("A", "bold yellow"),
    "loop B": ("B", "bold yellow"),
}


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
    return line(f" {start} ", _strip(current, cells), tail)


def _place(current: Snapshot) -> float:
    event_ns = current.position.event_ns
    return current.scene.schedule.place(event_ns) if event_ns is not None else 0.0


def _strip(current: Snapshot, cells: int) -> Text:
    # How far it is in event time, and what lies, or was seen, on the way.
    strip = progress(_place(current), cells)
    if cells < _LEAST_BAR:
        return strip
    schedule = current.scene.schedule
    for from_ns, to_ns in schedule.quiet:
        first, end = (schedule.place(ns) * cells for ns in (from_ns, to_ns))
        strip = _over(strip, ceil(first), _SIGNS["quiet"], max(0, int(end) - ceil(first)))
    for name, instants in _signs(current):
        for ns in instants:
            strip = _over(strip, min(cells - 1, int(schedule.place(ns) * cells)), _SIGNS[name])
    return strip


def _over(strip: Text, column: int, sign: tuple[str, str], count: int = 1) -> Text:
    return Text.assemble(strip[:column], (sign[0] * count, sign[1]), strip[column + count :]) if count else strip


def _signs(current: Snapshot) -> Iterator[tuple[str, Iterable[int]]]:
    # What is drawn last is seen where several lie in one cell.
    control, (first_ns, last_ns) = current.control, _span(current)
    yield "session time", session_times(first_ns + 1, last_ns - 1)
    yield "roll", current.rolls
    for trouble in Trouble:
        yield trouble, current.troubles.get(trouble, ())
    yield "mark", control.marks
    ends = control.loop or ((control.loop_start_ns,) if control.loop_start_ns is not None else ())
    yield from zip(("loop A", "loop B"), ([ns] for ns in ends), strict=False)


def strip_legend(width: int) -> Text:
    """Say what the signs of the strip are, as far as there is room."""
    return row(width, *(Field(line(sign, f" {name}"), rank) for rank, (name, sign) in enumerate(_SIGNS.items())))


def plan_chart(current: Snapshot, width: int, busy_rows: int, price_rows: int) -> Lines:
    """Draw the plan over the strip and its times, as far as it has been played: the middle of the book in
    ``price_rows`` lines, and how busy each part was in ``busy_rows``."""
    cells = min(BINS, width - _MARGIN - 1)
    values = [sum(part) / len(part) for part in _parts(current.density, cells)]
    largest = round_ceiling(max(values))
    axis = time_axis(*_span(current), cells)
    return [
        *_price_chart(current, cells, price_rows),
        *_labelled(chart(values, busy_rows, largest), "cyan", f"{largest:,.0f}/s"),
        line(" " * _MARGIN, _strip(current, cells)),
        line((" " * _MARGIN + axis, "dim")),
    ]


def _price_chart(current: Snapshot, cells: int, rows: int) -> Lines:
    prices = [price for price in current.market.prices if price is not None]
    if not prices or not rows:
        return [Text() for _ in range(rows)]
    low, high = price_bounds(min(prices), max(prices))
    return _labelled(curve(current.market.prices, cells, rows, low, high), "yellow", f"{high:,.2f}", f"{low:,.2f}")


def _labelled(rows: Sequence[str], style: str, top: str, bottom: str = "") -> Lines:
    labels = [top, *("" for _ in rows[2:]), bottom]
    return [line((f"{label:>{_MARGIN - 1}} ", "dim"), (text, style)) for label, text in zip(labels, rows, strict=False)]


def _parts(values: Sequence[float], count: int) -> list[Sequence[float]]:
    edges = [len(values) * i // count for i in range(count + 1)]
    return [values[start : max(start + 1, end)] for start, end in pairwise(edges)]
