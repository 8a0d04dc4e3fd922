"""The one calendar: trading days, early closes and the sessions of New York's markets and of CME.

Holidays and early closes, one-off closures included, come from the ``holidays`` package. The regular session of stocks
ends at 16:00 New York, on early closes at 13:00; SPY options trade 15 minutes longer (Cboe's trading hours). A CME
trading day runs from 18:00 the previous evening to 17:00.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from spyctl.errors import NoSessionError, TimeSyntaxError
from spyctl.timing.instants import (
    DAY,
    HOUR,
    MINUTE,
    NEW_YORK,
    SECOND,
    checked_instant,
    date_of,
    duration_text,
    instant_at,
    parse_duration,
    parse_instant,
)

OPEN = clock_time(9, 30)
CLOSE, EARLY_CLOSE = clock_time(16), clock_time(13)
OPTIONS_CLOSE, OPTIONS_EARLY_CLOSE = clock_time(16, 15), clock_time(13, 15)
CME_OPEN, CME_CLOSE = clock_time(18), clock_time(17)
EARLIEST, LATEST = clock_time(4), clock_time(20)  # extended hours of stocks
SATURDAY = 5  # as date.weekday() counts
_CME_HOLIDAYS = ("Good Friday", "Christmas", "New Year")
_BEFORE_OPEN = 6 * HOUR  # from then on an instant is told by its distance to the open
_SESSION_TIME = re.compile(r"(open|close)(?:([+-])(.+))?", re.ASCII)


# The package takes 50 ms to import; a replay without open or close in it never needs it.
@cache
def _holidays(year: int) -> dict[date, str]:
    from holidays import financial_holidays

    return dict(financial_holidays("NYSE", years=year))


@cache
def _early(year: int) -> frozenset[date]:
    from holidays import financial_holidays

    return frozenset(financial_holidays("NYSE", years=year, categories="half_day"))


def is_trading_day(day: date) -> bool:
    """Tell whether the market opens on a day."""
    return day.weekday() < SATURDAY and day not in _holidays(day.year)


def closes_early(day: date) -> bool:
    """Tell whether a trading day ends at 13:00 New York."""
    return is_trading_day(day) and day in _early(day.year)


def next_trading_day(day: date) -> date:
    """Return the first trading day after a day."""
    day += timedelta(days=1)
    while not is_trading_day(day):
        day += timedelta(days=1)
    return day


def regular_session(day: date) -> tuple[int, int]:
    """Return the open (inclusive) and the close (exclusive) of stocks on a New York date, as instants.

    Raises :class:`NoSessionError` on weekends and holidays.
    """
    if not is_trading_day(day):
        raise NoSessionError(day, f"a holiday ({name})" if (name := holiday(day)) else f"a {day:%A}")
    return _new_york(day, OPEN), _new_york(day, EARLY_CLOSE if closes_early(day) else CLOSE)


def stocks_trade_between(from_ns: int, to_ns: int) -> bool:
    """Tell whether stocks trade at any time between two instants (Unix ns), extended hours included."""
    return _trade_between(from_ns, to_ns, lambda day: (_new_york(day, EARLIEST), _new_york(day, LATEST)))


def options_trade_between(from_ns: int, to_ns: int) -> bool:
    """Tell whether SPY options trade at any time between two instants (Unix ns)."""

    def hours(day: date) -> tuple[int, int]:
        close = OPTIONS_EARLY_CLOSE if closes_early(day) else OPTIONS_CLOSE
        return _new_york(day, OPEN), _new_york(day, close)

    return _trade_between(from_ns, to_ns, hours)


def _trade_between(from_ns: int, to_ns: int, hours: Callable[[date], tuple[int, int]]) -> bool:
    # Whether the hours of a trading day have anything between two instants.
    day = datetime.fromtimestamp(from_ns // SECOND, NEW_YORK).date()
    while _new_york(day, EARLIEST) < to_ns:
        if is_trading_day(day):
            opens_ns, closes_ns = hours(day)
            if from_ns < closes_ns and opens_ns < to_ns:
                return True
        day += timedelta(days=1)
    return False


def futures_trade(day: date) -> bool:
    """Tell whether CME's index futures trade on a UTC day: not on Saturdays, Good Friday, Christmas and New Year's Day.

    On Sundays they open in the evening, on other holidays of stocks they trade until 13:00 New York (CME Globex holiday
    calendar).
    """
    return day.weekday() != SATURDAY and not any(name in holiday(day) for name in _CME_HOLIDAYS)


def holiday(day: date) -> str:
    """Return the name of the holiday of stocks on a day, empty where it is none."""
    return _holidays(day.year).get(day, "")


def trading_day(day: date) -> tuple[int, int]:
    """Return the CME trading day: 18:00 New York on the previous evening (inclusive) to 17:00 (exclusive)."""
    return _new_york(day - timedelta(days=1), CME_OPEN), _new_york(day, CME_CLOSE)


def trading_hours(days: Sequence[date], *, regular: bool) -> tuple[tuple[int, int], ...]:
    """Return the hours in which there is trade on UTC days, in order: from open to close where ``regular``, else from
    18:00 New York to 17:00."""
    found = set()
    for day in days:
        for each in (day, day + timedelta(days=1)):
            if regular and is_trading_day(day):
                found.add(regular_session(day))
            elif not regular and each.weekday() < SATURDAY:
                found.add(trading_day(each))
    return tuple(sorted(found))


def trading_day_of(ns: int) -> date:
    """Return the New York trading day that an instant (Unix ns) belongs to: from 18:00 on it is the next weekday."""
    day = _next_evening(datetime.fromtimestamp(ns // SECOND, NEW_YORK))
    return day + timedelta(days=7 - day.weekday()) if day.weekday() >= SATURDAY else day


def _next_evening(now: datetime) -> date:
    # The date of the next 18:00, by New York's clocks.
    return now.date() + timedelta(days=now.time() >= CME_OPEN)


def trading_day_end(day: date) -> int:
    """Return the instant from which on :func:`trading_day_of` is a later day: 18:00 New York."""
    return _new_york(day, CME_OPEN)


def closed_stretches(start_ns: int, end_ns: int) -> list[tuple[int, int]]:
    """Return the daily breaks and the weekends of CME between two instants, in order; holidays are not among them."""
    days = [date_of(start_ns) + timedelta(days=n) for n in range(-3, (end_ns - start_ns) // DAY + 5)]
    trading = [trading_day(day) for day in days if day.weekday() < 5]
    breaks = ((close_ns, open_ns) for (_, close_ns), (open_ns, _) in pairwise(trading))
    return [(from_ns, to_ns) for from_ns, to_ns in breaks if start_ns <= from_ns and to_ns <= end_ns]


def futures_trade_from(ns: int) -> int:
    """Return the first instant from ``ns`` on (Unix ns) at which CME's index futures trade: that one, or an open."""
    day = datetime.fromtimestamp(ns // SECOND, NEW_YORK).date()
    while True:
        if day.weekday() < SATURDAY and futures_trade(day):
            open_ns, close_ns = trading_day(day)
            if holiday(day):
                close_ns = _new_york(day, EARLY_CLOSE)
            if ns < close_ns:
                return max(ns, open_ns)
        day += timedelta(days=1)


def futures_closed_text(ns: int) -> str:
    """Say that CME's index futures do not trade at an instant (Unix ns), and when they do again; empty if they do."""
    open_ns = futures_trade_from(ns)
    if open_ns == ns:
        return ""
    opens = datetime.fromtimestamp(open_ns // SECOND, NEW_YORK)
    return f"closed until {opens:%a} {opens:%Y-%m-%d %H:%M} New York"


def _new_york(day: date, clock: clock_time) -> int:
    return instant_at(day, clock.hour * HOUR + clock.minute * MINUTE, NEW_YORK)


def parse_time(text: str, day: date, zone: ZoneInfo = NEW_YORK) -> int:
    """Read a time as an instant: ``open``, ``close`` or ``open-5m`` of the New York date ``day``, or what
    :func:`parse_instant` reads.

    Raises :class:`NoSessionError` where the day has no open and close, :class:`UsageError` for what is not a time.
    """
    match = _SESSION_TIME.fullmatch(text.strip().lower())
    if match is None:
        try:
            return parse_instant(text, day, zone)
        except TimeSyntaxError as error:
            remedy = "write 09:30, open, close-5m, 2025-12-16T14:30Z or Unix nanoseconds"
            raise TimeSyntaxError(error.message, remedy) from None
    open_ns, close_ns = regular_session(day)
    offset_ns = parse_duration(match[3]) if match[3] else 0
    base_ns = open_ns if match[1] == "open" else close_ns
    return checked_instant(base_ns - offset_ns if match[2] == "-" else base_ns + offset_ns, text)


def session_place(ns: int) -> str:
    """Say where in the trading day an instant (Unix ns) is, as ``1 m 07 s after the open``."""
    now = datetime.fromtimestamp(ns // SECOND, NEW_YORK)
    day = _next_evening(now)
    if day.weekday() >= SATURDAY:
        return "weekend"
    if is_trading_day(day):
        open_ns, close_ns = regular_session(day)
        if ns >= close_ns:
            return f"{_whole_seconds(ns - close_ns)} after the close"
        if ns >= open_ns:
            return f"{_whole_seconds(ns - open_ns)} after the open"
        if ns >= open_ns - _BEFORE_OPEN:
            return f"{_whole_seconds(open_ns - ns)} before the open"
    return f"{_whole_seconds(ns - trading_day(day)[0])} into the {CME_OPEN:%H:%M} session"


def _whole_seconds(ns: int) -> str:
    return duration_text(ns // SECOND * SECOND)


def in_regular_hours(ns: int) -> bool:
    """Tell whether stocks trade in their regular session at an instant (Unix ns)."""
    day = datetime.fromtimestamp(ns // SECOND, NEW_YORK).date()
    if not is_trading_day(day):
        return False
    open_ns, close_ns = regular_session(day)
    return open_ns <= ns < close_ns


def current_expiry(ns: int) -> tuple[date, bool]:
    """Return the expiry of the options that expire next, and whether that is today (0DTE), at an instant (Unix ns).

    It rolls at the end of the option session, New York time; weekends and holidays have the next trading day's.
    """
    now = datetime.fromtimestamp(ns // SECOND, NEW_YORK)
    today = now.date()
    end = OPTIONS_EARLY_CLOSE if closes_early(today) else OPTIONS_CLOSE
    if is_trading_day(today) and now.time() < end:
        return today, True
    return next_trading_day(today), False


def session_text(ns: int, vendor: str = "") -> str:
    """Say what the market does at an instant (Unix ns); ``vendor`` is the vendor's own word for it."""
    now = datetime.fromtimestamp(ns // SECOND, NEW_YORK)
    today = now.date()
    if in_regular_hours(ns):
        early = closes_early(today)
        close, options = (EARLY_CLOSE, OPTIONS_EARLY_CLOSE) if early else (CLOSE, OPTIONS_CLOSE)
        text = f"open: regular session to {close:%H:%M}, options to {options:%H:%M} New York"
        return text if vendor in ("", "open") else f"{text}; the vendor says {vendor}"
    following = today if is_trading_day(today) and now.time() < OPEN else next_trading_day(today)
    state = vendor if vendor in ("extended-hours", "early_trading", "late_trading") else "closed"
    text = f"{state}: the regular session opens {following:%a} {following} {OPEN:%H:%M} New York"
    return f"{text}; the vendor says open" if vendor == "open" else text
