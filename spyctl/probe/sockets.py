"""Checks of the vendor's WebSockets, with the feed that ``live`` uses."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from spyctl.errors import ExitCode, KeyRefusedError
from spyctl.market.feeds import Arrival, FeedState, WrittenArrival
from spyctl.market.index_options import index_of
from spyctl.market.option_tickers import OptionTicker
from spyctl.market.sessions import current_expiry
from spyctl.massive.feed import Feed, Timing
from spyctl.massive.normalize import INDICES, OPTIONS, STOCKS
from spyctl.massive.statuses import EVICTED
from spyctl.probe.request import Findings, ProbeRequest
from spyctl.probe.result import Advice, CheckResult, Verdict, skipped
from spyctl.timing.tasks import end_task

ANSWER_S = 15.0
COMPLAINT_S = 1.0  # how long after a complaint of the server it may still succeed
_LOOK_S = 0.02
_CHECKS = ("stocks ws", "options ws")


async def socket_checks(request: ProbeRequest, findings: Findings) -> AsyncIterator[CheckResult]:
    """Yield the results; skipped where they would cut off a running live, unless forced."""
    # They are on another host than REST, with limits of their own: only a bad key rules them out.
    if findings.key_problem or request.rest_only:
        for result in skipped(_CHECKS, findings.key_problem or "not asked for"):
            yield result
        return
    if findings.run_with_key is not None and not request.force:
        text = f"run {findings.run_with_key} uses this key, and would be cut off"
        for result in skipped(_CHECKS, text, Advice.FORCE_SOCKETS):
            yield result
        return
    expiry, _ = current_expiry(time.time_ns())
    contract = str(OptionTicker(request.symbol, expiry, "C", 680_000))
    if findings.contracts:
        contract = findings.contracts[len(findings.contracts) // 2]
    if (index := index_of(request.symbol)) is not None:
        yield await _socket(request, INDICES, [f"V.{index}"])
    else:
        yield await _socket(request, STOCKS, [f"T.{request.symbol}", f"Q.{request.symbol}"])
    yield await _socket(request, OPTIONS, [f"T.{contract}"])


class _Listener:
    # Keeps a feed's last complaint, and why a connection ended.
    def __init__(self) -> None:
        self.complaint = self.reason = ""

    def arrived(self, arrival: Arrival | WrittenArrival) -> None:
        pass

    def lost(self, feed: str, from_ns: int, reason: str, waited: int) -> None:
        self.complaint = self.reason = reason

    def back(self, feed: str, to_ns: int, *, filled: bool = False) -> None:
        pass

    def short(self, feed: str, missing: int | None) -> None:
        pass

    def note(self, feed: str, text: str) -> None:
        self.complaint = text


async def _socket(request: ProbeRequest, market: str, topics: Sequence[str]) -> CheckResult:
    listener, begun_s = _Listener(), time.monotonic()
    feed = Feed(market, request.api_key or "", url=request.feed_url, timing=Timing(acknowledge=2.0))
    feed.set_desired(topics)
    running = asyncio.create_task(feed.run(listener))
    try:
        await _until_answered(feed, running, begun_s + ANSWER_S)
        result = _socket_result(request, feed, topics, listener, running)
        return replace(result, took_s=time.monotonic() - begun_s)
    finally:
        feed.stop()
        await asyncio.wait({running}, timeout=5)
        await end_task(running)


async def _until_answered(feed: Feed, running: "asyncio.Task[None]", deadline_s: float) -> None:
    complaint_s = 0.0
    while time.monotonic() < deadline_s and not running.done() and not feed.desired <= feed.held:
        await asyncio.sleep(_LOOK_S)
        if feed.words and not complaint_s:
            complaint_s = time.monotonic()
        if feed.missing or feed.reconnects or (complaint_s and time.monotonic() - complaint_s > COMPLAINT_S):
            return


def _socket_result(
    request: ProbeRequest, feed: Feed, topics: Sequence[str], listener: _Listener, running: "asyncio.Task[None]"
) -> CheckResult:
    name = f"{feed.name} ws"
    if running.done() and isinstance(error := running.exception(), KeyRefusedError):
        advice = _socket_advice(error.message)
        return CheckResult(name, Verdict.FAIL, error.message, advice=advice, code=ExitCode.KEY)
    if listener.reason == EVICTED:
        text = f"another process uses this key: {feed.words.strip()}"
        return CheckResult(name, Verdict.FAIL, text, advice=Advice.STOP_OTHER_PROCESS, code=ExitCode.KEY)
    if feed.desired <= feed.held:
        shown = ", ".join(topic.removeprefix("T.") if feed.name == OPTIONS else topic for topic in topics)
        return CheckResult(name, Verdict.PASS, f"authenticated; {shown} subscribed")
    if feed.state is FeedState.UP:
        text = f"authenticated, but {', '.join(sorted(feed.desired - feed.held))} not acknowledged"
        text += f": {feed.words}" if feed.words else ""
        return CheckResult(name, Verdict.FAIL, text, advice=_socket_advice(feed.words), code=ExitCode.KEY)
    text = f"{request.feed_url} does not let us in: {listener.complaint or 'no answer'}"
    return CheckResult(name, Verdict.FAIL, text, advice=Advice.CHECK_FEED_ADDRESS, code=ExitCode.FAILED)


def _socket_advice(words: str) -> Advice:
    if "authentication failed" in words.lower():
        return Advice.COPY_KEY
    return Advice.DELAYED_FEED if "delayed" in words.lower() else Advice.BETTER_PLAN
