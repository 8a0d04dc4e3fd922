"""Places in the stream."""

import time

import pytest

from spyctl.cli.tail_options import LAST, Place, PlaceKind, parse_place, parse_time, range_text
from spyctl.errors import UsageError

NOW_NS = 1_765_898_047_000_000_000  # 2025-12-16 15:14:07 UTC


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: NOW_NS)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (None, Place(PlaceKind.LAST, LAST)),
        ("start", Place(PlaceKind.START)),
        (" NEW ", Place(PlaceKind.NEW)),
        ("0", Place(PlaceKind.SEQUENCE, 0)),
        ("12345678901", Place(PlaceKind.SEQUENCE, 12_345_678_901)),
        ("-100", Place(PlaceKind.LAST, 100)),
        ("-5m", Place(PlaceKind.TIME, NOW_NS - 300 * 10**9)),
        ("1765898047000000001", Place(PlaceKind.TIME, NOW_NS + 1)),
        ("2025-12-16T15:14:07Z", Place(PlaceKind.TIME, NOW_NS)),
    ],
)
def test_a_place_is_an_end_a_number_or_a_time(text: str | None, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["", "end", "--5", "-5x", "²", "-²"])
def test_what_is_not_a_place_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_place(text)


def test_advice_about_a_place_is_about_places() -> None:
    with pytest.raises(UsageError, match="'foo' is not a place in the stream") as caught:
        parse_place("foo")
    assert caught.value.remedy.startswith("start, new, a sequence")


def test_a_time_without_a_day_is_of_today() -> None:
    assert parse_time("10:14:07") == NOW_NS  # New York


def test_a_range_names_its_day() -> None:
    assert range_text(NOW_NS, None) == "event time from 2025-12-16 10:14:07 New York"
    assert range_text(NOW_NS, NOW_NS + 10**9) == "event time from 2025-12-16 10:14:07 to 2025-12-16 10:14:08 New York"
