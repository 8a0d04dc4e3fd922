"""Checks over REST, of answers made by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spyctl.errors import ExitCode
from spyctl.massive.rest import Answer
from spyctl.probe.request import Findings
from spyctl.probe.rest import _clock_check, _key_check, _options, _stocks, rest_checks
from spyctl.probe.result import Advice, Verdict
from tests.support.probing import probe_request

NOW_NS = 1_765_898_047_000_000_000  # Tue 2025-12-16 15:14:07 UTC
NOW = "Tue, 16 Dec 2025 15:14:07 GMT"


def answer(code: int, document: dict[str, Any] | None = None, date: str | None = NOW) -> Answer:
    return Answer(code, document or {}, date, None)


class Rest:
    """Answers by the start of a path."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers

    def get(self, path: str, **_: Any) -> Answer:
        return next(answer for name, answer in self.answers.items() if f"/{name}" in path)

    def pages(self, path: str, **query: Any) -> list[Answer]:
        return [self.get(path, **query)]


@pytest.mark.parametrize(
    ("given", "verdict", "advice", "code"),
    [
        (answer(200, {"market": "open"}), Verdict.PASS, None, ExitCode.OK),
        (answer(200, {"hello": "login"}), Verdict.FAIL, Advice.CHECK_API_ADDRESS, ExitCode.FAILED),
        (answer(401), Verdict.FAIL, Advice.COPY_KEY, ExitCode.KEY),
        (answer(403), Verdict.FAIL, Advice.BETTER_PLAN, ExitCode.KEY),
        (answer(429), Verdict.WARN, Advice.WAIT_A_MINUTE, ExitCode.OK),
        (answer(500), Verdict.FAIL, Advice.WAIT_A_MINUTE, ExitCode.FAILED),
    ],
)
def test_the_key_is_judged_by_the_status(
    tmp_path: Path, given: Answer, verdict: Verdict, advice: Advice | None, code: ExitCode
) -> None:
    result = _key_check(probe_request(tmp_path, key_name="POLYGON_API_KEY"), "0123456789", "api.test", given, 0.2)
    assert (result.verdict, result.advice, result.code) == (verdict, advice, code)
    assert "0123456789" not in result.text


@pytest.mark.parametrize(
    ("off_s", "verdict", "text"),
    [
        (0, Verdict.PASS, "agrees with the vendor's to the second"),
        (1.9, Verdict.PASS, "1.9 s ahead of the vendor's"),
        (5, Verdict.WARN, "5.0 s ahead of the vendor's"),
        (-5, Verdict.WARN, "5.0 s behind the vendor's"),
    ],
)
def test_the_clock_may_be_off_by_two_seconds(off_s: float, verdict: Verdict, text: str) -> None:
    # The vendor tells whole seconds: its 15:14:07 is taken for the middle of that second.
    result = _clock_check(answer(200), NOW_NS + 500_000_000 + round(off_s * 10**9), 0.0)
    assert (result.verdict, result.text) == (verdict, text)
    assert (result.advice is Advice.SET_CLOCK) is (verdict is Verdict.WARN)


def test_an_answer_without_a_time_skips_the_clock() -> None:
    assert _clock_check(answer(200, date=None), NOW_NS, 0.0).verdict is Verdict.SKIP
    assert _clock_check(answer(200, date="noon"), NOW_NS, 0.0).verdict is Verdict.SKIP


def test_late_trades_in_an_open_market_are_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOW_NS)
    rest: Any = Rest(v2=answer(200, {"results": {"t": NOW_NS - 900 * 10**9}}))
    late = _stocks(rest, probe_request(tmp_path), Findings(market="open"))
    assert (late.verdict, late.advice) == (Verdict.WARN, Advice.REAL_TIME_PLAN)
    assert "15 m 00 s late" in late.text
    closed = _stocks(rest, probe_request(tmp_path), Findings(market="closed"))
    assert (closed.verdict, closed.text) == (Verdict.PASS, "trades and quotes")


@pytest.mark.parametrize(("number", "text"), [(1, "1 SPY contract expires"), (348, "348 SPY contracts expire")])
def test_listed_contracts_are_counted_and_kept(tmp_path: Path, number: int, text: str) -> None:
    contracts = [{"ticker": "O:SPY251216C00680000"}] * number
    rest: Any = Rest(v3=answer(200, {"results": contracts}))
    findings = Findings()
    result = _options(rest, probe_request(tmp_path), findings)
    assert result.verdict is Verdict.PASS
    assert text in result.text
    assert len(findings.contracts) == number


def test_no_contracts_ask_for_another_expiry(tmp_path: Path) -> None:
    rest: Any = Rest(v3=answer(200, {"results": []}))
    result = _options(rest, probe_request(tmp_path), Findings())
    assert (result.verdict, result.advice) == (Verdict.WARN, Advice.OTHER_EXPIRY)


def test_an_index_has_no_trades_of_its_own_and_lists_its_options_under_its_name(tmp_path: Path) -> None:
    rest: Any = Rest(v3=answer(200, {"results": [{"ticker": "O:SPXW251216C06800000"}]}))
    request = replace(probe_request(tmp_path), symbol="SPXW")
    stocks = _stocks(rest, request, Findings(market="open"))
    assert (stocks.verdict, "I:SPX comes by socket" in stocks.text) == (Verdict.SKIP, True)
    assert "1 SPX contract expires" in _options(rest, request, Findings()).text


async def test_without_a_key_the_rest_is_skipped(tmp_path: Path) -> None:
    findings = Findings()
    results = [result async for result in rest_checks(probe_request(tmp_path), findings)]
    assert [(result.name, result.verdict) for result in results] == [
        ("key", Verdict.FAIL), ("clock", Verdict.SKIP), ("market", Verdict.SKIP), ("stocks", Verdict.SKIP),
        ("options", Verdict.SKIP),
    ]  # fmt: skip
    assert (results[0].code, results[0].advice) == (ExitCode.KEY, Advice.SET_KEY)
    assert findings.key_problem == "they need a key"
