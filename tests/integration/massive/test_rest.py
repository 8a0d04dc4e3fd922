"""Massive's REST API on loopback: status codes told apart, pages followed, the key to one host alone."""

import ssl
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import trustme

from spyctl.errors import UnreachableRestError, UsageError
from spyctl.massive.rest import Answer, MassiveRest, following, listed_contracts, listing
from tests.support.rest import BAD_KEY, NO_PLAN, serving

PATH = "/v1/marketstatus/now"
DAY = date(2025, 12, 16)
CONTRACTS = "/v3/reference/options/contracts"


def ticker(strike_milli: int, root: str = "SPY", right: str = "C") -> dict[str, str]:
    return {"ticker": f"O:{root}251216{right}{strike_milli:08}"}


def test_a_get_carries_the_key_in_a_header_and_the_query_in_the_address() -> None:
    with serving({PATH: (200, {"market": "open"})}) as server:
        rest = MassiveRest("secret", server.url + "/")
        answer = rest.get(PATH, limit=5, sort="timestamp")
    assert (answer.code, answer.document) == (200, {"market": "open"})
    assert answer.date is not None
    assert answer.date.endswith("GMT")
    assert server.asked == [(PATH, {"limit": ["5"], "sort": ["timestamp"]}, "Bearer secret")]
    assert rest.host == server.url.removeprefix("http://")


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (BAD_KEY, 401, "Unknown API Key"),
        (NO_PLAN, 403, "You are not entitled to this data. Please upgrade your plan"),
        ((500, {}), 500, "HTTP 500"),
        ((502, b"<html>"), 502, "HTTP 502"),
        ((200, b"[1]"), 200, "HTTP 200"),
        ((400, b'{"error":' + b"[" * 900 + b"]" * 900 + b"}"), 400, "HTTP 400"),
        ((400, {"error": {"code": 1}, "message": "no"}), 400, "no"),
    ],
)
def test_a_failure_keeps_its_code_and_the_servers_message(answer: Any, code: int, message: str) -> None:
    with serving({PATH: answer}) as server:
        result = MassiveRest("k", server.url).get(PATH)
    assert (result.code, result.message) == (code, message)


def test_nobody_at_the_address_is_an_error_that_names_host_and_reason(free_port: int) -> None:
    with pytest.raises(UnreachableRestError, match=f"127.0.0.1:{free_port} cannot be reached: connection refused"):
        MassiveRest("k", f"http://127.0.0.1:{free_port}").get(PATH)


class Limited(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(429)
        self.send_header("Retry-After", self.path.removeprefix("/"))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def limited(request: pytest.FixtureRequest) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Limited)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("Wed,21Oct", None), ("-1", None), ("9" * 400, None)])
def test_a_rate_limit_says_when_to_come_back(limited: ThreadingHTTPServer, header: str, seconds: float | None) -> None:
    answer = MassiveRest("k", f"http://127.0.0.1:{limited.server_port}").get(f"/{header}")
    assert (answer.code, answer.retry_after_s) == (429, seconds)


