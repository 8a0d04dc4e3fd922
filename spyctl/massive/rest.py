"""Massive's REST API, as far as it is needed: one GET with a deadline, with its status code.

The vendor's own REST clients retry for long and hide the status code; see
https://massive.com/docs/rest/quickstart for the paths.
"""

import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import certifi
import orjson
import urllib3

from spyctl.errors import PayloadError, UnreachableRestError, UsageError
from spyctl.market.index_options import listed_under
from spyctl.market.option_tickers import parse_option_ticker
from spyctl.massive.proxies import proxy_of

REST_URL = "https://api.massive.com"
CONNECT_S, READ_S = 3.0, 5.0
_SECONDS = re.compile(r"\d{1,4}", re.ASCII)
_REASONS = {
    "NewConnectionError": "connection refused", "NameResolutionError": "no such host", "SSLError": "TLS failed",
    "ConnectTimeoutError": "no answer", "ReadTimeoutError": "no answer", "ProtocolError": "not HTTP",
    "ProxyError": "the proxy does not let us through",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What a GET brought: the HTTP status, the document (empty where it was not JSON), the server's clock as text."""

    code: int
    document: dict[str, Any]
    date: str | None
    retry_after_s: float | None

    @property
    def message(self) -> str:
        """The server's own message about a failure."""
        return self.text("error") or self.text("message") or f"HTTP {self.code}"

    def text(self, key: str) -> str:
        """Return what the document says under a key, empty where that is no text."""
        value = self.document.get(key)
        return value if isinstance(value, str) else ""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The document's results, as far as they are objects."""
        results = self.document.get("results")
        return [row for row in results if isinstance(row, dict)] if isinstance(results, list) else []


class MassiveRest:
    """GETs with a key in a header; blocking, so call it in a thread.

    By the proxy that the environment names; raises :class:`UsageError` for one that is not an HTTP proxy.
    """

    def __init__(self, api_key: str, url: str = REST_URL) -> None:
        self.host = urlsplit(url).netloc
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}", "User-Agent": "spyctl"}
        timeout = urllib3.Timeout(connect=CONNECT_S, read=READ_S)
        context = ssl.create_default_context(cafile=certifi.where())
        options: dict[str, Any] = {"timeout": timeout, "retries": False, "ssl_context": context}
        proxy = proxy_of(url)
        self._pool = _proxied(proxy, options) if proxy is not None else urllib3.PoolManager(**options)

    def get(self, path: str, **query: str | int) -> Answer:
        """Return the answer to a GET. Raises :class:`UnreachableRestError` where there is none."""
        url = path if path.startswith(self._url) else self._url + path
        if query:
            url += "?" + urlencode(query)
        try:
            response = self._pool.request("GET", url, headers=self._headers)
        except urllib3.exceptions.HTTPError as error:
            reason = _REASONS.get(type(error).__name__, type(error).__name__)
            raise UnreachableRestError(
                f"{self.host} cannot be reached: {reason}", "check network, proxy and the address"
            ) from None
        try:
            document = orjson.loads(response.data)
        except orjson.JSONDecodeError:
            document = {}
        after = response.headers.get("Retry-After", "")
        return Answer(
            response.status,
            document if isinstance(document, dict) else {},
            response.headers.get("Date"),
            float(after) if _SECONDS.fullmatch(after) else None,
        )

    def pages(self, path: str, **query: str | int) -> Iterator[Answer]:
        """Yield the answers to a GET and to what it names as its next pages; ends after one that failed."""
        answer = self.get(path, **query)
        yield answer
        asked: set[str] = set()
        while (next_path := following(answer)) is not None and next_path not in asked:
            asked.add(next_path)
            answer = self.get(next_path)
            yield answer


def _proxied(proxy: str, options: dict[str, Any]) -> urllib3.ProxyManager:
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https"):
        raise UsageError(f"the REST API is not reached by a {parts.scheme} proxy", "HTTPS_PROXY=http://HOST:PORT")
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    headers = urllib3.make_headers(proxy_basic_auth=login) if login else None
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return urllib3.ProxyManager(address, proxy_headers=headers, **options)


def following(answer: Answer) -> str | None:
    """Return the path of the next page that an answer names; its host is not followed, since the key goes along."""
    if answer.code != 200 or not (url := answer.text("next_url")):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return f"{parts.path}?{parts.query}"


def listed_contracts(rest: MassiveRest, underlying: str, expiry: date) -> tuple[Answer, list[str]]:
    """Return the last answer, and the tickers of the contracts of an underlying that expire on a day.

    Raises :class:`UnreachableRestError`.
    """
    query: dict[str, str | int] = {"underlying_ticker": underlying, "expiration_date": str(expiry), "limit": 1000}
    answers = list(rest.pages("/v3/reference/options/contracts", **query))
    tickers = (row.get("ticker") for answer in answers for row in answer.rows)
    return answers[-1], [ticker for ticker in tickers if isinstance(ticker, str)]


@dataclass(frozen=True, slots=True)
class Listing:
    """The strikes (in thousandths) listed for an expiry; ``others`` are those of other roots, by root.

    Other roots are those of adjusted contracts, and the second one of an index.
    """

    strikes: frozenset[int]
    others: Mapping[str, Sequence[int]] = field(default_factory=dict)


def listing(rest: MassiveRest, underlying: str, expiry: date) -> Listing | None:
    """Return what is listed for an underlying's expiry, ``None`` where the vendor does not say; it may be nothing.

    Raises :class:`UnreachableRestError`.
    """
    answer, tickers = listed_contracts(rest, listed_under(underlying), expiry)
    by_root: dict[str, list[int]] = {}
    for ticker in tickers:
        with suppress(PayloadError):
            option = parse_option_ticker(ticker)
            by_root.setdefault(option.root, []).append(option.strike_milli)
    strikes = frozenset(by_root.pop(underlying.replace(".", ""), ()))
    says = answer.code == 200 and (strikes or by_root or (answer.document.get("results") == [] and not tickers))
    return Listing(strikes, by_root) if says else None
