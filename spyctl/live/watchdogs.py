"""What to do about a run at a moment: state and time in, actions out, nothing else.

They look several times a second at the feeds (is silence suspicious, is nothing acknowledged), at the server (is it
away, does it refuse events), at the backlog (did anything have to go) and at the clocks.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from spyctl.errors import KeyRefusedError, SpyctlError
from spyctl.live.backlog import Drops
from spyctl.live.feed_policy import FeedPolicy
from spyctl.live.filter import LiveFilter
from spyctl.live.sender import Sender, SenderTiming
from spyctl.market.feeds import FeedState, LiveFeed
from spyctl.massive.subscriptions import MAX_OPTION_QUOTES, quote_topics
from spyctl.terminal.text import count
from spyctl.timing.instants import SECOND

NATS, OVERFLOW = "nats", "overflow"  # gaps that are no feed's
TIME_TO_CONNECT_NS = 3 * SECOND
ASLEEP_NS = 2 * SECOND  # without a look


@dataclass(frozen=True, slots=True)
class LiveTiming:
    """How often a session looks at things, and how long until it acts; in seconds.

    ``overflow_clear`` is the time without a drop until an overflow is over. Where silence is suspicious, a feed is told
    of after ``stall``, and gets a new connection after ``stall_reconnect``, then after twice the time, up to
    ``longest_stall``. ``skew`` is the time between looks at how late events arrive.
    """

    tick: float = 0.05
    overflow_clear: float = 2.0
    stall: float = 15.0
    stall_reconnect: float = 60.0
    longest_stall: float = 600.0
    skew: float = 10.0
    sender: SenderTiming = field(default_factory=SenderTiming)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment: Unix ns, and monotonic ns; the market as it arrives is ``delay_ns`` behind."""

    unix_ns: int
    clock_ns: int
    delay_ns: int = 0

    @property
    def market_ns(self) -> int:
        """The market's time as it arrives, Unix ns."""
        return self.unix_ns - self.delay_ns


@dataclass(frozen=True, slots=True)
class OpenGap:
    """Open a gap; events are missing from ``from_ns`` (Unix ns) on."""

    feed: str
    from_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class CloseGap:
    """Close a gap, where it is open; ``events`` are missing."""

    feed: str
    events: int


@dataclass(frozen=True, slots=True)
class Restarted:
    """Open a gap for what a feed brought between the last run and this one, from ``from_ns`` on (event time)."""

    feed: str
    from_ns: int


