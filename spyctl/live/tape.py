"""What the market did last, as far as a display and a watchdog want to know."""

from collections import Counter

from spyctl.market.events import EventSource, OptionTrade, StockQuote
from spyctl.market.feeds import LiveEvent


class Tape:
    """The last quote of each stock, and of each option contract the last print, the prints and the contracts traded.

    What a backfill brings counts as traded, but says nothing about now.
    """

    def __init__(self) -> None:
        self.last_quotes: dict[str, StockQuote] = {}
        self.last_quote_ns: int | None = None  # monotonic
        self.last_prints: dict[str, OptionTrade] = {}
        self.volumes: Counter[str] = Counter()
        self.prints: Counter[str] = Counter()
        self.written: dict[str, bytes] = {}  # by subject: the last event of a feed that writes them itself

    def see(self, event: LiveEvent, clock_ns: int) -> None:
        """Take an event that arrived at ``clock_ns`` (monotonic)."""
        is_live = event.source != EventSource.POLYGON_REST
        if isinstance(event, OptionTrade):
            self.volumes[event.option_symbol] += event.size
            self.prints[event.option_symbol] += 1
            if is_live:
                self.last_prints[event.option_symbol] = event
        elif isinstance(event, StockQuote) and is_live:
            self.last_quotes[event.symbol], self.last_quote_ns = event, clock_ns

    def forget_prints(self) -> None:
        """Forget what the options have traded: they have expired."""
        self.last_prints.clear()
        self.volumes.clear()
        self.prints.clear()
