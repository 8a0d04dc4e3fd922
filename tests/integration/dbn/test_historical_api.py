"""The vendor's client against a loopback server: answers become values, failures become our errors."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from spyctl.dbn.historical_api import CostEstimate, DatabentoApi, DataRequest, stype_of
from spyctl.errors import (
    BrokenDownloadError,
    GatewayError,
    KeyRefusedError,
    RefusedRequestError,
    SpyctlError,
    UnreachableFeedError,
    UnreachableGatewayError,
)
from tests.support.databento import KEY, FakeDatabento, serving_databento
from tests.support.records import DAY, content, metadata, trade, zstd_frames
from tests.support.servers import unused_port

pytestmark = pytest.mark.integration

NEXT = DAY + timedelta(days=1)
FILE = zstd_frames(content([trade()] * 300, metadata("trades")), len(metadata("trades")))
REQUEST = DataRequest("GLBX.MDP3", "trades", ("ES.c.0",), "continuous", DAY, NEXT)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDatabento]:
    fake = FakeDatabento({(day, "trades"): (FILE, 300) for day in (DAY, NEXT)}, {NEXT: "degraded"}, polls_until_done=1)
    with serving_databento(fake, tmp_path / "tls") as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def api(fake: FakeDatabento) -> DatabentoApi:
    return DatabentoApi(KEY, fake.url, pause_s=0.001)


def test_questions_are_answered_with_values(api: DatabentoApi) -> None:
    assert api.datasets() == ["GLBX.MDP3"]
    assert api.conditions("GLBX.MDP3", DAY, NEXT) == {DAY: "available", NEXT: "degraded"}
    assert api.records(REQUEST) == 600
    assert api.estimate(REQUEST) == CostEstimate(600, 600 * 48, 0.5)


def test_the_last_day_is_asked_for_exclusively() -> None:
    arguments = REQUEST.arguments()
    assert (arguments["start"], arguments["end"]) == ("2025-12-16", "2025-12-18")


def test_a_stream_is_written_to_its_file(api: DatabentoApi, tmp_path: Path) -> None:
    path = tmp_path / "x.part"
    path.write_bytes(b"left over")
    api.stream(DataRequest("GLBX.MDP3", "trades", ("ES.c.0",), "continuous", DAY, DAY), path)
    assert path.read_bytes() == FILE


@pytest.mark.filterwarnings("ignore:Exception ignored in. <_io.FileIO")  # the client leaves its file to the collector
def test_a_stream_that_breaks_off_is_not_resumed(fake: FakeDatabento, api: DatabentoApi, tmp_path: Path) -> None:
    fake.cut["get_range"] = [len(FILE) // 2]
    with pytest.raises(BrokenDownloadError, match="asking again is billed again"):
        api.stream(REQUEST, tmp_path / "x.part")
    assert fake.paths().count("/v0/timeseries.get_range") == 1


def test_a_job_is_ordered_once_watched_and_its_files_are_downloaded(
    fake: FakeDatabento, api: DatabentoApi, tmp_path: Path
) -> None:
    job_id = api.submit(REQUEST)
    assert [api.job_state(job_id), api.job_state(job_id), api.job_state("other")] == ["processing", "done", "unknown"]
    files = api.job_files(job_id)
    assert [(file.name, file.size) for file in files if file.name.endswith(".zst")] == [
        (f"glbx-mdp3-{day:%Y%m%d}.trades.dbn.zst", len(FILE)) for day in (DAY, NEXT)
    ]
    assert api.download(job_id, files[0].name, tmp_path).read_bytes() == FILE
    assert len(fake.jobs) == 1


def test_a_busy_server_is_asked_again_and_a_job_is_not_ordered_twice(fake: FakeDatabento, api: DatabentoApi) -> None:
    fake.failures += [("get_record_count", 503, "overloaded"), ("get_record_count", 429, "slow down")]
    assert api.records(REQUEST) == 600
    fake.failures += [("submit_job", 503, "overloaded")]
    with pytest.raises(UnreachableFeedError, match="answers 503"):
        api.submit(REQUEST)
    assert fake.jobs == {}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, KeyRefusedError),
        (402, KeyRefusedError),
        (403, KeyRefusedError),
        (404, RefusedRequestError),
        (422, RefusedRequestError),
        (418, SpyctlError),
    ],
)
def test_each_refusal_is_an_error_of_its_kind_and_names_no_flag(
    fake: FakeDatabento, api: DatabentoApi, status: int, kind: type[SpyctlError]
) -> None:
    fake.failures.append(("get_record_count", status, "no"))
    with pytest.raises(kind, match=f"answers {status}") as caught:
        api.records(REQUEST)
    assert type(caught.value) is kind
    assert "--" not in caught.value.message + caught.value.remedy


def test_an_address_that_does_not_answer_is_named_without_the_key() -> None:
    address = f"https://127.0.0.1:{unused_port()}"
    with pytest.raises(UnreachableGatewayError, match=r"127\.0\.0\.1:\d+ cannot be reached") as caught:
        DatabentoApi(KEY, address, pause_s=0.001).datasets()
    assert KEY not in caught.value.message


def test_a_gateway_that_the_client_refuses_is_an_error_of_its_own() -> None:
    with pytest.raises(GatewayError):
        DatabentoApi(KEY, " ", pause_s=0.001)


@pytest.mark.parametrize(
    ("symbols", "stype"),
    [
        (["ES.c.0", "NQ.v.1"], "continuous"),
        (["ES.FUT", "ES.OPT"], "parent"),
        (["294973"], "instrument_id"),
        (["ESZ5"], "raw_symbol"),
        (["ES.c.0", "ESZ5"], "raw_symbol"),
        (["ALL_SYMBOLS"], "raw_symbol"),
    ],
)
def test_the_form_of_symbols_tells_how_they_are_read(symbols: list[str], stype: str) -> None:
    assert stype_of(symbols) == stype


def test_a_request_is_of_days_both_inclusive() -> None:
    one = DataRequest("GLBX.MDP3", "trades", ("ES.c.0",), "continuous", date(2025, 12, 31), date(2025, 12, 31))
    assert (one.arguments()["start"], one.arguments()["end"]) == ("2025-12-31", "2026-01-01")
