"""All checks, where there is nothing to check."""

from pathlib import Path

from spyctl.probe.checks import probe
from spyctl.probe.result import Verdict
from tests.support.probing import probe_request


async def test_every_check_has_a_result_in_the_order_they_are_shown(tmp_path: Path) -> None:
    results = [result async for result in probe(probe_request(tmp_path))]
    assert [result.name for result in results] == [
        "key", "clock", "market", "stocks", "options", "stocks ws", "options ws", "nats", "jetstream", "stream",
        "databento", "es live", "data",
    ]  # fmt: skip
    assert [result.name for result in results if result.verdict is Verdict.FAIL] == ["key"]
