"""What the feeds lost becomes gaps: where they begin, when they end, and whether they were filled."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from spyctl.live.errands import Errands
from spyctl.live.event_times import EventTimes
from spyctl.live.feed_policy import FeedPolicy
from spyctl.live.gap_records import GapRecords
from spyctl.live.losses import Losses
from spyctl.market.events import EventSource, Gap
from tests.support.clock import FakeClock
from tests.support.live import StillFeed, still_session
from tests.support.waiting import eventually

STOCKS = StillFeed()
POLICY = FeedPolicy(STOCKS, lambda: STOCKS.desired)
FUTURES = FeedPolicy(StillFeed(name="futures"), lambda: STOCKS.desired, resends=True)


@dataclass
class Refilling:
    """An intake that fills gaps, or does not."""

    whole: bool = True
    fills: bool = True
    times: EventTimes = field(default_factory=EventTimes)
    filled: list[str] = field(default_factory=list)

    def lost_from(self, policy: FeedPolicy, at_ns: int) -> int:
        return at_ns

    def lost(self, feed: str, topics: Collection[str]) -> None: ...

    def wanted(self, feed: str, topics: Collection[str]) -> None: ...

    async def fill(self, feed: str, gap: Gap) -> bool:
        self.filled.append(feed)
        return self.whole


def make(intake: Refilling, ended_ns: int | None = None) -> tuple[Losses, Errands]:
    session, clock = still_session(), FakeClock()
    records = GapRecords(EventSource.SIM, session.sender, session.notes, clock)
    errands = Errands(lambda _: None)
    return Losses(records, cast(Any, intake), errands, ended_ns), errands


@pytest.mark.parametrize(
    ("policy", "ended_ns", "begins"),
    [
        (replace(POLICY, feed=StillFeed(up_since_ns=None)), 40, (40, "restart")),
        (replace(POLICY, feed=StillFeed(up_since_ns=None)), None, (100, "refused")),
        (POLICY, 40, (100, "refused")),
        (replace(FUTURES, feed=StillFeed(name="futures", up_since_ns=None)), 40, (100, "refused")),
    ],
    ids=["never let in", "no run before", "let in", "knows itself"],
)
async def test_the_hole_of_a_feed_that_was_never_let_in_begins_with_the_end_of_the_last_run(
    policy: FeedPolicy, ended_ns: int | None, begins: tuple[int, str]
) -> None:
    losses, _ = make(Refilling(), ended_ns)
    losses.lost(policy, 100, "refused")
    (gap,) = losses.records.gaps.open_now.values()
    assert (gap.from_ns, gap.reason) == begins


@pytest.mark.parametrize("whole", [True, False])
async def test_a_gap_counts_as_filled_once_its_trades_were_fetched_and_nothing_is_missing(whole: bool) -> None:
    intake = Refilling(whole)
    losses, errands = make(intake)
    losses.restarted(POLICY, 50)
    losses.back(POLICY, 100, filled=False)
    assert losses.records.gaps.filled == 0
    await eventually(lambda: not len(errands))
    assert (intake.filled, losses.records.gaps.filled) == (["stocks"], int(whole))
    (gap,) = losses.records.gaps.recent
    assert (gap.from_ns, gap.to_ns, gap.reason, gap.events) == (50, 100, "restart", None)


@pytest.mark.parametrize(("filled", "events"), [(True, 0), (False, None)])
async def test_a_feed_that_sends_again_what_was_missed_has_filled_its_gap(filled: bool, events: int | None) -> None:
    intake = Refilling()
    losses, errands = make(intake)
    losses.lost(FUTURES, 50, "reset")
    losses.back(FUTURES, 100, filled=filled)
    (gap,) = losses.records.gaps.recent
    assert (gap.events, losses.records.gaps.filled, intake.filled, len(errands)) == (events, int(filled), [], 0)


async def test_nothing_is_missing_of_a_feed_of_which_nothing_is_published() -> None:
    losses, _ = make(Refilling())
    losses.lost(replace(POLICY, published=False), 50, "reset")
    assert (losses.records.gaps.count, losses.records.gaps.open_now) == (0, {})
