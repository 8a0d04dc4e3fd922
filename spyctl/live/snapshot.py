"""The live side at one moment, as its screen shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from spyctl.market.events import MBP10, FuturesTrade, OptionTrade, StockQuote
from spyctl.market.feeds import FeedState
from spyctl.summary import LiveDetails, RunSummary
from spyctl.terminal.panels import ServerNow
from spyctl.terminal.prints import Print
from spyctl.terminal.process import Usage
from spyctl.timing.notes import Note


@dataclass(frozen=True, slots=True)
class FuturesNow:
    """The futures: the last trade and the last book, ``None`` before there is one; ``refilled`` were sent again."""

    trade: FuturesTrade | None
    book: MBP10 | None
    refilled: int


@dataclass(frozen=True, slots=True)
class FeedNow:
    """One feed at a moment; ``quiet_s`` since its last frame, ``futures`` where it brings some."""

    name: str
    state: FeedState
    up_s: float
    topics: str
    held: int
    desired: int
    quiet_s: float | None
    futures: FuturesNow | None = None


@dataclass(frozen=True, slots=True)
class SpotNow:
    """The underlying: its spot, how old that is, the spots of the last minutes, one a second, the lowest and the
    highest spot of the run, and the last quote."""

    symbol: str
    price: float | None
    age_s: float
    history: Sequence[float]
    lowest: float
    highest: float
    quote: StockQuote | None


@dataclass(frozen=True, slots=True)
class WindowNow:
    """The strike window; strikes in dollars, ``added`` seconds ago, ``leaving`` in so many seconds.

    ``root`` is that of its option tickers; ``others`` tells of the windows beside it.
    """

    root: str
    expiry: date
    is_0dte: bool
    strike_range: int
    centre: int | None
    strikes: Sequence[float]
    added: Mapping[float, float]
    leaving: Mapping[float, float]
    others: str = ""

    @property
    def middle(self) -> float | None:
        """The strike nearest to the centre, ``None`` where there is none; the centre itself may not be listed."""
        centre = self.centre
        return None if centre is None else min(self.strikes, key=lambda strike: abs(strike - centre), default=None)


@dataclass(frozen=True, slots=True)
class TradedNow:
    """What was traded: the last trades of all feeds, the newest first; by option ticker the last print, prints,
    contracts, and bid and ask now."""

    tape: Sequence[Print]
    prints: Mapping[str, OptionTrade]
    counts: Mapping[str, int]
    volumes: Mapping[str, int]
    quotes: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class LiveScene:
    """What does not change while it runs: the command, and the server that it publishes to."""

    title: str
    where: str


@dataclass(frozen=True, slots=True)
class LiveSnapshot:
    """The live side at one moment: ``now_ns`` Unix ns, ``clock_ns`` monotonic.

    ``arrival_now_ms`` is the p99 from event to arrival of the last seconds.
    """

    clock_ns: int
    now_ns: int
    scene: LiveScene
    state: str
    feeds: Sequence[FeedNow]
    spot: SpotNow
    window: WindowNow
    traded: TradedNow
    summary: RunSummary[LiveDetails]
    last_gap: str
    notes: Sequence[Note]
    warnings: int
    server: ServerNow
    usage: Usage
    arrival_now_ms: float | None = None
