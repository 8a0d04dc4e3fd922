"""The live path: feeds → filter → backlog → acknowledged, beside it the strike window and the gaps.

The feeds hand on what arrived; nothing goes back to them. Filtering and publishing run in batches of their own, so that
a slow server never holds up the reading; what waits in between is bounded.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import assert_never

from spyctl.bus.in_flight import Sink
from spyctl.errors import KeyRefusedError, NoDataError, SpyctlError
from spyctl.live.aggressors import QuoteUse
from spyctl.live.backlog import MAX_EVENTS, Backlog
from spyctl.live.errands import Errands
from spyctl.live.feed_policy import FeedPolicy
from spyctl.live.filter import MEMORY, LiveFilter, Memory
from spyctl.live.gap_records import GapRecords
from spyctl.live.gaps import Gaps
from spyctl.live.intake import Intake
from spyctl.live.ledger import Ledger
from spyctl.live.listed_contracts import ListedContracts
from spyctl.live.losses import Losses
from spyctl.live.note_log import NoteLog
from spyctl.live.sender import Sender
from spyctl.live.spool import Spool
from spyctl.live.watchdogs import (
    Action,
    CloseGap,
    DropQuotes,
    End,
    LiveTiming,
    Moment,
    OpenGap,
    Reconnect,
    Restarted,
    Returned,
    Warn,
    Watchdogs,
    never_up,
)
from spyctl.live.windows import Windows
from spyctl.market.events import MBP10, EventSource, FuturesTrade, Gap, OptionQuote, OptionTrade, StockQuote, StockTrade
from spyctl.market.feeds import Arrival, FeedState, LiveEvent, LiveFeed, WrittenArrival
from spyctl.market.subjects import encode, subject_of
from spyctl.massive.backfill import Backfill
from spyctl.massive.rest import Listing
from spyctl.summary import StopReason
from spyctl.timing.clock import Clock, SystemClock
from spyctl.timing.instants import SECOND
from spyctl.timing.notes import Note
from spyctl.timing.tasks import end_task

SUBJECTS = tuple(map(subject_of, (StockTrade, StockQuote, OptionTrade, Gap)))
_BY_FEED = {"stocks": (StockTrade, StockQuote), "options": (OptionTrade,), "futures": (FuturesTrade, MBP10)}
EQUITY_FEEDS = ("stocks", "options")
QUOTE_SUBJECT = subject_of(OptionQuote)
WAITED_FRAMES = 64  # from then on, or when events are late, worth a word when a connection ends
LATE_NS = SECOND


def subjects(feeds: Collection[str], quotes: QuoteUse) -> tuple[str, ...]:
    """Return what a session with some feeds publishes (without prefix); the gap records come last."""
    kinds = (kind for feed, of_feed in _BY_FEED.items() if feed in feeds for kind in of_feed)
    more = (QUOTE_SUBJECT,) if quotes is QuoteUse.PUBLISH and "options" in feeds else ()
    return (*map(subject_of, kinds), *more, SUBJECTS[-1])


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """What a session takes in, and with how much patience and memory.

    ``feeds`` are the names of what it takes in; ``sources`` are those of the feeds that have another than ``source``.
    They are ``delay_ns`` late where that is what is subscribed. ``last_ended_ns`` is the event time that the last run
    came to, ``None`` where nothing is missing since.
    """

    source: EventSource = EventSource.POLYGON_WS
    sources: Mapping[str, EventSource] = field(default_factory=dict)
    feeds: tuple[str, ...] = EQUITY_FEEDS
    prefix: str = ""
    max_events: int = MAX_EVENTS
    memory: Memory = MEMORY
    quotes: QuoteUse = QuoteUse.NONE
    delay_ns: int = 0
    last_ended_ns: int | None = None
    timing: LiveTiming = field(default_factory=LiveTiming)

    @property
    def subjects(self) -> tuple[str, ...]:
        """What it publishes (without prefix); the gap records come last."""
        return subjects(self.feeds, self.quotes)


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a session asks and tells.

    ``connected`` tells whether the NATS connection is up; ``listed`` what is listed of an underlying for an expiry,
    ``None`` where that is unavailable; ``observer`` is shown each event, ``tell`` each note. What memory cannot hold
    goes to ``spool``.
    """

    connected: Callable[[], bool] = lambda: True
    backfill: Backfill | None = None
    listed: Callable[[str, date], Awaitable[Listing | None]] | None = None
    observer: Callable[[LiveEvent], None] | None = None
    tell: Callable[[Note], None] = lambda _: None
    spool: Spool | None = None


