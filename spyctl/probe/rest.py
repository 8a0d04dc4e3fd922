"""Checks over the vendor's REST API: key, clock, market, stocks, options."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from email.utils import parsedate_to_datetime

from spyctl.errors import ExitCode, SpyctlError
from spyctl.market.index_options import index_of, listed_under
from spyctl.market.sessions import current_expiry, session_text
from spyctl.massive.rest import Answer, MassiveRest, listed_contracts
from spyctl.probe.request import Findings, ProbeRequest
from spyctl.probe.result import Advice, CheckResult, Verdict, masked, skipped
from spyctl.terminal.text import count
from spyctl.timing.instants import SECOND, duration_text

SKEW_WARN_S = 2.0
DELAY_WARN_S = 60.0
_CHECKS = ("clock", "market", "stocks", "options")


async def rest_checks(request: ProbeRequest, findings: Findings) -> AsyncIterator[CheckResult]:
    """Yield the results; keeps whether the market is open, the contracts listed, and what is wrong with the key."""
    if request.api_key is None:
        findings.key_problem = "they need a key"
        text = f"none: {request.key_name} not set"
        yield CheckResult("key", Verdict.FAIL, text, advice=Advice.SET_KEY, code=ExitCode.KEY)
        for result in skipped(_CHECKS, findings.key_problem):
            yield result
        return
    rest = MassiveRest(request.api_key, request.rest_url)
    begun_s, begun_ns = time.monotonic(), time.time_ns()
    try:
        answer = await asyncio.to_thread(rest.get, "/v1/marketstatus/now")
    except SpyctlError as error:
        took_s = time.monotonic() - begun_s
        yield CheckResult("key", Verdict.FAIL, error.message, took_s, error=error, code=ExitCode.FAILED)
        for result in skipped(_CHECKS, f"they need {rest.host}"):
            yield result
        return
    took_s = time.monotonic() - begun_s
    clock = _clock_check(answer, begun_ns, took_s)
    yield _key_check(request, request.api_key, rest.host, answer, took_s)
    if answer.code == 401:
        yield clock
        findings.key_problem = "they need a good key"
        for result in skipped(_CHECKS[1:], findings.key_problem):
            yield result
        return
    if not _is_market_status(answer):
        for result in skipped(_CHECKS, f"they need {rest.host}"):
            yield result
        return
    yield clock
    findings.market = answer.text("market")
    yield CheckResult("market", Verdict.PASS, session_text(time.time_ns(), findings.market))
    yield await _timed("stocks", rest.host, lambda: _stocks(rest, request, findings))
    yield await _timed("options", rest.host, lambda: _options(rest, request, findings))


def _is_market_status(answer: Answer) -> bool:
    return answer.code == 200 and bool(answer.text("market"))


def _key_check(request: ProbeRequest, key: str, host: str, answer: Answer, took_s: float) -> CheckResult:
    shown = masked(request.key_name, key)
    if _is_market_status(answer):
        return CheckResult("key", Verdict.PASS, f"{shown} accepted by {host}", took_s)
    text = f"{host} answers {answer.code}: {answer.message}"
    match answer.code:
        case 401:
            text = f"{shown} refused: 401 {answer.message}"
            return CheckResult("key", Verdict.FAIL, text, took_s, Advice.COPY_KEY, code=ExitCode.KEY)
        case 403:
            return CheckResult("key", Verdict.FAIL, text, took_s, Advice.BETTER_PLAN, code=ExitCode.KEY)
        case 429:
            return CheckResult("key", Verdict.WARN, text, took_s, Advice.WAIT_A_MINUTE)
        case 200:
            text = f"what answers as {host} is not the vendor's API"
            return CheckResult("key", Verdict.FAIL, text, took_s, Advice.CHECK_API_ADDRESS, code=ExitCode.FAILED)
    return CheckResult("key", Verdict.FAIL, text, took_s, Advice.WAIT_A_MINUTE, code=ExitCode.FAILED)


def _clock_check(answer: Answer, begun_ns: int, took_s: float) -> CheckResult:
    # The vendor tells whole seconds, so less than one is no difference.
    try:
        vendor_s = parsedate_to_datetime(answer.date or "").timestamp() + 0.5
    except (TypeError, ValueError):
        return CheckResult("clock", Verdict.SKIP, "the vendor's answer has no time")
    off_s = begun_ns / SECOND + took_s / 2 - vendor_s
    if abs(off_s) <= 1:
        return CheckResult("clock", Verdict.PASS, "agrees with the vendor's to the second")
    text = f"{abs(off_s):.1f} s {'behind' if off_s < 0 else 'ahead of'} the vendor's"
    if abs(off_s) > SKEW_WARN_S:
        return CheckResult("clock", Verdict.WARN, text, advice=Advice.SET_CLOCK)
    return CheckResult("clock", Verdict.PASS, text)


async def _timed(name: str, rest_host: str, check: Callable[[], CheckResult]) -> CheckResult:
    begun_s = time.monotonic()
    try:
        result = await asyncio.to_thread(check)
    except SpyctlError as error:
        result = CheckResult(name, Verdict.FAIL, error.message, error=error, code=ExitCode.FAILED)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        text = f"an answer of {rest_host} makes no sense ({error})"
        result = CheckResult(name, Verdict.FAIL, text, advice=Advice.RETRY_LATER, code=ExitCode.FAILED)
    return replace(result, took_s=time.monotonic() - begun_s)


def _refusal(name: str, what: str, answer: Answer) -> CheckResult:
    if answer.code == 429:
        return CheckResult(name, Verdict.WARN, f"{what}: {answer.message}", advice=Advice.WAIT_A_MINUTE)
    code = ExitCode.KEY if answer.code in (401, 403) else ExitCode.FAILED
    text = f"{what} refused: {answer.code} {answer.message}"
    return CheckResult(name, Verdict.FAIL, text, advice=Advice.BETTER_PLAN, code=code)


def _stocks(rest: MassiveRest, request: ProbeRequest, findings: Findings) -> CheckResult:
    symbol = request.symbol
    if (index := index_of(symbol)) is not None:
        return CheckResult("stocks", Verdict.SKIP, f"{symbol} options are on an index: {index} comes by socket")
    trade = rest.get(f"/v2/last/trade/{symbol}")
    if trade.code != 200:
        return _refusal("stocks", f"trades of {symbol}", trade)
    quote = rest.get(f"/v2/last/nbbo/{symbol}")
    if quote.code != 200:
        return _refusal("stocks", f"quotes of {symbol}", quote)
    last_ns = trade.document["results"].get("t")
    behind_s = (time.time_ns() - last_ns) / SECOND if isinstance(last_ns, int) else 0.0
    if findings.market == "open" and behind_s > DELAY_WARN_S:
        text = f"trades and quotes, {duration_text(round(behind_s) * SECOND)} late"
        return CheckResult("stocks", Verdict.WARN, text, advice=Advice.REAL_TIME_PLAN)
    text = "trades and quotes, real time" if findings.market == "open" else "trades and quotes"
    return CheckResult("stocks", Verdict.PASS, text)


def _options(rest: MassiveRest, request: ProbeRequest, findings: Findings) -> CheckResult:
    expiry, _ = current_expiry(time.time_ns())
    underlying = listed_under(request.symbol)
    answer, findings.contracts = listed_contracts(rest, underlying, expiry)
    if answer.code != 200:
        return _refusal("options", "the list of contracts", answer)
    if not findings.contracts:
        text = f"no {underlying} contracts listed for {expiry}"
        return CheckResult("options", Verdict.WARN, text, advice=Advice.OTHER_EXPIRY)
    trades = rest.get(f"/v3/trades/{findings.contracts[len(findings.contracts) // 2]}", limit=1)
    if trades.code != 200:
        return _refusal("options", "trades", trades)
    contracts = count(f"{underlying} contracts", len(findings.contracts))
    expire = "expires" if len(findings.contracts) == 1 else "expire"
    return CheckResult("options", Verdict.PASS, f"trades; {contracts} {expire} {expiry}")
