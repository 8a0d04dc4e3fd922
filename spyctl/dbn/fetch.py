"""Fetching data: which days are missing, what they cost, and their files, verified and put in place."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson

from spyctl.dbn.catalog import scan
from spyctl.dbn.historical_api import CostEstimate, DatabentoApi, DataRequest, stype_of
from spyctl.dbn.reader import DBNFile, is_dbn_name
from spyctl.dbn.sidecars import AVAILABLE, Listed, is_synthetic, read_conditions, read_manifest
from spyctl.dbn.venues import holds_futures
from spyctl.dbn.zstd import walk_frames
from spyctl.errors import (
    DamagedFileError,
    NoDataError,
    NoSuchDataError,
    PendingJobError,
    SpyctlError,
    SyntheticFolderError,
)
from spyctl.market.sessions import futures_trade

FOLDERS = {"trades": "trades", "mbp-10": "MBP-10"}
POLL_S = 5.0
_READ = 1 << 20
_PENDING = ".fetch.json"
_WORK = ".fetch"
_UNKNOWN = CostEstimate(0, 0, 0.0)


@dataclass(frozen=True, slots=True)
class MissingRange:
    """A run of days of one schema that is missing, and what it costs (nothing is known of that without a key)."""

    request: DataRequest
    estimate: CostEstimate = _UNKNOWN


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What would be downloaded; ``present`` and ``unavailable`` are days left out, with the schema of the
    former and the reason for the latter. ``priced`` tells whether the vendor was asked what it costs."""

    root: Path
    missing: tuple[MissingRange, ...]
    present: tuple[tuple[date, str], ...]
    unavailable: tuple[tuple[date, str], ...]
    conditions: dict[date, str]
    priced: bool = True

    @property
    def total(self) -> CostEstimate:
        """Records, bytes and dollars of all of it."""
        parts = [missing.estimate for missing in self.missing]
        return CostEstimate(
            sum(part.records for part in parts), sum(part.size for part in parts), sum(part.cost for part in parts)
        )


def make_fetch_plan(
    api: DatabentoApi | None,
    root: Path,
    dataset: str,
    symbols: Sequence[str],
    schemas: Sequence[str],
    days: Sequence[date],
) -> FetchPlan:
    """Find out which days are missing and ask what they cost; nothing is bought, and without ``api`` nothing is asked.

    Raises :class:`NoSuchDataError` for a dataset without futures, :class:`SyntheticFolderError` for a folder of
    synthetic days, else what the API raises.
    """
    if not holds_futures(dataset):
        raise NoSuchDataError(f"{dataset} is no dataset of futures", "GLBX.MDP3 is that of CME")
    if is_synthetic(root):
        raise SyntheticFolderError(
            f"{root} holds synthetic days; the vendor's files never go beside them", "use a folder of its own"
        )
    for folder in FOLDERS.values():  # better before anything is bought than afterwards
        read_manifest(root / folder / "manifest.json")
    read_conditions(root / "condition.json")
    held = _held(root, dataset, symbols)
    present = [(day, schema) for schema in schemas for day in days if (day, schema) in held]
    conditions: dict[date, str] = {}
    if api is None:
        unavailable = [(day, "a day without trading") for day in days if not futures_trade(day)]
    else:
        conditions = api.conditions(dataset, min(days), max(days))
        unavailable = [
            (day, conditions.get(day, "not there (yet)"))
            for day in days
            if conditions.get(day, "missing") in ("missing", "pending")
        ]
    absent = {day for day, _ in unavailable}
    missing = []
    for schema in schemas:
        wanted = sorted(day for day in days if (day, schema) not in held and day not in absent)
        for first, last in _runs(wanted):
            request = DataRequest(dataset, schema, tuple(symbols), stype_of(symbols), first, last)
            missing.append(MissingRange(request, api.estimate(request)) if api is not None else MissingRange(request))
    return FetchPlan(root, tuple(missing), tuple(present), tuple(unavailable), conditions, priced=api is not None)


def _held(root: Path, dataset: str, symbols: Sequence[str]) -> set[tuple[date, str]]:
    try:
        infos = scan(root).files
    except (NoDataError, DamagedFileError):
        return set()
    asked = {symbol.upper() for symbol in symbols}
    held: set[tuple[date, str]] = set()
    for info in infos:
        whole = info.dataset == dataset and info.problem is None and not info.capture
        if whole and asked <= {symbol.upper() for symbol in info.symbols}:
            held.update((day, info.schema) for day in info.span_dates)
    return held


def _refuse_overlap(request: DataRequest, pending: Mapping[str, str]) -> None:
    # Some of these days are paid for already, in a job that was ordered with other dates and not fetched yet.
    mine = request.arguments()
    for key, job_id in pending.items():
        other = orjson.loads(key)
        same = all(mine[name] == other.get(name) for name in ("dataset", "schema", "symbols", "stype_in"))
        if same and mine["start"] < other["end"] and other["start"] < mine["end"]:
            last = date.fromisoformat(other["end"]) - timedelta(days=1)
            raise PendingJobError(job_id, date.fromisoformat(other["start"]), last)


def _holds(path: Path, symbols: Sequence[str]) -> bool:
    # Whether a file was requested for just these symbols; one that cannot be read may be overwritten.
    try:
        held = DBNFile(path).header.symbols
    except DamagedFileError:
        return True
    return {symbol.upper() for symbol in held} == {symbol.upper() for symbol in symbols}


