"""Trades of a gap, over REST: what the socket missed.

``/v3/trades/{ticker}`` of Massive, all pages, in order: https://massive.com/docs/rest/stocks/trades-quotes/trades.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

from spyctl.errors import KeyRefusedError, SpyctlError, UnreachableFeedError
from spyctl.market.events import EventSource, OptionTrade, StockTrade
from spyctl.market.feeds import Arrival, LiveEvent
from spyctl.massive.normalize import count_equal, from_rest, normalize
from spyctl.massive.rest import Answer, MassiveRest, following
from spyctl.timing.clock import Clock, SystemClock
from spyctl.timing.instants import DAY, SECOND

PAGE = 50_000
PIECE = 512  # trades taken in at once, so that live events get their turn
MAX_PAGES = 1_000
TRIES = 5
PAUSE_S = 12.0  # a free plan allows five calls a minute
REACH_TRIES = 5
LONGEST_NS = DAY
NOT_REACHED = "trades over REST do not reach the end of the gap yet"
MARGIN_NS = SECOND  # added on both sides; what was seen already is dropped by its identity


@dataclass(slots=True)
class Filling:
    """Trades in wire form, in event order, and for which tickers some are ``missing``, with the reason."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


class Backfill:
    """Fetches trades of past minutes, within the vendor's rate limit; what was fetched is kept when a page fails.

    ``pause_s`` is how long it waits before it asks again.
    """

    def __init__(self, rest: MassiveRest, *, pause_s: float = PAUSE_S, clock: Clock | None = None) -> None:
        self._rest = rest
        self._pause_s = pause_s
        self._clock = clock or SystemClock()

    async def trades(self, symbols: list[str], from_ns: int, to_ns: int) -> Filling:
        """Return the trades of some tickers between two instants (Unix ns).

        A ticker that is unavailable costs the others nothing. Raises :class:`KeyRefusedError` where the plan does
        not include them.
        """
        filling = Filling()
        for symbol in symbols:
            try:
                await self._of(symbol, from_ns - MARGIN_NS, to_ns + MARGIN_NS, filling)
            except UnreachableFeedError as error:
                filling.missing[symbol] = error.message
        count_equal(filling.messages)
        filling.messages.sort(key=lambda message: (_number(message.get("t")), _number(message.get("q"))))
        return filling

    async def pause(self) -> None:
        """Wait until it makes sense to ask again."""
        await self._clock.wait_until(self._clock.now_ns() + round(self._pause_s * SECOND))

    async def _of(self, symbol: str, from_ns: int, to_ns: int, filling: Filling) -> None:
        query: dict[str, str | int] = {"timestamp.gte": from_ns, "timestamp.lte": to_ns, "limit": PAGE}
        query |= {"order": "asc", "sort": "timestamp"}
        path: str | None = f"/v3/trades/{symbol}"
        asked: set[str] = set()
        while path is not None and path not in asked and len(asked) < MAX_PAGES:
            asked.add(path)
            answer = await self._page(symbol, path, query if len(asked) == 1 else {})
            filling.messages += [from_rest(symbol, trade) for trade in answer.rows]
            path = following(answer)

    async def _page(self, symbol: str, path: str, query: dict[str, str | int]) -> Answer:
        # One page; a failure is tried again, without the pages before it.
        why, pause_s = "", 0.0
        for _ in range(TRIES):
            await self._clock.wait_until(self._clock.now_ns() + round(pause_s * SECOND))
            pause_s = self._pause_s
            try:
                answer = await asyncio.to_thread(self._rest.get, path, **query)
            except UnreachableFeedError as error:
                why = error.message
                continue
            if answer.code == 200 and answer.document:
                return answer
            why = answer.message if answer.code != 200 else "the answer is not JSON"
            if answer.code in (401, 403):
                raise KeyRefusedError(f"no trades of {symbol} over REST: {why}", "a plan that includes them")
            pause_s = answer.retry_after_s or self._pause_s
        raise UnreachableFeedError(why, "try again later")


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


