"""What was asked for, in words and in windows."""

from datetime import date

import pytest

from spyctl.cli.futures_options import FEEDS, FeedChoice
from spyctl.cli.live_request import Underlyings
from spyctl.market.events import EventSource
from tests.support.clock import WALL_NS
from tests.support.live_requests import request


@pytest.mark.parametrize(
    ("feeds", "what", "sources"),
    [
        (FeedChoice(), "SPY ±2", ("polygon_ws", "databento_live")),
        (FeedChoice(("stocks",)), "SPY", ("polygon_ws", "databento_live")),
        (FeedChoice(FEEDS, ("ES.c.0",)), "SPY ±2 and ES.c.0", ("polygon_ws", "databento_live")),
        (FeedChoice(("futures",), ("ES.c.0",)), "ES.c.0", ("databento_live", "databento_live")),
    ],
)
def test_it_names_its_feeds_and_their_sources(feeds: FeedChoice, what: str, sources: tuple[str, str]) -> None:
    asked = request(feeds=feeds, sim=None)
    assert (asked.title, asked.what, (asked.source, asked.futures_source)) == ("live", what, sources)
    simulated = request(feeds=feeds)
    assert (simulated.title, simulated.what) == ("live --sim", what)
    assert simulated.source is simulated.futures_source is EventSource.SIM


def test_each_underlying_has_a_window_for_each_expiry() -> None:
    windows = Underlyings(("SPY", "QQQ"), 2, [0, 1, date(2025, 12, 19)]).windows(WALL_NS)
    assert [(window.manager.underlying, window.manager.expiry, window.is_0dte) for window in windows.all] == [
        (symbol, date(2025, 12, day), day == 16) for symbol in ("SPY", "QQQ") for day in (16, 17, 19)
    ]