@dataclass(frozen=True, slots=True)
class Returned:
    """Close the gap of a feed: it brings all that is wanted of it."""

    feed: str


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Have a feed make a new connection."""

    feed: LiveFeed
    reason: str


@dataclass(frozen=True, slots=True)
class DropQuotes:
    """Do without option quotes, which the vendor refuses with these words."""

    words: str


@dataclass(frozen=True, slots=True)
class Warn:
    """Say what somebody should look at."""

    text: str


@dataclass(frozen=True, slots=True)
class End:
    """End the run."""

    error: SpyctlError


Action = OpenGap | CloseGap | Restarted | Returned | Reconnect | DropQuotes | Warn | End


@dataclass(slots=True)
class _Silence:
    told: bool = False
    tries: int = 0  # connections made for it


@dataclass(slots=True)
class StallWatch:
    """Looks for feeds that are silent where that is suspicious.

    A connection that is up answers pings, or it would have been ended for that, so its silence may be a halt or a quiet
    tape: it is told of, and a new connection is made rarely, after twice the time of the last one. What was not read
    while the process did nothing is read first.
    """

    timing: LiveTiming
    _silences: dict[str, _Silence] = field(default_factory=dict)
    _looked_ns: int | None = None
    _awake_ns: int = 0

    def look(self, policies: Sequence[FeedPolicy], last_quote_ns: int | None, now: Moment) -> list[Action]:
        """Return what to do; ``last_quote_ns`` is monotonic."""
        if self._looked_ns is not None and now.clock_ns - self._looked_ns > ASLEEP_NS:
            self._awake_ns = now.clock_ns
        self._looked_ns = now.clock_ns
        actions: list[Action] = []
        for policy in policies:
            feed, rule = policy.feed, policy.stall
            if rule is not None and feed.state is FeedState.UP:
                wants_quotes = rule.quote_topic in feed.held
                heard_ns = (last_quote_ns if wants_quotes else feed.liveness.last_frame_ns) or 0
                if rule.suspicious(now.market_ns):
                    actions += self._look_at(feed, "no quote" if wants_quotes else "nothing", heard_ns, now)
        return actions

    def _look_at(self, feed: LiveFeed, what: str, heard_ns: int, now: Moment) -> list[Action]:
        silence, up_ns = self._silences.setdefault(feed.name, _Silence()), feed.liveness.up_since_ns or 0
        if heard_ns > up_ns:
            silence.tries = 0
        silent_s = (now.clock_ns - max(heard_ns, up_ns, self._awake_ns)) / SECOND
        if silent_s < self.timing.stall:
            silence.told &= heard_ns <= up_ns
            return []
        patience_s = min(self.timing.longest_stall, self.timing.stall_reconnect * 2**silence.tries)
        if silent_s >= patience_s:
            silence.tries += 1
            return [Reconnect(feed, f"{what} for {silent_s:.0f} s")]
        if silence.told:
            return []
        silence.told = True
        return [
            Warn(f"{feed.name}: {what} for {silent_s:.0f} s, though the connection is up: a halt, or a quiet tape?")
        ]


def not_entitled(policies: Sequence[FeedPolicy]) -> list[Action]:
    """End the run where a feed it cannot do without has no topic acknowledged."""
    return [
        End(
            KeyRefusedError(
                f"the {policy.feed.name} feed acknowledges no contract: {policy.feed.words or 'not authorized'}",
                "spyctl probe tells what the key is good for",
            )
        )
        for policy in policies
        if policy.entitled and policy.feed.desired and policy.feed.missing >= policy.feed.desired
    ]


def quotes_refused(policies: Sequence[FeedPolicy]) -> list[Action]:
    """Do without option quotes where none of their topics is acknowledged, and others are."""
    return [
        DropQuotes(policy.feed.words or "not acknowledged")
        for policy in policies
        if policy.feed.held and (quotes := quote_topics(policy.feed.desired)) and policy.feed.missing >= quotes
    ]


@dataclass(slots=True)
class QuoteLimitWatch:
    """Tells of contracts whose quotes a connection has no room for."""

    _left: bool = False

    def look(self, policies: Sequence[FeedPolicy]) -> list[Action]:
        """Return what to do."""
        for policy in policies:
            quotes = quote_topics(policy.feed.desired)
            if len(quotes) < MAX_OPTION_QUOTES:
                continue
            quoted = {topic.removeprefix("Q.") for topic in quotes}
            contracts = {topic.removeprefix("T.") for topic in policy.feed.desired - quotes}
            was_left, left = self._left, sorted(contracts - quoted)
            self._left = bool(left)
            if left and not was_left:
                names = ", ".join(left[:3]) + ", …" * (len(left) > 3)
                text = f"no quotes of {count('contracts', len(left))}: a connection has {MAX_OPTION_QUOTES:,}"
                return [Warn(f"{policy.feed.name}: {text}; their trades come without a side: {names}")]
        return []


@dataclass(slots=True)
class RestartWatch:
    """Tells of the hole between two runs, feed by feed, once each is let in and once it holds what it should.

    ``ended_ns`` is how far (event time) the last run came, ``None`` where there is no hole.
    """

    ended_ns: int | None
    _open: set[str] = field(default_factory=set)
    _closed: set[str] = field(default_factory=set)

    def look(self, policies: Sequence[FeedPolicy]) -> list[Action]:
        """Return what to do."""
        actions: list[Action] = []
        if self.ended_ns is None:
            return actions
        for feed in (policy.feed for policy in policies if policy.published and not policy.resends):
            if feed.state is not FeedState.UP or feed.name in self._closed:
                continue
            if feed.name not in self._open:
                self._open.add(feed.name)
                actions.append(Restarted(feed.name, self.ended_ns))
            if feed.desired and feed.desired - feed.missing <= feed.held:
                self._closed.add(feed.name)
                actions.append(Returned(feed.name))
        return actions


def never_up(policies: Sequence[FeedPolicy], begun_ns: int, now: Moment) -> list[Action]:
    """Open a gap for each feed that has not let us in since the run began (Unix ns), where there was time for it."""
    if now.unix_ns - begun_ns < TIME_TO_CONNECT_NS:
        return []
    feeds = [policy.feed for policy in policies if policy.published and policy.feed.liveness.up_since_ns is None]
    return [OpenGap(feed.name, begun_ns, "never up") for feed in feeds if feed.state is not FeedState.REFUSED]


@dataclass(slots=True)
class ServerWatch:
    """Tells of a server that is away, and of what it refuses to store, each in its own words once."""

    _told: set[str] = field(default_factory=set)

    def look(self, *, connected: bool, refusals: Collection[str], now: Moment) -> list[Action]:
        """Return what to do; ``refusals`` are the server's words so far."""
        actions: list[Action] = []
        for words in refusals:
            if words not in self._told:
                self._told.add(words)
                actions.append(Warn(f"the server refuses to store events: {words}; retrying"))
        # What had to go meanwhile is told as the overflow.
        actions.append(CloseGap(NATS, 0) if connected else OpenGap(NATS, now.unix_ns, "NATS is away"))
        return actions


