"""What ``probe`` asks, one check after the other; each says what it saw, how long it took and what would help.

The checks use the very code of the other commands to connect, so that one that passes proves something.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.runs import living_runs
from spyctl.bus.stream import misfits
from spyctl.bus.target import Reached, Target, reach, would_start
from spyctl.dbn.catalog import scan
from spyctl.dbn.file_info import days_of
from spyctl.dbn.historical_api import GATEWAY, DatabentoApi
from spyctl.errors import ExitCode, KeyRefusedError, SpyctlError, UnreachableError
from spyctl.market.feeds import Arrival, FeedState
from spyctl.market.option_tickers import OptionTicker
from spyctl.market.sessions import current_expiry, session_text
from spyctl.market.subjects import STREAM_SUBJECTS, stream_name, with_prefix
from spyctl.massive.feed import Feed, Timing
from spyctl.massive.normalize import OPTIONS, STOCKS
from spyctl.massive.rest import Answer, MassiveRest, listed_contracts
from spyctl.massive.statuses import EVICTED
from spyctl.timing.instants import SECOND, duration_text
from spyctl.timing.tasks import end_task

WS_S = 15.0
WORDS_S = 1.0  # after words of the server that are no welcome
SKEW_WARN_S = 2.0
DELAY_WARN_S = 60.0
_SOCKETS = ("stocks ws", "options ws")
UPGRADE = "a plan that includes it: massive.com/pricing"
NEW_KEY = "copy it again from the dashboard at massive.com"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check came to: ``verdict`` is pass, warn, fail or skip; ``code`` is the exit code of a failure."""

    name: str
    verdict: str
    text: str
    took_s: float | None = None
    remedy: str = ""
    code: ExitCode = ExitCode.OK


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """What to look at. ``api_key`` is ``None`` where the environment holds none; ``key_name`` says where it was."""

    api_key: str | None
    key_name: str
    key_hash: str
    target: Target
    data_dir: Path
    feed_url: str
    rest_url: str
    symbol: str = "SPY"
    prefix: str = ""
    databento_key: str | None = None
    gateway: str = GATEWAY
    rest_only: bool = False
    force: bool = False


@dataclass(slots=True)
class _Seen:
    # What earlier checks have found out for later ones.
    market: str = ""
    contracts: list[str] = field(default_factory=list)
    connection: Connection | None = None
    living: str | None = None
    without_key: str = ""


async def probe(request: ProbeRequest) -> AsyncIterator[CheckResult]:
    """Yield the result of each check as it is known."""
    seen = _Seen()
    async with AsyncExitStack() as stack:
        # Looked at first, shown last: a running live with this key decides what may be done to its sockets.
        bus = await _bus_checks(request, seen, stack)
        for checks in (_rest_checks, _sockets):
            async for result in checks(request, seen):
                yield result
        for result in bus:
            yield result
    yield await _databento_check(request)
    yield _data_check(request.data_dir)


# --- the vendor


async def _rest_checks(request: ProbeRequest, seen: _Seen) -> AsyncIterator[CheckResult]:
    names = ("clock", "market", "stocks", "options")
    if request.api_key is None:
        remedy = f"export {request.key_name.split(' ')[0]}=…; spyctl live --sim needs none"
        yield CheckResult("key", "fail", f"none: {request.key_name} not set", None, remedy, ExitCode.KEY)
        seen.without_key = "they need a key"
        for skipped in _skipped(names, seen.without_key):
            yield skipped
        return
    rest = MassiveRest(request.api_key, request.rest_url)
    shown = f"{request.key_name} (…{request.api_key[-4:]})" if len(request.api_key) >= 8 else request.key_name
    begun_s, begun_ns = time.monotonic(), time.time_ns()
    try:
        answer = await asyncio.to_thread(rest.get, "/v1/marketstatus/now")
    except SpyctlError as error:
        yield CheckResult("key", "fail", error.message, time.monotonic() - begun_s, error.remedy, ExitCode.FAILED)
        for skipped in _skipped(names, f"they need {rest.host}"):
            yield skipped
        return
    took_s = time.monotonic() - begun_s
    if answer.code == 401:
        text = f"{shown} refused: 401 {answer.words}"
        yield CheckResult("key", "fail", text, took_s, NEW_KEY, ExitCode.KEY)
        yield _clock_check(answer, begun_ns, took_s)
        seen.without_key = "they need a good key"
        for skipped in _skipped(names[1:], seen.without_key):
            yield skipped
        return
    if answer.code != 200 or "market" not in answer.document:
        busy, refused = answer.code == 429, answer.code == 403
        text = f"{rest.host} answers {answer.code}: {answer.words}"
        remedy = UPGRADE if refused else "try again in a minute"
        if answer.code == 200:
            text, remedy = f"what answers as {rest.host} is not the vendor's API", "check network, proxy and --rest-url"
        code = ExitCode.KEY if refused else ExitCode.FAILED
        yield CheckResult("key", "warn" if busy else "fail", text, took_s, remedy, code)
        for skipped in _skipped(names, f"they need {rest.host}"):
            yield skipped
        return
    yield CheckResult("key", "pass", f"{shown} accepted by {rest.host}", took_s)
    yield _clock_check(answer, begun_ns, took_s)
    seen.market = str(answer.document.get("market", ""))
    yield CheckResult("market", "pass", session_text(time.time_ns(), seen.market))
    yield await _timed("stocks", rest.host, lambda: _stocks(rest, request, seen))
    yield await _timed("options", rest.host, lambda: _options(rest, request, seen))


