"""The trading days of New York's stock and option markets, with their early closes.

Holidays and early closes, one-off closures included, come from the ``holidays`` package. SPY options trade until
16:15 New York, on early closes until 13:15 (Cboe's trading hours); the regular session of stocks ends at 16:00
and 13:00.
"""

from datetime import date, datetime, timedelta
from datetime import time as clock_time
from functools import cache

from holidays import financial_holidays

from spyctl.timing.instants import NEW_YORK, SECOND

OPEN = clock_time(9, 30)
CLOSE, EARLY_CLOSE = clock_time(16), clock_time(13)
OPTIONS_CLOSE, OPTIONS_EARLY_CLOSE = clock_time(16, 15), clock_time(13, 15)


@cache
def _closed(year: int) -> frozenset[date]:
    return frozenset(financial_holidays("NYSE", years=year))


@cache
def _early(year: int) -> frozenset[date]:
    return frozenset(financial_holidays("NYSE", years=year, categories="half_day"))


def is_trading_day(day: date) -> bool:
    """Tell whether the market opens on a day."""
    return day.weekday() < 5 and day not in _closed(day.year)


def closes_early(day: date) -> bool:
    """Tell whether a trading day ends at 13:00 New York."""
    return is_trading_day(day) and day in _early(day.year)


def next_trading_day(day: date) -> date:
    """Return the first trading day after a day."""
    day += timedelta(days=1)
    while not is_trading_day(day):
        day += timedelta(days=1)
    return day


def in_regular_hours(ns: int) -> bool:
    """Tell whether stocks trade in their regular session at an instant (Unix ns)."""
    now = datetime.fromtimestamp(ns // SECOND, NEW_YORK)
    close = EARLY_CLOSE if closes_early(now.date()) else CLOSE
    return is_trading_day(now.date()) and OPEN <= now.time() < close


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
