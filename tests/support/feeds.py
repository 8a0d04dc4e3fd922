"""Listening to a feed, and how fast things happen in tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from spyctl.market.feeds import Arrival
from spyctl.massive.feed import Feed, Timing
from spyctl.massive.simulator import Peer, Script
from spyctl.timing.tasks import end_task

QUICK = Timing(
    authenticate=0.5, acknowledge=0.2, ask_again=1.0, first_wait=0.02, longest_wait=0.1, stable=0.3, cool_down=0.2,
    refusals=0.5, ping=0.3,
)  # fmt: skip
# Quick where something breaks, but with the patience of a busy machine where nothing does.
CALM = replace(QUICK, authenticate=10.0, ping=10.0)


class Listener:
    """Remembers what a feed says."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.losses: list[str] = []
        self.lost_from_ns: list[int] = []
        self.returns = 0
        self.notes: list[str] = []

    def arrived(self, arrival: Arrival) -> None:
        self.arrivals.append(arrival)

    def lost(self, feed: str, from_ns: int, reason: str, waited: int) -> None:
        self.losses.append(reason)
        self.lost_from_ns.append(from_ns)

    def back(self, feed: str, to_ns: int, *, filled: bool = False) -> None:
        self.returns += 1

    def short(self, feed: str, missing: int | None) -> None:
        raise AssertionError("this vendor sends nothing again")

    def note(self, feed: str, text: str) -> None:
        self.notes.append(text)


@asynccontextmanager
async def running(feed: Feed, listener: Listener) -> AsyncIterator["asyncio.Task[None]"]:
    """Run a feed meanwhile; the task tells how it ended."""
    task = asyncio.create_task(feed.run(listener))
    try:
        yield task
    finally:
        feed.stop()
        await asyncio.wait({task}, timeout=10)
        await end_task(task)


class NoOptions(Script):
    """A key whose plan has stocks alone."""

    async def authenticate(self, peer: Peer, key: str) -> bool:
        if peer.market == "stocks":
            return await super().authenticate(peer, key)
        await peer.status("auth_failed", "Your plan doesn't include websocket access.")
        peer.abort()
        return False
