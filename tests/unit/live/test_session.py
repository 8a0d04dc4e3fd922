"""What a session does with the gaps and refusals of feeds that have a key, and a way to fill holes, of their own."""

import asyncio
from dataclasses import dataclass, field

import pytest

from spyctl.errors import KeyRefusedError
from spyctl.live.aggressors import QuoteUse
from spyctl.live.feed_policy import FeedPolicy, futures_policy
from spyctl.live.session import LiveSession, subjects
from spyctl.market.feeds import FeedListener, FeedState
from spyctl.summary import StopReason
from spyctl.timing.clock import SystemClock
from tests.support.live import StillFeed, still_session
from tests.support.waiting import eventually


@dataclass
class Steady(StillFeed):
    """A feed that runs until it is stopped."""

    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        self.ended.set()

    async def run(self, listener: FeedListener) -> None:
        await self.ended.wait()


@dataclass
class SwitchedOff(StillFeed):
    """A feed that was up, and whose key is refused then."""

    async def run(self, listener: FeedListener) -> None:
        listener.lost(self.name, 5, "switched off", 0)
        self.state = FeedState.REFUSED
        raise KeyRefusedError("switched off", "")


def of_es(session: LiveSession) -> FeedPolicy:
    return futures_policy(SwitchedOff(name="futures", desired=frozenset({"trades ES.c.0"})))


async def test_a_key_of_its_own_that_is_switched_off_leaves_the_others_alone() -> None:
    session, stocks = still_session(SystemClock()), Steady()
    running = asyncio.create_task(session.run([FeedPolicy(stocks, lambda: stocks.desired), of_es(session)]))
    await eventually(lambda: "futures" in session.refused)
    assert not running.done()
    session.stop(StopReason.DURATION)
    await running
    assert set(session.gaps.open_now) == {"futures"}
    assert session.stopped_by is StopReason.DURATION


async def test_a_shared_key_that_is_switched_off_ends_the_run() -> None:
    session, stocks = still_session(SystemClock()), Steady()
    options = SwitchedOff(name="options", desired=frozenset())
    policies = [
        FeedPolicy(stocks, lambda: stocks.desired),
        FeedPolicy(options, lambda: options.desired, required=False),
    ]
    with pytest.raises(KeyRefusedError):
        await session.run(policies)


def test_what_is_published_goes_by_the_feeds() -> None:
    assert subjects(["futures"], QuoteUse.PUBLISH) == ("market.futures.trades", "market.futures.mbp10", "market.gaps")
    assert subjects(["options", "stocks"], QuoteUse.NONE) == (
        "market.stocks.trades", "market.stocks.quotes", "market.options.trades", "market.gaps",
    )  # fmt: skip