class LiveSession:
    """One run of the live side; :meth:`run` goes on until :meth:`stop`. Counts may be read at any time."""

    def __init__(
        self,
        sink: Sink,
        windows: Windows,
        options: LiveOptions,
        *,
        run_id: str,
        hooks: Hooks,
        clock: Clock | None = None,
        write: Callable[[LiveEvent], bytes] = encode,
    ) -> None:
        self.clock = clock or SystemClock()
        self.run_id = run_id
        self.options = options
        self.hooks = hooks
        self.notes = NoteLog(self.clock, hooks.tell)
        self.filter = LiveFilter(
            windows, self.notes.warn, observer=hooks.observer, memory=options.memory, write=write,
            quotes=options.quotes,
        )  # fmt: skip
        self.sender = Sender(Backlog(options.max_events, hooks.spool), sink, self.clock, options.timing.sender)
        self.ledger = Ledger(self.filter, self.sender, self.clock)
        self.policies: dict[str, FeedPolicy] = {}
        self.refused: dict[str, SpyctlError] = {}
        self._errands = Errands(self.notes.warn)
        self.intake = Intake(self.filter, self.sender, hooks.backfill, self.notes, self.clock, options.delay_ns)
        records = GapRecords(options.source, self.sender, self.notes, self.clock, options.sources)
        self._losses = Losses(records, self.intake, self._errands, options.last_ended_ns)
        self._watchdogs = Watchdogs(self.filter, self.sender, hooks.connected, options.timing, options.last_ended_ns)
        self._listed = [
            ListedContracts(hooks.listed, window, self.notes.info, self.clock)
            for window in windows.all
            if hooks.listed is not None
        ]

    @property
    def uses_option_quotes(self) -> bool:
        """Whether option quotes are wanted, and were not refused."""
        return self.filter.aggressors.use is not QuoteUse.NONE

    @property
    def windows(self) -> Windows:
        """The strike windows of the options."""
        return self.filter.windows

    @property
    def feeds(self) -> dict[str, LiveFeed]:
        """The feeds by name, while and after it runs."""
        return {name: policy.feed for name, policy in self.policies.items()}

    @property
    def gaps(self) -> Gaps:
        """The gaps so far."""
        return self._losses.records.gaps

    @property
    def connected(self) -> bool:
        """Whether the NATS connection is up."""
        return self.hooks.connected()

    @property
    def stopped_by(self) -> StopReason | None:
        """Why it ended, or is about to."""
        return self.ledger.stopped_by

    # --- running

    def stop(self, by: StopReason) -> None:
        """End the run: reading stops, what was received is published and waited for."""
        self.ledger.stopped_by = self.ledger.stopped_by or by
        for feed in self.feeds.values():
            feed.stop()

    async def run(self, policies: Sequence[FeedPolicy]) -> None:
        """Take in what the feeds bring, until all of them have ended.

        Raises :class:`KeyRefusedError` where the key is refused for a required feed, or for one that was up before,
        :class:`NoDataError` where a required feed has nothing that was asked for, and what the sink raises.
        """
        self.ledger.begin()
        self.policies = {policy.feed.name: policy for policy in policies}
        self._follow_topics()
        sending, looking = asyncio.create_task(self.sender.keep_sending()), asyncio.create_task(self._keep_looking())
        readers = {asyncio.create_task(self._read(policy)) for policy in policies}
        try:
            reading = set(readers)
            while reading and not self.stopped_by:
                done, _ = await asyncio.wait({sending, looking, *reading}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                reading -= done
        finally:
            self.stop(StopReason.ERROR)
            await asyncio.wait(readers)
            for task in (looking, *readers):
                await end_task(task)
            await self._errands.end()
            self.intake.flush()
            self._act(never_up(policies, self.ledger.started_ns, self._now()))
            self._act(self._watchdogs.end(self._now()))
            await self.sender.finish(sending, self._look_at_server)
            self.ledger.end()

    async def _read(self, policy: FeedPolicy) -> None:
        try:
            await policy.feed.run(self)
        except (KeyRefusedError, NoDataError) as error:
            self.refused[policy.feed.name] = error
            never_let_in = policy.feed.state is FeedState.REFUSED and policy.feed.liveness.up_since_ns is None
            if policy.required or not (never_let_in or policy.own_key):
                raise
            self.notes.warn(error.message)

    def arrived(self, arrival: Arrival | WrittenArrival) -> None:
        """Take what a frame held."""
        self.intake.take(arrival)

    def lost(self, feed: str, from_ns: int, reason: str, waited: int) -> None:
        """Open a gap."""
        if waited > WAITED_FRAMES or self.filter.lateness.latest_ns > LATE_NS:
            late_s = self.filter.lateness.latest_ns / SECOND
            self.notes.warn(f"{feed}: before that, {waited:,} frames waited, events were up to {late_s:.1f} s late")
        self._losses.lost(self.policies[feed], from_ns, reason)

    def back(self, feed: str, to_ns: int, *, filled: bool = False) -> None:
        """Close a gap, and have it filled where that was asked for."""
        self._losses.back(self.policies[feed], to_ns, filled=filled)

    def short(self, feed: str, missing: int | None) -> None:
        """Leave a gap open: the vendor has sent again what it has."""
        self._losses.records.leave_open(feed, missing)

    def note(self, feed: str, text: str) -> None:
        """Keep a note."""
        self.notes.warn(text)

    async def _keep_looking(self) -> None:
        while True:
            now = self._now()
            self.intake.look(now.clock_ns)
            self._follow_window(now)
            for listed in self._listed:
                listed.tell_left_out()
                if listed.due():
                    self._errands.start(listed.refresh())
            self._act(self._watchdogs.look(list(self.policies.values()), now))
            await self.clock.wait_until(now.clock_ns + round(self.options.timing.tick * SECOND))

    def _now(self) -> Moment:
        return Moment(self.clock.time_ns(), self.clock.now_ns(), self.options.delay_ns)

    def _look_at_server(self) -> None:
        self._act(self._watchdogs.look_at_server(self._now()))

    def _act(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case OpenGap(feed, from_ns, reason):
                    self._losses.records.open(feed, from_ns - self.options.delay_ns, reason)
                case CloseGap(feed, events):
                    self._losses.records.close(feed, self._now().market_ns, events)
                case Restarted(feed, from_ns):
                    self._losses.restarted(self.policies[feed], from_ns)
                case Returned(feed):
                    self.back(feed, self.clock.time_ns())
                case Reconnect(feed, reason):
                    feed.reconnect(reason)
                case Warn(text):
                    self.notes.warn(text)
                case DropQuotes(words):
                    self.filter.aggressors.use = QuoteUse.NONE
                    self.intake.flush()
                    self.notes.warn(f"option quotes: {words}; option trades have no side from now on")
                case End(error):
                    raise error
                case _:
                    assert_never(action)

    def _follow_window(self, now: Moment) -> None:
        for window in self.windows.tick(now.market_ns, now.clock_ns):
            self.filter.tape.forget_prints()
            self.notes.info(f"{window.manager.underlying}: options now of {window.manager.expiry}")
        self._follow_topics()

    def _follow_topics(self) -> None:
        for name, policy in self.policies.items():
            topics = policy.topics()
            if policy.feed.desired != topics:
                policy.feed.set_desired(topics)
                self.intake.wanted(name, topics)
