"""When sockets are checked, and against a simulated feed, how."""

from pathlib import Path

import pytest

from spyctl.errors import ExitCode
from spyctl.massive.simulator import KEY, Simulator
from spyctl.probe.request import Findings
from spyctl.probe.result import Advice, CheckResult, Verdict
from spyctl.probe.sockets import _socket_advice, socket_checks
from tests.support.feeds import NoOptions
from tests.support.probing import probe_request


async def checks(tmp_path: Path, findings: Findings, **changes: object) -> list[CheckResult]:
    return [result async for result in socket_checks(probe_request(tmp_path, **changes), findings)]


@pytest.mark.parametrize(
    ("findings", "changes", "text", "advice"),
    [
        (Findings(key_problem="they need a key"), {}, "they need a key", None),
        (Findings(), {"rest_only": True}, "not asked for", None),
        (Findings(run_with_key="a1b2"), {}, "run a1b2 uses this key, and would be cut off", Advice.FORCE_SOCKETS),
    ],
)
async def test_sockets_are_skipped_for_a_reason(
    tmp_path: Path, findings: Findings, changes: dict[str, object], text: str, advice: Advice | None
) -> None:
    results = await checks(tmp_path, findings, **changes)
    assert [(result.name, result.verdict, result.text, result.advice) for result in results] == [
        (name, Verdict.SKIP, text, advice) for name in ("stocks ws", "options ws")
    ]


async def test_topics_that_are_acknowledged_pass_in_the_order_asked_for(tmp_path: Path) -> None:
    async with Simulator(0).serving() as simulator:
        findings = Findings(contracts=["O:SPY251216C00680000"], run_with_key="a1b2")
        stocks, options = await checks(tmp_path, findings, api_key=KEY, feed_url=simulator.url, force=True)
    assert (stocks.verdict, stocks.text) == (Verdict.PASS, "authenticated; T.SPY, Q.SPY subscribed")
    assert (options.verdict, options.text) == (Verdict.PASS, "authenticated; O:SPY251216C00680000 subscribed")
    assert stocks.took_s is not None


async def test_the_spot_of_index_options_comes_from_the_socket_of_the_indices(tmp_path: Path) -> None:
    async with Simulator(0).serving() as simulator:
        index, _ = await checks(tmp_path, Findings(), api_key=KEY, feed_url=simulator.url, symbol="SPXW")
    assert (index.name, index.verdict, index.text) == (
        "indices ws", Verdict.PASS, "authenticated; V.I:SPX subscribed",
    )  # fmt: skip


async def test_a_plan_without_options_fails_one_socket(tmp_path: Path) -> None:
    async with Simulator(0, script=NoOptions()).serving() as simulator:
        stocks, options = await checks(tmp_path, Findings(), api_key=KEY, feed_url=simulator.url)
    assert stocks.verdict is Verdict.PASS
    assert (options.verdict, options.advice, options.code) == (Verdict.FAIL, Advice.BETTER_PLAN, ExitCode.KEY)


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("Authentication failed", Advice.COPY_KEY),
        ("Use wss://delayed.massive.com", Advice.DELAYED_FEED),
        ("not authorized", Advice.BETTER_PLAN),
    ],
)
def test_the_servers_words_tell_what_would_help(words: str, advice: Advice) -> None:
    assert _socket_advice(words) is advice
