"""Trades of a gap, over REST: what the socket has missed.

``/v3/trades/{ticker}`` of Massive, all pages, in order: https://massive.com/docs/rest/stocks/trades-quotes/trades.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from spyctl.errors import KeyRefusedError, SpyctlError, UnreachableFeedError
from spyctl.massive.normalize import from_rest
from spyctl.massive.rest import Answer, MassiveRest, following
from spyctl.timing.instants import SECOND

PAGE = 50_000
MOST_PAGES = 1_000
TRIES = 5
PAUSE_S = 12.0  # a free plan allows five calls a minute
MARGIN_NS = SECOND  # asked for on both sides; what was seen falls away by its identity


@dataclass(slots=True)
class Filling:
    """Trades in wire form, in event order, and for which tickers some are ``missing``, with the reason."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


class Backfill:
    """Fetches trades of past minutes; keeps to the vendor's rate limit, and to what it has got."""

    def __init__(self, rest: MassiveRest, *, pause_s: float = PAUSE_S) -> None:
        self._rest = rest
        self._pause_s = pause_s

    async def trades(self, symbols: list[str], from_ns: int, to_ns: int) -> Filling:
        """Return the trades of some tickers between two instants (Unix ns).

        One ticker that cannot be had costs the others nothing. Raises :class:`KeyRefusedError` where the plan does
        not include them.
        """
        found = Filling()
        for symbol in symbols:
            try:
                await self._of(symbol, from_ns - MARGIN_NS, to_ns + MARGIN_NS, found)
            except UnreachableFeedError as error:
                found.missing[symbol] = error.message
        found.messages.sort(key=lambda message: (message.get("t") or 0, message.get("q") or 0))
        return found

    async def _of(self, symbol: str, from_ns: int, to_ns: int, found: Filling) -> None:
        query: dict[str, str | int] = {"timestamp.gte": from_ns, "timestamp.lte": to_ns, "limit": PAGE}
        query |= {"order": "asc", "sort": "timestamp"}
        path: str | None = f"/v3/trades/{symbol}"
        asked: set[str] = set()
        while path is not None and path not in asked and len(asked) < MOST_PAGES:
            asked.add(path)
            answer = await self._page(symbol, path, query if len(asked) == 1 else {})
            trades = answer.document.get("results") or ()
            found.messages += [from_rest(symbol, trade) for trade in trades if isinstance(trade, dict)]
            path = following(answer)

    async def _page(self, symbol: str, path: str, query: dict[str, str | int]) -> Answer:
        # One page; a hiccup is no reason to begin anew, nor to give up.
        why, pause_s = "", 0.0
        for _ in range(TRIES):
            await asyncio.sleep(pause_s)
            pause_s = self._pause_s
            try:
                answer = await asyncio.to_thread(self._rest.get, path, **query)
            except UnreachableFeedError as error:
                why = error.message
                continue
            if answer.code == 200 and answer.document:
                return answer
            why = answer.words if answer.code != 200 else "an answer that is no JSON"
            if answer.code in (401, 403):
                raise KeyRefusedError(f"no trades of {symbol} over REST: {why}", "a plan that includes them")
            pause_s = answer.retry_after_s or self._pause_s
        raise UnreachableFeedError(why, "try again later")


class Filler:
    """Has what the gaps left out fetched and taken in.

    ``hold`` and ``release`` bracket the time in which nothing that was seen may be forgotten; ``take`` takes trades in
    wire form, of a market and some tickers, and returns how many were new; ``note`` is told how it went.
    """

    def __init__(
        self,
        backfill: Backfill,
        *,
        hold: Callable[[], None],
        release: Callable[[], None],
        take: Callable[[Sequence[object], str, Collection[str]], Awaitable[int]],
        note: Callable[[str, bool], None],
    ) -> None:
        self.filled = 0
        self.unfilled = 0  # gaps for which something is missing still
        self._backfill = backfill
        self._hold, self._release = hold, release
        self._take = take
        self._note = note
        self._topics: dict[str, set[str]] = {}  # by market: what was wanted while nothing arrived

    def lost(self, market: str, topics: Collection[str]) -> None:
        """Note that nothing arrives any more on some topics of a market."""
        if market not in self._topics:
            self._topics[market] = set(topics)
            self._hold()

    def wanted(self, market: str, topics: Collection[str]) -> None:
        """Note what is wanted now; it matters where nothing arrives."""
        if market in self._topics:
            self._topics[market].update(topics)

    def fill(self, market: str, from_ns: int, to_ns: int) -> Coroutine[Any, Any, None]:
        """Return what fetches all that was wanted of a market between two instants (Unix ns).

        The next gap may begin before it has.
        """
        topics = self._topics.pop(market)
        symbols = sorted(topic.removeprefix("T.") for topic in topics if topic.startswith("T."))
        return self._fill(market, symbols, from_ns, to_ns)

    async def _fill(self, market: str, symbols: list[str], from_ns: int, to_ns: int) -> None:
        self.unfilled += 1
        try:
            found = await self._backfill.trades(symbols, from_ns, to_ns)
            filled = await self._take(found.messages, market, symbols)
            self.filled += filled
            self._note(f"backfill: {filled:,} trades of the {market} gap", False)
            for symbol, why in found.missing.items():
                self._note(f"backfill: none of {symbol}: {why}", True)
            self.unfilled -= not found.missing
        except SpyctlError as error:
            self._note(f"backfill: {error.message}", True)
        finally:
            self._release()
