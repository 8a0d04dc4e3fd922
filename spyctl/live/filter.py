"""Parsed messages → events to publish: whose they are, whether they are new, and what they say about the market."""

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator

from spyctl.errors import SpyctlError
from spyctl.live.backlog import Pending
from spyctl.live.strike_window import Window
from spyctl.market.events import EventSource, OptionTrade, StockQuote, StockTrade
from spyctl.market.subjects import encode, subject_of
from spyctl.massive.normalize import LiveEvent, Parsed
from spyctl.timing.histogram import Histogram
from spyctl.timing.instants import SECOND

TRADES_REMEMBERED, QUOTES_REMEMBERED = 65_536, 16_384
HELD_AT_MOST = 2_000_000  # around a gap that is being filled
MAX_REASONS = 50  # the names of unknown events have no end
MAX_FAILURES = 100  # exceptions of our own in a minute
SKEW_NS = 2 * SECOND
DELAYED_NS = 600 * SECOND


class Seen:
    """The identities met last, at most ``most``; while :meth:`hold` is in force none is forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._holds = 0
        self._found: set[str] = set()
        self._order: deque[str] = deque()

    def add(self, identity: str) -> bool:
        """Remember an identity; returns whether it is new."""
        if identity in self._found:
            return False
        self._found.add(identity)
        self._order.append(identity)
        self._trim()
        return True

    def hold(self) -> None:
        """Forget nothing until :meth:`release`, which is to be called as often."""
        self._holds += 1

    def release(self) -> None:
        """Forget again."""
        self._holds -= 1
        self._trim()

    def _trim(self) -> None:
        most = self._most if not self._holds else HELD_AT_MOST
        while len(self._order) > most:
            self._found.remove(self._order.popleft())


class Intake:
    """Takes what frames held and counts it; ``note`` is told what somebody should look at, ``observer`` each event.

    The spot of ``window`` follows the quotes and trades. ``symbol`` is the underlying.
    """

    def __init__(
        self,
        symbol: str,
        window: Window,
        note: Callable[[str], None],
        observer: Callable[[LiveEvent], None] | None = None,
    ) -> None:
        self.received = 0
        self.duplicates = 0
        self.rejected: Counter[str] = Counter()
        self.samples: dict[str, str] = {}
        self.noted: Counter[str] = Counter()
        self.latency_ns = Histogram()
        self.last_quote: StockQuote | None = None
        self.last_quote_s = 0.0  # monotonic
        self.last_prints: dict[str, OptionTrade] = {}
        self.volumes: Counter[str] = Counter()
        self.prints: Counter[str] = Counter()
        self._symbol = symbol
        self._window = window
        self._note = note
        self._observer = observer
        self.trades_seen, self._quotes_seen = Seen(TRADES_REMEMBERED), Seen(QUOTES_REMEMBERED)
        self._failures: deque[float] = deque(maxlen=MAX_FAILURES)
        self._skews: deque[int] = deque(maxlen=1_000)
        self._skewed = False

    def take(self, parsed: Parsed, market: str, clock_ns: int, expected: Collection[str] = ()) -> Iterator[Pending]:
        """Yield what is to be published of a frame that arrived at ``clock_ns`` (monotonic).

        ``expected`` are option contracts that are ours although the window has left them.
        Raises :class:`SpyctlError` after many errors of our own.
        """
        self.received += len(parsed.rejects) + len(parsed.events)
        self.noted.update(parsed.notes)
        for reject in parsed.rejects:
            self._reject(reject.reason, reject.sample)
        for event, identity in parsed.events:
            try:
                if not self._is_ours(event, clock_ns, expected):
                    self._reject("unexpected", identity)
                elif not (self._quotes_seen if isinstance(event, StockQuote) else self.trades_seen).add(identity):
                    self.duplicates += 1
                else:
                    conflates = event.symbol if isinstance(event, StockQuote) else None
                    pending = Pending(encode(event), identity, subject_of(event), market, clock_ns, conflates)
                    self._look(event, clock_ns)
                    yield pending
            except Exception as error:  # one odd event must not end the day; many end it loudly
                self._failed(error, identity)

    def _is_ours(self, event: LiveEvent, clock_ns: int, expected: Collection[str]) -> bool:
        if isinstance(event, OptionTrade):
            return event.option_symbol in expected or self._window.expects(event.option_symbol, clock_ns)
        return event.symbol == self._symbol

    def _look(self, event: LiveEvent, clock_ns: int) -> None:
        if isinstance(event, OptionTrade):
            self.volumes[event.option_symbol] += event.size
            self.prints[event.option_symbol] += 1
        if event.source != EventSource.POLYGON_REST:  # what a gap left out says nothing about now
            latency_ns = event.ts_recv_ns - event.ts_event_ns
            self.latency_ns.add(latency_ns)
            self._skews.append(latency_ns)
            if isinstance(event, StockQuote):
                self.last_quote = event
                self.last_quote_s = time.monotonic()
                self._window.spot.quote(event.bid_px, event.ask_px, clock_ns)
            elif isinstance(event, StockTrade):
                self._window.spot.trade(event.price, event.conditions, clock_ns)
            else:
                self.last_prints[event.option_symbol] = event
        if self._observer is not None:
            try:
                self._observer(event)
            except Exception as error:  # theirs; it costs them the event, not the stream
                self.noted["observer"] += 1
                if self.noted["observer"] == 1:
                    self._note(f"an observer of the events failed: {type(error).__name__}: {error}")

    def forget_prints(self) -> None:
        """Forget what the options have traded: they have expired."""
        self.last_prints.clear()
        self.volumes.clear()
        self.prints.clear()

    def _reject(self, reason: str, sample: str) -> None:
        if reason not in self.rejected and len(self.rejected) >= MAX_REASONS:
            reason = "other"
        self.rejected[reason] += 1
        if reason not in self.samples:
            self.samples[reason] = sample
            self._note(f"rejected, {reason}: {sample[:100]}")

    def _failed(self, error: Exception, sample: str) -> None:
        self._reject("internal", f"{type(error).__name__}: {error}: {sample}")
        now_s = time.monotonic()
        self._failures.append(now_s)
        if len(self._failures) == MAX_FAILURES and now_s - self._failures[0] < 60:
            text = f"{MAX_FAILURES} internal errors within a minute, the last: {error}"
            raise SpyctlError(text, "report it with this sentence") from error

    @property
    def lateness_ns(self) -> int:
        """How long after its time the latest of the last events arrived."""
        return max(self._skews, default=0)

    def watch_skew(self) -> None:
        """Note once where events arrive before their time, or long after it."""
        if len(self._skews) < 100:
            return
        median = sorted(self._skews)[len(self._skews) // 2]
        skewed = median < 0 or median > SKEW_NS
        if skewed and not self._skewed:
            why = "the feed is delayed" if median > DELAYED_NS else "look at this machine's clock, or the network"
            self._note(f"events arrive {median / SECOND:+.3f} s after their time: {why}")
        self._skewed = skewed
