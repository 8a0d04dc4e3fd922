"""The canonical event types: what every consumer of the stream sees.

Times are integers, nanoseconds since the Unix epoch, UTC. Prices are floats in the instrument's currency.
The order of the fields is the order of the keys on the wire.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

BOOK_DEPTH = 10


class EventSource(StrEnum):
    """Where an event was taken from."""

    MASSIVE_WS = "massive_ws"
    MASSIVE_REST = "massive_rest"
    POLYGON_WS = "polygon_ws"
    POLYGON_REST = "polygon_rest"
    REPLAY = "replay"
    SIM = "sim"
    DIRECT_FEED = "direct_feed"
    DATABENTO_LIVE = "databento_live"


class Aggressor(IntEnum):
    """Who took liquidity. DBN's side ``B`` is BUY, ``A`` is SELL, ``N`` is MID."""

    BUY = 1
    SELL = -1
    MID = 0


class ResetReason(StrEnum):
    """Why a replay goes on somewhere else."""

    START = "start"  # a warm-up is over
    SEEK = "seek"
    STEP = "step"  # to events before
    LOOP = "loop"
    WARM_UP = "warm-up"  # what follows only fills memories


@dataclass(frozen=True, slots=True)
class StockTrade:
    """A print; ``size`` in whole shares, ``exchange`` and ``conditions`` as the vendor's ids."""

    ts_event_ns: int
    ts_recv_ns: int
    source: EventSource
    symbol: str
    price: float
    size: int
    exchange: int | None = None
    conditions: list[int] | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class StockQuote:
    """A change of the national best bid and offer; sizes in shares."""

    ts_event_ns: int
    ts_recv_ns: int
    source: EventSource
    symbol: str
    bid_px: float
    ask_px: float
    bid_sz: int
    ask_sz: int
    bid_exch: int | None = None
    ask_exch: int | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class OptionTrade:
    """An option print; ``exp_date`` is an ISO date, ``right`` is ``C`` or ``P``, ``size`` in contracts.

    ``opt_bid`` and ``opt_ask`` are the quote in force at its time, ``None`` where that is not known; 0 is a side
    without any. ``aggressor`` follows from them.
    """

    ts_event_ns: int
    ts_recv_ns: int
    source: EventSource
    underlying: str
    option_symbol: str
    exp_date: str
    strike: float
    right: str
    price: float
    size: int
    opt_bid: float | None = None
    opt_ask: float | None = None
    aggressor: Aggressor = Aggressor.MID
    conditions: list[int] | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class OptionQuote:
    """A change of an option's national best bid and offer; sizes in contracts, a price of 0 is a side without any."""

    ts_event_ns: int
    ts_recv_ns: int
    source: EventSource
    underlying: str
    option_symbol: str
    exp_date: str
    strike: float
    right: str
    bid_px: float
    ask_px: float
    bid_sz: int
    ask_sz: int
    bid_exch: int | None = None
    ask_exch: int | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class FuturesTrade:
    """A futures print; ``size`` in contracts, ``seq`` the venue's sequence number."""

    ts_event_ns: int
    ts_recv_ns: int
    source: EventSource
    symbol: str
    price: float
    size: int
    aggressor: Aggressor
    exchange: str = "CME"
    conditions: list[int] | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class BidAskLevel:
    """One level of a book; a price is ``None`` where the side has no such level (its size is then 0)."""

    bid_px: float | None
    bid_sz: int
    ask_px: float | None
    ask_sz: int


@dataclass(frozen=True, slots=True)
class MBP10:
    """The ten best levels of each side after one change, best first; ``levels`` has exactly ten items."""

    ts_event_ns: int
    ts_recv_ns: int
    source: EventSource
    symbol: str
    levels: tuple[BidAskLevel, ...]
    is_snapshot: bool = False
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Data missing upstream from ``from_ns`` to ``to_ns`` (``None`` while open)."""

    ts_event_ns: int
    ts_recv_ns: int
    source: EventSource
    feed: str
    from_ns: int
    to_ns: int | None
    reason: str
    gap_id: str
    events: int | None = None


@dataclass(frozen=True, slots=True)
class Reset:
    """A replay jumped from the event time ``from_ns`` to ``to_ns``: what follows does not continue what came before.

    ``ts_event_ns`` is ``to_ns``, ``ts_recv_ns`` when it jumped (wall time); ``segment`` counts the jumps of the run.
    """

    ts_event_ns: int
    ts_recv_ns: int
    source: EventSource
    run_id: str
    reason: ResetReason
    from_ns: int
    to_ns: int
    segment: int


Event = StockTrade | StockQuote | OptionTrade | OptionQuote | FuturesTrade | MBP10 | Gap | Reset
