"""What a run wants of each of its feeds: topics, whether it can do without, and when silence is suspicious."""

from collections.abc import Callable
from dataclasses import dataclass

from spyctl.live.strike_window import StrikeWindow
from spyctl.market.feeds import LiveFeed
from spyctl.massive.subscriptions import MAX_OPTION_QUOTES


@dataclass(frozen=True, slots=True)
class StallRule:
    """``suspicious`` tells whether silence at an instant (Unix ns) is.

    Where ``quote_topic`` is held, quotes must arrive: trades alone do not prove a feed alive that the strike window
    follows.
    """

    quote_topic: str
    suspicious: Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class FeedPolicy:
    """``topics`` are those to hold now.

    A ``required`` feed that is refused ends the run; so does one that never had a topic acknowledged, where that is
    ``entitled``. ``stall`` is ``None`` where silence is normal.
    """

    feed: LiveFeed
    topics: Callable[[], frozenset[str]]
    required: bool = True
    entitled: bool = False
    stall: StallRule | None = None


def equity_policies(
    stocks: LiveFeed,
    options: LiveFeed,
    window: StrikeWindow,
    *,
    require_options: bool = False,
    suspicious: Callable[[int], bool] = lambda _: False,
    quotes: Callable[[], bool] = lambda: False,
) -> tuple[FeedPolicy, FeedPolicy]:
    """Return the policies of an underlying's stock feed, and of the option feed that holds its strike window.

    ``quotes`` tells whether the quotes of the window's contracts are wanted too.
    """
    symbol = window.manager.underlying
    topics = frozenset({f"T.{symbol}", f"Q.{symbol}"})
    return (
        FeedPolicy(stocks, lambda: topics, stall=StallRule(f"Q.{symbol}", suspicious)),
        FeedPolicy(
            options, lambda: option_topics(window, quotes=quotes()), required=require_options, entitled=require_options
        ),
    )


def option_topics(window: StrikeWindow, *, quotes: bool) -> frozenset[str]:
    """Return the topics of a strike window: its trades and, as many as a connection may hold, its quotes."""
    trades = window.topics
    if not quotes:
        return trades
    in_order = sorted(trades, key=lambda topic: (topic not in window.manager.held, topic))
    return trades | {f"Q.{topic.removeprefix('T.')}" for topic in in_order[:MAX_OPTION_QUOTES]}
