"""What the feeds bring → the backlog: filtered, given its side, and what gaps left out fetched."""

import asyncio
from collections.abc import Collection, Iterable

from spyctl.live.aggressors import QuoteUse
from spyctl.live.event_times import EventTimes
from spyctl.live.feed_policy import FeedPolicy
from spyctl.live.filter import LiveFilter
from spyctl.live.note_log import NoteLog
from spyctl.live.pending import Pending
from spyctl.live.sender import Sender
from spyctl.market.events import Gap
from spyctl.market.feeds import Arrival, WrittenArrival
from spyctl.massive.backfill import Backfill, Filler
from spyctl.massive.subscriptions import quote_topics
from spyctl.timing.clock import Clock


class Intake:
    """Passes on what ``taken`` lets through; ``filler`` fills gaps, ``None`` where nobody asked for that.

    ``delay_ns`` is how late the feeds are known to be.
    """

    def __init__(
        self,
        taken: LiveFilter,
        sender: Sender,
        backfill: Backfill | None,
        notes: NoteLog,
        clock: Clock,
        delay_ns: int = 0,
    ) -> None:
        self.times = EventTimes(delay_ns)
        self._filter = taken
        self._sender = sender
        self._clock = clock
        self.filler = None if backfill is None else Filler(
            backfill, hold=taken.trades_seen.hold, release=taken.trades_seen.release, take=self._take_backfilled,
            info=notes.info, warn=notes.warn, clock=clock, matters=self._matters,
        )  # fmt: skip

    @property
    def fills(self) -> bool:
        """Whether gaps are to be filled."""
        return self.filler is not None

    def take(self, arrival: Arrival | WrittenArrival, expected: Collection[str] = ()) -> None:
        """Take what a frame held; ``expected`` are option contracts that are ours although the window has left them."""
        if isinstance(arrival, Arrival):
            self.times.see(arrival.feed, arrival.events)
            if self.filler is not None and not expected:
                self.filler.see(arrival.feed, arrival.events)
        self._append(self._filter.take(arrival, expected))

    def look(self, clock_ns: int) -> None:
        """Pass on what has waited long enough; to be called every 50 ms (monotonic)."""
        self._append(self._filter.look(clock_ns))

    def flush(self) -> None:
        """Pass on what waits, because what it waits for may not come any more."""
        self._append(self._filter.flush(self._clock.now_ns()))

    def lost_from(self, policy: FeedPolicy, at_ns: int) -> int:
        """Note that nothing arrives any more on a feed; returns since when, by the market's clock (Unix ns)."""
        if policy.resends:
            return at_ns
        self.lost(policy.feed.name, policy.feed.desired)
        return self.times.reached(policy.feed.name, at_ns).from_ns

    def lost(self, feed: str, topics: Collection[str]) -> None:
        """Note that nothing arrives any more on some topics of a feed."""
        if quote_topics(topics):
            self.flush()
            self._filter.aggressors.forget()
        if self.filler is not None:
            self.filler.lost(feed, topics)

    def wanted(self, feed: str, topics: Collection[str]) -> None:
        """Note the topics that are wanted of a feed now."""
        if self.filler is not None:
            self.filler.wanted(feed, topics)

    async def fill(self, feed: str, gap: Gap) -> bool:
        """Fill a closed gap of a feed, where that was asked for; returns whether nothing of it is missing any more."""
        if self.filler is None:
            return False
        now_ns = self._clock.time_ns() - self.times.delay_ns
        return await self.filler.fill(feed, gap.from_ns, max(gap.to_ns or now_ns, now_ns))

    def _matters(self, topic: str) -> bool:
        # Whether what arrives on a topic is published.
        return not quote_topics([topic]) or self._filter.aggressors.use is QuoteUse.PUBLISH

    def _append(self, events: Iterable[Pending]) -> None:
        for event in events:
            self._sender.append(event)

    async def _take_backfilled(self, arrival: Arrival, expected: Collection[str]) -> int:
        await self._sender.room()  # what is live goes first
        before = self._filter.duplicates
        self.take(arrival, expected)
        await asyncio.sleep(0)
        return len(arrival.events) - (self._filter.duplicates - before)
