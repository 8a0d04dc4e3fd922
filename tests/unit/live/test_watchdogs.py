"""State and time in, actions out."""

from dataclasses import replace

import pytest

from spyctl.errors import KeyRefusedError
from spyctl.live.backlog import Backlog, Drops
from spyctl.live.feed_policy import FeedPolicy, StallRule
from spyctl.live.filter import LiveFilter
from spyctl.live.pending import Pending
from spyctl.live.sender import Sender, SenderTiming
from spyctl.live.strike_manager import StrikeManager
from spyctl.live.strike_window import StrikeWindow
from spyctl.live.watchdogs import (
    CloseGap,
    DropQuotes,
    End,
    LiveTiming,
    Moment,
    OpenGap,
    OverflowWatch,
    QuoteLimitWatch,
    Reconnect,
    Restarted,
    RestartWatch,
    Returned,
    ServerWatch,
    StallWatch,
    Warn,
    Watchdogs,
    never_up,
    not_entitled,
    quotes_refused,
)
from spyctl.live.windows import Windows
from spyctl.market.feeds import FeedState
from spyctl.timing.clock import SystemClock
from spyctl.timing.instants import SECOND
from tests.support.live import StillFeed
from tests.support.sinks import RecordingSink


def watched(feed: StillFeed, *, suspicious: bool = True, entitled: bool = False) -> list[FeedPolicy]:
    stall = StallRule("Q.SPY", lambda _: suspicious)
    return [FeedPolicy(feed, lambda: feed.desired, entitled=entitled, stall=stall)]


def at(seconds: float) -> Moment:
    return Moment(10**18 + round(seconds * SECOND), round(seconds * SECOND))


class Looking:
    """Looks every second from 0 s on."""

    def __init__(self, policies: list[FeedPolicy]) -> None:
        self.watch = StallWatch(LiveTiming())
        self.policies = policies
        self.second = 0.0

    def until(self, second: float, last_quote_s: float | None = None) -> list[tuple[float, str]]:
        """Return what was done when; each new connection is up a moment later."""
        done = []
        while self.second < second:
            self.second += 1
            last_quote_ns = round(last_quote_s * SECOND) if last_quote_s is not None else None
            for action in self.watch.look(self.policies, last_quote_ns, at(self.second)):
                done.append((self.second, action.reason if isinstance(action, Reconnect) else "told"))
                if isinstance(action, Reconnect):
                    assert isinstance(action.feed, StillFeed)
                    action.feed.up_since_ns = at(self.second).clock_ns
        return done


@pytest.mark.parametrize(
    ("feed", "last_quote_s", "reason"),
    [
        (StillFeed(), None, "no quote for 60 s"),
        (StillFeed(last_frame_ns=59 * SECOND), None, "no quote for 60 s"),  # trades alone prove nothing
        (StillFeed(), 5, None),
        (StillFeed(up_since_ns=5 * SECOND), None, None),  # it has just come up
        (StillFeed(state=FeedState.RECONNECTING), None, None),
        (StillFeed(held=frozenset({"T.SPY"})), None, "nothing for 60 s"),
        (StillFeed(held=frozenset({"T.SPY"}), last_frame_ns=5 * SECOND), None, None),
    ],
)
def test_a_feed_that_stays_silent_reconnects(feed: StillFeed, last_quote_s: int | None, reason: str | None) -> None:
    done = Looking(watched(feed)).until(60, last_quote_s)
    assert [words for _, words in done if words != "told"] == ([reason] if reason is not None else [])


def test_a_halt_is_told_of_and_costs_few_connections() -> None:
    looking = Looking(watched(StillFeed()))
    assert looking.until(100) == [(15, "told"), (60, "no quote for 60 s")]
    assert [second for second, _ in looking.until(2_000)] == [180, 420, 900, 1_500]
    assert looking.until(2_014, last_quote_s=2_000) == []
    assert looking.until(2_061, last_quote_s=2_000) == [(2_015, "told"), (2_060, "no quote for 60 s")]


def test_after_a_sleep_what_waits_is_read_before_anything_is_cut() -> None:
    looking = Looking(watched(StillFeed()))
    looking.until(3, last_quote_s=3)
    looking.second = 300
    assert looking.until(310, last_quote_s=3) == []


