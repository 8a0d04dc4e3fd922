"""Who hit whom: the side of an option trade, by the quote that was in force at its time.

Quotes and trades come over one socket, but not in one order: a quote may arrive after a trade that it was in force
for. So a trade waits until that can no longer be, at most 50 ms of the market's time, or until nothing has arrived for
as long; the trades and published quotes of one contract keep their order.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from spyctl.market.events import Aggressor, OptionQuote, OptionTrade
from spyctl.market.feeds import LiveEvent
from spyctl.timing.histogram import Histogram
from spyctl.timing.instants import MINUTE, MS, SECOND

WAIT_NS = 50 * MS
OLDEST_NS = 30 * SECOND
MAX_QUOTES = 128  # of a contract
MAX_CONTRACTS = 2_000
_UNIT = 1e6  # prices are compared as whole millionths: floats have no exact middle


class QuoteUse(StrEnum):
    """What option quotes are good for."""

    NONE = "off"
    CLASSIFY = "classify"
    PUBLISH = "publish"  # and classify


@dataclass(frozen=True, slots=True)
class Accepted:
    """An event that is ours and new, on its way to be published; ``clock_ns`` is when it arrived (monotonic)."""

    event: LiveEvent
    identity: str
    feed: str
    clock_ns: int


@dataclass(frozen=True, slots=True)
class _Quote:
    ts_ns: int
    order: int  # of arrival, among quotes and trades
    bid: float
    ask: float


@dataclass(frozen=True, slots=True)
class _Waiting:
    accepted: Accepted
    order: int


class Contract:
    """The last quotes of a contract, and the trades that wait for more of them."""

    def __init__(self) -> None:
        self.waiting: deque[_Waiting] = deque()
        self.newest_ns = 0  # of the quotes
        self._quotes: deque[_Quote] = deque(maxlen=MAX_QUOTES)

    def add(self, quote: OptionQuote, order: int) -> None:
        """Take a quote."""
        self.newest_ns = max(self.newest_ns, quote.ts_event_ns)
        self._quotes.append(_Quote(quote.ts_event_ns, order, quote.bid_px, quote.ask_px))

    @property
    def newest(self) -> tuple[float, float] | None:
        """Bid and ask of the quote that arrived last."""
        return (self._quotes[-1].bid, self._quotes[-1].ask) if self._quotes else None

    def in_force(self, ts_ns: int, order: int) -> _Quote | None:
        """Return the quote in force at an instant (Unix ns).

        Of the quotes of that very instant those count that arrived before ``order``, the others only where nothing else
        is known. One that is crossed, empty or older than 30 s does not count.
        """
        before: _Quote | None = None
        beside: _Quote | None = None
        for each in reversed(self._quotes):
            if each.ts_ns > ts_ns:
                continue
            if each.ts_ns == ts_ns and each.order > order:
                beside = each
            elif before is None or (each.ts_ns, each.order) > (before.ts_ns, before.order):
                before = each
            elif before.ts_ns - each.ts_ns > SECOND:
                break  # none arrives as late as that
        quote = before or beside
        if quote is None or ts_ns - quote.ts_ns > OLDEST_NS or not (quote.bid or quote.ask):
            return None
        return None if 0 < quote.ask < quote.bid else quote


def side_of(price: float, bid: float, ask: float) -> Aggressor:
    """Return who took liquidity at a price: at or above the ask the buyer, at or below the bid the seller.

    Between them, the buyer where the ask is nearer, the seller where the bid is, and nobody (``MID``) exactly in the
    middle. A price of 0 is a side without any: then only the other one tells.
    """
    at, low, high = (round(number * _UNIT) for number in (price, bid, ask))
    middle = 2 * at - low - high
    if (low and high) and (low == high or low < at < high):
        return Aggressor.BUY if middle > 0 else Aggressor.SELL if middle < 0 else Aggressor.MID
    if high and at >= high:
        return Aggressor.BUY
    return Aggressor.SELL if low and at <= low else Aggressor.MID


class Aggressors:
    """Gives option trades their quote and side, where ``use`` says so; counts what it has taken and told.

    ``wait_ns`` is how long trades waited, by our clock.
    """

    def __init__(self, use: QuoteUse) -> None:
        self.use = use
        self.quotes = 0  # taken
        self.quoted = 0  # trades whose quote was known
        self.sided = 0  # trades with a side
        self.wait_ns = Histogram()
        self._contracts: dict[str, Contract] = {}
        self._order = 0
        self._waiting: dict[str, Contract] = {}  # those with a trade that waits
        self._reached_ns = 0  # the market's time, as far as it has come
        self._reached_clock_ns = 0
        self._arrivals = self._arrivals_looked_at = 0

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return sum(len(contract.waiting) for contract in self._waiting.values())

    def quote(self, quote: OptionQuote, clock_ns: int) -> None:
        """Take a quote that arrived at ``clock_ns`` (monotonic)."""
        self.quotes += 1
        self._order += 1
        self._contract(quote.option_symbol).add(quote, self._order)
        self._reach(quote, clock_ns)

    def newest(self, symbol: str) -> tuple[float, float] | None:
        """Return bid and ask of the newest quote of a contract, ``None`` where there is none."""
        contract = self._contracts.get(symbol)
        return contract.newest if contract is not None else None

    def hold(self, accepted: Accepted) -> None:
        """Take a trade, or a quote that is to be published, which wait their turn."""
        event = accepted.event
        assert isinstance(event, OptionTrade | OptionQuote)
        contract = self._contract(event.option_symbol)
        if isinstance(event, OptionTrade):
            self._order += 1
            self._reach(event, accepted.clock_ns)
        contract.waiting.append(_Waiting(accepted, self._order))
        self._waiting[event.option_symbol] = contract

    def released(self, clock_ns: int) -> Iterator[Accepted]:
        """Yield what waits no more after an arrival (monotonic)."""
        if self._waiting:
            yield from self._release(self._reached_ns, clock_ns)

    def look(self, clock_ns: int) -> Iterator[Accepted]:
        """Yield what waits no more at a moment (monotonic); to be called every 50 ms.

        Where nothing has arrived since the last look, the market's time goes on with ours.
        """
        silent = self._arrivals == self._arrivals_looked_at
        self._arrivals_looked_at = self._arrivals
        if silent and self._waiting:
            yield from self._release(self._reached_ns + max(0, clock_ns - self._reached_clock_ns), clock_ns)

    def flush(self, clock_ns: int) -> Iterator[Accepted]:
        """Yield all that waits, since no more quotes will come."""
        for contract in list(self._waiting.values()):
            while contract.waiting:
                yield self._told(contract, contract.waiting.popleft(), clock_ns)
        self._waiting.clear()

    def forget(self) -> None:
        """Forget the quotes: some may be missing, so that the last one known need not be the one in force."""
        self._contracts.clear()

    def _contract(self, symbol: str) -> Contract:
        contract = self._contracts.get(symbol)
        if contract is None:
            if len(self._contracts) >= MAX_CONTRACTS:
                del self._contracts[next(iter(self._contracts))]
            contract = self._contracts[symbol] = self._waiting.get(symbol) or Contract()
        return contract

    def _reach(self, event: OptionTrade | OptionQuote, clock_ns: int) -> None:
        self._arrivals += 1
        # An instant that is absurd must not end every wait from then on.
        if self._reached_ns < event.ts_event_ns <= event.ts_recv_ns + MINUTE:
            self._reached_ns, self._reached_clock_ns = event.ts_event_ns, clock_ns

    def _release(self, reached_ns: int, clock_ns: int) -> Iterator[Accepted]:
        for symbol, contract in list(self._waiting.items()):
            waiting = contract.waiting
            while waiting and _is_due(waiting[0].accepted.event, contract, reached_ns):
                yield self._told(contract, waiting.popleft(), clock_ns)
            if not waiting:
                del self._waiting[symbol]

    def _told(self, contract: Contract, waiting: _Waiting, clock_ns: int) -> Accepted:
        accepted = waiting.accepted
        trade = accepted.event
        if not isinstance(trade, OptionTrade):
            return accepted
        self.wait_ns.add(clock_ns - accepted.clock_ns)
        quote = contract.in_force(trade.ts_event_ns, waiting.order)
        if quote is None:
            return accepted
        side = side_of(trade.price, quote.bid, quote.ask)
        self.quoted += 1
        self.sided += side is not Aggressor.MID
        return replace(accepted, event=replace(trade, opt_bid=quote.bid, opt_ask=quote.ask, aggressor=side))


def _is_due(event: LiveEvent, contract: Contract, reached_ns: int) -> bool:
    # The quotes of a contract arrive in order, so one after the trade tells that all before it are here.
    if not isinstance(event, OptionTrade) or event.ts_event_ns > event.ts_recv_ns + MINUTE:
        return True  # what is dated far ahead would keep the trades behind it waiting
    return contract.newest_ns > event.ts_event_ns or reached_ns >= event.ts_event_ns + WAIT_NS
