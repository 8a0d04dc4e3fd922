"""Trading days, sessions, early closes and the expiry that rolls with them, by New York's clock."""

from datetime import UTC, date, datetime

import pytest

from spyctl.errors import NoSessionError, UsageError
from spyctl.market.sessions import (
    closed_stretches,
    closes_early,
    current_expiry,
    futures_closed_text,
    futures_trade,
    futures_trade_from,
    in_regular_hours,
    is_trading_day,
    next_trading_day,
    options_trade_between,
    parse_time,
    regular_session,
    session_place,
    session_text,
    stocks_trade_between,
    trading_day,
    trading_day_end,
    trading_day_of,
)
from spyctl.timing.instants import HOUR, NEW_YORK, SECOND, span_text, utc_text


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


def test_holidays_are_no_trading_days_and_the_day_after_thanksgiving_closes_early() -> None:
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
def test_regular_hours_know_early_closes_and_holidays(when: str, open_: bool) -> None:
    assert in_regular_hours(at(when)) is open_


def test_the_text_of_a_session_names_its_close_or_the_next_open() -> None:
    open_text = "open: regular session to 16:00, options to 16:15 New York"
    assert session_text(at("2025-12-16T10:00-05:00"), "open") == open_text
    assert "13:00, options to 13:15" in session_text(at("2025-11-28T10:00-05:00"))
    assert (
        session_text(at("2025-12-20T10:00-05:00")) == "closed: the regular session opens Mon 2025-12-22 09:30 New York"
    )
    assert session_text(at("2025-12-16T08:00-05:00"), "extended-hours").startswith("extended-hours: ")


@pytest.mark.parametrize(
    ("text", "day", "expected"),
    [
        ("open", "2025-07-01", "2025-07-01T13:30"),
        ("open", "2025-12-16", "2025-12-16T14:30"),
        ("open-5m", "2025-12-16", "2025-12-16T14:25"),
        ("close", "2025-12-16", "2025-12-16T21:00"),
        ("close+1h30m", "2025-12-16", "2025-12-16T22:30"),
        ("close", "2025-11-28", "2025-11-28T18:00"),  # 13:00 New York, the day after Thanksgiving
        ("close-30m", "2025-11-28", "2025-11-28T17:30"),
        ("09:30", "2025-12-14", "2025-12-14T14:30"),  # a clock reading needs no session
        ("2025-12-14T23:00Z", "2025-12-16", "2025-12-14T23:00"),
    ],
)
def test_times_may_be_given_by_the_session(text: str, day: str, expected: str) -> None:
    assert utc_text(parse_time(text, date.fromisoformat(day)))[:16] == expected


@pytest.mark.parametrize(
    ("day", "reason"),
    [("2025-12-14", "a Sunday"), ("2025-12-25", "a holiday (Christmas Day)"), ("2025-12-20", "a Sat")],
)
def test_open_and_close_of_a_day_without_a_session_are_refused(day: str, reason: str) -> None:
    for text in ("open", "close-5m"):
        with pytest.raises(NoSessionError) as caught:
            parse_time(text, date.fromisoformat(day))
        assert caught.value.message.startswith(f"{day} is {reason}")
        assert caught.value.message.endswith("it has no regular session")


@pytest.mark.parametrize("text", ["open-", "open-x", "opening", "noon"])
def test_text_that_is_not_a_time_is_refused_and_open_is_offered(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_time(text, date(2025, 12, 16))
    assert "open" in caught.value.remedy or "1h30m" in caught.value.remedy


def test_a_cme_trading_day_spans_two_utc_days_and_follows_daylight_saving() -> None:
    assert [utc_text(ns)[:16] for ns in trading_day(date(2025, 12, 16))] == ["2025-12-15T23:00", "2025-12-16T22:00"]
    assert [utc_text(ns)[:16] for ns in trading_day(date(2025, 7, 1))] == ["2025-06-30T22:00", "2025-07-01T21:00"]


def test_the_regular_session_includes_its_open_and_excludes_its_close() -> None:
    open_ns, close_ns = regular_session(date(2025, 11, 28))
    assert (in_regular_hours(open_ns), in_regular_hours(close_ns - 1), in_regular_hours(close_ns)) == (
        True,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("when", "place"),
    [
        ("2025-12-16T09:31:07-05:00", "1 m 07 s after the open"),
        ("2025-12-16T09:25-05:00", "5 m 00 s before the open"),
        ("2025-12-16T16:05-05:00", "5 m 00 s after the close"),
        ("2025-12-16T18:01-05:00", "1 m 00 s into the 18:00 session"),
        ("2025-12-16T02:00-05:00", "8 h 00 m into the 18:00 session"),
        ("2025-11-28T13:30-05:00", "30 m 00 s after the close"),  # an early close
        ("2025-12-14T10:00-05:00", "weekend"),  # a Sunday morning
        ("2025-12-14T18:30-05:00", "30 m 00 s into the 18:00 session"),
        ("2025-12-19T20:00-05:00", "weekend"),  # a Friday evening
        ("2025-12-25T10:00-05:00", "16 h 00 m into the 18:00 session"),  # a holiday: no open and no close
    ],
)
def test_the_place_in_the_trading_day(when: str, place: str) -> None:
    assert session_place(at(when)) == place


@pytest.mark.parametrize(
    ("day", "trade"),
    [
        (date(2025, 12, 20), False),  # a Saturday
        (date(2025, 12, 21), True),  # a Sunday, in the evening
        (date(2025, 12, 25), False),
        (date(2026, 1, 1), False),
        (date(2026, 4, 3), False),  # Good Friday
        (date(2021, 12, 24), False),  # Christmas, observed
        (date(2025, 11, 27), True),  # Thanksgiving, until 13:00
        (date(2025, 12, 26), True),
    ],
)
def test_the_days_on_which_futures_trade(day: date, trade: bool) -> None:
    assert futures_trade(day) is trade


def test_the_market_is_closed_an_hour_a_day_and_over_the_weekend() -> None:
    friday, tuesday = date(2025, 12, 12), date(2025, 12, 16)
    start_ns, end_ns = trading_day(friday)[0], trading_day(tuesday)[1]
    assert [(span_text(*stretch, NEW_YORK)) for stretch in closed_stretches(start_ns, end_ns)] == [
        "12-12 17:00 → 12-14 18:00", "17:00 → 18:00",
    ]  # fmt: skip
    assert closed_stretches(start_ns, start_ns + HOUR) == []


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ("2025-12-16T12:00-05:00", ""),
        ("2025-12-16T16:59:59-05:00", ""),
        ("2025-12-16T17:00-05:00", "closed until Tue 2025-12-16 18:00 New York"),
        ("2025-12-16T18:00-05:00", ""),
        ("2025-12-19T17:30-05:00", "closed until Sun 2025-12-21 18:00 New York"),
        ("2025-12-20T12:00-05:00", "closed until Sun 2025-12-21 18:00 New York"),
        ("2025-12-25T12:00-05:00", "closed until Thu 2025-12-25 18:00 New York"),
        ("2025-11-27T12:59-05:00", ""),
        ("2025-11-27T14:00-05:00", "closed until Thu 2025-11-27 18:00 New York"),
    ],
)
def test_futures_that_do_not_trade_say_when_they_do(when: str, text: str) -> None:
    assert futures_closed_text(at(when)) == text


