"""Checks of NATS: without a server, and of what a stream looks like."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from spyctl.bus.connection import ApiError
from spyctl.bus.embedded import Store
from spyctl.bus.stream import desired_config
from spyctl.bus.target import Target
from spyctl.errors import ExitCode, UnfitStreamError
from spyctl.probe.bus import _stream_check, bus_checks
from spyctl.probe.request import Findings
from spyctl.probe.result import Advice, CheckResult, Verdict
from tests.support.probing import probe_request
from tests.support.servers import unused_port


class Connection:
    """Answers one request; of rights it knows nothing."""

    def __init__(self, answer: dict[str, Any] | ApiError) -> None:
        self.answer = answer

    def server_at_least(self, *_: int) -> bool:
        return False

    async def ask(self, subject: str) -> dict[str, Any]:
        return {}

    async def api(self, subject: str, request: object = None) -> dict[str, Any]:
        if subject == "STREAM.NAMES":
            return {"streams": None}
        if subject == "STREAM.INFO.KV_SPYCTL":
            raise ApiError(404, 10059, "stream not found")
        assert subject == "STREAM.INFO.MARKET_DATA"
        if isinstance(self.answer, ApiError):
            raise self.answer
        return self.answer


async def stream(config: dict[str, Any], messages: int = 0) -> CheckResult:
    connection: Any = Connection({"config": config, "state": {"messages": messages, "bytes": 700 * messages}})
    return await _stream_check(connection, "")


async def test_our_stream_fits() -> None:
    result = await stream(desired_config(), 62_042)
    assert (result.verdict, result.text) == (Verdict.PASS, "MARKET_DATA fits: file, 24 h, 62,042 events")
    assert (await stream(desired_config() | {"max_age": 0}, 1)).text == "MARKET_DATA fits: file, no age limit, 1 event"


async def test_a_stream_that_does_not_fit_is_exit_5() -> None:
    result = await stream(desired_config() | {"storage": "memory"})
    assert (result.verdict, result.code, result.advice) == (Verdict.FAIL, ExitCode.NATS, Advice.OTHER_STREAM)


@pytest.mark.parametrize(
    ("limits", "verdict", "text"),
    [
        ({"max_msgs": 1_000}, Verdict.WARN, "1,000 events; MARKET_DATA keeps only the newest 1,000 messages"),
        ({"max_msgs": 1_000, "discard": "new"}, Verdict.FAIL, "is full: MARKET_DATA takes no more than 1,000 messages"),
        ({"max_bytes": 701_000, "discard": "new"}, Verdict.FAIL, "is full: MARKET_DATA takes no more than 1 MB"),
        ({"max_bytes": 800_000, "discard": "new"}, Verdict.WARN, "MARKET_DATA takes no more than 1 MB"),
    ],
)
async def test_a_stream_with_limits_is_a_warning_and_a_full_one_a_failure(
    limits: dict[str, Any], verdict: Verdict, text: str
) -> None:
    result = await stream(desired_config() | limits, 1_000)
    assert (result.verdict, text in result.text) == (verdict, True), result.text


async def test_no_stream_is_no_problem_and_one_that_cannot_be_read_is() -> None:
    connection: Any = Connection(ApiError(404, 0, "not there"))
    assert (await _stream_check(connection, "")).verdict is Verdict.PASS
    connection = Connection(ApiError(503, 0, "not now"))
    with pytest.raises(UnfitStreamError, match="MARKET_DATA cannot be read: not now"):
        await _stream_check(connection, "")


@pytest.mark.parametrize(("embedded", "advice"), [(True, None), (False, Advice.NAME_SERVER)])
async def test_a_server_that_would_be_started_is_a_warning_and_is_not_started(
    tmp_path: Path, embedded: bool, advice: Advice | None
) -> None:
    target = Target(embedded=embedded, store=tmp_path / "store", port=unused_port())
    async with AsyncExitStack() as stack:
        nats, *rest = await bus_checks(probe_request(tmp_path, target=target), Findings(), stack)
    assert (nats.verdict, nats.advice) == (Verdict.WARN, advice)
    assert [result.verdict for result in rest] == [Verdict.SKIP, Verdict.SKIP]
    assert Store(tmp_path / "store").state() is None


async def test_a_named_server_that_does_not_answer_says_who_named_it(tmp_path: Path) -> None:
    target = Target(urls=(f"nats://127.0.0.1:{unused_port()}",), named_by="NATS_URL")
    async with AsyncExitStack() as stack:
        nats, *_ = await bus_checks(probe_request(tmp_path, target=target), Findings(), stack)
    assert (nats.verdict, nats.code, nats.advice) == (Verdict.FAIL, ExitCode.NATS, Advice.START_SERVER)
    assert nats.text.endswith("(NATS_URL)")
