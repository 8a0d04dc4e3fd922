"""Running the live side: find the server, register the run, connect the feeds, show it, say what came of it."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from spyctl.bus.acks.base import Patience
from spyctl.bus.acks.mode import AckMode
from spyctl.bus.connection import Connection
from spyctl.bus.consumers import Consumers
from spyctl.bus.leases import KEY_CLAIM
from spyctl.bus.predecessor import came_to, predecessor
from spyctl.bus.publishing import Publishing, RunRequest, publishing
from spyctl.bus.reconcile import stored_identities
from spyctl.bus.runs import RunState
from spyctl.bus.target import Reached, Target, reach
from spyctl.cli.framework.ack_watch import AckWatch
from spyctl.cli.framework.remedies import remedy_for
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.screen import Show
from spyctl.cli.framework.signals import Interruption
from spyctl.cli.framework.streams import write_document, written
from spyctl.cli.framework.watch import away, watched
from spyctl.cli.futures_options import FEEDS, FeedChoice
from spyctl.cli.replay_run import show_holdings, show_server
from spyctl.cli.summary import print_live_summary
from spyctl.dbn.gateway.connection import Address
from spyctl.dbn.gateway.feed import FUTURES, FuturesFeed
from spyctl.dbn.gateway.simulator import KEY as GATEWAY_KEY
from spyctl.dbn.gateway.simulator import GatewaySimulator
from spyctl.errors import SpyctlError, path_text
from spyctl.live.aggressors import QuoteUse
from spyctl.live.feed_policy import FeedPolicy, equity_policies, futures_policy
from spyctl.live.result import summary_of
from spyctl.live.session import SUBJECTS, Hooks, LiveOptions, LiveSession, subjects
from spyctl.live.snapshot import LiveScene
from spyctl.live.spool import Spool, spool_folder
from spyctl.live.strike_manager import StrikeManager
from spyctl.live.strike_window import StrikeWindow
from spyctl.live.view import LiveView
from spyctl.live.windows import Windows
from spyctl.market.events import EventSource, OptionTrade, StockTrade
from spyctl.market.feeds import FeedState
from spyctl.market.sessions import futures_closed_text, in_regular_hours, stocks_trade_between
from spyctl.market.subjects import subject_of, with_prefix
from spyctl.massive.backfill import Backfill
from spyctl.massive.feed import Feed
from spyctl.massive.key_hash import key_hash
from spyctl.massive.normalize import OPTIONS, STOCKS
from spyctl.massive.rest import MassiveRest, listed_strikes
from spyctl.massive.simulator import KEY, Market, Simulator, Walk
from spyctl.summary import StopReason
from spyctl.terminal.text import count
from spyctl.timing.instants import SECOND
from spyctl.timing.notes import Note

if TYPE_CHECKING:
    from spyctl.cli.framework.metrics import Figures

FOREVER_S = 10.0**9
REFUSAL_S = 60.0  # an election, or a store that is being made room in
REMEMBERED = 50_000  # messages of the stream: what lies around the end of the last run
STEADY_RATE = 10  # simulated events a second, from which on silence is suspicious


@dataclass(frozen=True, slots=True)
class SimulatedMarket:
    """What the simulator is to do: events a second, the seed of its walk, and its drift in dollars a minute.

    It cuts its connections every ``cut_ns``, ``None`` for never.
    """

    rate: float
    seed: int
    trend: float
    cut_ns: int | None = None

    @property
    def cut_s(self) -> float | None:
        """The same in seconds."""
        return self.cut_ns / SECOND if self.cut_ns is not None else None


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where the gateway of the futures is, and the key."""

    api_key: str = field(default="", repr=False)
    address: Address = field(default_factory=Address)


@dataclass(frozen=True, slots=True)
class Vendor:
    """Where the vendor is, and the key; its feed is ``delay_ns`` late where the delayed one is asked for.

    The futures have a ``gateway`` of their own.
    """

    api_key: str = field(repr=False)
    feed_url: str
    rest_url: str
    delay_ns: int = 0
    gateway: Gateway = field(default_factory=Gateway)