class Filler:
    """Has the trades of gaps fetched and taken in.

    ``hold`` and ``release`` bracket the time in which nothing that was seen may be forgotten; ``take`` takes an arrival
    of some tickers and returns how many of its trades were new. ``matters`` tells whether a topic's events count, also
    where they are not trades.
    """

    def __init__(
        self,
        backfill: Backfill,
        *,
        hold: Callable[[], None],
        release: Callable[[], None],
        take: Callable[[Arrival, Collection[str]], Awaitable[int]],
        info: Callable[[str], None],
        warn: Callable[[str], None],
        clock: Clock,
        matters: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.filled = 0
        self.unfilled = 0  # gaps for which something is still missing
        self._backfill = backfill
        self._hold, self._release = hold, release
        self._take = take
        self._info, self._warn = info, warn
        self._clock = clock
        self._matters = matters
        self._topics: dict[str, set[str]] = {}  # by feed: the topics wanted while nothing arrived
        self._first_ns: dict[str, int | None] = {}  # by feed: the event time of the first trade since it came back

    def lost(self, feed: str, topics: Collection[str]) -> None:
        """Note that nothing arrives any more on some topics of a feed."""
        if feed not in self._topics:
            self._topics[feed] = set(topics)
            self._hold()

    def wanted(self, feed: str, topics: Collection[str]) -> None:
        """Note the topics that are wanted now; they matter while nothing arrives."""
        if feed in self._topics:
            self._topics[feed].update(topics)

    def fill(self, feed: str, from_ns: int, to_ns: int) -> Coroutine[Any, Any, bool]:
        """Return a coroutine that fetches all trades that were wanted of a feed between two instants (Unix ns).

        It returns whether nothing is missing any more. Of a longer gap the last 24 h are fetched. The next gap may
        begin before it has run.
        """
        topics = self._topics.pop(feed)
        symbols = sorted(topic.removeprefix("T.") for topic in topics if topic.startswith("T."))
        self._first_ns[feed] = None
        others = [topic for topic in topics if not topic.startswith("T.") and self._matters(topic)]
        return self._fill(feed, symbols, from_ns, to_ns, others)

    def see(self, feed: str, events: Iterable[tuple[LiveEvent, str]]) -> None:
        """Note what arrived on a feed: the first trade after a gap tells whether REST has come that far."""
        if self._first_ns.get(feed, 0) is None:
            trades = (event for event, _ in events if isinstance(event, StockTrade | OptionTrade))
            self._first_ns[feed] = min((trade.ts_event_ns for trade in trades), default=None)

    async def _fill(self, feed: str, symbols: list[str], from_ns: int, to_ns: int, others: list[str]) -> bool:
        self.unfilled += 1
        whole = to_ns - from_ns <= LONGEST_NS
        if not whole:
            from_ns = to_ns - LONGEST_NS
            self._warn(f"backfill: of the {feed} gap only the last 24 hours")
        try:
            filled, missing = 0, {"": "not asked yet"}
            for _ in range(REACH_TRIES):
                filling = await self._backfill.trades(symbols, from_ns, to_ns)
                filled += await self._taken(feed, symbols, filling)
                missing = filling.missing | self._not_reached(feed, filling, to_ns)
                if NOT_REACHED not in missing.values():
                    break
                await self._backfill.pause()
            self.filled += filled
            self._info(f"backfill: {filled:,} trade{'' if filled == 1 else 's'} of the {feed} gap")
            for symbol, why in missing.items():
                self._warn(f"backfill: none of {symbol}: {why}" if why != NOT_REACHED else f"backfill: {symbol} {why}")
            if whole and not missing:
                self.unfilled -= 1
                return not others
        except SpyctlError as error:
            self._warn(f"backfill: {error.message}")
        finally:
            self._release()
        return False

    async def _taken(self, feed: str, symbols: list[str], filling: Filling) -> int:
        filled = 0
        for start in range(0, len(filling.messages), PIECE):
            messages = filling.messages[start : start + PIECE]
            parsed = normalize(messages, feed, self._clock.time_ns(), EventSource.POLYGON_REST)
            filled += await self._take(parsed.arrival(feed, self._clock.now_ns()), symbols)
        return filled

    def _not_reached(self, feed: str, filling: Filling, to_ns: int) -> dict[str, str]:
        # A trade that the socket brought after the gap must be there, or what was before it may not be either.
        newest_ns = max((_number(message.get("t")) for message in filling.messages), default=0)
        first_ns = self._first_ns.get(feed)
        if first_ns is None or not newest_ns < first_ns <= to_ns:
            return {}
        return {feed: NOT_REACHED}
