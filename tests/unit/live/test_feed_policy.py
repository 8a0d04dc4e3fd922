"""What a run wants of the feeds of an underlying."""

from spyctl.live.feed_policy import equity_policies, futures_policy, index_policy, option_topics
from spyctl.live.strike_manager import StrikeManager
from spyctl.live.strike_window import StrikeWindow
from spyctl.live.windows import Windows
from spyctl.massive.feed import Feed
from tests.support.clock import WALL_NS
from tests.support.live import StillFeed


def test_stocks_are_required_and_options_only_where_asked_for() -> None:
    window = StrikeWindow(StrikeManager(1, "QQQ"), WALL_NS)
    for asked in (False, True):
        stocks, options = equity_policies(
            Feed("stocks", "k"), Feed("options", "k"), Windows([window]), require_options=asked
        )
        assert (stocks.required, stocks.entitled) == (True, False)
        assert (options.required, options.entitled) == (asked, asked)


def test_the_stock_feed_holds_trades_and_quotes_and_the_option_feed_follows_the_window() -> None:
    window = StrikeWindow(StrikeManager(1, "QQQ"), WALL_NS)
    stocks, options = equity_policies(
        Feed("stocks", "k"), Feed("options", "k"), Windows([window]), suspicious=lambda ns: ns == WALL_NS
    )
    assert stocks.topics() == {"T.QQQ", "Q.QQQ"}
    assert options.topics() == frozenset()
    window.spot.quote(600.0, 600.02, WALL_NS)
    window.tick(WALL_NS, 10**10)
    assert len(options.topics()) == 6
    assert stocks.stall is not None
    assert (stocks.stall.quote_topic, stocks.stall.suspicious(WALL_NS), options.stall) == ("Q.QQQ", True, None)


def test_futures_are_required_only_where_they_are_alone() -> None:
    futures = StillFeed(name="futures", desired=frozenset({"trades ES.c.0"}))
    for alone in (False, True):
        policy = futures_policy(futures, alone=alone)
        assert (policy.required, policy.own_key, policy.resends, policy.stall) == (alone, True, True, None)
        assert policy.topics() == futures.desired


def test_the_quotes_of_the_window_are_held_beside_its_trades_where_wanted() -> None:
    window = StrikeWindow(StrikeManager(1), WALL_NS)
    wanted = True
    _, options = equity_policies(Feed("stocks", "k"), Feed("options", "k"), Windows([window]), quotes=lambda: wanted)
    window.manager.get_target_strikes(680.0)
    quotes = {f"Q.{topic.removeprefix('T.')}" for topic in window.topics}
    assert options.topics() == window.topics | quotes
    assert len(quotes) == 6
    wanted = False
    assert options.topics() == window.topics


def test_of_too_many_quotes_those_of_the_window_come_first() -> None:
    window = StrikeWindow(StrikeManager(100), WALL_NS)
    window.manager.get_target_strikes(680.0)
    window.pin([f"T.O:SPY{window.manager.expiry:%y%m%d}C{strike:08d}" for strike in range(1, 700)], [], 0)
    topics = option_topics(Windows([window]), quotes=True)
    quotes = {topic.removeprefix("Q.") for topic in topics if topic.startswith("Q.")}
    assert len(quotes) == 1_000
    assert {topic.removeprefix("T.") for topic in window.manager.held} <= quotes
    assert topics >= window.topics


def test_the_index_feed_holds_what_windows_follow_and_nothing_of_it_is_published() -> None:
    windows = Windows([StrikeWindow(StrikeManager(5, name), WALL_NS) for name in ("SPX", "SPXW", "NDX")])
    policy = index_policy(StillFeed(name="indices"), windows)
    assert policy.topics() == {"V.I:SPX", "V.I:NDX"}
    assert (policy.required, policy.published, policy.stall) == (False, False, None)
    stocks, _ = equity_policies(StillFeed(), StillFeed(name="options"), windows)
    assert (stocks.topics(), stocks.stall) == (frozenset(), None)