@pytest.mark.parametrize(
    ("start", "end", "trade"),
    [
        ("2025-12-16T03:00-05:00", "2025-12-16T04:00-05:00", False),
        ("2025-12-16T03:00-05:00", "2025-12-16T04:01-05:00", True),
        ("2025-12-16T20:00-05:00", "2025-12-17T03:59-05:00", False),
        ("2025-12-16T19:59-05:00", "2025-12-17T03:59-05:00", True),
        ("2025-12-19T20:00-05:00", "2025-12-22T04:00-05:00", False),  # over a weekend
        ("2025-11-26T21:00-05:00", "2025-11-28T03:00-05:00", False),  # over Thanksgiving
        ("2025-12-19T20:00-05:00", "2025-12-24T04:00-05:00", True),
        ("2025-12-16T12:00-05:00", "2025-12-16T12:00-05:00", True),
    ],
)
def test_whether_stocks_trade_between_two_instants(start: str, end: str, trade: bool) -> None:
    assert stocks_trade_between(at(start), at(end)) is trade


@pytest.mark.parametrize(
    ("start", "end", "trade"),
    [
        ("2025-12-16T16:15-05:00", "2025-12-17T09:30-05:00", False),
        ("2025-12-16T16:14-05:00", "2025-12-17T09:30-05:00", True),
        ("2025-12-16T16:15-05:00", "2025-12-17T09:31-05:00", True),
        ("2025-12-24T13:15-05:00", "2025-12-26T09:30-05:00", False),  # an early close, and Christmas
    ],
)
def test_whether_options_trade_between_two_instants(start: str, end: str, trade: bool) -> None:
    assert options_trade_between(at(start), at(end)) is trade


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2025-12-16T17:59:59-05:00", "2025-12-16"),
        ("2025-12-16T18:00-05:00", "2025-12-17"),
        ("2025-12-17T00:00-05:00", "2025-12-17"),
        ("2025-12-19T17:59-05:00", "2025-12-19"),
        ("2025-12-19T18:00-05:00", "2025-12-22"),  # Friday evening, Saturday and Sunday are Monday's
        ("2025-12-20T12:00-05:00", "2025-12-22"),
        ("2025-12-21T12:00-05:00", "2025-12-22"),
        ("2025-12-21T18:00-05:00", "2025-12-22"),
        ("2025-07-01T21:59+00:00", "2025-07-01"),
        ("2025-07-01T22:00+00:00", "2025-07-02"),
    ],
)
def test_every_instant_belongs_to_a_trading_day(text: str, day: str) -> None:
    ns = at(text)
    assert trading_day_of(ns) == date.fromisoformat(day)
    assert ns < trading_day_end(trading_day_of(ns))
    assert trading_day_of(trading_day_end(trading_day_of(ns)) - 1) == trading_day_of(ns)
    assert trading_day_of(trading_day_end(trading_day_of(ns))) > trading_day_of(ns)


@pytest.mark.parametrize(
    ("when", "trades"),
    [
        ("2025-12-16T12:00-05:00", "2025-12-16T12:00-05:00"),
        ("2025-12-16T16:59-05:00", "2025-12-16T16:59-05:00"),
        ("2025-12-16T17:00-05:00", "2025-12-16T18:00-05:00"),
        ("2025-12-19T17:00-05:00", "2025-12-21T18:00-05:00"),
        ("2025-12-24T20:00-05:00", "2025-12-25T18:00-05:00"),
        ("2025-11-27T13:00-05:00", "2025-11-27T18:00-05:00"),
    ],
)
def test_futures_trade_at_once_or_from_the_next_open_on(when: str, trades: str) -> None:
    assert futures_trade_from(at(when)) == at(trades)
