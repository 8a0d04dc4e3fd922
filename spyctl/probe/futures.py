"""A check of Databento's live gateway, with the feed that ``live --es`` uses. It cuts nobody off."""

import asyncio
import time
from dataclasses import replace

from spyctl.dbn.gateway.feed import FRONT, FuturesFeed
from spyctl.errors import ExitCode, SpyctlError
from spyctl.market.feeds import Arrival, WrittenArrival
from spyctl.market.sessions import futures_closed_text
from spyctl.probe.request import ProbeRequest
from spyctl.probe.result import Advice, CheckResult, Verdict, masked
from spyctl.timing.instants import SECOND
from spyctl.timing.tasks import end_task

NAME = "es live"
ANSWER_S = 15.0
_LOOK_S = 0.02


class _Listener:
    # Keeps why a connection ended, and how late the last event came.
    def __init__(self) -> None:
        self.reason = ""
        self.late_ns: int | None = None

    def arrived(self, arrival: Arrival | WrittenArrival) -> None:
        if isinstance(arrival, WrittenArrival) and arrival.late_ns:
            self.late_ns = arrival.late_ns[-1]

    def lost(self, feed: str, from_ns: int, reason: str, waited: int) -> None:
        self.reason = reason

    def back(self, feed: str, to_ns: int, *, filled: bool = False) -> None:
        pass

    def short(self, feed: str, missing: int | None) -> None:
        pass

    def note(self, feed: str, text: str) -> None:
        pass


async def futures_check(request: ProbeRequest, answer_s: float = ANSWER_S) -> CheckResult:
    """Check that the gateway lets the key in and gives it ES; it has so many seconds to answer."""
    if request.databento_key is None:
        return CheckResult(NAME, Verdict.SKIP, "DATABENTO_API_KEY is not set; spyctl live --es needs it")
    if request.rest_only:
        return CheckResult(NAME, Verdict.SKIP, "not asked for")
    listener, begun_s = _Listener(), time.monotonic()
    feed = FuturesFeed(request.databento_key, address=request.es_gateway)
    running = asyncio.create_task(feed.run(listener))
    try:
        while time.monotonic() < begun_s + answer_s and not (running.done() or feed.reconnects):
            if feed.desired <= feed.held:
                break
            await asyncio.sleep(_LOOK_S)
        result = _result(request, feed, listener, running)
        return replace(result, took_s=time.monotonic() - begun_s)
    finally:
        feed.stop()
        await asyncio.wait({running}, timeout=5)
        await end_task(running)


def _result(
    request: ProbeRequest, feed: FuturesFeed, listener: _Listener, running: "asyncio.Task[None]"
) -> CheckResult:
    error = running.exception() if running.done() else None
    if isinstance(error, SpyctlError):
        return CheckResult(NAME, Verdict.FAIL, error.message, error=error, code=error.exit_code)
    if feed.desired <= feed.held:
        shown = masked("DATABENTO_API_KEY", request.databento_key or "")
        text = f"{shown} let in by {request.es_gateway.host}; {FRONT} subscribed"
        if closed := futures_closed_text(time.time_ns()):
            text += f"; {closed}"
        elif listener.late_ns is not None:
            text += f", {listener.late_ns / SECOND * 1000:.0f} ms late"
        return CheckResult(NAME, Verdict.PASS, text)
    text = listener.reason or f"{request.es_gateway} does not answer"
    return CheckResult(NAME, Verdict.FAIL, text, advice=Advice.CHECK_ES_GATEWAY, code=ExitCode.FAILED)
