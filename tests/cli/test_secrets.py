"""Hostile keys and URLs, through every command and every output: no secret is shown, whatever it is made of."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import Cli
from tests.support.records import MS, T0, trade, write_file
from tests.support.rest import serving
from tests.support.servers import NatsServer, unused_port

pytestmark = pytest.mark.integration

CORE = "Xq7-s3cr3t"  # a part of every secret below
KEYS = {
    "line break": f"first-half\n{CORE}",
    "escape": f"\x1b[31m{CORE}",
    "space": f"a b {CORE}",
    "letters": f"schlüssel-{CORE}",
}
URLS = {
    "no scheme": f"ann:{CORE}@127.0.0.1:9",
    "slash": f"nats://ann:a/{CORE}@127.0.0.1:9",
    "at": f"nats://ann:a@{CORE}@127.0.0.1:9",
    "space": f"nats://ann:a {CORE}@127.0.0.1:9",
    "second": f"nats://127.0.0.1:9,nats://ann:{CORE}@127.0.0.1:9",
    "comma": f"nats://ann:a,{CORE}@127.0.0.1:9",
}


@pytest.fixture(autouse=True)
def data(tmp_path: Path) -> None:
    write_file(tmp_path / "dbn-data", "trades", [trade(T0 + i * MS) for i in range(5)])


def forms(secret: str) -> Iterator[str]:
    yield from (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret, safe=""))
    yield base64.b64encode(secret.encode()).decode()[:-4]
    yield base64.b64encode(f"{secret}:".encode()).decode()[:-4]


def check(cli: Cli, arguments: tuple[str, ...], code: int | None, secret: str, **env: str) -> str:
    result = cli(*arguments, **env)
    text = result.stdout + result.stderr
    for form in (CORE, *forms(secret)):
        assert form not in text, (arguments, text)
    assert code is None or result.returncode == code, (arguments, text)
    assert "this is a bug" not in text
    return text


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(cli: Cli, key: str) -> None:
    env = {"POLYGON_API_KEY": key, "DATABENTO_API_KEY": key, "NATS_PASSWORD": key, "NATS_TOKEN": key}
    for arguments in (("live", "--log-json"), ("probe", "--rest-only"), ("fetch", "--date", "2025-12-16", "--debug")):
        assert "does not hold a key" in check(cli, arguments, 4, key, **env)
    for arguments in (("config", "show"), ("config", "show", "--json")):
        check(cli, arguments, 0, key, **env)


@pytest.mark.parametrize("url", URLS.values(), ids=URLS)
def test_a_server_whose_url_cannot_be_one_is_refused_without_showing_it(cli: Cli, url: str) -> None:
    code = 5 if url == URLS["no scheme"] or url == URLS["second"] else 2  # both are good, and nobody listens
    check(cli, ("tail", "--until-end", "--debug", "--log-json"), code, url, NATS_URL=url)
    check(cli, ("probe", "--rest-only", "--json"), 2 if code == 2 else 4, url, NATS_URL=url)
    assert "****" in check(cli, ("config", "show", "--json"), 0, url, NATS_URL=url)


def test_keys_in_the_urls_of_a_settings_file_are_not_shown(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(
        f'feed-url = "wss://feed.example/?apiKey={CORE}"\nrest-url = "https://rest.example?key={CORE}"\n'
        f'gateway = "https://hist.example/?key={CORE}"\nnats-url = "ann:{CORE}@127.0.0.1:9"\n'
    )
    env = {"SPYCTL_CONFIG": str(path), "POLYGON_API_KEY": "a-good-key", "DATABENTO_API_KEY": "a-good-key"}
    for arguments in (("config", "show"), ("config", "show", "--json")):
        said = check(cli, arguments, 0, CORE, **env)
        assert "feed.example" in said
    check(cli, ("live", "--embedded", "--debug"), 2, CORE, **env)
    check(cli, ("fetch", "--date", "2025-12-16", "--log-json"), 2, CORE, **env)
    check(cli, ("replay", "-v"), 5, CORE, **env)


def test_a_key_that_the_vendor_repeats_is_masked(cli: Cli) -> None:
    key = f"good+key/{CORE}=="
    echoes = " and ".join((key, repr(key), quote(key, safe=""), base64.b64encode(key.encode()).decode()))
    free = {"NATS_URL": f"nats://127.0.0.1:{unused_port()}"}
    with serving({"/": (401, {"error": f"the key {echoes} is unknown to us\x1b[2J"})}) as rest:
        env = free | {"POLYGON_API_KEY": key, "SPYCTL_REST_URL": rest.url, "DATABENTO_GATEWAY": rest.url}
        for arguments in (("probe",), ("probe", "--json")):
            said = check(cli, arguments, 4, key, **env)
            assert "is unknown to us" in " ".join(said.split())
            assert "****" in said
            assert "\x1b" not in said
            env["DATABENTO_API_KEY"] = key


def test_what_a_server_was_given_is_not_shown(cli: Cli, tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats", extra=f'authorization {{ user: ann, password: "{CORE}" }}').start()
    try:
        url = server.url.replace("nats://", f"nats://ann:{CORE}@")
        for arguments in (
            ("replay", "--speed", "max", "--debug", "-v"), ("probe", "--rest-only", "--json"),
        ):  # fmt: skip
            check(cli, arguments, None if "probe" in arguments else 0, CORE, NATS_URL=url)
        wrong = server.url.replace("nats://", f"nats://ann:{CORE}-wrong@")
        check(cli, ("replay", "--debug", "--log-json"), 5, f"{CORE}-wrong", NATS_URL=wrong)
    finally:
        server.stop()
