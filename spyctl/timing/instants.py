"""Instants and durations: integers of nanoseconds inside, text outside.

An instant is Unix nanoseconds UTC, a day the number of days since 1970-01-01 UTC. New York is the zone of
every wall-clock time a user types or reads first; the zone database takes care of daylight saving.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TypeGuard
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from spyctl.errors import TimeSyntaxError, UsageError

US = 1_000
MS = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MAX_INSTANT = (1 << 63) - 1

NEW_YORK = ZoneInfo("America/New_York")
DAYS_AGO = {"today": 0, "yesterday": 1}
_EPOCH = date(1970, 1, 1)
_UNITS = {"ns": 1, "us": US, "µs": US, "ms": MS, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?", re.ASCII)
_ISO = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)\s*(Z|[+-]\d{2}:?\d{2})?", re.ASCII)


def day_number(day: date) -> int:
    """Count the days from 1970-01-01 to ``day``."""
    return (day - _EPOCH).days


def date_of(ns: int) -> date:
    """Return the UTC date of an instant."""
    return _EPOCH + timedelta(days=ns // DAY)


def day_start(day: date) -> int:
    """Return the instant at which a UTC day begins."""
    return day_number(day) * DAY


def parse_date(text: str, zone: tzinfo = UTC) -> date:
    """Read an ISO date such as ``2025-12-16``, or ``today`` or ``yesterday`` in a zone; raises :class:`UsageError`."""
    if text in DAYS_AGO:
        return (datetime.now(zone) - timedelta(days=DAYS_AGO[text])).date()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a date", "write it as 2025-12-16") from None
    if not 1970 < day.year < 2200:
        raise UsageError(f"{text} lies outside the years 1971 to 2199", "write it as 2025-12-16")
    return day


def parse_zone(name: str) -> ZoneInfo:
    """Look up an IANA zone such as ``America/New_York``; raises :class:`UsageError`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"there is no time zone {name!r}", "use an IANA name: America/New_York, UTC") from None


def parse_duration(text: str) -> int:
    """Read ``5`` (seconds), ``250ms``, ``2m`` or ``1h30m`` as nanoseconds; raises :class:`UsageError`."""
    compact = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", compact, re.ASCII):
        compact += "s"
    parts = _DURATION_PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise UsageError(f"{text!r} is not a duration", "write 5, 250ms, 2m or 1h30m")
    return sum(_scaled(number, _UNITS[unit]) for number, unit in parts)


