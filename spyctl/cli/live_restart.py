"""What an earlier live run left behind: events on disk, and the hole between it and this one."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from spyctl.bus.predecessor import came_to, newest_events, predecessor
from spyctl.bus.publishing import Publishing
from spyctl.bus.reconcile import stored_identities
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.futures_options import FEEDS
from spyctl.cli.live_request import LiveRequest
from spyctl.dbn.gateway.hole import EarlierRun
from spyctl.errors import path_text
from spyctl.live.aggressors import QuoteUse
from spyctl.live.session import SUBJECTS, LiveSession, subjects
from spyctl.live.spool import Spool, spool_folder
from spyctl.market.events import MBP10, FuturesTrade, OptionTrade, StockTrade
from spyctl.market.sessions import futures_trade_from, stocks_trade_between
from spyctl.market.subjects import subject_of, with_prefix
from spyctl.terminal.text import count
from spyctl.timing.instants import SECOND

REMEMBERED = 50_000  # messages of the stream: what lies around the end of the last run
LOOK_BACK_NS = 60 * SECOND  # no schema of a future that trades is silent for longer
CLOCKS_NS = 10 * SECOND  # by which the server's clock may be behind the market's


@asynccontextmanager
async def spool_of(request: LiveRequest, reporter: Reporter, run: Publishing) -> AsyncIterator[Spool | None]:
    """Yield where events go that memory cannot hold; what a killed run has left there is published first, each once."""
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
            reporter.block("spool", f"{count('events', len(spool))} left on disk by an earlier run: published first")
        yield spool


async def last_ended(request: LiveRequest, run: Publishing) -> int | None:
    """Return the event time (Unix ns) that the last run came to, ``None`` where nothing can be missing since.

    A simulated market has no past.
    """
    if request.sim is not None or not request.feeds.equity:
        return None
    wanted = {"symbol": request.underlyings.text, "sim": False}
    last = await predecessor(run.connection, "live", run.stream.name, run.run_id, wanted)
    if last is None:
        return None
    equities = [with_prefix(subject, request.prefix) for subject in SUBJECTS]  # futures are never late by a plan
    ended_ns = await came_to(run.connection, last, equities)
    return ended_ns if stocks_trade_between(ended_ns, time.time_ns() - request.vendor.delay_ns) else None


async def remember_stored(request: LiveRequest, run: Publishing, session: LiveSession) -> None:
    """Have a session know what the last run stored near its end, so that it is not stored again."""
    trades = [with_prefix(subject_of(kind), request.prefix) for kind in (StockTrade, OptionTrade)]
    after_seq = max(0, run.began_after - REMEMBERED)
    async for identity in stored_identities(run.connection, run.stream.name, trades, after_seq, run.began_after):
        session.filter.trades_seen.add(identity)


async def earlier_futures(request: LiveRequest, run: Publishing) -> EarlierRun | None:
    """Return where the last run with the same futures ended, ``None`` where nothing can be missing since."""
    if request.sim is not None or not request.feeds.futures:
        return None
    stream, wanted = run.stream.name, {"futures": list(request.feeds.futures), "sim": False}
    last = await predecessor(run.connection, "live", stream, run.run_id, wanted)
    if last is None:
        return None
    futures = [with_prefix(subject_of(kind), request.prefix) for kind in (FuturesTrade, MBP10)]
    ended_ns = await came_to(run.connection, last, futures)
    from_ns = futures_trade_from(ended_ns)
    if from_ns >= time.time_ns():
        return None
    if not request.backfill:
        return EarlierRun(from_ns)
    start_ns = from_ns
    if from_ns == ended_ns:  # the market was open
        newest = await newest_events(run.connection, stream, futures, request.futures_source)
        start_ns = max(from_ns - LOOK_BACK_NS, min(newest, default=from_ns))
    stored = stored_identities(
        run.connection, stream, futures, 0, run.began_after, since_ns=min(start_ns, from_ns) - CLOCKS_NS
    )  # fmt: skip
    return EarlierRun(from_ns, start_ns, frozenset([each async for each in stored if each.startswith("F")]))
