"""What a run wants of each of its feeds: topics, whether it can do without, and when silence is suspicious."""

from collections.abc import Callable
from dataclasses import dataclass

from spyctl.live.windows import Windows
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
    ``entitled``. A feed with a key of its own (``own_key``) says nothing about the others when it is refused. What a
    gap left out comes again from the feed itself where it ``resends``. ``stall`` is ``None`` where silence is normal.
    Nothing is missing while a feed is away of which nothing is ``published``.
    """

    feed: LiveFeed
    topics: Callable[[], frozenset[str]]
    required: bool = True
    entitled: bool = False
    own_key: bool = False
    resends: bool = False
    stall: StallRule | None = None
    published: bool = True

    @property
    def was_never_up(self) -> bool:
        """Whether the feed was never let in, and does not know by itself what was before this run."""
        return not self.resends and self.feed.liveness.up_since_ns is None


def equity_policies(
    stocks: LiveFeed,
    options: LiveFeed,
    windows: Windows,
    *,
    require_options: bool = False,
    suspicious: Callable[[int], bool] = lambda _: False,
    quotes: Callable[[], bool] = lambda: False,
) -> tuple[FeedPolicy, FeedPolicy]:
    """Return the policies of the stock feed, and of the option feed that holds the strike windows.

    ``suspicious`` tells when silence of the first underlying is, ``quotes`` whether the quotes of the windows'
    contracts are wanted too.
    """
    topics = frozenset(f"{kind}.{symbol}" for kind in "TQ" for symbol in windows.symbols)
    stall = StallRule(f"Q.{windows.symbols[0]}", suspicious) if windows.symbols else None
    return (
        FeedPolicy(stocks, lambda: topics, stall=stall),
        FeedPolicy(
            options, lambda: option_topics(windows, quotes=quotes()), required=require_options, entitled=require_options
        ),
    )


def index_policy(indices: LiveFeed, windows: Windows) -> FeedPolicy:
    """Return the policy of the index feed, which the windows of index options follow."""
    topics = frozenset(f"V.{symbol}" for symbol in windows.indices)
    return FeedPolicy(indices, lambda: topics, required=False, published=False)


def option_topics(windows: Windows, *, quotes: bool) -> frozenset[str]:
    """Return the topics of strike windows: their trades and, as many as a connection may hold, their quotes."""
    trades, held = windows.topics, windows.held
    if not quotes:
        return trades
    in_order = sorted(trades, key=lambda topic: (topic not in held, topic))
    return trades | {f"Q.{topic.removeprefix('T.')}" for topic in in_order[:MAX_OPTION_QUOTES]}


def futures_policy(futures: LiveFeed, *, alone: bool = False) -> FeedPolicy:
    """Return the policy of a futures feed, which is required where it is ``alone``."""
    topics = futures.desired
    return FeedPolicy(futures, lambda: topics, required=alone, own_key=True, resends=True)