@dataclass(frozen=True, slots=True)
class Underlyings:
    """Which stocks, and which of their options: within so many dollars, of some expiries.

    An expiry is a date, or so many trading days after the current one.
    """

    symbols: Sequence[str] = ("SPY",)
    strike_range: int = 5
    expiries: Sequence[date | int] = (0,)

    @property
    def text(self) -> str:
        """Their names in one."""
        return "+".join(self.symbols)

    def windows(self, now_ns: int) -> Windows:
        """Return their windows at an instant (Unix ns)."""
        return Windows(
            [
                StrikeWindow(StrikeManager(self.strike_range, symbol), now_ns, expiry)
                if isinstance(expiry, date)
                else StrikeWindow(StrikeManager(self.strike_range, symbol), now_ns, later=expiry)
                for symbol in self.symbols
                for expiry in self.expiries
            ]
        )


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """What the command line asks for; ``sim`` is ``None`` for the real feed, ``spool_limit`` in bytes."""

    underlyings: Underlyings
    sim: SimulatedMarket | None
    feeds: FeedChoice
    vendor: Vendor
    backfill: bool
    quotes: QuoteUse
    require_options: bool
    lasting_ns: int | None
    spool_limit: int
    target: Target
    prefix: str
    force: bool
    metrics: tuple[str, int] | None
    as_json: bool

    @property
    def title(self) -> str:
        """What it is called on the screen."""
        return "live --sim" if self.sim is not None else "live"

    @property
    def what(self) -> str:
        """What it takes in, in a few words."""
        window = f" ±{self.underlyings.strike_range}" if "options" in self.feeds.names else ""
        return " and ".join([f"{self.underlyings.text}{window}"] * self.feeds.equity + [*self.feeds.futures])


async def run_live(request: LiveRequest, reporter: Reporter) -> int:
    """Take in what the feeds bring until told to end, and return the exit code. Raises :class:`SpyctlError`."""
    interruption = Interruption(reporter)
    try:
        async with AsyncExitStack() as stack:
            reached = await stack.enter_async_context(reach(request.target, tell=reporter.line))
            show_server(reporter, reached, request.target)
            return await _with_server(request, reporter, reached, interruption)
    except asyncio.CancelledError:
        if interruption.code is None:
            raise
        if request.as_json and not written():
            write_document({"error": "ended before it began", "try": "", "exit_code": int(interruption.code)})
        return interruption.code


async def _with_server(request: LiveRequest, reporter: Reporter, reached: Reached, interruption: Interruption) -> int:
    where = "embedded" if reached.embedded is not None else reached.connection.url
    async with publishing(reached.connection, _run_request(request, reached)) as run:
        for warning in run.stream.warnings:
            reporter.warn(warning)
        async with _spool(request, reporter, run) as spool, AsyncExitStack() as stack:
            last_ended_ns = await _last_ended(request, run)
            session = _session(request, reporter, run, spool, last_ended_ns)
            if last_ended_ns is not None and request.backfill:
                await _remember_stored(request, run, session)
            policies = await stack.enter_async_context(_policies(request, session))
            return await _play(request, reporter, session, policies, run, interruption, where)


def _run_request(request: LiveRequest, reached: Reached) -> RunRequest:
    return RunRequest(
        command="live",
        # Gap records of several runs may stand side by side.
        leased=[with_prefix(subject, request.prefix) for subject in subjects(request.feeds.names, request.quotes)[:-1]],
        claims=[KEY_CLAIM + key_hash(request.vendor.api_key)] if request.vendor.api_key else [],
        prefix=request.prefix,
        options={
            "symbol": request.underlyings.text if request.feeds.equity else None,
            "sim": request.sim is not None,
            "key_hash": key_hash(request.vendor.api_key),
        }
        | ({"futures": list(request.feeds.futures)} if request.feeds.futures else {}),
        source=EventSource.SIM if request.sim is not None and reached.embedded is None and not request.force else None,
        force=request.force,
        ack_mode=AckMode.MESSAGE,
        patience=Patience(outage_s=FOREVER_S, refusal_s=REFUSAL_S),
    )


@asynccontextmanager
async def _spool(request: LiveRequest, reporter: Reporter, run: Publishing) -> AsyncIterator[Spool | None]:
    # Where events go that memory cannot hold; what a killed run has left there is published first, each once.
    if not request.spool_limit:
        yield None
        return
    folder = spool_folder(run.stream.name, run.stream.born)
    try:
        spool = Spool(folder, request.spool_limit, run.began_after)
    except OSError as error:
        reporter.warn(f"events cannot wait on disk: {path_text(folder)} {error.strerror or 'cannot be used'}")
        yield None
        return
    with closing(spool):
        after_seq, identities = spool.in_doubt
        if identities:
            known = [with_prefix(subject, request.prefix) for subject in subjects(FEEDS, QuoteUse.PUBLISH)]
            stored = stored_identities(run.connection, run.stream.name, known, after_seq, run.began_after)
            spool.leave_out({identity async for identity in stored if identity in identities})
        if len(spool):
            reporter.block("spool", f"{count('events', len(spool))} of an earlier run waited on disk, published first")
        yield spool


