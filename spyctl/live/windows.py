"""The strike windows of a run: one for each underlying and expiry."""

from collections.abc import Collection, Sequence

from spyctl.live.strike_window import StrikeWindow
from spyctl.market.events import StockQuote, StockTrade
from spyctl.market.index_options import INDEX_PREFIX, index_of


class Windows:
    """Several windows as one; there is at least one, and the first is what a display shows in full.

    ``symbols`` are the stocks among their underlyings; ``indices`` and ``futures`` are what else the spots come from.
    """

    def __init__(self, windows: Sequence[StrikeWindow]) -> None:
        self.all = tuple(windows)
        underlyings = dict.fromkeys(window.manager.underlying for window in windows)
        self.symbols = tuple(symbol for symbol in underlyings if index_of(symbol) is None)
        spots = dict.fromkeys(window.spot_from for window in windows)
        self.indices = tuple(spot for spot in spots if spot.startswith(INDEX_PREFIX))
        self.futures = tuple(spot for spot in spots if spot not in self.symbols + self.indices)

    @property
    def first(self) -> StrikeWindow:
        """The first one."""
        return self.all[0]

    @property
    def topics(self) -> frozenset[str]:
        """The option trades to hold."""
        return frozenset[str]().union(*(window.topics for window in self.all))

    @property
    def held(self) -> frozenset[str]:
        """Those of them that are not on their way out."""
        return frozenset[str]().union(*(window.manager.held for window in self.all))

    def expects(self, ticker: str, clock_ns: int) -> bool:
        """Tell whether an option contract is ours; raises :class:`PayloadError` for what is not an option ticker."""
        return any(window.expects(ticker, clock_ns) for window in self.all)

    def see(self, event: StockQuote | StockTrade, clock_ns: int) -> None:
        """Have the windows of a stock follow its quote or trade."""
        for window in self.all:
            if window.spot_from == event.symbol:
                if isinstance(event, StockQuote):
                    window.spot.quote(event.bid_px, event.ask_px, clock_ns)
                else:
                    window.spot.trade(event.price, event.conditions, clock_ns)

    def see_price(self, source: str, price: float, clock_ns: int) -> None:
        """Have the windows whose spot comes from an index or a future follow its price."""
        for window in self.all:
            if window.spot_from == source:
                window.spot.trade(price, None, clock_ns)

    def tick(self, now_ns: int, clock_ns: int) -> list[StrikeWindow]:
        """Follow spots and calendar; returns the windows that have another expiry now."""
        before = [window.manager.expiry for window in self.all]
        for window in self.all:
            window.tick(now_ns, clock_ns)
        return [window for window, expiry in zip(self.all, before, strict=True) if window.manager.expiry != expiry]

    def pin(self, add: Collection[str], remove: Collection[str], clock_ns: int) -> None:
        """Hold some topics whatever the spot does, and others no more."""
        self.first.pin(add, (), clock_ns)
        for window in self.all:
            window.pin((), remove, clock_ns)
