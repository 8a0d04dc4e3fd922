"""Trading days, early closes and the expiry that rolls with them, by New York's clock."""

from datetime import UTC, date, datetime

import pytest

from spyctl.market.sessions import (
    closes_early,
    current_expiry,
    in_regular_hours,
    is_trading_day,
    next_trading_day,
    session_text,
)
from spyctl.timing.instants import SECOND


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("when", "expiry", "today"),
    [
        ("2025-12-16T09:00-05:00", date(2025, 12, 16), True),
        ("2025-12-16T16:14:59-05:00", date(2025, 12, 16), True),
        ("2025-12-16T16:15:00-05:00", date(2025, 12, 17), False),
        ("2025-12-16T22:00-05:00", date(2025, 12, 17), False),  # the UTC date is the 17th already
        ("2025-12-20T12:00-05:00", date(2025, 12, 22), False),  # a Saturday
        ("2025-12-24T13:14:59-05:00", date(2025, 12, 24), True),  # an early close
        ("2025-12-24T13:15-05:00", date(2025, 12, 26), False),  # and Christmas behind it
        ("2025-01-09T12:00-05:00", date(2025, 1, 10), False),  # closed once, for a day of mourning
        ("2025-07-15T16:14:59-04:00", date(2025, 7, 15), True),  # summer time
        ("2025-07-15T16:15:00-04:00", date(2025, 7, 16), False),
        ("2025-03-10T09:00-04:00", date(2025, 3, 10), True),  # the Monday after the clocks went forward
    ],
)
def test_the_expiry_is_the_current_trading_date_until_its_session_ends(when: str, expiry: date, today: bool) -> None:
    assert current_expiry(at(when)) == (expiry, today)


def test_holidays_and_early_closes() -> None:
    assert not is_trading_day(date(2026, 4, 3))  # Good Friday
    assert not is_trading_day(date(2026, 7, 3))  # Independence Day, observed
    assert next_trading_day(date(2026, 11, 25)) == date(2026, 11, 27)
    assert closes_early(date(2026, 11, 27))
    assert not closes_early(date(2026, 7, 3))


@pytest.mark.parametrize(
    ("when", "open_"),
    [
        ("2025-12-16T09:29:59-05:00", False),
        ("2025-12-16T09:30-05:00", True),
        ("2025-12-16T16:00-05:00", False),
        ("2025-11-28T13:00-05:00", False),
        ("2025-11-28T12:59-05:00", True),
        ("2025-12-25T12:00-05:00", False),
    ],
)
def test_regular_hours(when: str, open_: bool) -> None:
    assert in_regular_hours(at(when)) is open_


def test_the_session_in_words() -> None:
    open_text = "open: regular session to 16:00, options to 16:15 New York"
    assert session_text(at("2025-12-16T10:00-05:00"), "open") == open_text
    assert "13:00, options to 13:15" in session_text(at("2025-11-28T10:00-05:00"))
    assert (
        session_text(at("2025-12-20T10:00-05:00")) == "closed: the regular session opens Mon 2025-12-22 09:30 New York"
    )
    assert session_text(at("2025-12-16T08:00-05:00"), "extended-hours").startswith("extended-hours: ")
