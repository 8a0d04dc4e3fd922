"""Option quotes of the simulated market, drawn around its option trades so that each trade has a side.

The trades are the same with and without them. Most quotes arrive before the trade that they are in force for, some
after it, and each trade moves the quote: whoever takes the newest quote instead of the one in force gets sides wrong.
"""

import random
from typing import Any

from spyctl.market.events import Aggressor

LATE = 0.05  # of the quotes arrive after their trade
_SIDES = (Aggressor.BUY, Aggressor.SELL, Aggressor.MID)
_WEIGHTS = (45, 45, 10)

Message = dict[str, Any]


class SimulatedQuotes:
    """Draws the quotes; the same ``seed`` gives the same sides, which are a function of a trade's sequence alone."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._sequence = 0
        self._later: list[Message] = []
        self._quoted_ms: dict[str, int] = {}  # by contract: the time of its last quote

    def side(self, sequence: int) -> Aggressor:
        """Return the side of the option trade with a sequence."""
        return random.Random(f"{self._seed}.{sequence}").choices(_SIDES, _WEIGHTS)[0]

    def later(self) -> list[Message]:
        """Return the quotes that arrive now, after the trades of the last moment."""
        later, self._later = self._later, []
        return later

    def around(self, trade: Message) -> list[Message]:
        """Return an option trade with the quote before it; the quotes after it arrive :meth:`later`."""
        symbol, ms, cents, side = trade["sym"], trade["t"], round(100 * trade["p"]), self.side(trade["q"])
        bid, ask = self._prices(cents, side)
        may_wait = self._quoted_ms.get(symbol, 0) < ms - 1
        self._quoted_ms[symbol] = ms + 1
        width = self._random.randint(1, 4)
        moved = (cents, cents + width) if side is Aggressor.BUY else (max(0, cents - width), cents)
        if may_wait and self._random.random() < LATE:
            self._later += [self._quote(symbol, ms - 1, bid, ask), self._quote(symbol, ms + 1, *moved)]
            return [trade]
        self._later.append(self._quote(symbol, ms + 1, *moved))
        return [self._quote(symbol, ms, bid, ask), trade]

    def _prices(self, cents: int, side: Aggressor) -> tuple[int, int]:
        # Bid and ask in cents: the trade is at one of them, through it, or between them and nearer to it.
        width, how = self._random.randint(1, 4), self._random.choice(("at", "at", "at", "through", "between"))
        if side is Aggressor.MID:
            return (cents - width, cents + width) if cents > width else (0, 0)
        if how == "between" and cents > 3:
            return (cents - 3, cents + 1) if side is Aggressor.BUY else (cents - 1, cents + 3)
        beyond = 1 if how == "through" and cents > 5 else 0
        if side is Aggressor.BUY:
            return max(0, cents - beyond - width), cents - beyond
        return cents + beyond, cents + beyond + width

    def _quote(self, symbol: str, ms: int, bid: int, ask: int) -> Message:
        self._sequence += 1
        sizes = [self._random.randint(1, 50) if price else 0 for price in (bid, ask)]
        return {
            "ev": "Q", "sym": symbol, "bx": 302, "bp": bid / 100, "bs": sizes[0], "ax": 312, "ap": ask / 100,
            "as": sizes[1], "t": ms, "q": self._sequence,
        }  # fmt: skip
