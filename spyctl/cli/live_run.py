"""Running the live side: find the server, register the run, connect the feeds, show it, say what came of it."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING

from spyctl.bus.acks.base import Patience
from spyctl.bus.acks.choice import AckMode
from spyctl.bus.consumers import Consumers
from spyctl.bus.publishing import Publishing, RunRequest, publishing
from spyctl.bus.stream import Stream
from spyctl.bus.target import Reached, Target, reach
from spyctl.cli.framework.remedies import remedy_for
from spyctl.cli.framework.signals import Interruption
from spyctl.cli.framework.talk import Talk
from spyctl.cli.framework.watch import watched
from spyctl.cli.replay_run import show_server
from spyctl.cli.summary import print_live_summary
from spyctl.errors import PayloadError, SpyctlError
from spyctl.live.session import SUBJECTS, Live, LiveOptions
from spyctl.live.strike_manager import StrikeManager
from spyctl.live.view import View
from spyctl.market.events import EventSource
from spyctl.market.option_tickers import parse_option_ticker
from spyctl.market.sessions import in_regular_hours
from spyctl.market.subjects import with_prefix
from spyctl.massive.backfill import Backfill
from spyctl.massive.feed import Feed
from spyctl.massive.normalize import OPTIONS, STOCKS
from spyctl.massive.rest import MassiveRest, listed_contracts
from spyctl.massive.simulator import KEY, Simulator, Walk
from spyctl.timing.instants import SECOND
from spyctl.timing.notes import Note

if TYPE_CHECKING:
    from spyctl.metrics import Figures

FOREVER_S = 10.0**9
REFUSAL_S = 60.0  # an election, or a store that is being made room in


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """What the command line asks for."""

    manager: StrikeManager
    expiry: date | None
    sim: bool
    sim_rate: float
    sim_seed: int
    sim_trend: float
    api_key: str
    feed_url: str
    rest_url: str
    backfill: bool
    require_options: bool
    lasting_ns: int | None
    target: Target
    prefix: str
    force: bool
    metrics: tuple[str, int] | None
    as_json: bool

    @property
    def title(self) -> str:
        """What it is called on the screen."""
        return "live --sim" if self.sim else "live"


async def run_live(request: LiveRequest, talk: Talk) -> int:
    """Take in what the feeds bring until told to end, and return the exit code. Raises :class:`SpyctlError`."""
    interruption = Interruption()
    try:
        async with AsyncExitStack() as stack:
            reached = await stack.enter_async_context(reach(request.target, tell=talk.line))
            show_server(talk, reached)
            return await _with_server(request, talk, reached, interruption)
    except asyncio.CancelledError:
        if interruption.code is None:
            raise
        return interruption.code


async def _with_server(request: LiveRequest, talk: Talk, reached: Reached, interruption: Interruption) -> int:
    where = "embedded" if reached.embedded is not None else reached.connection.url
    async with publishing(reached.connection, _run_request(request, reached)) as run:
        for warning in run.stream.warnings:
            talk.warn(warning)
        live = _live(request, talk, run)
        async with _feeds(request, live) as feeds:
            return await _play(request, talk, live, feeds, run, interruption, where)


def _run_request(request: LiveRequest, reached: Reached) -> RunRequest:
    return RunRequest(
        command="live",
        # Gap records of several runs may stand side by side.
        leased=[with_prefix(subject, request.prefix) for subject in SUBJECTS[:-1]],
        prefix=request.prefix,
        options={"symbol": request.manager.underlying, "sim": request.sim, "key_hash": key_hash(request.api_key)},
        source=EventSource.SIM if request.sim and reached.embedded is None and not request.force else None,
        force=request.force,
        ack_mode=AckMode.MESSAGE,
        patience=Patience(outage_s=FOREVER_S, refusal_s=REFUSAL_S),
    )


def _live(request: LiveRequest, talk: Talk, run: Publishing) -> Live:
    options = LiveOptions(
        symbol=request.manager.underlying,
        expiry=request.expiry,
        source=EventSource.SIM if request.sim else EventSource.POLYGON_WS,
        prefix=request.prefix,
        require_options=request.require_options,
        is_strange=_silence_is_strange(request),
    )
    rest = MassiveRest(request.api_key, request.rest_url)
    return Live(
        run.publisher, request.manager, options, run_id=run.run_id,
        connected=lambda: run.connection.connected, backfill=Backfill(rest) if request.backfill else None,
        listed=None if request.sim else partial(_listed, rest), tell=partial(_say, talk),
    )  # fmt: skip


def _say(talk: Talk, note: Note) -> None:
    # A display shows the notes itself.
    if not talk.draws:
        (talk.warn if note.level == "warning" else talk.line)(note.text)


def _silence_is_strange(request: LiveRequest) -> Callable[[int], bool]:
    # A thinly traded stock may well be silent for a while, and SPY outside its session.
    if request.sim:
        return lambda _: request.sim_rate >= 10
    return in_regular_hours if request.manager.underlying == "SPY" else lambda _: False


async def _listed(rest: MassiveRest, underlying: str, expiry: date) -> frozenset[int] | None:
    try:
        answer, tickers = await asyncio.to_thread(listed_contracts, rest, underlying, expiry)
    except SpyctlError:
        return None
    found = set()
    for ticker in tickers:
        with suppress(PayloadError):
            option = parse_option_ticker(ticker)
            found |= {option.strike_milli} if option.root == underlying else set()
    strikes = frozenset(found)
    return strikes if answer.code == 200 and strikes else None


def key_hash(api_key: str) -> str:
    """Return what tells whether two runs use the same key, without telling the key."""
    return blake2b(api_key.encode(), key=b"spyctl lease", digest_size=16).hexdigest() if api_key else ""


@asynccontextmanager
async def _feeds(request: LiveRequest, live: Live) -> AsyncIterator[list[Feed]]:
    if not request.sim:
        yield [Feed(market, request.api_key, live, url=request.feed_url) for market in (STOCKS, OPTIONS)]
        return
    walk = Walk(request.sim_seed, symbol=request.manager.underlying, trend=request.sim_trend)
    async with Simulator(request.sim_rate, walk).serving() as simulator:
        yield [Feed(market, KEY, live, url=simulator.url) for market in (STOCKS, OPTIONS)]


async def _play(
    request: LiveRequest,
    talk: Talk,
    live: Live,
    feeds: list[Feed],
    run: Publishing,
    interruption: Interruption,
    where: str,
) -> int:
    def end(name: str) -> None:
        live.stop(name)
        waiting = live.queued + live.delivery.published - live.delivery.acked
        talk.line(f"\nstopping: {waiting:,} acks to come ({name} again leaves at once)")

    interruption.hand_to(end)
    if request.lasting_ns is not None:
        asyncio.get_running_loop().call_later(request.lasting_ns / SECOND, live.stop, "--for")
    manager = live.window.manager
    when = "0DTE" if live.window.is_0dte else "as asked" if request.expiry else "the next there is"
    talk.block(
        "live", f"{manager.underlying} trades and quotes, options ±{manager.strike_range} of {manager.expiry}, {when}"
    )
    talk.line()
    stream = run.stream
    consumers = Consumers(run.connection, stream.name)
    view = View(live, request.title, where, stream.name, lambda: consumers.now)
    figures = partial(_figures, live, feeds, consumers, stream)
    failure: SpyctlError | None = None
    try:
        async with watched(talk, view.draw, view.line, consumers, request.metrics, figures):
            await run.watch(live.run(feeds), partial(live.stop, "another run"))
    except SpyctlError as error:
        failure = error
    if live.intake.received or failure is None:
        print_live_summary(live, request.title, stream, as_json=request.as_json, out=sys.stdout)
    if failure is not None:
        talk.error(failure.message, remedy_for(failure))
        return failure.exit_code
    for refusal in live.refused.values():
        talk.error(refusal.message, remedy_for(refusal))
    return live.exit_code()


def _figures(live: Live, feeds: list[Feed], consumers: Consumers, stream: Stream) -> "Figures":
    from spyctl.metrics import Figures

    down = [feed.market for feed in feeds if feed.state != "up"]
    waiting = "NATS" if not live.connected else f"the {' and '.join(down)} feed" if down else ""
    gauges = {f"feed_up_{feed.market}": float(feed.state == "up") for feed in feeds}
    gauges |= {"queued": live.queued, "open_gaps": len(live.gaps.open_now)}
    spot = live.window.spot
    if spot.price is not None and spot.since_ns is not None:
        gauges |= {"spot": spot.price, "spot_age_seconds": (time.monotonic_ns() - spot.since_ns) / SECOND}
    if strikes := live.window.manager.strikes():
        gauges |= {"window_lowest": strikes[0], "window_highest": strikes[-1]}
    return Figures(live.summary(stream.name), waiting, consumers.now, gauges)