def test_silence_that_is_not_suspicious_is_left_alone() -> None:
    assert Looking(watched(StillFeed(), suspicious=False)).until(1_000) == []
    assert Looking([FeedPolicy(StillFeed(), frozenset)]).until(1_000) == []


@pytest.mark.parametrize(
    ("missing", "entitled", "ends"),
    [
        (frozenset({"T.SPY", "Q.SPY"}), True, True),
        (frozenset({"T.SPY"}), True, False),
        (frozenset({"T.SPY", "Q.SPY"}), False, False),
    ],
)
def test_a_feed_that_holds_nothing_ends_a_run_that_cannot_do_without(
    missing: frozenset[str], entitled: bool, ends: bool
) -> None:
    feed = StillFeed(name="options", missing=missing, words="not authorized")
    actions = not_entitled(watched(feed, entitled=entitled))
    assert len(actions) == ends
    for action in actions:
        assert isinstance(action, End)
        assert isinstance(action.error, KeyRefusedError)
        assert action.error.message == "the options feed acknowledges no contract: not authorized"
    assert not_entitled(watched(StillFeed(desired=frozenset(), missing=frozenset()), entitled=entitled)) == []


def test_a_server_that_is_away_is_a_gap_and_each_refusal_is_told_once() -> None:
    server = ServerWatch()
    assert server.look(connected=False, refusals=[], now=at(1)) == [OpenGap("nats", at(1).unix_ns, "NATS is away")]
    told = server.look(connected=True, refusals=["full", "too large"], now=at(2))
    assert [type(action) for action in told] == [Warn, Warn, CloseGap]
    assert told[0] == Warn("the server refuses to store events: full; retrying")
    assert server.look(connected=True, refusals=["full", "too large"], now=at(3)) == [CloseGap("nats", 0)]


def test_an_overflow_begins_with_its_oldest_event_and_ends_when_nothing_had_to_go_for_a_while() -> None:
    watch = OverflowWatch(2 * SECOND, max_events=100)
    assert watch.look(Drops(), 0, at(9)) == []
    began = watch.look(Drops(30, 8 * SECOND), 90, at(10))
    assert began == [OpenGap("overflow", at(8).unix_ns, "the server was too slow")]
    assert watch.look(Drops(12, 10 * SECOND), 90, at(11)) == []  # the same overflow
    assert watch.look(Drops(), 10, at(12.5)) == []  # not long enough
    assert watch.look(Drops(), 50, at(14)) == []  # still half full
    assert watch.look(Drops(), 49, at(14)) == [CloseGap("overflow", 42)]
    assert watch.look(Drops(), 0, at(20)) == []
    assert watch.look(Drops(1, 20 * SECOND), 0, at(21))[0] == OpenGap(
        "overflow", at(20).unix_ns, "the server was too slow"
    )


def test_the_end_of_a_run_closes_its_overflow_with_all_that_had_to_go() -> None:
    watch = OverflowWatch(2 * SECOND, max_events=100)
    assert watch.end() == []
    watch.look(Drops(5, 0), 0, at(1))
    assert watch.end() == [CloseGap("overflow", 5)]
    assert watch.end() == []


def test_an_overflow_in_the_last_moment_of_a_run_is_a_gap_too() -> None:
    backlog = Backlog(10)
    sender = Sender(backlog, RecordingSink(), SystemClock(), SenderTiming())
    window = StrikeWindow(StrikeManager(1), 10**18)
    watchdogs = Watchdogs(LiveFilter(Windows([window]), lambda _: None), sender, lambda: True, LiveTiming())
    for n in range(11):
        backlog.append(Pending(b"", str(n), "market.stocks.trades", "stocks", round(0.9 * SECOND)))
    overflow = [action for action in watchdogs.end(at(1)) if action != CloseGap("nats", 0)]
    assert overflow == [OpenGap("overflow", at(0.9).unix_ns, "the server was too slow"), CloseGap("overflow", 2)]