def _runs(days: Sequence[date]) -> list[tuple[date, date]]:
    runs: list[tuple[date, date]] = []
    for day in days:
        if runs and day - runs[-1][1] == timedelta(days=1):
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is now in the data folder."""

    path: Path
    records: int
    size: int


class Fetcher:
    """Downloads what a plan names. ``report`` is given a line for each step worth one; ``poll_s`` is the time between
    two looks at a batch job."""

    def __init__(
        self, api: DatabentoApi, plan: FetchPlan, report: Callable[[str], None], poll_s: float = POLL_S
    ) -> None:
        self._api = api
        self._plan = plan
        self._report = report
        self._poll_s = poll_s

    def part(self, request: DataRequest, day: date) -> Path:
        """Return the path of a file while it is being written."""
        stem = f"{request.dataset.lower().replace('.', '-')}-{day:%Y%m%d}.{request.schema}"
        target = self._free(self._plan.root / FOLDERS[request.schema] / f"{stem}.dbn.zst", request)
        return target.with_name(f"{target.name}.part")

    def _free(self, path: Path, request: DataRequest) -> Path:
        # A file with other symbols keeps its place: what was paid for is not overwritten.
        if not path.exists() or _holds(path, request.symbols):
            return path
        symbols = "-".join(symbol.replace("/", "_") for symbol in request.symbols)[:80]
        head, _, _ = path.name.partition(".dbn")
        return path.with_name(f"{head}.{symbols}.dbn.zst")

    def stream(self, request: DataRequest, day: date) -> Fetched:
        """Download one day by streaming, verify it against the vendor's record count, and put it in place.

        Raises :class:`DamagedFileError` where it is not whole, else what the API raises.
        """
        request_of_day = replace(request, first=day, last=day)
        part = self.part(request, day)
        part.parent.mkdir(parents=True, exist_ok=True)
        self._api.stream(request_of_day, part)
        expected = self._api.records(request_of_day)
        records = _count_whole(part)
        if records != expected:
            raise DamagedFileError(
                str(part),
                f"holds {records:,} records, but Databento counts {expected:,}",
                remedy="download it again",
            )
        return self._place(part, part.with_suffix(""), _sha256(part), records)

    def batch(self, request: DataRequest) -> list[Fetched]:
        """Order a batch job, or resume one ordered before, wait for it and put its files in place.

        Raises :class:`PendingJobError` where some of these days are in a job that was not fetched yet,
        :class:`DamagedFileError` for a file that is not what its manifest says, else what the API raises.
        """
        pending = self._pending()
        key = orjson.dumps(request.arguments()).decode()
        if key not in pending:
            _refuse_overlap(request, pending)
            pending[key] = self._api.submit(request)
            self._keep(pending)
            self._report(f"ordered batch job {pending[key]}")
        else:
            self._report(f"resuming batch job {pending[key]}, ordered before")
        job_id = pending[key]
        while (state := self._api.job_state(job_id)) != "done":
            if state in ("expired", "unknown"):
                del pending[key]
                self._keep(pending)
                raise SpyctlError(f"batch job {job_id} is {state}", "run the same command again to order a new one")
            time.sleep(self._poll_s)
        files = [entry for entry in self._api.job_files(job_id) if is_dbn_name(entry.name)]
        fetched = [self._fetched(job_id, entry, request) for entry in files]
        del pending[key]
        self._keep(pending)
        return fetched

    def _fetched(self, job_id: str, listed: Listed, request: DataRequest) -> Fetched:
        target = self._free(self._plan.root / FOLDERS[request.schema] / listed.name, request)
        if target.is_file() and target.stat().st_size == listed.size:
            return Fetched(target, _count_whole(target), listed.size)
        path = self._api.download(job_id, listed.name, self._plan.root / _WORK)
        if path.stat().st_size != listed.size or _sha256(path) != listed.sha256:
            path.unlink()
            raise DamagedFileError(
                str(path), "not the bytes whose sha256 its manifest gives", remedy="download it again"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        return self._place(path, target, str(listed.sha256), _count_whole(path))

    def _place(self, part: Path, target: Path, sha256: str, records: int) -> Fetched:
        part.replace(target)
        size = target.stat().st_size
        manifest = target.parent / "manifest.json"
        read_manifest(manifest)  # refuses one that cannot be read
        document: dict[str, Any] = {"job_id": "spyctl fetch", "files": []}
        if manifest.exists():
            document = orjson.loads(manifest.read_bytes())
        entries = [entry for entry in document["files"] if entry["filename"] != target.name]
        entries.append({"filename": target.name, "size": size, "hash": f"sha256:{sha256}"})
        _write(manifest, document | {"files": sorted(entries, key=lambda entry: str(entry["filename"]))})
        self._note_conditions()
        return Fetched(target, records, size)

    def _note_conditions(self) -> None:
        path = self._plan.root / "condition.json"
        known = read_conditions(path) | self._plan.conditions
        _write(path, [{"date": str(day), "condition": known[day] or AVAILABLE} for day in sorted(known)])

    def _pending(self) -> dict[str, str]:
        try:
            document = orjson.loads((self._plan.root / _PENDING).read_bytes())
        except (OSError, ValueError):
            return {}
        return {str(key): str(job) for key, job in document.items()} if isinstance(document, dict) else {}

    def _keep(self, pending: dict[str, str]) -> None:
        self._plan.root.mkdir(parents=True, exist_ok=True)
        if pending:
            _write(self._plan.root / _PENDING, pending)
        else:
            (self._plan.root / _PENDING).unlink(missing_ok=True)


def _count_whole(path: Path) -> int:
    if (problem := walk_frames(path).problem) is not None:
        raise problem
    return sum(len(chunk) for chunk in DBNFile(path).chunks())


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_READ):
            digest.update(data)
    return digest.hexdigest()


def _write(path: Path, document: Any) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    part.replace(path)
