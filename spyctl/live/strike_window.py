"""The strike window while it is live: decided by the manager, eased by a grace, rolled with the expiry."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from spyctl.live.spot import Spot
from spyctl.live.strike_manager import StrikeManager
from spyctl.market.index_options import index_of
from spyctl.market.option_tickers import parse_option_ticker
from spyctl.market.sessions import current_expiry, next_trading_day
from spyctl.timing.instants import SECOND

MEMORY_NS = 60 * SECOND


@dataclass(frozen=True, slots=True)
class WindowTiming:
    """How often the window may move, and how long a strike that leaves stays subscribed in case it comes back; ns."""

    recentre_every_ns: int = SECOND
    grace_ns: int = 30 * SECOND


USUAL = WindowTiming()


class StrikeWindow:
    """Which option topics to hold now; ``expiry`` fixes the date instead of the trading calendar.

    Without one it is the current expiry, or one so many trading days ``later``. The spot is that of ``spot_from``: a
    stock, an index (``I:SPX``) or the root of a future; by default the underlying itself, or the index of its options.

    All times come from outside: ``now_ns`` is Unix ns and drives the calendar, ``clock_ns`` is monotonic and drives the
    rest.
    """

    def __init__(
        self,
        manager: StrikeManager,
        now_ns: int,
        expiry: date | None = None,
        *,
        later: int = 0,
        spot_from: str = "",
        timing: WindowTiming = USUAL,
    ) -> None:
        self.manager = manager
        self.spot_from = spot_from or index_of(manager.underlying) or manager.underlying
        self._timing = timing
        self.spot = Spot()
        self.is_0dte = True
        self.added: dict[str, int] = {}
        self.leaving: dict[str, int] = {}  # topic → when it goes
        self.pinned: set[str] = set()  # held whatever the spot does
        self.unwanted: set[str] = set()  # not held whatever it does
        self._fixed, self._later = expiry, later
        self._recentred_ns = -timing.recentre_every_ns
        self._left: dict[str, int] = {}  # topic → when it went
        self._rolled: tuple[date | None, int] = (None, 0)  # the last expiry, and when it was left
        manager.expiry, self.is_0dte = self._expiry(now_ns)

    @property
    def topics(self) -> frozenset[str]:
        """What the feed should hold: the window, what is on its way out, what is pinned."""
        return self.topics_wanted | self.leaving.keys()

    @property
    def topics_wanted(self) -> frozenset[str]:
        """The window and what is pinned."""
        return (self.manager.held - self.unwanted) | self.pinned

    def _expiry(self, now_ns: int) -> tuple[date, bool]:
        current, is_today = current_expiry(now_ns)
        if self._fixed is None:
            for _ in range(self._later):
                current = next_trading_day(current)
            return current, is_today and not self._later
        return self._fixed, is_today and self._fixed == current

    def tick(self, now_ns: int, clock_ns: int) -> bool:
        """Follow spot and calendar; returns whether :attr:`topics` changed."""
        before = self.topics
        expiry, self.is_0dte = self._expiry(now_ns)
        if expiry != self.manager.expiry:
            self._rolled = self.manager.expiry, clock_ns
            add, _ = self.manager.roll(expiry)
            self.added = dict.fromkeys(add, clock_ns)
            # Expired contracts trade no more, but their last prints take some seconds to arrive.
            until_ns = clock_ns + self._timing.grace_ns
            self.leaving = dict.fromkeys(before - self.topics_wanted, until_ns)
        price = self.spot.price
        due = clock_ns - self._recentred_ns >= self._timing.recentre_every_ns
        if price is not None and due and self.manager.should_update(price):
            self._recentred_ns = clock_ns
            self._move(*self.manager.get_target_strikes(price), clock_ns)
        for topic in [topic for topic, until_ns in self.leaving.items() if until_ns <= clock_ns]:
            del self.leaving[topic]
            self._left = {left: ns for left, ns in self._left.items() if clock_ns - ns < MEMORY_NS} | {topic: clock_ns}
        return self.topics != before

    def pin(self, add: Collection[str], remove: Collection[str], clock_ns: int) -> None:
        """Hold some topics whatever the spot does; others no more, after the usual grace, until they are added."""
        for topic in self.topics & set(remove):
            self.leaving.setdefault(topic, clock_ns + self._timing.grace_ns)
        self.unwanted = (self.unwanted | set(remove)) - set(add)
        self.pinned = (self.pinned | set(add)) - set(remove)
        for topic in add:
            self.leaving.pop(topic, None)

    def relist(self, listed: Collection[int] | None, clock_ns: int) -> None:
        """Take the strikes (in thousandths) that are listed for the expiry."""
        self.manager.listed = listed
        if self.manager.expiry is not None and self.manager.centre is not None:
            self._move(*self.manager.roll(self.manager.expiry, listed), clock_ns)

    def expects(self, ticker: str, clock_ns: int) -> bool:
        """Tell whether a contract belongs to us: of our underlying and expiry (a minute long of the last one, too),
        pinned, or held a minute ago.
        """
        option, (last, rolled_ns) = parse_option_ticker(ticker), self._rolled
        is_last = option.expiry == last and clock_ns - rolled_ns < MEMORY_NS
        if option.root == self.manager.root and (option.expiry == self.manager.expiry or is_last):
            return True
        topic = f"T.{ticker}"
        return topic in self.pinned or (topic in self._left and clock_ns - self._left[topic] < MEMORY_NS)

    def _move(self, add: Collection[str], remove: Collection[str], clock_ns: int) -> None:
        for topic in add:
            self.leaving.pop(topic, None)
            self.added[topic] = clock_ns
        for topic in remove:
            self.added.pop(topic, None)
            self.leaving[topic] = clock_ns + self._timing.grace_ns
