"""Trades of a gap, over REST: what the socket has missed.

``/v3/trades/{ticker}`` of Massive, all pages, in order: https://massive.com/docs/rest/stocks/trades-quotes/trades.
"""

import asyncio
from typing import Any

from spyctl.errors import KeyRefusedError, UnreachableFeedError
from spyctl.normalize.massive import from_rest
from spyctl.sources.massive_rest import MassiveRest
from spyctl.times import SECOND

PAGE = 50_000
TRIES = 5
PAUSE_S = 12.0  # a free plan allows five calls a minute
MARGIN_NS = SECOND  # asked for on both sides; what was seen falls away by its identity


class Backfill:
    """Fetches trades of past minutes; keeps to the vendor's rate limit."""

    def __init__(self, rest: MassiveRest, *, pause_s: float = PAUSE_S) -> None:
        self._rest = rest
        self._pause_s = pause_s

    async def trades(self, symbols: list[str], from_ns: int, to_ns: int) -> list[dict[str, Any]]:
        """Return the trades of some tickers between two instants (Unix ns), in wire form, in event order.

        Raises :class:`KeyRefusedError` where the plan does not include them, :class:`UnreachableFeedError`.
        """
        found: list[dict[str, Any]] = []
        for symbol in symbols:
            found += await self._of(symbol, from_ns - MARGIN_NS, to_ns + MARGIN_NS)
        return sorted(found, key=lambda message: (message.get("t") or 0, message.get("q") or 0))

    async def _of(self, symbol: str, from_ns: int, to_ns: int) -> list[dict[str, Any]]:
        query: dict[str, str | int] = {"timestamp.gte": from_ns, "timestamp.lte": to_ns, "limit": PAGE}
        query |= {"order": "asc", "sort": "timestamp"}
        for _ in range(TRIES):
            answers = await asyncio.to_thread(lambda: list(self._rest.pages(f"/v3/trades/{symbol}", **query)))
            last = answers[-1]
            if last.code == 200:
                results = (trade for answer in answers for trade in answer.document.get("results") or ())
                return [from_rest(symbol, trade) for trade in results if isinstance(trade, dict)]
            if last.code in (401, 403):
                raise KeyRefusedError(f"no trades of {symbol} over REST: {last.words}", "a plan that includes them")
            await asyncio.sleep(last.retry_after_s or self._pause_s)
        raise UnreachableFeedError(f"no trades of {symbol} over REST: {last.words}", "try again later")
