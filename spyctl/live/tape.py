"""What the market did last, as far as a display and a watchdog want to know."""

from collections import Counter, deque

from spyctl.market.events import EventSource, OptionTrade, StockQuote, StockTrade
from spyctl.market.feeds import LiveEvent

RECENT = 40


class Tape:
    """The last quote of each stock, and of each option contract the last print, the prints and the contracts traded;
    the last trades of all, each as an event or, of a feed that writes its events itself, with its subject.

    What a backfill brings counts as traded, but says nothing about now.
    """

    def __init__(self) -> None:
        self.last_quotes: dict[str, StockQuote] = {}
        self.last_quote_ns: int | None = None  # monotonic
        self.last_prints: dict[str, OptionTrade] = {}
        self.volumes: Counter[str] = Counter()
        self.prints: Counter[str] = Counter()
        self.written: dict[str, bytes] = {}  # by subject: the last event of a feed that writes them itself
        self.recent: deque[OptionTrade | StockTrade | tuple[str, bytes]] = deque(maxlen=RECENT)

    def see(self, event: LiveEvent, clock_ns: int) -> None:
        """Take an event that arrived at ``clock_ns`` (monotonic)."""
        is_live = event.source != EventSource.POLYGON_REST
        if isinstance(event, OptionTrade):
            self.volumes[event.option_symbol] += event.size
            self.prints[event.option_symbol] += 1
            if is_live:
                self.last_prints[event.option_symbol] = event
                self.recent.append(event)
        elif isinstance(event, StockTrade) and is_live:
            self.recent.append(event)
        elif isinstance(event, StockQuote) and is_live:
            self.last_quotes[event.symbol], self.last_quote_ns = event, clock_ns

    def see_written(self, subject: str, payload: bytes) -> None:
        """Take an event of a feed that writes its events itself."""
        self.written[subject] = payload
        if subject.endswith(".trades"):
            self.recent.append((subject, payload))

    def forget_prints(self) -> None:
        """Forget what the options have traded: they have expired."""
        self.last_prints.clear()
        self.volumes.clear()
        self.prints.clear()
