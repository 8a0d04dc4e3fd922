"""Running the live side: find the server, register the run, connect the feeds, show it, say what came of it."""

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from spyctl.bus.acks.base import Patience
from spyctl.bus.acks.mode import AckMode
from spyctl.bus.connection import Connection
from spyctl.bus.consumers import Consumers
from spyctl.bus.leases import KEY_CLAIM
from spyctl.bus.publishing import Publishing, RunRequest, publishing
from spyctl.bus.runs import RunState
from spyctl.bus.target import Reached, reach
from spyctl.cli.framework.ack_watch import AckWatch
from spyctl.cli.framework.remedies import remedy_for
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.framework.screen import Show
from spyctl.cli.framework.signals import Interruption
from spyctl.cli.framework.streams import write_document, written
from spyctl.cli.framework.watch import away, watched
from spyctl.cli.live_feeds import serving_feeds
from spyctl.cli.live_request import LiveRequest
from spyctl.cli.live_restart import earlier_futures, last_ended, remember_stored, spool_of
from spyctl.cli.replay_run import show_holdings, show_server
from spyctl.cli.summary import print_live_summary
from spyctl.dbn.gateway.feed import FUTURES
from spyctl.errors import SpyctlError
from spyctl.live.feed_policy import FeedPolicy
from spyctl.live.result import summary_of
from spyctl.live.session import Hooks, LiveOptions, LiveSession, subjects
from spyctl.live.snapshot import LiveScene
from spyctl.live.spool import Spool
from spyctl.live.view import LiveView
from spyctl.live.windows import Windows
from spyctl.market.events import EventSource
from spyctl.market.feeds import FeedState
from spyctl.market.sessions import futures_closed_text
from spyctl.market.subjects import with_prefix
from spyctl.massive.backfill import Backfill
from spyctl.massive.key_hash import key_hash
from spyctl.massive.rest import Listing, MassiveRest, listing
from spyctl.summary import StopReason
from spyctl.timing.collection import short_collections
from spyctl.timing.instants import SECOND
from spyctl.timing.notes import Note

if TYPE_CHECKING:
    from spyctl.cli.framework.metrics import Figures

FOREVER_S = 10.0**9
REFUSAL_S = 60.0  # an election, or a store that is being made room in
_AFTER_LOSS = "look into the server's log; the next run publishes first what still waits on disk"


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
        async with spool_of(request, reporter, run) as spool, AsyncExitStack() as stack:
            last_ended_ns = await last_ended(request, run)
            session = _session(request, reporter, run, spool, last_ended_ns)
            if last_ended_ns is not None and request.backfill:
                await remember_stored(request, run, session)
            earlier = await earlier_futures(request, run)
            policies = await stack.enter_async_context(serving_feeds(request, session, earlier))
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


def _session(
    request: LiveRequest, reporter: Reporter, run: Publishing, spool: Spool | None, last_ended_ns: int | None
) -> LiveSession:
    rest = MassiveRest(request.vendor.api_key, request.vendor.rest_url)
    hooks = Hooks(
        connected=lambda: run.connection.connected,
        backfill=Backfill(rest) if request.backfill and request.feeds.equity else None,
        listed=partial(_listed, rest) if request.sim is None and "options" in request.feeds.names else None,
        tell=partial(_say, reporter),
        spool=spool,
    )
    options = LiveOptions(
        source=request.source, sources={FUTURES: request.futures_source}, feeds=request.feeds.names,
        prefix=request.prefix, quotes=request.quotes, delay_ns=request.vendor.delay_ns, last_ended_ns=last_ended_ns,
    )  # fmt: skip
    windows = request.underlyings.windows(time.time_ns() - request.vendor.delay_ns)
    return LiveSession(run.publisher, windows, options, run_id=run.run_id, hooks=hooks)


def _say(reporter: Reporter, note: Note) -> None:
    # A display shows the notes itself.
    if not reporter.displaying:
        (reporter.warn if note.level == "warning" else reporter.line)(note.text)


async def _listed(rest: MassiveRest, underlying: str, expiry: date) -> Listing | None:
    try:
        return await asyncio.to_thread(listing, rest, underlying, expiry)
    except SpyctlError:
        return None


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
            with short_collections():
                await run.watch(session.run(policies), partial(session.stop, StopReason.LEASE_LOST))
    except SpyctlError as error:
        failure = error
    run.state = RunState.ENDED if failure is None else RunState.FAILED  # whether or not anybody reads the summary
    summary = summary_of(session, stream)
    if session.ledger.received or failure is None or request.as_json:
        print_live_summary(summary, request.title, request.what, as_json=request.as_json, out=sys.stdout)
    show_holdings(reporter, run)
    if failure is not None:
        reporter.error(failure.message, remedy_for(failure, after_loss=_AFTER_LOSS))
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
            stock = f"{manager.underlying} trades and quotes, " if manager.underlying in windows.symbols else ""
            spot = f"; spot from {window.spot_from}" if window.spot_from != manager.underlying else ""
            lines.append(f"{stock or f'{manager.underlying} '}{options}{spot}")
    elif "stocks" in request.feeds.names:
        lines += [f"{symbol} trades and quotes" for symbol in request.underlyings.symbols]
    if request.feeds.futures:
        closed = futures_closed_text(time.time_ns()) if request.sim is None else ""
        lines.append(f"{' and '.join(request.feeds.futures)} trades and books{closed and f'; {closed}'}")
    reporter.block("live", *lines)
    reporter.line()


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