def _scaled(number: str, scale: int) -> int:
    whole, _, fraction = number.partition(".")
    return int(whole) * scale + (int(fraction) * scale // 10 ** len(fraction) if fraction else 0)


def parse_instant(text: str, day: date, zone: ZoneInfo = NEW_YORK) -> int:
    """Read a time of a UTC ``day`` as an instant.

    Understood are ``09:30``, ``09:30:00.5`` (in ``zone``, within that UTC day), ISO with or without an offset, and
    Unix nanoseconds. Raises :class:`TimeSyntaxError` for anything else, :class:`UsageError` for an instant before 1970
    or after 2261.
    """
    return checked_instant(_instant(text.strip(), day, zone), text)


def is_instant(value: object) -> TypeGuard[int]:
    """Tell whether a value from outside is an instant (Unix ns) of the years 1970 to 2261."""
    return type(value) is int and 0 <= value <= MAX_INSTANT


def checked_instant(ns: int, text: str) -> int:
    """Return an instant that was read from ``text``; raises :class:`UsageError` outside the years 1970 to 2261."""
    if not is_instant(ns):
        raise UsageError(f"{text!r} is outside the years 1970 to 2261", "choose a time within the days of the data")
    return ns


def _instant(text: str, day: date, zone: ZoneInfo) -> int:
    if re.fullmatch(r"\d{12,19}", text, re.ASCII):
        return int(text)
    try:
        if match := _ISO.fullmatch(text):
            iso_day, clock, offset_text = date.fromisoformat(match[1]), match[2], match[3]
            if offset_text is None:
                return instant_at(iso_day, _clock(clock), zone)
            return day_start(iso_day) + _clock(clock) - _utc_offset(offset_text)
        if _CLOCK.fullmatch(text):
            return _within(day, _clock(text), zone)
    except ValueError:
        pass
    raise TimeSyntaxError(f"{text!r} is not a time", "write 09:30, 2025-12-16T14:30Z or Unix nanoseconds")


def _clock(text: str) -> int:
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError(text)
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(text)
    return hour * HOUR + minute * MINUTE + second * SECOND + int((match[4] or "").ljust(9, "0"))


def _utc_offset(text: str) -> int:
    if text == "Z":
        return 0
    size = int(text[1:3]) * HOUR + int(text[-2:]) * MINUTE
    return -size if text[0] == "-" else size


def instant_at(day: date, clock_ns: int, zone: ZoneInfo) -> int:
    """Return the instant at which the clocks of a zone show ``clock_ns`` (ns since midnight) on a day.

    Raises :class:`UsageError` for a time that daylight saving skips, or that it has twice.
    """
    local = datetime(day.year, day.month, day.day) + timedelta(seconds=clock_ns // SECOND)  # noqa: DTZ001
    moment = local.replace(tzinfo=zone)
    if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        raise UsageError(
            f"there is no {local:%H:%M} on {day} in {zone.key}: the clocks go forward", "an earlier or a later time"
        )
    first, second = moment.utcoffset(), moment.replace(fold=1).utcoffset()
    if first != second:
        offsets = (f"{local.isoformat()}{one:%z}" for one in (moment, moment.replace(fold=1)))
        raise UsageError(
            f"{local:%H:%M} on {day} comes twice in {zone.key}: the clocks go back", f"write {' or '.join(offsets)}"
        )
    return int(moment.timestamp()) * SECOND + clock_ns % SECOND


def _within(day: date, clock_ns: int, zone: ZoneInfo) -> int:
    # A clock reading occurs on the day before, the day itself and the day after; one of them is in the UTC day.
    start, skipped = day_start(day), None
    for shift in (0, -1, 1):
        try:
            instant = instant_at(day + timedelta(days=shift), clock_ns, zone)
        except UsageError as error:
            skipped = error
            continue
        if start <= instant < start + DAY:
            return instant
    raise skipped or ValueError(clock_ns)


def clock_text(ns: int, zone: ZoneInfo | None = None, digits: int = 3) -> str:
    """Write the time of day of an instant, as ``14:30:00.004`` (UTC unless a zone is given)."""
    moment = datetime.fromtimestamp(ns // SECOND, zone or UTC)
    text = moment.strftime("%H:%M:%S")
    return f"{text}.{ns % SECOND:09d}"[: len(text) + 1 + digits] if digits else text


def whole_seconds(first_ns: int, last_ns: int) -> tuple[int, int]:
    """Widen a span to whole seconds, so that it reads ``14:25:00 → 14:35:00``."""
    return first_ns // SECOND * SECOND, -(-last_ns // SECOND) * SECOND


def span_text(start_ns: int, end_ns: int, zone: tzinfo, day: date | None = None) -> str:
    """Write a span in a zone: ``14:25:00 → 14:35:00``, without seconds that are 0.

    Dates are written where they differ, or are not the ``day`` beside it. In UTC seconds are always written.
    """
    moments = [datetime.fromtimestamp(ns // SECOND, zone) for ns in (start_ns, end_ns)]
    clock = "%H:%M" if zone is not UTC and not any(moment.second for moment in moments) else "%H:%M:%S"
    years = {moment.year for moment in moments} | ({day.year} if day is not None else set())
    if len(years) > 1:
        clock = f"%Y-%m-%d {clock}"
    elif moments[0].date() != moments[1].date() or day not in (None, moments[0].date()):
        clock = f"%m-%d {clock}"
    return " → ".join(moment.strftime(clock) for moment in moments)


def clock_on(ns: int, day: date, zone: ZoneInfo | None = None, digits: int = 3) -> str:
    """Write the time of day of an instant, with month and day before it where it is of another date than ``day``."""
    moment = datetime.fromtimestamp(ns // SECOND, zone or UTC)
    if moment.date() == day:
        return clock_text(ns, zone, digits)
    return f"{moment:{'%m-%d' if moment.year == day.year else '%Y-%m-%d'}} {clock_text(ns, zone, digits)}"


def utc_text(ns: int) -> str:
    """Write an instant as ISO 8601 with nanoseconds, as ``2025-12-16T14:30:00.004000000Z``."""
    return f"{date_of(ns).isoformat()}T{clock_text(ns, digits=9)}Z"


def days_text(days: Sequence[date]) -> str:
    """Write some days, the first three of many."""
    return ", ".join(map(str, days[:3])) + (" …" if len(days) > 3 else "")


def duration_text(ns: int, digits: int = 0) -> str:
    """Write a duration with its units: ``4 ms``, ``5.3 s``, ``1 m 07 s``, ``2 h 05 m``.

    ``digits`` are the decimals of the seconds where minutes are shown.
    """
    if ns < 0:
        return "-" + duration_text(-ns, digits)
    if 0 < ns < SECOND:
        return f"{max(1, round(ns / MS))} ms"
    scale = 10**digits
    ticks = (ns * scale + SECOND // 2) // SECOND
    seconds, fraction = divmod(ticks, scale)
    if seconds < 60:
        tenths = max(digits, 1)
        return f"{ns / SECOND:.{tenths}f} s"
    minutes, seconds = divmod(seconds, 60)
    tail = f".{fraction:0{digits}d}" if digits else ""
    if minutes < 60:
        return f"{minutes} m {seconds:02d}{tail} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} m"
