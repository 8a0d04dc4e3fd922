"""The feeds of a live run: the vendors', or those of simulators that are served meanwhile."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from spyctl.cli.live_request import LiveRequest, SimulatedMarket, Underlyings
from spyctl.dbn.gateway.feed import FuturesFeed
from spyctl.dbn.gateway.hole import EarlierRun
from spyctl.dbn.gateway.simulator import KEY as GATEWAY_KEY
from spyctl.dbn.gateway.simulator import GatewaySimulator
from spyctl.live.feed_policy import FeedPolicy, equity_policies, futures_policy, index_policy
from spyctl.live.session import LiveSession
from spyctl.market.index_options import index_of
from spyctl.market.sessions import in_regular_hours
from spyctl.massive.feed import Feed
from spyctl.massive.normalize import INDICES, OPTIONS, STOCKS
from spyctl.massive.simulated_index import IndexWalk
from spyctl.massive.simulator import KEY, Market, Simulator, Walk

STEADY_RATE = 10  # simulated events a second, from which on silence is suspicious


@asynccontextmanager
async def serving_feeds(
    request: LiveRequest, session: LiveSession, earlier: EarlierRun | None
) -> AsyncIterator[Sequence[FeedPolicy]]:
    """Yield the feeds that were asked for, and what the run wants of each.

    The futures go on where an ``earlier`` run ended.
    """
    async with AsyncExitStack() as stack:
        policies: list[FeedPolicy] = []
        if request.feeds.equity:
            policies += await _equity(request, session, stack)
        if request.feeds.futures:
            policies.append(futures_policy(await _futures(request, session, stack, earlier), alone=not policies))
        yield policies


async def _equity(request: LiveRequest, session: LiveSession, stack: AsyncExitStack) -> Sequence[FeedPolicy]:
    url, key = request.vendor.feed_url, request.vendor.api_key
    if request.sim is not None:
        market = _market(request.sim, request.underlyings)
        simulator = Simulator(request.sim.rate, market, cut_every_s=request.sim.cut_s)
        url, key = (await stack.enter_async_context(simulator.serving())).url, KEY
    stocks, options, indices = (
        Feed(market, key, url=url, source=request.source) for market in (STOCKS, OPTIONS, INDICES)
    )
    policies = equity_policies(
        stocks, options, session.windows, require_options=request.require_options,
        suspicious=silence_is_suspicious(request), quotes=lambda: session.uses_option_quotes,
    )  # fmt: skip
    followed = [index_policy(indices, session.windows)] if session.windows.indices else []
    return [*(policy for policy in policies if policy.feed.name in request.feeds.names), *followed]


async def _futures(
    request: LiveRequest, session: LiveSession, stack: AsyncExitStack, earlier: EarlierRun | None
) -> FuturesFeed:
    address, key = request.vendor.gateway.address, request.vendor.gateway.api_key
    if request.sim is not None:
        gateway = GatewaySimulator(request.sim.rate, request.sim.seed, cut_every_s=request.sim.cut_s)
        address, key = (await stack.enter_async_context(gateway.serving())).address, GATEWAY_KEY
    return FuturesFeed(
        key, request.feeds.futures, address=address, source=request.futures_source, room=session.sender.room,
        earlier=earlier,
    )  # fmt: skip


def silence_is_suspicious(request: LiveRequest) -> Callable[[int], bool]:
    """Return what tells whether silence at an instant (Unix ns) is suspicious.

    A thinly traded stock may well be silent for a while, and SPY outside its session.
    """
    if request.sim is not None:
        rate = request.sim.rate
        return lambda _: rate >= STEADY_RATE
    return in_regular_hours if request.underlyings.symbols[0] == "SPY" else lambda _: False


def _market(sim: SimulatedMarket, underlyings: Underlyings) -> Walk | Market:
    walks = [
        Walk(sim.seed + n, symbol=symbol, trend=sim.trend)
        if index_of(symbol) is None
        else IndexWalk(sim.seed + n, symbol, trend=sim.trend)
        for n, symbol in enumerate(underlyings.symbols)
    ]
    return walks[0] if len(walks) == 1 else Market(walks)
