"""What the feeds bring → events to publish: whose they are, and whether they are new."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import orjson

from spyctl.live.aggressors import Accepted, Aggressors, QuoteUse
from spyctl.live.lateness import Lateness
from spyctl.live.pending import Pending
from spyctl.live.prints import OptionPrints
from spyctl.live.rejects import Rejects
from spyctl.live.seen import Seen
from spyctl.live.tape import Tape
from spyctl.live.windows import Windows
from spyctl.market.events import EventSource, FuturesTrade, OptionQuote, OptionTrade, StockQuote, StockTrade
from spyctl.market.feeds import Arrival, LiveEvent, WrittenArrival
from spyctl.market.subjects import encode, subject_of

_FUTURES_TRADES = subject_of(FuturesTrade)


@dataclass(frozen=True, slots=True)
class Memory:
    """How many identities are remembered, for telling what arrives again."""

    trades: int = 65_536
    quotes: int = 16_384


MEMORY = Memory()


class LiveFilter:
    """Takes what frames held and counts it.

    The spots of ``windows`` follow the quotes and trades of their stocks. ``note`` is told what somebody should look
    at, ``observer`` is shown each event that is passed on, where its feed does not write it itself. Option trades wait
    for their quote where ``quotes`` are of use.
    """

    def __init__(
        self,
        windows: Windows,
        note: Callable[[str], None],
        *,
        observer: Callable[[LiveEvent], None] | None = None,
        memory: Memory = MEMORY,
        write: Callable[[LiveEvent], bytes] = encode,
        quotes: QuoteUse = QuoteUse.NONE,
    ) -> None:
        self.aggressors = Aggressors(quotes)
        self.received = 0
        self.duplicates = 0
        self.oddities: Counter[str] = Counter()
        self.windows = windows
        self.tape = Tape()
        self.lateness = Lateness()
        self.trades_seen, self._quotes_seen = Seen(memory.trades), Seen(memory.quotes)
        self._prints = OptionPrints(memory.trades)
        self._note = note
        self._observer = observer
        self._write = write
        self._rejects = Rejects(note)

    @property
    def rejected(self) -> Counter[str]:
        """How many could not become an event, or are not ours, by reason."""
        return self._rejects.counts

    @property
    def samples(self) -> dict[str, str]:
        """The first of each reason."""
        return self._rejects.samples

    def take(self, arrival: Arrival | WrittenArrival, expected: Collection[str] = ()) -> Iterator[Pending]:
        """Yield what is to be published of an arrival.

        ``expected`` are option contracts that are ours although the window has left them.
        Raises :class:`SpyctlError` after many errors of our own.
        """
        if isinstance(arrival, WrittenArrival):
            yield from self._take_written(arrival)
            return
        self.received += len(arrival.rejects)
        self.oddities.update(arrival.oddities)
        for reject in arrival.rejects:
            self._rejects.add(reject.reason, reject.sample)
        for value in arrival.values:
            self.windows.see_price(value.symbol, value.value, arrival.clock_ns)
        for event, identity in arrival.events:
            if isinstance(event, OptionTrade) and event.source != EventSource.POLYGON_REST:
                identity = self._prints.name(identity, event.seq)
            accepted = Accepted(event, identity, arrival.feed, arrival.clock_ns)
            if isinstance(event, OptionQuote) and not self._uses(event, arrival.clock_ns):
                continue
            self.received += 1
            if self._is_accepted(accepted, expected):
                if self._waits(event):
                    self.aggressors.hold(accepted)
                elif (pending := self._written(accepted)) is not None:
                    yield pending
        yield from self._all_written(self.aggressors.released(arrival.clock_ns))

    def look(self, clock_ns: int) -> Iterator[Pending]:
        """Yield what has waited for its quote long enough; to be called every 50 ms (monotonic)."""
        yield from self._all_written(self.aggressors.look(clock_ns))

    def flush(self, clock_ns: int) -> Iterator[Pending]:
        """Yield what waits for its quote, since none may come any more."""
        yield from self._all_written(self.aggressors.flush(clock_ns))

    def _uses(self, quote: OptionQuote, clock_ns: int) -> bool:
        # Takes a quote; returns whether it goes on as an event.
        if self.aggressors.use is not QuoteUse.NONE and self.windows.expects(quote.option_symbol, clock_ns):
            self.aggressors.quote(quote, clock_ns)
        return self.aggressors.use is QuoteUse.PUBLISH

    def _waits(self, event: LiveEvent) -> bool:
        if isinstance(event, OptionTrade):  # what a gap left out says nothing about now, nor now about it
            return self.aggressors.use is not QuoteUse.NONE and event.source != EventSource.POLYGON_REST
        return isinstance(event, OptionQuote)

    def _is_accepted(self, accepted: Accepted, expected: Collection[str]) -> bool:
        event, identity = accepted.event, accepted.identity
        try:
            if not self._is_ours(event, accepted.clock_ns, expected):
                self._rejects.add("unexpected", identity)
                return False
            is_quote = isinstance(event, StockQuote | OptionQuote)
            if not (self._quotes_seen if is_quote else self.trades_seen).add(identity):
                self.duplicates += 1
                return False
        except Exception as error:  # one odd event must not end the day; many end it loudly
            self._rejects.failed(error, identity, accepted.clock_ns)
            return False
        return True

    def _all_written(self, accepted: Iterator[Accepted]) -> Iterator[Pending]:
        for each in accepted:
            if (pending := self._written(each)) is not None:
                yield pending

    def _written(self, accepted: Accepted) -> Pending | None:
        event, identity, feed, clock_ns = accepted.event, accepted.identity, accepted.feed, accepted.clock_ns
        try:
            conflates = _conflated_by(event)
            payload = bytes(memoryview(self._write(event)))  # a copy: orjson's own has room for 4 kB
            pending = Pending(payload, identity, subject_of(event), feed, clock_ns, conflates)
            self._look(event, clock_ns)
        except Exception as error:  # likewise
            self._rejects.failed(error, identity, clock_ns)
            return None
        return pending

    def _take_written(self, arrival: WrittenArrival) -> Iterator[Pending]:
        # Its feed has told what is ours, and what is new.
        self.received += len(arrival.rejects) + len(arrival.events) + arrival.repeated
        self.duplicates += arrival.repeated
        self.oddities.update(arrival.oddities)
        for reject in arrival.rejects:
            self._rejects.add(reject.reason, reject.sample)
        for late_ns in arrival.late_ns:
            self.lateness.add(late_ns)
        follows = self.windows.futures and arrival.late_ns  # what is sent again says nothing about now
        for event in arrival.events:
            self.tape.see_written(event.subject, event.payload)
            if follows and event.subject == _FUTURES_TRADES:
                self._follow(event.payload, arrival.clock_ns)
            yield Pending(
                event.payload, event.identity, event.subject, arrival.feed, arrival.clock_ns, event.conflates
            )  # fmt: skip

    def _follow(self, trade: bytes, clock_ns: int) -> None:
        fields = orjson.loads(trade)
        self.windows.see_price(fields["symbol"], fields["price"], clock_ns)

    def _is_ours(self, event: LiveEvent, clock_ns: int, expected: Collection[str]) -> bool:
        if isinstance(event, OptionTrade | OptionQuote):
            return event.option_symbol in expected or self.windows.expects(event.option_symbol, clock_ns)
        return event.symbol in self.windows.symbols

    def _look(self, event: LiveEvent, clock_ns: int) -> None:
        self.tape.see(event, clock_ns)
        self.lateness.see(event)
        # What a gap left out says nothing about now.
        if event.source != EventSource.POLYGON_REST and isinstance(event, StockQuote | StockTrade):
            self.windows.see(event, clock_ns)
        if self._observer is not None:
            try:
                self._observer(event)
            except Exception as error:  # theirs; it costs them the event, not the stream
                self.oddities["observer"] += 1
                if self.oddities["observer"] == 1:
                    self._note(f"an observer of the events failed: {type(error).__name__}: {error}")


def _conflated_by(event: LiveEvent) -> str | None:
    if isinstance(event, OptionQuote):
        return event.option_symbol
    return event.symbol if isinstance(event, StockQuote) else None
