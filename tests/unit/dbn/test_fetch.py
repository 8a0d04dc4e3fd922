"""What is missing, what it costs, and how files get into their places; the vendor is played by an object."""

import hashlib
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from spyctl.dbn.catalog import scan
from spyctl.dbn.fetch import Fetcher, make_fetch_plan
from spyctl.dbn.historical_api import CostEstimate, DataRequest
from spyctl.dbn.sidecars import Listed, read_conditions, read_manifest
from spyctl.errors import DamagedFileError, NoSuchDataError, PendingJobError, SpyctlError, SyntheticFolderError
from tests.support.records import DAY, DAY_NS, SECOND, T0, content, metadata, trade, write_file, zstd_frames

DAYS = [DAY + timedelta(days=n) for n in range(-1, 3)]  # Monday to Thursday


def packed(first: date, last: date) -> bytes:
    start, end = ((day - DAY).days * 86_400 * SECOND for day in (first, last + timedelta(days=1)))
    head = metadata("trades", start=DAY_NS + start, end=DAY_NS + end)
    return zstd_frames(content([trade(T0 + start + i) for i in range(100)], head), len(head))


class FakeApi:
    """The vendor's API with 100 records a request, ten dollars a day; ``states`` are those of a job, one a look."""

    def __init__(self) -> None:
        self.counted = 100
        self.word: dict[date, str] = {}
        self.states = ["queued", "done"]
        self.submitted: list[DataRequest] = []
        self.listed_sha256: str | None = None

    def conditions(self, dataset: str, first: date, last: date) -> dict[date, str]:
        days = (first + timedelta(days=n) for n in range((last - first).days + 1))
        return {day: self.word.get(day, "available") for day in days}

    def estimate(self, request: DataRequest) -> CostEstimate:
        return CostEstimate(100, 4_800, 10.0 * ((request.last - request.first).days + 1))

    def records(self, request: DataRequest) -> int:
        return self.counted

    def stream(self, request: DataRequest, path: Path) -> None:
        path.write_bytes(packed(request.first, request.last))

    def submit(self, request: DataRequest) -> str:
        self.submitted.append(request)
        return f"JOB-{len(self.submitted)}"

    def job_state(self, job_id: str) -> str:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def job_files(self, job_id: str) -> list[Listed]:
        data = packed(DAY, DAY)
        digest = self.listed_sha256 or hashlib.sha256(data).hexdigest()
        return [Listed("glbx-mdp3-20251216.trades.dbn.zst", len(data), digest), Listed("metadata.json", 2, "0")]

    def download(self, job_id: str, name: str, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(packed(DAY, DAY))
        return folder / name


@pytest.fixture
def api() -> Any:
    return FakeApi()


def fetcher(api: Any, root: Path, days: list[date], lines: list[str] | None = None) -> tuple[Fetcher, DataRequest]:
    plan = make_fetch_plan(api, root, "GLBX.MDP3", ["ES.c.0"], ["trades"], days)
    report = lines.append if lines is not None else lambda _: None
    return Fetcher(api, plan, report, poll_s=0), plan.missing[0].request


def test_missing_days_are_joined_to_runs_around_what_is_present_or_unavailable(tmp_path: Path, api: Any) -> None:
    write_file(tmp_path, "trades", [trade(T0)])  # Tuesday
    api.word[DAYS[3]] = "missing"
    plan = make_fetch_plan(api, tmp_path, "GLBX.MDP3", ["es.c.0"], ["trades", "mbp-10"], DAYS)
    assert [(part.request.schema, part.request.first, part.request.last) for part in plan.missing] == [
        ("trades", DAYS[0], DAYS[0]),
        ("trades", DAYS[2], DAYS[2]),
        ("mbp-10", DAYS[0], DAYS[2]),
    ]
    assert plan.present == ((DAY, "trades"),)
    assert plan.unavailable == ((DAYS[3], "missing"),)
    assert plan.total == CostEstimate(300, 14_400, 50.0)


@pytest.mark.parametrize("symbols", [["NQ.c.0"], ["ES.c.0", "NQ.c.0"]])
def test_a_day_with_other_symbols_is_missing(tmp_path: Path, api: Any, symbols: list[str]) -> None:
    write_file(tmp_path, "trades", [trade(T0)])
    assert len(make_fetch_plan(api, tmp_path, "GLBX.MDP3", symbols, ["trades"], [DAY]).missing) == 1


def test_a_damaged_file_is_missing(tmp_path: Path, api: Any) -> None:
    path = write_file(tmp_path, "trades", [trade(T0)] * 9)
    path.write_bytes(path.read_bytes()[:-1])
    assert len(make_fetch_plan(api, tmp_path, "GLBX.MDP3", ["ES.c.0"], ["trades"], [DAY]).missing) == 1


def test_a_synthetic_folder_is_refused_without_naming_a_flag(tmp_path: Path, api: Any) -> None:
    (tmp_path / "metadata.json").write_text('{"synthetic": true}')
    with pytest.raises(SyntheticFolderError) as caught:
        make_fetch_plan(api, tmp_path, "GLBX.MDP3", ["ES.c.0"], ["trades"], [DAY])
    assert "--" not in caught.value.message + caught.value.remedy


def test_a_streamed_day_is_put_in_place_with_its_manifest_and_condition(tmp_path: Path, api: Any) -> None:
    api.word[DAY] = "degraded"
    fetch, request = fetcher(api, tmp_path, [DAY])
    file = fetch.stream(request, DAY)
    assert file.path == tmp_path / "trades" / "glbx-mdp3-20251216.trades.dbn.zst"
    assert (file.records, file.size) == (100, len(packed(DAY, DAY)))
    assert read_manifest(tmp_path / "trades" / "manifest.json")[file.path.name].size == file.size
    assert read_conditions(tmp_path / "condition.json") == {DAY: "degraded"}
    (info,) = scan(tmp_path).files
    assert (info.problem, info.conditions) == (None, ((DAY, "degraded"),))


def test_a_count_that_differs_leaves_nothing_in_place(tmp_path: Path, api: Any) -> None:
    api.counted = 99
    fetch, request = fetcher(api, tmp_path, [DAY])
    with pytest.raises(DamagedFileError, match="holds 100 records, but Databento counts 99"):
        fetch.stream(request, DAY)
    assert list(tmp_path.rglob("*.zst")) == []


def test_a_file_with_other_symbols_keeps_its_place(tmp_path: Path, api: Any) -> None:
    path = write_file(tmp_path, "trades", [trade(T0)], compressed=True, symbols=["NQ.c.0"])
    before = path.read_bytes()
    fetch, request = fetcher(api, tmp_path, [DAY])
    assert fetch.stream(request, DAY).path.name == "glbx-mdp3-20251216.trades.ES.c.0.dbn.zst"
    assert path.read_bytes() == before


def test_a_batch_job_is_ordered_waited_for_and_put_in_place(tmp_path: Path, api: Any) -> None:
    lines: list[str] = []
    fetch, request = fetcher(api, tmp_path, [DAY], lines)
    (file,) = fetch.batch(request)
    assert (file.records, lines) == (100, ["ordered batch job JOB-1"])
    assert not (tmp_path / ".fetch.json").exists()


def test_a_job_that_was_ordered_before_is_resumed_and_not_paid_for_twice(tmp_path: Path, api: Any) -> None:
    api.listed_sha256 = "0" * 64
    fetch, request = fetcher(api, tmp_path, [DAY])
    with pytest.raises(DamagedFileError, match="not the bytes whose sha256 its manifest gives"):
        fetch.batch(request)
    wider, both = fetcher(api, tmp_path, DAYS[1:3])
    with pytest.raises(PendingJobError, match="JOB-1 of 2025-12-16 to 2025-12-16") as caught:
        wider.batch(both)
    assert (caught.value.first, caught.value.last) == (DAY, DAY)
    api.listed_sha256, lines = None, []
    again, request = fetcher(api, tmp_path, [DAY], lines)
    assert len(again.batch(request)) == len(api.submitted) == 1
    assert lines == ["resuming batch job JOB-1, ordered before"]


def test_a_job_that_expired_is_forgotten(tmp_path: Path, api: Any) -> None:
    api.states = ["expired"]
    fetch, request = fetcher(api, tmp_path, [DAY])
    with pytest.raises(SpyctlError, match="batch job JOB-1 is expired"):
        fetch.batch(request)
    api.states = ["done"]
    fetch.batch(request)
    assert len(api.submitted) == 2


def test_a_manifest_that_cannot_be_read_stops_before_anything_is_bought(tmp_path: Path, api: Any) -> None:
    (tmp_path / "trades").mkdir()
    (tmp_path / "trades" / "manifest.json").write_text(json.dumps([]))
    with pytest.raises(DamagedFileError, match=r"manifest\.json"):
        make_fetch_plan(api, tmp_path, "GLBX.MDP3", ["ES.c.0"], ["trades"], [DAY])


def test_a_dataset_without_futures_is_refused(api: Any, tmp_path: Path) -> None:
    with pytest.raises(NoSuchDataError, match="EQUS.MINI is no dataset of futures"):
        make_fetch_plan(api, tmp_path, "EQUS.MINI", ["SPY"], ["trades"], [DAY])
