"""What a run wants of the feeds of an underlying."""

from spyctl.live.feed_policy import equity_policies
from spyctl.live.strike_manager import StrikeManager
from spyctl.live.strike_window import StrikeWindow
from spyctl.massive.feed import Feed
from tests.support.clock import WALL_NS


def test_stocks_are_required_and_options_only_where_asked_for() -> None:
    window = StrikeWindow(StrikeManager(1, "QQQ"), WALL_NS)
    for asked in (False, True):
        stocks, options = equity_policies(Feed("stocks", "k"), Feed("options", "k"), window, require_options=asked)
        assert (stocks.required, stocks.entitled) == (True, False)
        assert (options.required, options.entitled) == (asked, asked)


def test_the_stock_feed_holds_trades_and_quotes_and_the_option_feed_follows_the_window() -> None:
    window = StrikeWindow(StrikeManager(1, "QQQ"), WALL_NS)
    stocks, options = equity_policies(
        Feed("stocks", "k"), Feed("options", "k"), window, suspicious=lambda ns: ns == WALL_NS
    )
    assert stocks.topics() == {"T.QQQ", "Q.QQQ"}
    assert options.topics() == frozenset()
    window.spot.quote(600.0, 600.02, WALL_NS)
    window.tick(WALL_NS, 10**10)
    assert len(options.topics()) == 6
    assert stocks.stall is not None
    assert (stocks.stall.quote_topic, stocks.stall.suspicious(WALL_NS), options.stall) == ("Q.QQQ", True, None)