@dataclass(slots=True)
class OverflowWatch:
    """Tells of events that had to go because the server was too slow.

    The overflow is over when nothing had to go for ``clear_ns`` and the backlog is below half of ``max_events``.
    """

    clear_ns: int
    max_events: int
    _dropped: int = 0  # since the overflow began
    _last_ns: int = 0

    def look(self, drops: Drops, queued: int, now: Moment) -> list[Action]:
        """Return what to do about what had to go since the last look."""
        actions: list[Action] = []
        if drops.count:
            if not self._dropped:
                from_ns = now.unix_ns - (now.clock_ns - drops.from_ns)
                actions.append(OpenGap(OVERFLOW, from_ns, "the server was too slow"))
            self._dropped += drops.count
            self._last_ns = now.clock_ns
        elif self._dropped and now.clock_ns - self._last_ns > self.clear_ns and queued < self.max_events // 2:
            actions += self.end()
        return actions

    def end(self) -> list[Action]:
        """Return what to do when nothing more can have to go."""
        dropped, self._dropped = self._dropped, 0
        return [CloseGap(OVERFLOW, dropped)] if dropped else []


class Watchdogs:
    """All of them, over a run's filter and sender.

    ``connected`` tells whether the NATS connection is up, ``last_ended_ns`` how far the last run came (event time).
    """

    def __init__(
        self,
        taken: LiveFilter,
        sender: Sender,
        connected: Callable[[], bool],
        timing: LiveTiming,
        last_ended_ns: int | None = None,
    ) -> None:
        self._filter = taken
        self._sender = sender
        self._connected = connected
        self._timing = timing
        self._server = ServerWatch()
        self._stalls = StallWatch(timing)
        self._restart = RestartWatch(last_ended_ns)
        self._quote_limit = QuoteLimitWatch()
        self._overflow = OverflowWatch(round(timing.overflow_clear * SECOND), sender.backlog.max_events)
        self._spooling = sender.backlog.spooled > 0
        self._next_skew_ns: int | None = None

    def look(self, policies: Sequence[FeedPolicy], now: Moment) -> Iterator[Action]:
        """Yield what to do at a moment."""
        yield from self._restart.look(policies)
        yield from self._stalls.look(policies, self._filter.tape.last_quote_ns, now)
        yield from not_entitled(policies)
        yield from quotes_refused(policies)
        yield from self._quote_limit.look(policies)
        yield from self.look_at_server(now)
        yield from self._look_at_backlog(now)
        if self._next_skew_ns is None or now.clock_ns >= self._next_skew_ns:
            self._next_skew_ns = now.clock_ns + round(self._timing.skew * SECOND)
            if complaint := self._filter.lateness.complaint():
                yield Warn(complaint)

    def look_at_server(self, now: Moment) -> list[Action]:
        """Return what to do about the server at a moment."""
        refusals = self._sender.sink.delivery.refusals
        return self._server.look(connected=self._connected(), refusals=list(refusals), now=now)

    def end(self, now: Moment) -> list[Action]:
        """Return what to do at the end: the gaps of the feeds stay open, since nobody knows what comes after it."""
        return [*self.look_at_server(now), *self._look_at_backlog(now), *self._overflow.end()]

    def _look_at_backlog(self, now: Moment) -> list[Action]:
        backlog = self._sender.backlog
        before, self._spooling = self._spooling, backlog.spooled > 0
        warnings: list[Action] = []
        if self._spooling and not before:
            warnings.append(
                Warn("more events are waiting than memory may hold: they go to disk and are published later")
            )
        return warnings + self._overflow.look(backlog.take_drops(), len(backlog), now)
