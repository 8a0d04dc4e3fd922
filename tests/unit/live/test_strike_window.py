"""The window while it is live: at most one move a second, a grace for what leaves, a roll at the session's end."""

from datetime import UTC, date, datetime

from spyctl.live.strike_manager import StrikeManager
from spyctl.live.strike_window import StrikeWindow
from spyctl.timing.instants import SECOND


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp()) * SECOND


NOON = at("2025-12-16T12:00-05:00")


def tick(window: StrikeWindow, ns: int) -> bool:
    return window.tick(ns, ns)  # both clocks agree here


def strikes(window: StrikeWindow) -> list[int]:
    return sorted({int(topic[-8:]) // 1000 for topic in window.topics})


def quoted(window: StrikeWindow, price: float, ns: int) -> None:
    for _ in range(3):  # so many in a row are believed, however far they are
        window.spot.quote(price - 0.01, price + 0.01, ns)


def window_at(price: float, now_ns: int = NOON, strike_range: int = 1) -> StrikeWindow:
    window = StrikeWindow(StrikeManager(strike_range), now_ns)
    quoted(window, price, now_ns)
    assert tick(window, now_ns)
    return window


def test_nothing_is_guessed_before_the_first_spot() -> None:
    window = StrikeWindow(StrikeManager(5), NOON)
    assert not tick(window, NOON)
    assert window.topics == frozenset()


def test_what_leaves_stays_for_thirty_seconds() -> None:
    window = window_at(680.0)
    quoted(window, 681.0, NOON + SECOND)
    assert tick(window, NOON + SECOND)
    assert strikes(window) == [679, 680, 681, 682]
    assert not tick(window, NOON + 30 * SECOND)
    assert tick(window, NOON + 31 * SECOND)
    assert strikes(window) == [680, 681, 682]


def test_a_strike_that_comes_back_is_not_removed() -> None:
    window = window_at(680.0)
    for second, price in ((1, 681.0), (10, 680.0)):
        quoted(window, price, NOON + second * SECOND)
        tick(window, NOON + second * SECOND)
    assert {topic[-8:-3] for topic in window.leaving} == {"00682"}
    tick(window, NOON + 35 * SECOND)
    assert 679 in strikes(window)
    tick(window, NOON + 45 * SECOND)
    assert strikes(window) == [679, 680, 681]


def test_at_most_one_move_a_second() -> None:
    window = window_at(680.0)
    quoted(window, 682.0, NOON + SECOND // 2)
    assert not tick(window, NOON + SECOND // 2)
    assert tick(window, NOON + SECOND)


def test_a_wall_clock_that_steps_back_does_not_hold_the_window_up() -> None:
    window = window_at(680.0)
    quoted(window, 683.0, NOON + 2 * SECOND)
    assert window.tick(NOON - 3_600 * SECOND, NOON + 2 * SECOND)
    assert 684 in strikes(window)


def test_what_is_pinned_is_held_and_expected() -> None:
    window = window_at(680.0)
    window.pinned.add("T.O:SPY260116C00500000")
    assert "T.O:SPY260116C00500000" in window.topics
    assert window.expects("O:SPY260116C00500000", NOON)


def test_a_missing_or_frozen_spot_freezes_the_window() -> None:
    window = window_at(680.0)
    before = window.topics
    for second in range(1, 600):
        assert not tick(window, NOON + second * SECOND)
    assert window.topics == before


def test_the_expiry_rolls_at_the_end_of_the_session_and_takes_everything_along() -> None:
    end = at("2025-12-16T16:15-05:00")
    window = window_at(680.0, end - 3 * SECOND)
    quoted(window, 681.0, end - 2 * SECOND)
    assert tick(window, end - 2 * SECOND)
    assert window.leaving
    assert window.is_0dte
    assert tick(window, end)
    assert window.manager.expiry == date(2025, 12, 17)
    assert not window.is_0dte
    assert all("251217" in topic for topic in window.topics - window.leaving.keys())


def test_what_has_expired_stays_subscribed_for_the_grace_and_is_kept_for_a_minute() -> None:
    end = at("2025-12-16T16:15-05:00")
    window = window_at(680.0, end - 3 * SECOND)
    old = window.topics
    tick(window, end)
    assert old < window.topics
    assert set(window.leaving) == old
    tick(window, end + 30 * SECOND)
    assert not old & window.topics
    assert window.expects("O:SPY251216C00699000", end + 59 * SECOND)  # a contract that had left the window long before
    assert not window.expects("O:SPY251216C00699000", end + 60 * SECOND)


def test_a_fixed_expiry_stays() -> None:
    window = StrikeWindow(StrikeManager(1), NOON, date(2026, 1, 16))
    quoted(window, 680, NOON)
    tick(window, NOON)
    assert all("260116" in topic for topic in window.topics)
    assert not window.is_0dte


def test_what_is_expected() -> None:
    window = window_at(680.0)
    assert window.expects("O:SPY251216C00700000", NOON)  # ours, if not in the window
    assert not window.expects("O:SPY251217C00680000", NOON)
    assert not window.expects("O:SPXW251216C06800000", NOON)
    end = at("2025-12-16T16:15-05:00")
    tick(window, end)
    assert window.expects("O:SPY251216C00680000", end + 59 * SECOND)  # of the last expiry, within a minute
    tick(window, end + 30 * SECOND)
    assert window.expects("O:SPY251216C00680000", end + 89 * SECOND)  # held within the last minute
    assert not window.expects("O:SPY251216C00680000", end + 90 * SECOND)


def test_a_list_of_contracts_narrows_the_window() -> None:
    window = window_at(680.0, strike_range=2)
    window.relist({679_000, 680_000}, NOON + SECOND)
    assert strikes(window) == [678, 679, 680, 681, 682]  # the others are leaving
    tick(window, NOON + 31 * SECOND)
    assert strikes(window) == [679, 680]


def test_a_new_list_of_contracts_does_not_move_the_centre() -> None:
    window = window_at(680.40)
    assert window.manager.centre == 680
    window.spot.quote(680.54, 680.56, NOON)  # 0.15 away, and nearer to 681
    window.relist({1000 * strike for strike in range(600, 700)}, NOON)
    assert window.manager.centre == 680


def test_what_is_no_longer_pinned_goes_after_the_usual_grace() -> None:
    window = window_at(680.0)
    window.pin(["T.O:SPY260116C00500000"], [], NOON)
    window.pin([], ["T.O:SPY260116C00500000"], NOON)
    assert "T.O:SPY260116C00500000" in window.topics
    tick(window, NOON + 30 * SECOND)
    assert "T.O:SPY260116C00500000" not in window.topics


def test_what_is_removed_from_the_window_goes_and_comes_back_only_when_it_is_added() -> None:
    window = window_at(680.0)
    topic = sorted(window.topics)[0]
    window.pin([], [topic], NOON)
    assert topic in window.topics  # for the usual grace
    tick(window, NOON + 30 * SECOND)
    assert topic not in window.topics
    window.pin([topic], [], NOON)
    assert topic in window.topics


def test_a_later_expiry_rolls_along() -> None:
    friday = at("2025-12-19T12:00-05:00")
    window = StrikeWindow(StrikeManager(1), friday, later=1)
    assert (window.manager.expiry, window.is_0dte) == (date(2025, 12, 22), False)  # over the weekend
    tick(window, at("2025-12-19T16:15-05:00"))
    assert window.manager.expiry == date(2025, 12, 23)
