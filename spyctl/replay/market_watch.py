"""Watches what a replay publishes: book, trades, and the price over the plan."""

from spyctl.market.events import MBP10, FuturesTrade, OptionTrade, StockTrade
from spyctl.market.subjects import decode, with_prefix
from spyctl.replay.pieces import REPLAYED_SUBJECTS
from spyctl.replay.price_line import PriceLine
from spyctl.replay.schedule import Schedule
from spyctl.replay.session import Replay
from spyctl.replay.snapshot import MarketNow


class MarketWatch:
    """Looks at the events that a replay published last; remembers prices and sizes."""

    def __init__(self, replay: Replay, schedule: Schedule) -> None:
        self._replay = replay
        self._prices = PriceLine(schedule.first_ns, schedule.last_ns)
        self._largest_size = 1

    def look(self, event_ns: int | None) -> MarketNow:
        """Return the market at an event time."""
        trade, book = (self._last(with_prefix(name, self._replay.options.prefix)) for name in REPLAYED_SUBJECTS)
        if isinstance(book, MBP10):
            self._note_book(book, event_ns)
        trades = (decode(subject, payload) for subject, payload in reversed(self._replay.progress.tape))
        return MarketNow(
            book if isinstance(book, MBP10) else None,
            trade if isinstance(trade, FuturesTrade) else None,
            tuple(self._prices.values),
            [trade for trade in trades if isinstance(trade, FuturesTrade | OptionTrade | StockTrade)],
            self._largest_size,
        )

    def move(self) -> None:
        """Go on somewhere else."""
        self._prices.move()

    def _last(self, subject: str) -> object:
        payload = self._replay.last_payload(subject)
        return decode(subject, payload) if payload is not None else None

    def _note_book(self, book: MBP10, event_ns: int | None) -> None:
        self._largest_size = max(self._largest_size, *(max(level.bid_sz, level.ask_sz) for level in book.levels))
        best = book.levels[0]
        if event_ns is not None and best.bid_px is not None and best.ask_px is not None:
            self._prices.note(event_ns, (best.bid_px + best.ask_px) / 2)
