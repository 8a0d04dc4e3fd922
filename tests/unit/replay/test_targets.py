"""What a text means as a place in a plan."""

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.dbn.sort_times import Selection
from spyctl.errors import UsageError
from spyctl.replay.source import DBNIngestor
from spyctl.replay.targets import Span, span_of
from spyctl.timing.instants import HOUR, MINUTE, NEW_YORK, SECOND
from tests.support.records import T0, trade, write_file


def new_york(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()) * SECOND


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def span(first: str, last: str, **more: int) -> Span:
    return Span(new_york(first), new_york(last), **more)


DAY = span("2025-12-16T09:00", "2025-12-16T17:00")
# A CME trading day is on two UTC days, of which New York's evening of the first is already the second one.
TRADING_DAY = span("2025-12-15T18:00", "2025-12-16T16:59:59")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("09:30", "2025-12-16T09:30"),
        ("9:30:15", "2025-12-16T09:30:15"),
        ("open", "2025-12-16T09:30"),
        ("OPEN+5m", "2025-12-16T09:35"),
        ("close-10m", "2025-12-16T15:50"),
        ("2025-12-16T14:30Z", "2025-12-16T09:30"),
        ("2025-12-16 10:00", "2025-12-16T10:00"),
        (str(T0), "2025-12-16T09:30"),
        ("m1", "2025-12-16T11:00"),
        ("+10s", "2025-12-16T12:00:10"),
        ("-1h30m", "2025-12-16T10:30"),
        ("17:00", "2025-12-16T17:00"),
        ("09:00", "2025-12-16T09:00"),
        ("08:00", "2025-12-16T09:00"),  # shortly before the first event means that event
        ("-5h", "2025-12-16T09:00"),  # back beyond the first event ends there
        ("-500d", "2025-12-16T09:00"),
    ],
)
def test_a_text_is_a_time_of_the_plan(text: str, expected: str) -> None:
    marks = {"m1": new_york("2025-12-16T11:00")}
    assert DAY.find(text, new_york("2025-12-16T12:00"), marks) == new_york(expected)


