"""What ``spyctl tail`` may be asked for: a place in the stream, and a form."""

import time
from enum import Enum, StrEnum, auto
from typing import NamedTuple

from spyctl.errors import TimeSyntaxError, UsageError

LAST = 10  # events shown where no place is named


class TailForm(StrEnum):
    """How events are written."""

    TEXT = "text"
    JSON = "json"
    RAW = "raw"
    STATS = "stats"


class PlaceKind(Enum):
    """What the number of a :class:`Place` means."""

    START = auto()
    NEW = auto()
    SEQUENCE = auto()
    LAST = auto()
    TIME = auto()


class Place(NamedTuple):
    """Where in the stream to begin: ``number`` is a sequence, a count of last events, or a stored time in ns."""

    kind: PlaceKind
    number: int = 0


def parse_place(text: str | None) -> Place:
    """Read ``start``, ``new``, a sequence, ``-100``, ``-5m`` or a time; ``None`` is the last few events.

    Raises :class:`UsageError`.
    """
    from spyctl.timing.instants import parse_duration

    if text is None:
        return Place(PlaceKind.LAST, LAST)
    plain = text.strip().lower()
    if plain == "start":
        return Place(PlaceKind.START)
    if plain == "new":
        return Place(PlaceKind.NEW)
    if _is_number(plain) and len(plain) < 12:  # a longer one is a time in ns
        return Place(PlaceKind.SEQUENCE, int(plain))
    if plain.startswith("-"):
        if _is_number(plain[1:]):
            return Place(PlaceKind.LAST, int(plain[1:]))
        return Place(PlaceKind.TIME, time.time_ns() - parse_duration(plain[1:]))
    try:
        return Place(PlaceKind.TIME, parse_time(text))
    except TimeSyntaxError:
        raise UsageError(f"{text!r} is not a place in the stream", "start, new, a sequence, -100, -5m, 09:30") from None


def parse_time(text: str) -> int:
    """Read an instant, of today (UTC) where it names no day; raises :class:`UsageError`."""
    from datetime import UTC, datetime

    from spyctl.market.sessions import parse_time as parse
    from spyctl.timing.instants import SECOND

    return parse(text, datetime.fromtimestamp(time.time_ns() // SECOND, UTC).date())


def range_text(start_ns: int | None, end_ns: int | None) -> str:
    """Say which event times are shown, with their day: ``from 2025-12-16 09:30:00 New York``; ``None`` is no bound."""
    from datetime import datetime

    from spyctl.timing.instants import NEW_YORK, SECOND

    shown = [
        f"{word} {datetime.fromtimestamp(ns // SECOND, NEW_YORK):%Y-%m-%d %H:%M:%S}"
        for word, ns in (("from", start_ns), ("to", end_ns))
        if ns is not None
    ]
    return f"event time {' '.join(shown)} New York"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
