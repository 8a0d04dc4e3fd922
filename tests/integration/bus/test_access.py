"""Contexts of the nats CLI, against real servers that want what they set."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from spyctl.bus.access import Access, read_context
from spyctl.bus.connection import Connection, connect
from spyctl.errors import AccessDeniedError
from tests.support.identities import operator
from tests.support.servers import NatsServer

pytestmark = pytest.mark.integration
Enter = Callable[..., Any]


@pytest.fixture
def enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Enter]:
    """Start a server and connect by a context with some settings."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "nats" / "context").mkdir(parents=True)
    servers: list[NatsServer] = []

    async def act(config: str, **settings: Any) -> Connection:
        servers.append(NatsServer(tmp_path / f"server{len(servers)}", extra=config).start())
        path = tmp_path / "nats" / "context" / "prod.json"
        path.write_text(json.dumps({"url": servers[-1].url} | settings))
        urls, access = read_context("prod")
        return await connect(urls, access=access)

    yield act
    for server in servers:
        server.stop()


async def test_a_jwt_and_its_seed(enter: Enter) -> None:
    made = operator()
    connection = await enter(made.config, user_jwt=made.jwt, user_seed=made.seed)
    assert await connection.jetstream_info()
    await connection.close()
    with pytest.raises(AccessDeniedError, match="refuses us"):
        await enter(made.config, user_jwt=made.jwt, user_seed=operator().seed)


async def test_a_handshake_before_the_greeting(enter: Enter, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    owner = authority.issue_cert("127.0.0.1", "localhost")
    owner.private_key_pem.write_to_path(tmp_path / "server.key")
    owner.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    files = f'cert_file: "{tmp_path}/server.pem", key_file: "{tmp_path}/server.key"'
    connection = await enter(f"tls {{ {files}, handshake_first: true }}", ca=str(tmp_path / "ca.pem"), tls_first=True)
    assert await connection.jetstream_info()
    await connection.close()


async def test_answers_where_they_may_be_received(enter: Enter) -> None:
    rights = 'permissions: { publish: ">", subscribe: ["_MINE.>"] }'
    config = f"authorization {{ users: [ {{ user: ann, password: pw, {rights} }} ] }}"
    connection = await enter(config, user="ann", password="pw", inbox_prefix="_MINE")
    assert await connection.jetstream_info()
    assert connection.inbox().startswith("_MINE.")
    await connection.close()
    other = await connect([connection.url], access=Access(user="ann", password="pw"))
    with pytest.raises(AccessDeniedError, match=r'permissions violation for subscription to "_inbox\..*"'):
        await other.jetstream_info()
    await other.close()
