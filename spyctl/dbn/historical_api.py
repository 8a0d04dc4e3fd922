"""Databento's historical API through its own client: what data would cost, and the data.

https://databento.com/docs/api-reference-historical. The client is imported when it is first needed, which takes
seconds; its logger and warnings are kept off the user's terminal, and its errors become ours.
"""

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from spyctl.dbn.sidecars import Listed
from spyctl.errors import (
    BrokenDownloadError,
    GatewayError,
    KeyRefusedError,
    RefusedRequestError,
    SpyctlError,
    UnreachableFeedError,
    UnreachableGatewayError,
)
from spyctl.market.symbology import is_continuous

GATEWAY = "https://hist.databento.com"
_ATTEMPTS = 4
_PAUSE_S = 1.0
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class DataRequest:
    """One schema of some symbols over UTC days ``first`` to ``last``, both inclusive."""

    dataset: str
    schema: str
    symbols: tuple[str, ...]
    stype_in: str
    first: date
    last: date

    def arguments(self) -> dict[str, Any]:
        """Return what the client's functions take; their end is exclusive."""
        return {
            "dataset": self.dataset,
            "schema": self.schema,
            "symbols": list(self.symbols),
            "stype_in": self.stype_in,
            "start": self.first.isoformat(),
            "end": (self.last + timedelta(days=1)).isoformat(),
        }


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a request would bring and cost: records, bytes unpacked, US dollars."""

    records: int
    size: int
    cost: float


class DatabentoApi:
    """The vendor's API with a key; blocking. Each method raises :class:`SpyctlError` where it fails.

    A key that is refused is a :class:`KeyRefusedError`, a request for what is not known a
    :class:`RefusedRequestError`, no answer an :class:`UnreachableGatewayError`. Busy and broken answers are retried a
    few times first.
    """

    def __init__(self, api_key: str, gateway: str = GATEWAY, *, pause_s: float = _PAUSE_S) -> None:
        import databento

        logging.getLogger("databento").setLevel(logging.CRITICAL)
        self.host = urlsplit(gateway).netloc.rpartition("@")[2] or gateway
        self._pause_s = pause_s
        with self._translated():
            self._client = databento.Historical(key=api_key, gateway=gateway)

    def datasets(self) -> list[str]:
        """List the datasets there are; the cheapest question that a bad key does not pass."""
        return self._ask(self._client.metadata.list_datasets)

    def conditions(self, dataset: str, first: date, last: date) -> dict[date, str]:
        """Return the vendor's word for the data of each UTC day that it has."""
        days = self._ask(lambda: self._client.metadata.get_dataset_condition(dataset, first, last))
        return {date.fromisoformat(str(day["date"])): str(day["condition"]) for day in days}

    def records(self, request: DataRequest) -> int:
        """Ask how many records a request holds; asking costs nothing."""
        return int(self._ask(lambda: self._client.metadata.get_record_count(**request.arguments())))

    def estimate(self, request: DataRequest) -> CostEstimate:
        """Ask what a request would bring and cost; asking costs nothing."""
        metadata, arguments = self._client.metadata, request.arguments()
        return CostEstimate(
            self.records(request),
            int(self._ask(lambda: metadata.get_billable_size(**arguments))),
            float(self._ask(lambda: metadata.get_cost(**arguments))),
        )

    def stream(self, request: DataRequest, path: Path) -> None:
        """Download a request into a file of zstd DBN, which is overwritten. This is billed.

        Raises :class:`BrokenDownloadError` where it breaks off.
        """
        from databento.common.error import BentoError, BentoHttpError

        def download() -> None:
            path.unlink(missing_ok=True)
            try:
                self._client.timeseries.get_range(**request.arguments(), path=path)
            except BentoHttpError:
                raise  # nothing has come, so nothing is billed
            except BentoError:
                raise BrokenDownloadError(
                    f"{self.host}: the stream broke off, and asking again is billed again",
                    "a batch job, which continues where it stopped",
                ) from None

        self._ask(download)

    def submit(self, request: DataRequest) -> str:
        """Order a batch job, a file a day; returns its id. This is billed."""
        submit = self._client.batch.submit_job
        job = self._ask(lambda: submit(**request.arguments(), split_duration="day"), attempts=1)
        return str(job["id"])

    def job_state(self, job_id: str) -> str:
        """Return the state of a batch job: ``queued``, ``processing``, ``done`` or ``expired``."""
        jobs = self._ask(lambda: self._client.batch.list_jobs(states="queued,processing,done,expired"))
        return next((str(job["state"]) for job in jobs if job["id"] == job_id), "unknown")

    def job_files(self, job_id: str) -> list[Listed]:
        """List the files of a finished batch job."""
        files = self._ask(lambda: self._client.batch.list_files(job_id))
        return [
            Listed(str(file["filename"]), int(file["size"]), str(file["hash"]).removeprefix("sha256:"))
            for file in files
        ]

    def download(self, job_id: str, name: str, folder: Path) -> Path:
        """Download one file of a batch job below a folder, going on where an earlier attempt ended."""
        (path,) = self._ask(lambda: self._client.batch.download(job_id, folder, filename_to_download=name))
        return Path(path)

    def _ask(self, question: Callable[[], _Result], attempts: int = _ATTEMPTS) -> _Result:
        for attempt in range(1, attempts + 1):
            try:
                with self._translated():
                    return question()
            except _BusyError as error:
                if attempt == attempts:
                    raise error.final from None
                time.sleep(error.after_s or self._pause_s * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import requests
        from databento.common.error import BentoError, BentoHttpError

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except BentoHttpError as error:
            raise self._http_error(error.http_status, str(error.message or ""), error.headers) from None
        except requests.RequestException as error:
            message = f"{self.host} cannot be reached: {type(error).__name__}"
            raise _BusyError(UnreachableGatewayError(message, "check network, proxy and gateway")) from None
        except BentoError as error:
            message = f"{self.host}: {_first_line(str(error))}"
            raise _BusyError(UnreachableFeedError(message, "try again later")) from None
        except ValueError as error:
            raise GatewayError(f"{self.host}: {_first_line(str(error))}", "check gateway and key") from None

    def _http_error(self, status: int, reason: str, headers: Any) -> Exception:
        message = f"{self.host} answers {status}: {_first_line(reason)}"
        if status in (401, 403):
            return KeyRefusedError(message, "check DATABENTO_API_KEY at databento.com/portal/keys")
        if status == 402:
            return KeyRefusedError(message, "look at databento.com/portal/billing")
        if status in (400, 404, 422):
            return RefusedRequestError(message, "check symbols, dataset and dates")
        if status == 429 or status >= 500:
            after = str(headers.get("Retry-After", ""))
            error = UnreachableFeedError(message, "try again later")
            return _BusyError(error, float(after) if after.isdigit() else None)
        return SpyctlError(message)


class _BusyError(Exception):
    # Worth asking again, after so many seconds where that is known; ``final`` is the error if that does not help.
    def __init__(self, final: SpyctlError, after_s: float | None = None) -> None:
        super().__init__(final.message)
        self.final = final
        self.after_s = after_s


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "no reason given"


def stype_of(symbols: Sequence[str]) -> str:
    """Tell by its form how Databento has to read a symbol: continuous, parent, instrument id or raw symbol."""
    if all(map(is_continuous, symbols)):
        return "continuous"
    if all(symbol.endswith((".FUT", ".OPT", ".SPOT")) for symbol in symbols):
        return "parent"
    return "instrument_id" if all(symbol.isdecimal() for symbol in symbols) else "raw_symbol"
