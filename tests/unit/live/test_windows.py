"""Several underlyings and expiries, each with a window of its own."""

from datetime import date

from spyctl.live.strike_manager import StrikeManager
from spyctl.live.strike_window import StrikeWindow
from spyctl.live.windows import Windows
from spyctl.timing.instants import HOUR, SECOND
from tests.support.clock import WALL_NS
from tests.support.events import quote, trade


def make() -> Windows:
    return Windows(
        [
            StrikeWindow(StrikeManager(1), WALL_NS),
            StrikeWindow(StrikeManager(1), WALL_NS, later=1),
            StrikeWindow(StrikeManager(1, "BRK.B"), WALL_NS),
        ]
    )


def test_each_window_follows_the_spot_of_its_own_underlying() -> None:
    windows = make()
    windows.see(quote(bid_px=680.0, ask_px=680.02), 0)
    windows.see(trade(symbol="BRK.B", price=500.0), 10 * SECOND)
    windows.see(quote(symbol="QQQ", bid_px=600.0, ask_px=600.02), 0)
    assert windows.tick(WALL_NS, 10 * SECOND) == []
    assert [window.manager.centre for window in windows.all] == [680, 680, 500]
    assert windows.symbols == ("SPY", "BRK.B")
    assert {topic.partition("C")[0] for topic in windows.topics if "C" in topic} == {
        "T.O:SPY251216", "T.O:SPY251217", "T.O:BRKB251216"
    }  # fmt: skip
    assert windows.held == windows.topics
    assert len(windows.topics) == 18


def test_a_contract_is_ours_where_it_is_any_window_s() -> None:
    windows = make()
    for ticker in ("O:SPY251216C00700000", "O:SPY251217C00700000", "O:BRKB251216P00500000"):
        assert windows.expects(ticker, 0)
    for ticker in ("O:SPY251218C00700000", "O:BRKB251217P00500000", "O:QQQ251216C00600000"):
        assert not windows.expects(ticker, 0)


def test_a_roll_names_the_windows_that_rolled() -> None:
    windows = make()
    fixed = StrikeWindow(StrikeManager(1), WALL_NS, date(2026, 1, 16))
    windows = Windows([*windows.all, fixed])
    assert windows.tick(WALL_NS + 7 * HOUR, 0) == list(windows.all[:3])
    expiries = [str(window.manager.expiry) for window in windows.all]
    assert expiries == ["2025-12-17", "2025-12-18", "2025-12-17", "2026-01-16"]


def test_pinned_topics_are_held_once_and_let_go_from_any_window() -> None:
    windows = make()
    for window in windows.all:
        window.manager.get_target_strikes(680.0)
    topic = "T.O:QQQ251216C00600000"
    windows.pin([topic], [], 0)
    assert topic in windows.topics
    gone = next(iter(windows.all[2].manager.held))
    windows.pin([], [topic, gone], 0)
    windows.tick(WALL_NS, 31 * SECOND)
    assert not {topic, gone} & windows.topics


def test_index_options_follow_their_index_or_what_they_are_told_to() -> None:
    windows = Windows(
        [
            StrikeWindow(StrikeManager(5, "SPXW"), WALL_NS),
            StrikeWindow(StrikeManager(5, "SPX"), WALL_NS, spot_from="ES"),
            StrikeWindow(StrikeManager(1), WALL_NS),
            StrikeWindow(StrikeManager(1, "XSP"), WALL_NS, spot_from="SPY"),
        ]
    )
    assert (windows.symbols, windows.indices, windows.futures) == (("SPY",), ("I:SPX",), ("ES",))
    windows.see_price("I:SPX", 6_800.2, 10 * SECOND)
    windows.see_price("ES", 6_815.25, 10 * SECOND)
    windows.see(quote(bid_px=680.0, ask_px=680.02), 10 * SECOND)
    windows.tick(WALL_NS, 10 * SECOND)
    assert [window.manager.centre for window in windows.all] == [6_800, 6_815, 680, 680]
    assert "T.O:SPXW251216C06800000" in windows.topics
    assert "T.O:XSP251216P00680000" in windows.topics
