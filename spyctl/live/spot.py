"""The spot price of the underlying, as the strike window follows it."""

from collections import deque
from collections.abc import Collection

from spyctl.timing.instants import SECOND

MAX_SPREAD = 0.005
MAX_JUMP = 0.002
REPEATS = 3  # so many prints in a row prove a jump
QUOTE_AGE_NS = 5 * SECOND
# Sale conditions of Massive's stock trades that do not update the last price: average price, cash, derivatively
# priced, extended hours, official open and close, next day, prior reference, seller, sold out of sequence, odd
# lot, contingent, qualified contingent. https://massive.com/docs/rest/stocks/market-operations/condition-codes
NOT_LAST = frozenset({2, 7, 10, 12, 13, 15, 16, 20, 21, 22, 29, 32, 37, 52, 53})


class Spot:
    """The price the window follows: the middle of the quote, else the last trade.

    One-sided, locked, crossed and wide quotes and trades that do not count as the last price are passed over; a jump of
    more than 0.2 % is believed only after three in a row.
    """

    def __init__(self) -> None:
        self.price: float | None = None
        self.since_ns: int | None = None  # when it was last confirmed
        self._quote_ns = 0
        self._doubted: deque[float] = deque(maxlen=REPEATS)

    def quote(self, bid_px: float, ask_px: float, ns: int) -> None:
        """Note a quote at an instant (ns, of any clock that never goes back)."""
        if 0 < bid_px < ask_px and ask_px - bid_px <= MAX_SPREAD * bid_px:
            self._quote_ns = ns
            self._note((bid_px + ask_px) / 2, ns)

    def trade(self, price: float, conditions: Collection[int] | None, ns: int) -> None:
        """Note a trade at an instant."""
        if ns - self._quote_ns > QUOTE_AGE_NS and NOT_LAST.isdisjoint(conditions or ()):
            self._note(price, ns)

    def _note(self, price: float, ns: int) -> None:
        if self.price is not None and abs(price - self.price) > MAX_JUMP * self.price:
            self._doubted.append(price)
            if len(self._doubted) < REPEATS or max(self._doubted) - min(self._doubted) > MAX_JUMP * price:
                return
        self._doubted.clear()
        self.price = price
        self.since_ns = ns