async def _last_ended(request: LiveRequest, run: Publishing) -> int | None:
    # The event time that the last run came to, where anything can be missing since. A simulated market has no past.
    if request.sim is not None or not request.feeds.equity:
        return None
    wanted = {"symbol": request.underlyings.text, "sim": False}
    last = await predecessor(run.connection, "live", run.stream.name, run.run_id, wanted)
    if last is None:
        return None
    equities = [with_prefix(subject, request.prefix) for subject in SUBJECTS]  # futures are never late by a plan
    ended_ns = await came_to(run.connection, last, equities)
    return ended_ns if stocks_trade_between(ended_ns, time.time_ns() - request.vendor.delay_ns) else None


async def _remember_stored(request: LiveRequest, run: Publishing, session: LiveSession) -> None:
    # What the last run stored near its end is not stored again where the hole behind it is filled.
    trades = [with_prefix(subject_of(kind), request.prefix) for kind in (StockTrade, OptionTrade)]
    after_seq = max(0, run.began_after - REMEMBERED)
    async for identity in stored_identities(run.connection, run.stream.name, trades, after_seq, run.began_after):
        session.filter.trades_seen.add(identity)


def _session(
    request: LiveRequest, reporter: Reporter, run: Publishing, spool: Spool | None, last_ended_ns: int | None
) -> LiveSession:
    rest = MassiveRest(request.vendor.api_key, request.vendor.rest_url)
    hooks = Hooks(
        connected=lambda: run.connection.connected,
        backfill=Backfill(rest) if request.backfill else None,
        listed=partial(_listed, rest) if request.sim is None and "options" in request.feeds.names else None,
        tell=partial(_say, reporter),
        spool=spool,
    )
    options = LiveOptions(
        source=_source(request), sources={FUTURES: _futures_source(request)}, feeds=request.feeds.names,
        prefix=request.prefix, quotes=request.quotes, delay_ns=request.vendor.delay_ns, last_ended_ns=last_ended_ns,
    )  # fmt: skip
    windows = request.underlyings.windows(time.time_ns() - request.vendor.delay_ns)
    return LiveSession(run.publisher, windows, options, run_id=run.run_id, hooks=hooks)


def _source(request: LiveRequest) -> EventSource:
    if not request.feeds.equity:
        return _futures_source(request)
    return EventSource.SIM if request.sim is not None else EventSource.POLYGON_WS


def _futures_source(request: LiveRequest) -> EventSource:
    return EventSource.SIM if request.sim is not None else EventSource.DATABENTO_LIVE


def _say(reporter: Reporter, note: Note) -> None:
    # A display shows the notes itself.
    if not reporter.displaying:
        (reporter.warn if note.level == "warning" else reporter.line)(note.text)


def _silence_is_suspicious(request: LiveRequest) -> Callable[[int], bool]:
    # A thinly traded stock may well be silent for a while, and SPY outside its session.
    if request.sim is not None:
        rate = request.sim.rate
        return lambda _: rate >= STEADY_RATE
    return in_regular_hours if request.underlyings.symbols[0] == "SPY" else lambda _: False


async def _listed(rest: MassiveRest, underlying: str, expiry: date) -> frozenset[int] | None:
    try:
        return await asyncio.to_thread(listed_strikes, rest, underlying, expiry)
    except SpyctlError:
        return None


@asynccontextmanager
async def _policies(request: LiveRequest, session: LiveSession) -> AsyncIterator[Sequence[FeedPolicy]]:
    async with AsyncExitStack() as stack:
        policies: list[FeedPolicy] = []
        if request.feeds.equity:
            policies += await _equity(request, session, stack)
        if request.feeds.futures:
            policies.append(futures_policy(await _futures(request, session, stack), alone=not policies))
        yield policies


async def _equity(request: LiveRequest, session: LiveSession, stack: AsyncExitStack) -> Sequence[FeedPolicy]:
    url, key = request.vendor.feed_url, request.vendor.api_key
    if request.sim is not None:
        market = _market(request.sim, request.underlyings)
        simulator = Simulator(request.sim.rate, market, cut_every_s=request.sim.cut_s)
        url, key = (await stack.enter_async_context(simulator.serving())).url, KEY
    stocks, options = (Feed(market, key, url=url, source=_source(request)) for market in (STOCKS, OPTIONS))
    policies = equity_policies(
        stocks, options, session.windows, require_options=request.require_options,
        suspicious=_silence_is_suspicious(request), quotes=lambda: session.uses_option_quotes,
    )  # fmt: skip
    return [policy for policy in policies if policy.feed.name in request.feeds.names]