def test_a_certificate_that_is_not_trusted_is_named(limited: ThreadingHTTPServer, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    limited.socket = context.wrap_socket(limited.socket, server_side=True)
    limited.handle_error = lambda *_: None  # type: ignore[method-assign] - a client that gave up
    with pytest.raises(UnreachableRestError, match="TLS failed"):
        MassiveRest("k", f"https://127.0.0.1:{limited.server_port}").get("/1")


@pytest.mark.parametrize(
    ("code", "document", "path"),
    [
        (200, {"next_url": "https://elsewhere.com/v3/x?cursor=ab"}, "/v3/x?cursor=ab"),
        (200, {}, None),
        (500, {"next_url": "https://api.massive.com/v3/x?cursor=ab"}, None),
    ],
)
def test_the_next_page_is_a_path_so_that_the_key_goes_to_no_other_host(
    code: int, document: dict[str, Any], path: str | None
) -> None:
    assert following(Answer(code, document, None, None)) == path


def test_pages_end_with_the_last_one_with_a_failure_and_where_they_go_in_a_circle() -> None:
    answers: dict[str, Any] = {
        "/v3/a": [(200, {"n": 1, "next_url": "https://x/v3/a?cursor=2"}), (200, {"n": 2})],
        "/v3/b": [(200, {"next_url": "https://x/v3/b?cursor=2"}), (500, {"next_url": "https://x/v3/b?cursor=3"})],
        "/v3/c": (200, {"next_url": "https://x/v3/c?cursor=1"}),
    }
    with serving(answers) as server:
        rest = MassiveRest("k", server.url)
        assert [answer.document.get("n") for answer in rest.pages("/v3/a", limit=1)] == [1, 2]
        assert [answer.code for answer in rest.pages("/v3/b")] == [200, 500]
        assert len(list(rest.pages("/v3/c"))) == 2


def test_contracts_of_all_pages_are_listed_with_the_last_answer() -> None:
    pages = [
        (200, {"results": [ticker(680_000), "odd"], "next_url": f"https://x{CONTRACTS}?cursor=2"}),
        (200, {"results": [ticker(681_000)]}),
    ]
    with serving({CONTRACTS: pages}) as server:
        answer, tickers = listed_contracts(MassiveRest("k", server.url), "SPY", DAY)
    assert (answer.code, tickers) == (200, ["O:SPY251216C00680000", "O:SPY251216C00681000"])
    query = server.asked[0][1]
    assert (query["underlying_ticker"], query["expiration_date"]) == (["SPY"], ["2025-12-16"])


@pytest.mark.parametrize(
    ("answer", "strikes"),
    [
        ((200, {"results": [ticker(680_500), ticker(1, "SPY1"), {"ticker": "?"}]}), {680_500}),
        ((200, {"results": []}), set()),
        ((200, {}), None),
        ((200, {"results": 5, "next_url": ["x"]}), None),
        ((200, {"results": [{"ticker": ["O:"]}], "next_url": "https://[x"}), None),
        (NO_PLAN, None),
    ],
    ids=["adjusted ones do not count", "none", "no list", "odd types", "odd rows", "not in the plan"],
)  # fmt: skip
def test_listed_strikes_are_those_of_the_root_or_unknown(answer: Any, strikes: set[int] | None) -> None:
    with serving({CONTRACTS: answer}) as server:
        found = listing(MassiveRest("k", server.url), "SPY", DAY)
    assert (found and found.strikes) == strikes


def test_both_roots_of_an_index_are_listed_under_it_and_the_other_one_is_told_apart() -> None:
    rows = [ticker(6_800_000, "SPXW"), ticker(6_805_000, "SPXW"), ticker(6_800_000, "SPX")]
    with serving({CONTRACTS: (200, {"results": rows})}) as server:
        found = listing(MassiveRest("k", server.url), "SPXW", DAY)
    assert server.asked[0][1]["underlying_ticker"] == ["SPX"]
    assert found is not None
    assert (found.strikes, found.others) == ({6_800_000, 6_805_000}, {"SPX": [6_800_000]})


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_a_proxy_is_the_way_out_and_gets_its_login(no_proxies: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({PATH: (200, {"market": "open"})}) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("http://", "http://ann:p%40w@"))
        answer = MassiveRest("secret", "http://api.example").get(PATH)
    assert (answer.code, answer.document) == (200, {"market": "open"})
    assert proxy.asked == [(PATH, {}, "Bearer secret")]


def test_a_proxy_that_is_away_or_of_another_kind_is_named(
    no_proxies: None, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{free_port}")
    with pytest.raises(UnreachableRestError, match=r"cannot be reached: the proxy does not let us through"):
        MassiveRest("k", "https://api.example").get(PATH)
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
    with pytest.raises(UsageError, match="not reached by a socks5 proxy"):
        MassiveRest("k", "https://api.example")
