"""What the feeds bring → events to publish: whose they are, and whether they are new."""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from spyctl.errors import SpyctlError
from spyctl.live.lateness import Lateness
from spyctl.live.pending import Pending
from spyctl.live.seen import Seen
from spyctl.live.strike_window import StrikeWindow
from spyctl.live.tape import Tape
from spyctl.market.events import EventSource, OptionTrade, StockQuote, StockTrade
from spyctl.market.feeds import Arrival, LiveEvent
from spyctl.market.subjects import encode, subject_of
from spyctl.timing.instants import SECOND

MAX_REASONS = 50  # the names of unknown events have no end
MAX_FAILURES = 100  # exceptions of our own in a minute


@dataclass(frozen=True, slots=True)
class Memory:
    """How many identities are remembered, for telling what arrives again."""

    trades: int = 65_536
    quotes: int = 16_384


MEMORY = Memory()


class LiveFilter:
    """Takes what frames held and counts it.

    ``symbol`` is the underlying; the spot of ``window`` follows its quotes and trades. ``note`` is told what somebody
    should look at, ``observer`` is shown each event that is passed on.
    """

    def __init__(
        self,
        symbol: str,
        window: StrikeWindow,
        note: Callable[[str], None],
        *,
        observer: Callable[[LiveEvent], None] | None = None,
        memory: Memory = MEMORY,
        write: Callable[[LiveEvent], bytes] = encode,
    ) -> None:
        self.received = 0
        self.duplicates = 0
        self.rejected: Counter[str] = Counter()
        self.samples: dict[str, str] = {}
        self.oddities: Counter[str] = Counter()
        self.window = window
        self.tape = Tape()
        self.lateness = Lateness()
        self.trades_seen, self._quotes_seen = Seen(memory.trades), Seen(memory.quotes)
        self._symbol = symbol
        self._note = note
        self._observer = observer
        self._write = write
        self._failures: deque[int] = deque(maxlen=MAX_FAILURES)

    def take(self, arrival: Arrival, expected: Collection[str] = ()) -> Iterator[Pending]:
        """Yield what is to be published of an arrival.

        ``expected`` are option contracts that are ours although the window has left them.
        Raises :class:`SpyctlError` after many errors of our own.
        """
        self.received += len(arrival.rejects) + len(arrival.events)
        self.oddities.update(arrival.oddities)
        for reject in arrival.rejects:
            self._reject(reject.reason, reject.sample)
        for event, identity in arrival.events:
            try:
                if not self._is_ours(event, arrival.clock_ns, expected):
                    self._reject("unexpected", identity)
                elif not (self._quotes_seen if isinstance(event, StockQuote) else self.trades_seen).add(identity):
                    self.duplicates += 1
                else:
                    conflates = event.symbol if isinstance(event, StockQuote) else None
                    payload, subject = self._write(event), subject_of(event)
                    pending = Pending(payload, identity, subject, arrival.feed, arrival.clock_ns, conflates)
                    self._look(event, arrival.clock_ns)
                    yield pending
            except Exception as error:  # one odd event must not end the day; many end it loudly
                self._failed(error, identity, arrival.clock_ns)

    def _is_ours(self, event: LiveEvent, clock_ns: int, expected: Collection[str]) -> bool:
        if isinstance(event, OptionTrade):
            return event.option_symbol in expected or self.window.expects(event.option_symbol, clock_ns)
        return event.symbol == self._symbol

    def _look(self, event: LiveEvent, clock_ns: int) -> None:
        self.tape.see(event, clock_ns)
        self.lateness.see(event)
        if event.source != EventSource.POLYGON_REST:  # what a gap left out says nothing about now
            if isinstance(event, StockQuote):
                self.window.spot.quote(event.bid_px, event.ask_px, clock_ns)
            elif isinstance(event, StockTrade):
                self.window.spot.trade(event.price, event.conditions, clock_ns)
        if self._observer is not None:
            try:
                self._observer(event)
            except Exception as error:  # theirs; it costs them the event, not the stream
                self.oddities["observer"] += 1
                if self.oddities["observer"] == 1:
                    self._note(f"an observer of the events failed: {type(error).__name__}: {error}")

    def _reject(self, reason: str, sample: str) -> None:
        if reason not in self.rejected and len(self.rejected) >= MAX_REASONS:
            reason = "other"
        self.rejected[reason] += 1
        if reason not in self.samples:
            self.samples[reason] = sample
            self._note(f"rejected, {reason}: {sample[:100]}")

    def _failed(self, error: Exception, sample: str, clock_ns: int) -> None:
        self._reject("internal", f"{type(error).__name__}: {error}: {sample}")
        self._failures.append(clock_ns)
        if len(self._failures) == MAX_FAILURES and clock_ns - self._failures[0] < 60 * SECOND:
            text = f"{MAX_FAILURES} internal errors within a minute, the last: {error}"
            raise SpyctlError(text, "report it with this sentence") from error
