from datetime import UTC, date, datetime, timedelta, tzinfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spyctl.errors import UsageError
from spyctl.timing.instants import (
    DAY,
    HOUR,
    MINUTE,
    MS,
    NEW_YORK,
    SECOND,
    clock_on,
    clock_text,
    day_start,
    duration_text,
    parse_date,
    parse_duration,
    parse_instant,
    parse_zone,
    span_text,
    utc_text,
)

WINTER = date(2025, 12, 16)
SUMMER = date(2025, 7, 1)


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("5", 5 * SECOND),
        ("0.25", 250 * MS),
        ("250ms", 250 * MS),
        ("2m", 2 * MINUTE),
        ("1h30m", HOUR + 30 * MINUTE),
        ("1.5h", HOUR + 30 * MINUTE),
        ("7ns", 7),
        ("3µs", 3_000),
        ("1d", DAY),
    ],
)
def test_durations_are_read_with_their_units(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize("zone", [UTC, NEW_YORK])
def test_today_and_yesterday_are_days_of_a_zone(zone: tzinfo) -> None:
    before = datetime.now(zone).date()
    today, yesterday = parse_date("today", zone), parse_date("yesterday", zone)
    after = datetime.now(zone).date()
    assert before <= today <= after
    assert before - timedelta(days=1) <= yesterday <= after - timedelta(days=1)


@pytest.mark.parametrize("text", ["", "x", "5 m", "-5", "1h 30", "m5", "1e3", "٣"])
def test_text_that_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "day", "expected"),
    [
        ("09:30", WINTER, "2025-12-16T14:30:00"),
        ("09:30", SUMMER, "2025-07-01T13:30:00"),
        ("2025-12-16T14:30Z", SUMMER, "2025-12-16T14:30:00"),
        ("2025-12-16T09:30:00-05:00", SUMMER, "2025-12-16T14:30:00"),
        ("2025-12-16 09:30", SUMMER, "2025-12-16T14:30:00"),
        # A New York clock reading means the instant within the UTC day of the files.
        ("20:00", WINTER, "2025-12-16T01:00:00"),
        ("18:59:59", WINTER, "2025-12-16T23:59:59"),
    ],
)
def test_clock_readings_and_iso_times_are_read_within_the_utc_day(text: str, day: date, expected: str) -> None:
    assert parse_instant(text, day) == utc(expected)


def test_fractions_of_a_second_are_exact() -> None:
    assert parse_instant("09:30:00.000000001", WINTER) == utc("2025-12-16T14:30:00") + 1
    assert parse_instant("1765895400000000001", WINTER) == 1_765_895_400_000_000_001


@pytest.mark.parametrize("text", ["", "9", "25:00", "09:60", "noon", "open", "2025-13-01T00:00", "-09:30"])
def test_text_that_is_not_a_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_instant(text, WINTER)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(UsageError):
        parse_zone("Mars/Olympus")


def test_instants_and_durations_are_written_with_their_units() -> None:
    ns = utc("2025-12-16T14:30:00") + 4_000_009
    assert utc_text(ns) == "2025-12-16T14:30:00.004000009Z"
    assert clock_text(ns, NEW_YORK) == "09:30:00.004"
    assert clock_text(ns, digits=0) == "14:30:00"
    assert duration_text(67 * SECOND) == "1 m 07 s"
    assert duration_text(9 * MINUTE + 59_987 * MS, 3) == "9 m 59.987 s"
    assert duration_text(4 * MS) == "4 ms"
    assert duration_text(59_999 * MS, 3) == "59.999 s"
    assert duration_text(2 * HOUR + 5 * MINUTE) == "2 h 05 m"


@given(st.integers(0, 4_000_000_000 * SECOND))
def test_utc_text_reads_back(ns: int) -> None:
    assert parse_instant(utc_text(ns), WINTER) == ns


@pytest.mark.parametrize("text", ["02:30", "2025-03-09T02:00", "02:59:59.9"])
def test_a_time_that_daylight_saving_skips_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"there is no 02:\d\d on 2025-03-09 in America/New_York"):
        parse_instant(text, date(2025, 3, 9))
    assert parse_instant("03:00", date(2025, 3, 9)) == parse_instant("01:59:59", date(2025, 3, 9)) + SECOND


@given(st.dates(date(2000, 1, 1), date(2050, 1, 1)), st.integers(0, 86_399))
@example(date(2025, 3, 9), 2 * 3_600)
def test_a_clock_reading_lies_within_its_utc_day(day: date, second: int) -> None:
    text = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    try:
        instant = parse_instant(text, day)
    except UsageError:
        return  # a reading that daylight saving skips
    assert 0 <= instant - day_start(day) < DAY
    assert clock_text(instant, NEW_YORK, 0) == text


def test_a_span_has_dates_where_they_are_not_those_beside_it() -> None:
    day, midnight = date(2025, 12, 16), day_start(date(2025, 12, 16))
    assert span_text(midnight, midnight + HOUR, NEW_YORK, day) == "12-15 19:00 → 12-15 20:00"
    assert span_text(midnight, midnight + HOUR, UTC, day) == "00:00:00 → 01:00:00"
    assert span_text(midnight, midnight + 30 * DAY, UTC) == "2025-12-16 00:00:00 → 2026-01-15 00:00:00"


def test_a_time_of_another_date_is_written_with_it() -> None:
    day, midnight = date(2025, 12, 16), day_start(date(2025, 12, 16))
    assert clock_on(midnight, day) == "00:00:00.000"
    assert clock_on(midnight - 1, day, digits=9) == "12-15 23:59:59.999999999"
    assert clock_on(midnight, day, NEW_YORK, 0) == "12-15 19:00:00"


def test_a_time_that_comes_twice_is_refused_with_both_ways_to_write_it() -> None:
    back = date(2025, 11, 2)
    with pytest.raises(UsageError, match="01:30 on 2025-11-02 comes twice in America/New_York") as caught:
        parse_instant("01:30", back)
    assert caught.value.remedy == "write 2025-11-02T01:30:00-0400 or 2025-11-02T01:30:00-0500"
    for text in ("2025-11-02T01:30:00-0400", "2025-11-02T01:30-05:00", "02:00", "00:59"):
        assert parse_instant(text, back)


def test_a_date_of_another_year_has_its_year() -> None:
    new_year = day_start(date(2026, 1, 1))
    assert span_text(new_year, new_year + HOUR, NEW_YORK, date(2026, 1, 1)) == "2025-12-31 19:00 → 2025-12-31 20:00"
    assert clock_on(new_year, date(2026, 1, 1), NEW_YORK, 0) == "2025-12-31 19:00:00"