@pytest.mark.parametrize(
    ("missing", "drops"),
    [
        (frozenset(), False),
        (frozenset({"Q.O:A"}), False),  # some are granted
        (frozenset({"Q.O:A", "Q.O:B"}), True),
        (frozenset({"T.O:A", "Q.O:A", "Q.O:B"}), True),
        (frozenset({"T.O:A", "T.O:B", "Q.O:A", "Q.O:B"}), False),  # the server has not answered at all
    ],
)
def test_option_quotes_of_which_none_is_granted_are_done_without(missing: frozenset[str], drops: bool) -> None:
    topics = frozenset({"T.O:A", "T.O:B", "Q.O:A", "Q.O:B"})
    feed = StillFeed(name="options", desired=topics, held=topics - missing, missing=missing, words="not authorized")
    assert quotes_refused(watched(feed)) == ([DropQuotes("not authorized")] if drops else [])
    without = StillFeed(desired=frozenset({"T.O:A"}), missing=frozenset({"T.O:A"}))
    assert quotes_refused(watched(without)) == []


def test_the_hole_behind_the_last_run_opens_when_a_feed_is_up_and_closes_when_it_is_whole() -> None:
    feed = StillFeed(state=FeedState.CONNECTING, held=frozenset())
    watch = RestartWatch(7)
    assert watch.look(watched(feed)) == []
    feed.state = FeedState.UP
    assert watch.look(watched(feed)) == [Restarted("stocks", 7)]
    feed.held = frozenset({"T.SPY"})
    assert watch.look(watched(feed)) == []
    feed.missing = frozenset({"Q.SPY"})
    assert watch.look(watched(feed)) == [Returned("stocks")]
    assert watch.look(watched(feed)) == []
    waiting = StillFeed(name="options", desired=frozenset(), held=frozenset())
    assert watch.look(watched(waiting)) == [Restarted("options", 7)]  # whole, once it is known what to hold
    assert RestartWatch(None).look(watched(StillFeed())) == []


@pytest.mark.parametrize(
    ("feed", "after_s", "opens"),
    [
        (StillFeed(up_since_ns=None), 3, True),
        (StillFeed(up_since_ns=None), 2.9, False),
        (StillFeed(up_since_ns=None, state=FeedState.REFUSED), 3, False),
        (StillFeed(), 3, False),
    ],
)
def test_a_feed_that_was_never_up_is_missing_from_the_start(feed: StillFeed, after_s: float, opens: bool) -> None:
    actions = never_up(watched(feed), at(0).unix_ns, at(after_s))
    assert actions == ([OpenGap("stocks", at(0).unix_ns, "never up")] if opens else [])


def test_whether_silence_is_suspicious_goes_by_the_markets_time() -> None:
    feed = StillFeed()
    policy = FeedPolicy(feed, frozenset, stall=StallRule("Q.SPY", lambda ns: ns == at(60).unix_ns - 900 * SECOND))
    late = Moment(at(60).unix_ns, at(60).clock_ns, 900 * SECOND)
    assert StallWatch(LiveTiming()).look([policy], None, late) == [Reconnect(feed, "no quote for 60 s")]
    assert StallWatch(LiveTiming()).look([policy], None, at(60)) == []


def test_contracts_whose_quotes_a_connection_has_no_room_for_are_told_once() -> None:
    contracts = [f"O:SPY251216C{1_000 * n:08d}" for n in range(1, 1_003)]
    feed = StillFeed(name="options")
    feed.desired = frozenset(f"T.{ticker}" for ticker in contracts) | {f"Q.{ticker}" for ticker in contracts[:1_000]}
    watch = QuoteLimitWatch()
    (told,) = watch.look(watched(feed))
    assert told == Warn(
        "options: no quotes of 2 contracts: a connection has 1,000; their trades come without a side: "
        "O:SPY251216C01001000, O:SPY251216C01002000"
    )
    assert watch.look(watched(feed)) == []
    feed.desired -= {f"T.{ticker}" for ticker in contracts[1_000:]}
    assert watch.look(watched(feed)) == []


def test_a_feed_of_which_nothing_is_published_has_no_gap() -> None:
    policy = replace(watched(StillFeed(name="indices"))[0], published=False)
    policy.feed.liveness.up_since_ns = None  # type: ignore[misc]
    assert never_up([policy], at(0).unix_ns, at(60)) == []
    policy.feed.liveness.up_since_ns = 0  # type: ignore[misc]
    assert RestartWatch(5).look([policy]) == []