@pytest.mark.parametrize("text", ["17:00:01", "07:59:59", "+5h0m1s", "2025-12-17T10:00", "1", "close+1h1m", "0"])
def test_what_is_outside_the_plan_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        DAY.find(text, new_york("2025-12-16T12:00"), {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a time"),
        ("noon", "'noon' is not a time"),
        ("25:00", "'25:00' is not a time"),
        ("open+x", "'x' is not a duration"),
        ("+", "'' is not a duration"),
        ("-soon", "'soon' is not a duration"),
        ("18:00", "18:00 is outside the plan"),
    ],
)
def test_what_is_no_time_is_refused_in_a_sentence(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DAY.find(text, new_york("2025-12-16T12:00"), {})


@pytest.mark.parametrize("now", ["2025-12-15T18:30", "2025-12-15T19:30", "2025-12-16T10:00"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("18:00", "2025-12-15T18:00"),
        ("18:30", "2025-12-15T18:30"),
        ("20:00", "2025-12-15T20:00"),
        ("02:00", "2025-12-16T02:00"),
        ("09:30", "2025-12-16T09:30"),
        ("open", "2025-12-16T09:30"),
        ("close", "2025-12-16T16:00"),
        ("17:30", "2025-12-15T18:00"),
    ],
)
def test_a_trading_day_is_on_two_utc_days(now: str, text: str, expected: str) -> None:
    assert TRADING_DAY.find(text, new_york(now), {}) == new_york(expected)


def test_in_a_plan_of_several_days_a_clock_reading_means_the_day_that_is_reached() -> None:
    week = span("2025-12-15T00:30", "2025-12-19T16:00")
    assert week.find("10:00", new_york("2025-12-17T12:00"), {}) == new_york("2025-12-17T10:00")
    assert week.find("open", new_york("2025-12-18T08:00"), {}) == new_york("2025-12-18T09:30")


def test_half_days_close_early_and_holidays_mean_the_next_day_that_is_played() -> None:
    half = span("2025-11-26T18:00", "2025-11-28T13:15")
    assert half.find("close", new_york("2025-11-28T10:00"), {}) == new_york("2025-11-28T13:00")
    assert half.find("open", new_york("2025-11-27T10:00"), {}) == new_york("2025-11-28T09:30")
    holiday = span("2025-11-27T03:00", "2025-11-27T12:00")
    with pytest.raises(UsageError):
        holiday.find("open", new_york("2025-11-27T10:00"), {})
    weekend = span("2025-12-13T03:00", "2025-12-13T12:00")
    with pytest.raises(UsageError):
        weekend.find("close", new_york("2025-12-13T10:00"), {})


@pytest.mark.parametrize(
    ("now", "text"), [("2025-03-07T12:00", "02:30"), ("2025-03-10T12:00", "02:30"), ("2025-11-03T12:00", "01:30")]
)
def test_a_clock_change_on_another_day_is_no_obstacle(now: str, text: str) -> None:
    day = now[:10]
    plan = span(f"{day}T00:00", f"{day}T16:00")
    assert plan.find(text, new_york(now), {}) == new_york(f"{day}T{text}")


def test_shortly_before_the_first_event_of_another_day_means_that_event_too() -> None:
    plan = Span(new_york("2025-12-15T18:00") + 20_000_000, new_york("2025-12-16T16:59"))
    assert plan.find("18:00", new_york("2025-12-16T15:00"), {}) == plan.first_ns


def test_where_nobody_has_counted_the_first_event_may_be_a_little_earlier() -> None:
    plan = Span(DAY.first_ns, DAY.last_ns, slack_ns=SECOND)
    assert plan.begin_ns == DAY.first_ns - SECOND
    assert plan.find("-9h", DAY.first_ns, {}) == plan.begin_ns
    assert plan.find("08:59:59", DAY.last_ns, {}) == plan.begin_ns


def test_times_are_read_in_the_zone_of_the_plan() -> None:
    plan = Span(DAY.first_ns, DAY.last_ns, ZoneInfo("UTC"))
    assert plan.find("14:30", DAY.first_ns, {}) == T0
    assert plan.text == "2025-12-16 14:00:00 → 22:00:00 UTC"


def test_the_plan_is_told_by_its_date_there() -> None:
    assert DAY.text == "2025-12-16 09:00:00 → 17:00:00 America/New_York"
    evening = span("2025-12-15T19:30", "2025-12-16T16:00")
    assert evening.text == "2025-12-15 19:30:00 → 12-16 16:00:00 America/New_York"


@given(st.integers(-10 * 3_600, 10 * 3_600), st.integers(0, 8 * 3_600))
def test_a_step_in_time_never_leaves_the_plan(seconds: int, reached: int) -> None:
    now_ns = DAY.first_ns + reached * SECOND
    wanted = now_ns + seconds * SECOND
    try:
        assert DAY.find(f"{seconds:+d}s", now_ns, {}) == max(wanted, DAY.first_ns)
    except UsageError:
        assert wanted > DAY.last_ns


def test_the_span_of_files_within_a_selection(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [trade(T0), trade(T0 + HOUR)])
    infos = DBNIngestor(tmp_path).discover_files()
    whole = span_of(infos, Selection())
    assert whole.begin_ns <= T0 <= T0 + HOUR <= whole.last_ns
    part = span_of(infos, Selection(start_ns=T0 + MINUTE, end_ns=T0 + 2 * MINUTE))
    assert (part.first_ns, part.last_ns) == (T0 + MINUTE, T0 + 2 * MINUTE - 1)
    beyond = span_of(infos, Selection(start_ns=T0 + 9 * HOUR))
    assert beyond.first_ns <= beyond.last_ns
    assert date.fromisoformat(whole.text[:10]) == date(2025, 12, 16)
