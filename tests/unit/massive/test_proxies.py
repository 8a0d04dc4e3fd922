"""The proxy of the environment, the same for the REST API and the sockets."""

import pytest

from spyctl.massive.proxies import proxy_of

REST, SOCKET = "https://api.massive.com", "wss://socket.massive.com/stocks"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "WSS_PROXY", "WS_PROXY", "SOCKS_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("url", [REST, SOCKET])
def test_the_proxy_is_the_one_that_the_environment_names(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_of(url) is None
    monkeypatch.setenv("ALL_PROXY", "http://all:1")
    assert proxy_of(url) == "http://all:1"
    monkeypatch.setenv("HTTPS_PROXY", "secure:2")
    assert proxy_of(url) == "http://secure:2"
    monkeypatch.setenv("NO_PROXY", "massive.com")
    assert proxy_of(url) is None


def test_what_is_not_encrypted_has_a_proxy_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://plain:1")
    assert [proxy_of(url) for url in (REST, "http://api", SOCKET, "ws://api")] == [None, "http://plain:1"] * 2


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "[::1]:1"])
@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_this_machine_is_reached_without_one(scheme: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://all:1")
    assert proxy_of(f"{scheme}://{host}") is None


def test_a_proxy_for_sockets_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSS_PROXY", "http://sockets:1")
    assert (proxy_of(SOCKET), proxy_of(REST)) == ("http://sockets:1", None)
    monkeypatch.delenv("WSS_PROXY")
    monkeypatch.setenv("SOCKS_PROXY", "http://socks:1")
    assert (proxy_of(SOCKET), proxy_of(REST)) == ("socks5h://socks:1", None)
