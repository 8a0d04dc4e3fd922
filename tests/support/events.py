"""Live events with sensible values, any of which a test may set."""

from datetime import date
from typing import Any

from spyctl.market.events import (
    BOOK_DEPTH,
    MBP10,
    Aggressor,
    BidAskLevel,
    EventSource,
    FuturesTrade,
    OptionQuote,
    OptionTrade,
    StockQuote,
    StockTrade,
)
from spyctl.market.option_tickers import OptionTicker
from tests.support.clock import WALL_NS

_SOON_NS = 1_000_000


def trade(**values: Any) -> StockTrade:
    fields: dict[str, Any] = {
        "ts_event_ns": WALL_NS, "ts_recv_ns": WALL_NS + _SOON_NS, "source": EventSource.POLYGON_WS, "symbol": "SPY",
        "price": 680.0, "size": 100,
    }  # fmt: skip
    return StockTrade(**fields | values)


def quote(**values: Any) -> StockQuote:
    fields: dict[str, Any] = {
        "ts_event_ns": WALL_NS, "ts_recv_ns": WALL_NS + _SOON_NS, "source": EventSource.POLYGON_WS, "symbol": "SPY",
        "bid_px": 680.0, "ask_px": 680.02, "bid_sz": 400, "ask_sz": 700,
    }  # fmt: skip
    return StockQuote(**fields | values)


def option_trade(strike: int = 680, right: str = "C", expiry: date = date(2025, 12, 16), **values: Any) -> OptionTrade:
    fields: dict[str, Any] = {
        "ts_event_ns": WALL_NS, "ts_recv_ns": WALL_NS + _SOON_NS, "source": EventSource.POLYGON_WS,
        "underlying": "SPY", "option_symbol": str(OptionTicker("SPY", expiry, right, 1000 * strike)),
        "exp_date": expiry.isoformat(), "strike": float(strike), "right": right, "price": 2.0, "size": 5,
    }  # fmt: skip
    return OptionTrade(**fields | values)


def futures_trade(**values: Any) -> FuturesTrade:
    fields: dict[str, Any] = {
        "ts_event_ns": WALL_NS, "ts_recv_ns": WALL_NS + _SOON_NS, "source": EventSource.DATABENTO_LIVE, "symbol": "ES",
        "price": 6815.25, "size": 3, "aggressor": Aggressor.BUY,
    }  # fmt: skip
    return FuturesTrade(**fields | values)


def book(**values: Any) -> MBP10:
    levels = tuple(BidAskLevel(6815.0 - n / 4, 7, 6815.25 + n / 4, 8) for n in range(BOOK_DEPTH))
    fields: dict[str, Any] = {
        "ts_event_ns": WALL_NS, "ts_recv_ns": WALL_NS + _SOON_NS, "source": EventSource.DATABENTO_LIVE, "symbol": "ES",
        "levels": levels,
    }  # fmt: skip
    return MBP10(**fields | values)


def option_quote(strike: int = 680, right: str = "C", expiry: date = date(2025, 12, 16), **values: Any) -> OptionQuote:
    trade = option_trade(strike, right, expiry)
    fields: dict[str, Any] = {
        "ts_event_ns": WALL_NS, "ts_recv_ns": WALL_NS + _SOON_NS, "source": EventSource.POLYGON_WS,
        "underlying": "SPY", "option_symbol": trade.option_symbol, "exp_date": trade.exp_date, "strike": trade.strike,
        "right": right, "bid_px": 1.9, "ask_px": 2.0, "bid_sz": 10, "ask_sz": 20,
    }  # fmt: skip
    return OptionQuote(**fields | values)
