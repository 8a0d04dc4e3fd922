"""Which strikes to hold for a spot."""

from collections.abc import Collection
from datetime import date

from spyctl.errors import UsageError
from spyctl.market.option_tickers import OptionTicker

RECENTRE_BY = 0.50
MAX_RANGE = 100


class StrikeManager:
    """Decides which contracts to hold: all strikes within ``strike_range`` dollars of the centre, calls and puts.

    The centre is the whole dollar nearest the spot at the last recentring. ``listed`` are the strikes (in
    thousandths) that exist, in whatever steps, ``None`` where that is not known: then every whole dollar is taken.
    Only the decision is made here; any grace before an unsubscribe is the feed's.
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

    @property
    def root(self) -> str:
        """How its option tickers begin: share classes lose their dot there."""
        return self.underlying.replace(".", "")

    def should_update(self, price: float) -> bool:
        """Tell whether the spot has moved by 0.50 or more since the last recentring, or there was none."""
        return self._price is None or abs(price - self._price) >= RECENTRE_BY

    def strikes(self) -> list[int]:
        """Return the strikes of the window in whole dollars, ascending; empty before the first spot."""
        if self.centre is None:
            return []
        return [s for s in range(self.centre - self.strike_range, self.centre + self.strike_range + 1) if s > 0]

    def spans(self, strike_milli: int) -> bool:
        """Tell whether a strike (in thousandths) lies within the window; none does before the first spot."""
        if self.centre is None:
            return False
        return strike_milli > 0 and abs(strike_milli - 1000 * self.centre) <= 1000 * self.strike_range

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
            f"T.{OptionTicker(self.root, self.expiry, right, strike_milli)}"
            for strike_milli in self._strikes_milli()
            for right in "CP"
        }
        add, remove = sorted(wanted - self.held), sorted(self.held - wanted)
        self.held = frozenset(wanted)
        return add, remove

    def _strikes_milli(self) -> list[int]:
        # Whatever is listed within the range, in whatever steps; else every whole dollar.
        if self.listed is None:
            return [1000 * strike for strike in self.strikes()]
        return list(filter(self.spans, self.listed))
