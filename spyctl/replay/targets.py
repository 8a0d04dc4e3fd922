"""Where a text such as ``09:30``, ``open+5m``, ``-10s`` or a mark's name is in a plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.sort_times import Selection
from spyctl.errors import UsageError
from spyctl.market.sessions import parse_time
from spyctl.timing.instants import HOUR, NEW_YORK, SECOND, clock_on, date_of, parse_duration

_LEAD_NS = HOUR  # a time shortly before the first event means that event
_SHIFTS = (0, 1, -1, 2, -2)  # UTC days: a clock reading means that of the day reached, else the next one that is played


@dataclass(frozen=True, slots=True)
class Span:
    """The event time of a plan, first and last sort time (Unix ns); ``zone`` is that of times without one.

    Where they were not counted, the first event may be up to ``slack_ns`` earlier.
    """

    first_ns: int
    last_ns: int
    zone: ZoneInfo = NEW_YORK
    slack_ns: int = 0

    @property
    def begin_ns(self) -> int:
        """A time before which there is no event."""
        return self.first_ns - self.slack_ns

    @property
    def text(self) -> str:
        """The span as a person reads it."""
        day = datetime.fromtimestamp(self.first_ns // SECOND, self.zone).date()
        first, last = (clock_on(ns, day, self.zone, digits=0) for ns in (self.first_ns, self.last_ns))
        return f"{day} {first} → {last} {self.zone.key}"

    def find(self, text: str, now_ns: int, marks: Mapping[str, int]) -> int:
        """Return the event time that a text means while the event time is ``now_ns``.

        A step back beyond the first event ends there. Raises :class:`UsageError` for what is not a time, and for one
        outside the plan.
        """
        if text in marks:
            return marks[text]
        if text[:1] in ("+", "-"):
            shift_ns = parse_duration(text[1:]) * (-1 if text[0] == "-" else 1)
            return self._inside(max(now_ns + shift_ns, self.begin_ns), text)
        return self._inside(self._read(text, now_ns), text)

    def _read(self, text: str, now_ns: int) -> int:
        readings: list[int] = []
        refused: UsageError | None = None
        for shift in _SHIFTS:
            try:
                readings.append(parse_time(text, date_of(now_ns) + timedelta(days=shift), self.zone))
            except UsageError as error:  # a holiday, or the clocks go forward or back
                refused = refused or error
        if not readings and refused is not None:
            raise refused
        played = [ns for ns in readings if self.first_ns <= ns <= self.last_ns]
        about_to_begin = [ns for ns in readings if self.first_ns - _LEAD_NS <= ns < self.first_ns]
        return (played or about_to_begin or readings)[0]

    def _inside(self, ns: int, text: str) -> int:
        if not self.first_ns - _LEAD_NS <= ns <= self.last_ns:
            raise UsageError(f"{text} is outside the plan", f"it plays {self.text}")
        return max(ns, self.begin_ns)


def span_of(infos: Sequence[DBNFileInfo], selection: Selection) -> Span:
    """Return about what event time a selection of files spans, where nobody has counted it."""
    spans = [info.span for info in infos]
    first_ns = max(selection.start_ns, min((first for first, _ in spans), default=0))
    last_ns = min(selection.end_ns - 1, max((last for _, last in spans), default=0))
    slack_ns = min(selection.slack_ns, first_ns - selection.start_ns)
    return Span(first_ns, max(first_ns, last_ns), slack_ns=slack_ns)