async def _futures(request: LiveRequest, session: LiveSession, stack: AsyncExitStack) -> FuturesFeed:
    address, key = request.vendor.gateway.address, request.vendor.gateway.api_key
    if request.sim is not None:
        gateway = GatewaySimulator(request.sim.rate, request.sim.seed, cut_every_s=request.sim.cut_s)
        address, key = (await stack.enter_async_context(gateway.serving())).address, GATEWAY_KEY
    return FuturesFeed(
        key, request.feeds.futures, address=address, source=_futures_source(request), room=session.sender.room
    )  # fmt: skip


async def _play(
    request: LiveRequest,
    reporter: Reporter,
    session: LiveSession,
    policies: Sequence[FeedPolicy],
    run: Publishing,
    interruption: Interruption,
    where: str,
) -> int:
    ledger = session.ledger
    interruption.hand_to(session.stop, lambda: ledger.queued + ledger.delivery.published - ledger.delivery.acked)
    if request.lasting_ns is not None:
        loop = asyncio.get_running_loop()
        loop.call_later(request.lasting_ns / SECOND, session.stop, StopReason.DURATION)
    _show_plan(request, reporter, session.windows)
    stream = run.stream.name
    consumers = Consumers(run.connection, stream)
    acks = AckWatch(ledger.delivery, lambda: True, reporter)  # a connection that breaks is told as a gap
    scene = LiveScene(request.title, where)
    view = LiveView(session, scene, stream, lambda: consumers.now, lambda: acks.waiting_ns)
    figures = partial(_figures, session, policies, consumers, stream, run.connection)
    failure: SpyctlError | None = None
    try:
        async with watched(
            reporter, Show(view.draw, view.line), acks, consumers, request.metrics, figures, run.custody
        ):
            await run.watch(session.run(policies), partial(session.stop, StopReason.LEASE_LOST))
    except SpyctlError as error:
        failure = error
    run.state = RunState.ENDED if failure is None else RunState.FAILED  # whether or not anybody reads the summary
    summary = summary_of(session, stream)
    if session.ledger.received or failure is None or request.as_json:
        print_live_summary(summary, request.title, request.what, as_json=request.as_json, out=sys.stdout)
    show_holdings(reporter, run)
    if failure is not None:
        reporter.error(failure.message, remedy_for(failure))
        return failure.exit_code
    for refusal in session.refused.values():
        reporter.error(refusal.message, remedy_for(refusal))
    return summary.exit_code


def _show_plan(request: LiveRequest, reporter: Reporter, windows: Windows) -> None:
    lines = []
    if "options" in request.feeds.names:
        for window in windows.all:
            manager, when = window.manager, "0DTE" if window.is_0dte else "the next there is"
            when = "as asked" if not window.is_0dte and list(request.underlyings.expiries) != [0] else when
            options = f"options ±{manager.strike_range} of {manager.expiry}, {when}"
            lines.append(f"{manager.underlying} trades and quotes, {options}")
    elif "stocks" in request.feeds.names:
        lines += [f"{symbol} trades and quotes" for symbol in request.underlyings.symbols]
    if request.feeds.futures:
        closed = futures_closed_text(time.time_ns()) if request.sim is None else ""
        lines.append(f"{' and '.join(request.feeds.futures)} trades and books{closed and f'; {closed}'}")
    reporter.block("live", *lines)
    reporter.line()


def _market(sim: SimulatedMarket, underlyings: Underlyings) -> Walk | Market:
    walks = [Walk(sim.seed + n, symbol=symbol, trend=sim.trend) for n, symbol in enumerate(underlyings.symbols)]
    return walks[0] if len(walks) == 1 else Market(walks)


def _figures(
    session: LiveSession, policies: Sequence[FeedPolicy], consumers: Consumers, stream: str, connection: Connection
) -> "Figures":
    from spyctl.cli.framework.metrics import Figures

    up = {policy.feed.name: policy.feed.state is FeedState.UP for policy in policies}
    down = [name for name, is_up in up.items() if not is_up]
    waiting = away(connection) or (f"the {' and '.join(down)} feed" if down else "")
    gauges = {f"feed_up_{name}": float(is_up) for name, is_up in up.items()}
    gauges |= {"queued": session.ledger.queued, "open_gaps": len(session.gaps.open_now)}
    gauges |= {"spooled": session.sender.backlog.spooled}
    window = session.windows.first
    spot = window.spot
    if spot.price is not None and spot.since_ns is not None:
        gauges |= {"spot": spot.price, "spot_age_seconds": (time.monotonic_ns() - spot.since_ns) / SECOND}
    if strikes := window.manager.strikes():
        gauges |= {"window_lowest": strikes[0], "window_highest": strikes[-1]}
    return Figures(summary_of(session, stream).document(), waiting, consumers.now, gauges)
