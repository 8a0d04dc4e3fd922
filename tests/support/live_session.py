"""A live session on a scripted vendor and a real server, and what the vendor says."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from spyctl.bus.acks.base import Patience
from spyctl.bus.acks.per_message import PerMessage
from spyctl.bus.checkpoint import Checkpoint
from spyctl.bus.connection import Connection, connect
from spyctl.bus.publisher import Publisher
from spyctl.bus.stream import Stream, ensure_stream
from spyctl.errors import ExitCode
from spyctl.live.feed_policy import FeedPolicy, equity_policies
from spyctl.live.result import summary_of
from spyctl.live.session import Hooks, LiveOptions, LiveSession
from spyctl.live.strike_manager import StrikeManager
from spyctl.live.strike_window import USUAL, StrikeWindow, WindowTiming
from spyctl.live.windows import Windows
from spyctl.market.events import EventSource, Gap
from spyctl.market.feeds import FeedState, LiveFeed
from spyctl.market.sessions import current_expiry
from spyctl.market.subjects import decode, encode, subject_table
from spyctl.massive.feed import Feed
from spyctl.massive.simulator import Peer, Script, Simulator
from spyctl.summary import StopReason
from spyctl.timing.tasks import end_task
from tests.support.feeds import CALM
from tests.support.stream import read_stream
from tests.support.waiting import eventually

OPTIONS = LiveOptions(source=EventSource.SIM)


@dataclass
class Running:
    session: LiveSession
    task: "asyncio.Task[None]"
    simulator: Simulator
    connection: Connection

    def peer(self, market: str) -> Peer:
        return next(peer for peer in self.simulator.peers if peer.market == market)

    def feed(self, market: str) -> LiveFeed:
        return self.session.feeds[market]

    def is_up(self, *markets: str) -> bool:
        feeds = [self.feed(market) for market in markets or ("stocks", "options") if self.session.feeds]
        return bool(feeds) and all(
            feed.state is FeedState.UP and feed.desired and feed.desired <= feed.held for feed in feeds
        )

    @property
    def received(self) -> int:
        return self.session.ledger.received

    def noted(self, words: str) -> bool:
        return any(words in note.text for note in self.session.notes.recent)

    async def say(self, market: str, *messages: Any) -> None:
        """Have the vendor send messages, and wait until they were taken in."""
        before = self.received
        await self.peer(market).say(*messages)
        await eventually(lambda: self.received >= before + len(messages))

    async def end(self) -> dict[str, Any]:
        self.session.stop(StopReason.CTRL_C)
        await self.task
        summary = summary_of(self.session, "MARKET_DATA").document()
        assert summary["queued"] == 0
        assert summary["received"] == (
            summary["published"] + summary["rejected"] + summary["duplicates"] + summary["dropped"]
        )
        return summary

    def exit_code(self, reason: StopReason) -> ExitCode:
        return replace(summary_of(self.session), stopped_by=reason).exit_code


@dataclass(frozen=True)
class Setup:
    """What a test wants to be otherwise: of the vendor, of the session, and of the server's patience."""

    rate: float = 0.0
    script: Script | None = None
    options: LiveOptions = OPTIONS
    window: WindowTiming = USUAL
    max_in_flight: int = 4_096
    refusal_s: float = 1.0
    require_options: bool = False
    suspicious: Callable[[int], bool] = lambda _: False
    write: Callable[[Any], bytes] = encode
    hooks: Hooks = field(default_factory=Hooks)

    def publisher(self, connection: Connection, stream: Stream) -> Publisher:
        patience = Patience(ack_s=1.0, outage_s=1e9, refusal_s=self.refusal_s)
        protocol = PerMessage(connection, stream, subject_table(), patience=patience)
        return Publisher(
            protocol, "run1", anchor=Checkpoint(0, stream.last_seq), max_in_flight=self.max_in_flight
        )  # fmt: skip

    def session(self, publisher: Publisher, connection: Connection) -> LiveSession:
        windows = Windows([StrikeWindow(StrikeManager(2), time.time_ns(), timing=self.window)])
        hooks = replace(self.hooks, connected=lambda: connection.connected)
        return LiveSession(publisher, windows, self.options, run_id="run1", write=self.write, hooks=hooks)

    def policies(self, simulator: Simulator, session: LiveSession) -> list[FeedPolicy]:
        stocks, options = (
            Feed(market, "k", url=simulator.url, source=self.options.source, timing=CALM)
            for market in ("stocks", "options")
        )
        return equity_policies(
            stocks, options, session.windows, require_options=self.require_options, suspicious=self.suspicious,
            quotes=lambda: session.uses_option_quotes,
        )  # fmt: skip


@asynccontextmanager
async def running(url: str, **setup: Any) -> AsyncIterator[Running]:
    """Run a session that publishes to a server, with what :class:`Setup` takes."""
    wanted = Setup(**setup)
    async with Simulator(wanted.rate, script=wanted.script).serving() as simulator:
        connection = await connect([url])
        publisher = wanted.publisher(connection, await ensure_stream(connection))
        await publisher.open()
        session = wanted.session(publisher, connection)
        task = asyncio.create_task(session.run(wanted.policies(simulator, session)))
        try:
            yield Running(session, task, simulator, connection)
        finally:
            session.stop(StopReason.ERROR)
            await asyncio.wait({task}, timeout=5)
            await end_task(task)
            await publisher.close()
            await connection.close()


_count = iter(range(10**9))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def quote(price: float = 680.0, **change: Any) -> dict[str, Any]:
    return {"ev": "Q", "sym": "SPY", "bp": price, "bs": 1, "ap": price + 0.01, "as": 1, "t": now_ms(),
            "q": next(_count)} | change  # fmt: skip


def trade(**change: Any) -> dict[str, Any]:
    number = next(_count)
    return {"ev": "T", "sym": "SPY", "x": 4, "i": str(number), "p": 680.0, "s": 1, "t": now_ms(), "q": number} | change


def option_trade(strike: int = 680, expiry: date | None = None, root: str = "SPY", **change: Any) -> dict[str, Any]:
    day = expiry or current_expiry(time.time_ns())[0]
    return {"ev": "T", "sym": f"O:{root}{day:%y%m%d}C{1000 * strike:08d}", "x": 300, "p": 2.0, "s": 1, "t": now_ms(),
            "q": next(_count)} | change  # fmt: skip


async def stored(url: str) -> list[Any]:
    return [decode(subject, payload) for _, subject, payload, _ in await read_stream(url)]


def gaps(events: list[Any]) -> list[Gap]:
    return [event for event in events if isinstance(event, Gap)]