def _clock_check(answer: Answer, begun_ns: int, took_s: float) -> CheckResult:
    # The vendor tells whole seconds, so less than one is no difference.
    try:
        theirs = parsedate_to_datetime(answer.date or "").timestamp() + 0.5
    except (TypeError, ValueError):
        return CheckResult("clock", "skip", "the vendor tells no time")
    off_s = begun_ns / SECOND + took_s / 2 - theirs
    if abs(off_s) <= 1:
        return CheckResult("clock", "pass", "agrees with the vendor's to the second")
    text = f"{abs(off_s):.1f} s {'behind' if off_s < 0 else 'ahead of'} the vendor's"
    verdict = "warn" if abs(off_s) > SKEW_WARN_S else "pass"
    return CheckResult(
        "clock", verdict, text, remedy="set the clock (chrony, systemd-timesyncd)" if verdict == "warn" else ""
    )


async def _timed(name: str, rest_host: str, check: Callable[[], CheckResult]) -> CheckResult:
    begun_s = time.monotonic()
    try:
        found = await asyncio.to_thread(check)
    except SpyctlError as error:
        found = CheckResult(name, "fail", error.message, None, error.remedy, ExitCode.FAILED)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        text = f"an answer of {rest_host} that makes no sense ({error})"
        found = CheckResult(name, "fail", text, None, "try again later", ExitCode.FAILED)
    return CheckResult(found.name, found.verdict, found.text, time.monotonic() - begun_s, found.remedy, found.code)


def _skipped(names: Sequence[str], why: str, remedy: str = "") -> list[CheckResult]:
    return [CheckResult(name, "skip", why, remedy=remedy) for name in names]


def _refusal(name: str, what: str, answer: Answer) -> CheckResult:
    if answer.code == 429:
        return CheckResult(name, "warn", f"{what}: {answer.words}", remedy="try again in a minute")
    code = ExitCode.KEY if answer.code in (401, 403) else ExitCode.FAILED
    return CheckResult(name, "fail", f"{what} refused: {answer.code} {answer.words}", None, UPGRADE, code)


def _stocks(rest: MassiveRest, request: ProbeRequest, seen: _Seen) -> CheckResult:
    symbol = request.symbol
    trade = rest.get(f"/v2/last/trade/{symbol}")
    if trade.code != 200:
        return _refusal("stocks", f"trades of {symbol}", trade)
    quote = rest.get(f"/v2/last/nbbo/{symbol}")
    if quote.code != 200:
        return _refusal("stocks", f"quotes of {symbol}", quote)
    last_ns = trade.document["results"].get("t")
    behind_s = (time.time_ns() - last_ns) / SECOND if isinstance(last_ns, int) else 0.0
    if seen.market == "open" and behind_s > DELAY_WARN_S:
        text = f"trades and quotes, {duration_text(round(behind_s) * SECOND)} late"
        return CheckResult("stocks", "warn", text, remedy="spyctl live --delayed, or a plan with real time")
    return CheckResult("stocks", "pass", "trades and quotes" + (", real time" if seen.market == "open" else ""))


