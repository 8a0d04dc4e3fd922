"""What ``spyctl live`` was asked for, as typed values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from spyctl.bus.target import Target
from spyctl.cli.futures_options import FeedChoice
from spyctl.dbn.gateway.connection import Address
from spyctl.live.aggressors import QuoteUse
from spyctl.live.strike_manager import StrikeManager
from spyctl.live.strike_window import StrikeWindow
from spyctl.live.windows import Windows
from spyctl.market.events import EventSource
from spyctl.timing.instants import SECOND


@dataclass(frozen=True, slots=True)
class SimulatedMarket:
    """What the simulator is to do: events a second, the seed of its walk, and its drift in dollars a minute.

    It cuts its connections every ``cut_ns``, ``None`` for never.
    """

    rate: float
    seed: int
    trend: float
    cut_ns: int | None = None

    @property
    def cut_s(self) -> float | None:
        """The same in seconds."""
        return self.cut_ns / SECOND if self.cut_ns is not None else None


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where the gateway of the futures is, and the key."""

    api_key: str = field(default="", repr=False)
    address: Address = field(default_factory=Address)


@dataclass(frozen=True, slots=True)
class Vendor:
    """Where the vendor is, and the key; its feed is ``delay_ns`` late where the delayed one is asked for.

    The futures have a ``gateway`` of their own.
    """

    api_key: str = field(repr=False)
    feed_url: str
    rest_url: str
    delay_ns: int = 0
    gateway: Gateway = field(default_factory=Gateway)


@dataclass(frozen=True, slots=True)
class Underlyings:
    """Which stocks and indices, and which of their options: within so many dollars, of some expiries.

    An expiry is a date, or so many trading days after the current one. ``spots`` say where a spot comes from, where
    that is not the underlying itself.
    """

    symbols: Sequence[str] = ("SPY",)
    strike_range: int = 5
    expiries: Sequence[date | int] = (0,)
    spots: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Their names in one."""
        return "+".join(self.symbols)

    def windows(self, now_ns: int) -> Windows:
        """Return their windows at an instant (Unix ns)."""
        windows = []
        for symbol in self.symbols:
            for expiry in self.expiries:
                day, later = (expiry, 0) if isinstance(expiry, date) else (None, expiry)
                manager, spot_from = StrikeManager(self.strike_range, symbol), self.spots.get(symbol, "")
                windows.append(StrikeWindow(manager, now_ns, day, later=later, spot_from=spot_from))
        return Windows(windows)


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """What the command line asks for; ``sim`` is ``None`` for the real feed, ``spool_limit`` in bytes."""

    underlyings: Underlyings
    sim: SimulatedMarket | None
    feeds: FeedChoice
    vendor: Vendor
    backfill: bool
    quotes: QuoteUse
    require_options: bool
    lasting_ns: int | None
    spool_limit: int
    target: Target
    prefix: str
    force: bool
    metrics: tuple[str, int] | None
    as_json: bool

    @property
    def title(self) -> str:
        """What it is called on the screen."""
        return "live --sim" if self.sim is not None else "live"

    @property
    def what(self) -> str:
        """What it takes in, in a few words."""
        window = f" ±{self.underlyings.strike_range}" if "options" in self.feeds.names else ""
        return " and ".join([f"{self.underlyings.text}{window}"] * self.feeds.equity + [*self.feeds.futures])

    @property
    def source(self) -> EventSource:
        """What its events say they come from; those of the futures may say otherwise."""
        if not self.feeds.equity:
            return self.futures_source
        return EventSource.SIM if self.sim is not None else EventSource.POLYGON_WS

    @property
    def futures_source(self) -> EventSource:
        """What the events of the futures say they come from."""
        return EventSource.SIM if self.sim is not None else EventSource.DATABENTO_LIVE
