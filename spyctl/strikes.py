"""SPY options: their tickers, and which strikes to hold for a spot.

Ticker grammar (OCC's Options Symbology Initiative, as Massive writes it): ``O:``, the root, ``YYMMDD``, ``C`` or
``P``, the strike × 1000 in 8 digits. It is read from the right, since the root has no fixed length.
"""

import re
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from spyctl.errors import PayloadError, UsageError
from spyctl.times import SECOND

RECENTRE_BY = 0.50
MAX_RANGE = 100
MAX_SPREAD = 0.005
MAX_JUMP = 0.002
LAST_YEAR = 2099  # a ticker has two digits for it
REPEATS = 3  # so many prints in a row prove a jump
QUOTE_AGE_NS = 5 * SECOND
# Sale conditions of Massive's stock trades that do not update the last price: average price, cash, derivatively
# priced, extended hours, official open and close, next day, prior reference, seller, sold out of sequence, odd
# lot, contingent, qualified contingent. https://massive.com/docs/rest/stocks/market-operations/condition-codes
NOT_LAST = frozenset({2, 7, 10, 12, 13, 15, 16, 20, 21, 22, 29, 32, 37, 52, 53})
_TICKER = re.compile(r"O:([A-Z0-9.]{1,6})(\d{2})(\d{2})(\d{2})([CP])(\d{8})", re.ASCII)


@dataclass(frozen=True, slots=True)
class OptionTicker:
    """The parts of an option ticker; ``strike_milli`` is the strike in thousandths."""

    root: str
    expiry: date
    right: str
    strike_milli: int

    @property
    def strike(self) -> float:
        """The strike in dollars."""
        return self.strike_milli / 1000

    def __str__(self) -> str:
        return f"O:{self.root}{self.expiry:%y%m%d}{self.right}{self.strike_milli:08d}"


def parse_option_ticker(text: str) -> OptionTicker:
    """Read an option ticker. Raises :class:`PayloadError` for anything else."""
    found = _TICKER.fullmatch(text)
    if found is not None and int(found[6]) > 0:
        try:
            expiry = date(2000 + int(found[2]), int(found[3]), int(found[4]))
            return OptionTicker(found[1], expiry, found[5], int(found[6]))
        except ValueError:
            pass
    raise PayloadError(f"{text[:40]!r} is no option ticker")


class StrikeManager:
    """Decides which contracts to hold: all strikes within ``strike_range`` dollars of the centre, calls and puts.

    The centre is the whole dollar nearest the spot at the last recentring. ``listed`` are the strikes (in
    thousandths) that exist, ``None`` where that is not known. Only the decision is made here; any grace before
    an unsubscribe is the feed's.
    """

    def __init__(
        self,
        strike_range: int = 5,
        underlying: str = "SPY",
        expiry: date | None = None,
        listed: Collection[int] | None = None,
    ) -> None:
        if not 0 <= strike_range <= MAX_RANGE:
            raise UsageError(f"a strike range of {strike_range} is out of bounds", f"0 to {MAX_RANGE}")
        self.strike_range = strike_range
        self.underlying = underlying
        self.expiry = expiry
        self.listed = listed
        self.centre: int | None = None
        self.held: frozenset[str] = frozenset()
        self._price: float | None = None

    def should_update(self, price: float) -> bool:
        """Tell whether the spot has moved by 0.50 or more since the last recentring, or there was none."""
        return self._price is None or abs(price - self._price) >= RECENTRE_BY

    def strikes(self) -> list[int]:
        """Return the strikes of the window in whole dollars, ascending; empty before the first spot."""
        if self.centre is None:
            return []
        return [s for s in range(self.centre - self.strike_range, self.centre + self.strike_range + 1) if s > 0]

    def get_target_strikes(self, price: float) -> tuple[list[str], list[str]]:
        """Recentre on a spot; returns the topics (``T.O:SPY…``) to add and those to remove.

        Raises :class:`UsageError` where no expiry is set.
        """
        self._price = price
        self.centre = int(price + 0.5)
        return self._target()

    def roll(self, expiry: date, listed: Collection[int] | None = None) -> tuple[list[str], list[str]]:
        """Change to another expiry around the same centre; returns like :meth:`get_target_strikes`."""
        self.expiry, self.listed = expiry, listed
        return self._target()

    def _target(self) -> tuple[list[str], list[str]]:
        if self.expiry is None:
            raise UsageError("the strike window has no expiry", "StrikeManager(expiry=…)")
        wanted = {
            f"T.{OptionTicker(self.underlying, self.expiry, right, 1000 * strike)}"
            for strike in self.strikes()
            if self.listed is None or 1000 * strike in self.listed
            for right in "CP"
        }
        add, remove = sorted(wanted - self.held), sorted(self.held - wanted)
        self.held = frozenset(wanted)
        return add, remove


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