def _options(rest: MassiveRest, request: ProbeRequest, seen: _Seen) -> CheckResult:
    expiry, _ = current_expiry(time.time_ns())
    answer, seen.contracts = listed_contracts(rest, request.symbol, expiry)
    if answer.code != 200:
        return _refusal("options", "the list of contracts", answer)
    if not seen.contracts:
        text = f"no {request.symbol} contracts listed for {expiry}"
        return CheckResult("options", "warn", text, remedy="spyctl live --expiry DAY")
    trades = rest.get(f"/v3/trades/{seen.contracts[len(seen.contracts) // 2]}", limit=1)
    if trades.code != 200:
        return _refusal("options", "trades", trades)
    return CheckResult("options", "pass", f"trades; {len(seen.contracts):,} {request.symbol} contracts expire {expiry}")


async def _sockets(request: ProbeRequest, seen: _Seen) -> AsyncIterator[CheckResult]:
    # They are of another host than REST is, with limits of their own: only a key that is no good rules them out.
    if seen.without_key or request.rest_only:
        for skipped in _skipped(_SOCKETS, seen.without_key or "--rest-only"):
            yield skipped
        return
    if seen.living is not None and not request.force:
        text = f"run {seen.living} uses this key, and would be cut off"
        for skipped in _skipped(_SOCKETS, text, "--force does it all the same"):
            yield skipped
        return
    expiry, _ = current_expiry(time.time_ns())
    contract = next(
        iter(seen.contracts[len(seen.contracts) // 2 :]), str(OptionTicker(request.symbol, expiry, "C", 680_000))
    )
    yield await _socket(request, STOCKS, [f"T.{request.symbol}", f"Q.{request.symbol}"])
    yield await _socket(request, OPTIONS, [f"T.{contract}"])


class _Listener:
    # Keeps what a feed complains about, and why a connection ended.
    def __init__(self) -> None:
        self.words = self.reason = ""

    def arrived(self, arrival: Arrival) -> None:
        pass

    def lost(self, feed: str, from_ns: int, reason: str, waited: int) -> None:
        self.words = self.reason = reason

    def back(self, feed: str, to_ns: int) -> None:
        pass

    def note(self, feed: str, text: str) -> None:
        self.words = text


async def _socket(request: ProbeRequest, market: str, topics: list[str]) -> CheckResult:
    name, listener, begun_s = f"{market} ws", _Listener(), time.monotonic()
    feed = Feed(market, request.api_key or "", url=request.feed_url, timing=Timing(acknowledge=2.0))
    feed.set_desired(topics)
    running, told_s = asyncio.create_task(feed.run(listener)), 0.0
    try:
        while time.monotonic() - begun_s < WS_S and not running.done() and not feed.desired <= feed.held:
            await asyncio.sleep(0.02)
            told_s = told_s or (time.monotonic() if feed.words else 0.0)
            if feed.missing or feed.reconnects or (told_s and time.monotonic() - told_s > WORDS_S):
                break
        took_s = time.monotonic() - begun_s
        if running.done() and isinstance(error := running.exception(), KeyRefusedError):
            return CheckResult(name, "fail", error.message, took_s, _socket_remedy(error.message), ExitCode.KEY)
        if listener.reason == EVICTED:
            text, remedy = (
                f"another process uses this key: {feed.words.strip()}",
                "end it; a key has one connection a market",
            )
            return CheckResult(name, "fail", text, took_s, remedy, ExitCode.KEY)
        if feed.desired <= feed.held:
            shown = ", ".join(topic.removeprefix("T.") if market == OPTIONS else topic for topic in topics)
            return CheckResult(name, "pass", f"authenticated; {shown} subscribed", took_s)
        if feed.state is FeedState.UP:
            text = f"authenticated, but {', '.join(sorted(feed.desired - feed.held))} not acknowledged"
            text += f": {feed.words}" if feed.words else ""
            return CheckResult(name, "fail", text, took_s, _socket_remedy(feed.words), ExitCode.KEY)
        text = f"{request.feed_url} does not let us in: {listener.words or 'no answer'}"
        return CheckResult(name, "fail", text, took_s, "check network, proxy and --feed-url", ExitCode.FAILED)
    finally:
        feed.stop()
        await asyncio.wait({running}, timeout=5)
        await end_task(running)


def _socket_remedy(words: str) -> str:
    if "authentication failed" in words.lower():
        return NEW_KEY
    return "spyctl probe --delayed, or a plan with real time" if "delayed" in words.lower() else UPGRADE


# --- NATS and the data


async def _bus_checks(request: ProbeRequest, seen: _Seen, stack: AsyncExitStack) -> list[CheckResult]:
    target, needs = request.target, _skipped(("jetstream", "stream"), "they need NATS")
    if would_start(target):
        text = f"none on localhost:{target.port}: replay, tail and live --sim use the embedded server"
        if target.embedded:
            text = "the embedded server does not run; the first command that needs it starts it"
        remedy = "name one with --nats-url or NATS_URL for live, or give it --embedded"
        return [CheckResult("nats", "warn", text, remedy="" if target.embedded else remedy), *needs]
    begun_s = time.monotonic()
    try:
        reached: Reached = await stack.enter_async_context(reach(target))
    except SpyctlError as error:
        text, remedy = error.message, error.remedy
        if isinstance(error, UnreachableError) and target.named_by:
            text = f"{text} ({target.named_by})"
            remedy = f"start it, or leave out {target.named_by} to use the embedded server"
        return [CheckResult("nats", "fail", text, time.monotonic() - begun_s, remedy, ExitCode.NATS), *needs]
    connection = reached.connection
    where = "embedded server" if reached.embedded is not None else connection.url
    text = f"{where}, nats-server {connection.server_version}"
    results = [CheckResult("nats", "pass", text, time.monotonic() - begun_s)]
    info = await connection.jetstream_info()
    limit = info.get("limits", {}).get("max_storage", -1)
    free = f"{(limit - info.get('storage', 0)) / 1e9:,.0f} GB free" if limit >= 0 else "no limit on storage"
    if reached.embedded is not None:
        free = f"{reached.embedded.store.free_bytes() / 1e9:,.0f} GB free"
    results.append(CheckResult("jetstream", "pass", f"on, {free}"))
    results.append(await _stream_check(connection, request.prefix))
    for living in await living_runs(connection):
        if living.options.get("key_hash") == request.key_hash != "":
            seen.living = living.run_id
    return results


async def _stream_check(connection: Connection, prefix: str) -> CheckResult:
    name = stream_name(prefix)
    try:
        info: dict[str, Any] = await connection.api(f"STREAM.INFO.{name}")
    except ApiError as error:
        if error.code == 404:
            return CheckResult("stream", "pass", f"{name} will be made by the first run")
        return CheckResult("stream", "fail", f"{name} cannot be read: {error.description}", code=ExitCode.NATS)
    config = info["config"]
    if problems := misfits(config, [with_prefix(subject, prefix) for subject in STREAM_SUBJECTS]):
        remedy = f"another server, or nats stream rm {name}"
        return CheckResult("stream", "fail", f"{name} {problems[0]}", None, remedy, ExitCode.NATS)
    hours = config.get("max_age", 0) / SECOND / 3600
    kept = f"{hours:,.0f} h" if hours else "no age limit"
    return CheckResult(
        "stream", "pass", f"{name} fits: {config.get('storage')}, {kept}, {info['state']['messages']:,} events"
    )


async def _databento_check(request: ProbeRequest) -> CheckResult:
    key = request.databento_key
    if key is None:
        return CheckResult("databento", "skip", "DATABENTO_API_KEY is not set; spyctl fetch needs it")
    begun_s = time.monotonic()

    def ask() -> tuple[str, list[str]]:
        api = DatabentoApi(key, request.gateway)
        return api.host, api.datasets()

    try:
        host, datasets = await asyncio.to_thread(ask)
    except SpyctlError as error:
        return CheckResult("databento", "fail", error.message, None, error.remedy, error.exit_code)
    shown = f"DATABENTO_API_KEY (…{key[-4:]})" if len(key) >= 8 else "DATABENTO_API_KEY"
    text = f"{shown} accepted by {host}, {len(datasets):,} dataset{'' if len(datasets) == 1 else 's'}"
    return CheckResult("databento", "pass", text, time.monotonic() - begun_s)


def _data_check(data_dir: Path) -> CheckResult:
    try:
        catalog = scan(data_dir)
    except SpyctlError as error:
        return CheckResult("data", "warn", error.message, remedy=error.remedy)
    infos, unreadable = catalog.files, catalog.unreadable
    dates = len(days_of(infos))
    text = f"{data_dir}: {dates:,} date{'' if dates == 1 else 's'}, {len(infos):,} file{'' if len(infos) == 1 else 's'}"
    if unreadable:
        text += f", {len(unreadable):,} unreadable"
        return CheckResult("data", "warn", text, remedy="spyctl discover names them")
    return CheckResult("data", "pass", text)
