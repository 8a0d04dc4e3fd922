"""Each way into a NATS server, against a real server that wants it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import nkeys
import pytest
import trustme

from tests.conftest import Cli
from tests.support.identities import new_seed, operator, public
from tests.support.records import MS, T0, trade, write_file
from tests.support.servers import NatsServer, unused_port

pytestmark = pytest.mark.integration

SECRET = "s3cr3t-of-the-test"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], NatsServer]]:
    running: list[NatsServer] = []

    def start(config: str) -> NatsServer:
        running.append(NatsServer(tmp_path / f"server{len(running)}", extra=config).start())
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture(autouse=True)
def data(tmp_path: Path) -> None:
    write_file(tmp_path / "dbn-data", "trades", [trade(T0 + i * MS) for i in range(20)])


def replay(cli: Cli, url: str, *arguments: str, code: int = 0, **env: str) -> str:
    result = cli("replay", "--speed", "max", "--nats-url", url, *arguments, **env)
    assert result.returncode == code, result.stderr
    assert "20 acked" in result.stdout or code
    assert SECRET not in result.stdout + result.stderr
    return result.stderr


def test_user_and_password(cli: Cli, serve: Callable[[str], NatsServer], tmp_path: Path) -> None:
    url = serve(f'authorization {{ user: ann, password: "{SECRET}" }}').url
    (tmp_path / "password").write_text(SECRET + "\n")
    replay(cli, url, "--user", "ann", "--password-file", "password")
    replay(cli, url, NATS_USER="ann", NATS_PASSWORD=SECRET)
    assert "refuses us: authorization violation" in replay(cli, url, code=5)
    assert "refuses us" in replay(cli, url, "--user", "ann", code=5, NATS_PASSWORD="wrong")
    assert "none/such cannot be read" in replay(cli, url, "--password-file", "none/such", code=2)
    tail = cli("tail", "--nats-url", url, "--until-end", "--json", NATS_USER="ann", NATS_PASSWORD=SECRET)
    assert len(tail.stdout.splitlines()) == 10


def test_a_token(cli: Cli, serve: Callable[[str], NatsServer], tmp_path: Path) -> None:
    url = serve(f'authorization {{ token: "{SECRET}" }}').url
    (tmp_path / "token").write_text(SECRET)
    replay(cli, url, "--token-file", "token")
    replay(cli, url, NATS_TOKEN=SECRET)
    assert "refuses us" in replay(cli, url, code=5)


def test_an_nkey(cli: Cli, serve: Callable[[str], NatsServer], tmp_path: Path) -> None:
    seed = new_seed(nkeys.PREFIX_BYTE_USER)
    url = serve(f"authorization {{ users: [ {{ nkey: {public(seed)} }} ] }}").url
    (tmp_path / "user.nk").write_bytes(seed + b"\n")
    replay(cli, url, "--nkey", "user.nk")
    (tmp_path / "bad.nk").write_text("nothing")
    assert "bad.nk holds no user seed" in replay(cli, url, "--nkey", "bad.nk", code=2)
    (tmp_path / "bad.nk").write_text("SU" + "A" * 56)
    assert "error: " in replay(cli, url, "--nkey", "bad.nk", code=5)


def test_credentials_of_an_operator(cli: Cli, serve: Callable[[str], NatsServer], tmp_path: Path) -> None:
    made = operator()
    url = serve(made.config).url
    (tmp_path / "user.creds").write_text(made.creds)
    replay(cli, url, "--creds", "user.creds")
    replay(cli, url, NATS_CREDS="user.creds")
    (tmp_path / "other.creds").write_text(operator().creds)
    assert "refuses us" in replay(cli, url, "--creds", "other.creds", code=5)
    (tmp_path / "no.creds").write_text("hello")
    assert "is not a NATS credentials file" in replay(cli, url, "--creds", "no.creds", code=2)


def test_tls_with_an_authority_and_a_client_certificate_of_ones_own(
    cli: Cli, serve: Callable[[str], NatsServer], tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, owner in (
        ("server", authority.issue_cert("127.0.0.1", "localhost")),
        ("me", authority.issue_cert("me@x.org")),
    ):
        owner.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        owner.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
    files = f'cert_file: "{tmp_path}/server.pem", key_file: "{tmp_path}/server.key"'

    url = serve(f"tls {{ {files} }}").url
    replay(cli, url, "--tls-ca", "ca.pem")
    said = replay(cli, url, "--tls-ca", "me.pem", code=5)
    assert "TLS with" in said
    assert "--tls-ca" in said

    url = serve(f'tls {{ {files}, ca_file: "{tmp_path}/ca.pem", verify: true }}').url
    replay(cli, url, "--tls-ca", "ca.pem", "--tls-cert", "me.pem", "--tls-key", "me.key")
    replay(cli, url, NATS_CA="ca.pem", NATS_CERT="me.pem", NATS_KEY="me.key")
    assert "error: " in replay(cli, url, "--tls-ca", "ca.pem", code=5)
    assert "go together" in replay(cli, url, "--tls-cert", "me.pem", code=2)


def test_a_context_of_the_nats_cli(cli: Cli, serve: Callable[[str], NatsServer], tmp_path: Path) -> None:
    url = serve(f'authorization {{ user: ann, password: "{SECRET}" }}').url
    folder = tmp_path / "config" / "nats" / "context"
    folder.mkdir(parents=True)
    (folder / "prod.json").write_text(json.dumps({"url": url, "user": "ann", "password": SECRET}))
    (folder / "nsc.json").write_text(json.dumps({"url": url, "nsc": "nsc://O/A/u"}))
    (folder / "bent.json").write_text("{")
    config = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    result = cli("replay", "--speed", "max", "--context", "prod", **config)
    assert result.returncode == 0, result.stderr
    assert url in result.stderr
    replay(cli, f"nats://127.0.0.1:{unused_port()}", "--context", "prod", code=5, **config)  # the option's server wins
    for name, code, said in (("none", 6, "there is bent, nsc, prod"), ("nsc", 2, "nsc"), ("bent", 2, "cannot be read")):
        result = cli("replay", "--context", name, **config)
        assert (result.returncode, said in result.stderr) == (code, True), result.stderr


def test_of_several_servers_one_that_answers_is_enough(cli: Cli, serve: Callable[[str], NatsServer]) -> None:
    server = serve("")
    replay(cli, f"nats://127.0.0.1:{unused_port()},{server.url}")


@pytest.mark.parametrize(
    ("arguments", "denied", "words"),
    [
        (["replay", "--speed", "max"], "market.>", 'publish to "market.futures.'),
        (["replay", "--speed", "max", "--ack", "message"], "market.>", 'publish to "market.futures.'),
        (["live", "--sim"], "market.>", 'publish to "market.stocks.'),
        (["replay"], "$KV.>", 'publish to "$kv.spyctl.'),
        (["replay"], "$JS.API.STREAM.CREATE.>", 'publish to "$js.api.stream.create.market_data"'),
    ],
)
def test_what_is_not_permitted_ends_the_run_at_once_in_the_servers_words(
    cli: Cli, serve: Callable[[str], NatsServer], arguments: list[str], denied: str, words: str
) -> None:
    rights = f'permissions: {{ publish: {{ deny: "{denied}" }} }}'
    url = serve(f'authorization {{ users: [ {{ user: ann, password: "{SECRET}", {rights} }} ] }}').url
    result = cli(*arguments, "--nats-url", url, NATS_USER="ann", NATS_PASSWORD=SECRET)
    assert result.returncode == 5, result.stderr
    assert f"permissions violation for {words}" in result.stderr
