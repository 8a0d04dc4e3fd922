"""Which server a command uses: the one named, the one on the default port, or the embedded one."""

import asyncio
import fcntl
import os
from pathlib import Path

import orjson
import pytest

from spyctl.bus.access import Access
from spyctl.bus.embedded import EmbeddedServer, ServerState, Store
from spyctl.bus.stream import ensure_stream
from spyctl.bus.target import Target, owner_access, reach, would_start
from spyctl.errors import AccessDeniedError, NoJetStreamError, NoServerNamedError, NotNatsError, UnreachableError
from tests.support.servers import NatsServer

pytestmark = pytest.mark.integration


def target(tmp_path: Path, port: int, **fields: object) -> Target:
    return Target(port=port, store=tmp_path / "store", **fields)  # type: ignore[arg-type]


async def test_nobody_on_the_default_port_starts_the_embedded_server(tmp_path: Path, free_port: int) -> None:
    async with reach(target(tmp_path, free_port)) as reached:
        assert reached.embedded is not None
        assert reached.embedded.started
        async with reach(target(tmp_path, free_port)) as second:
            assert second.embedded is not None
            assert not second.embedded.started


async def test_a_server_on_the_default_port_is_used(tmp_path: Path, nats_server: NatsServer) -> None:
    async with reach(target(tmp_path, nats_server.port)) as reached:
        assert reached.embedded is None
        assert reached.connection.url.endswith(f":{nats_server.port}")


async def test_the_embedded_server_is_used_on_request_beside_another_server(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    async with reach(target(tmp_path, nats_server.port, embedded=True)) as reached:
        assert reached.embedded is not None
        assert not reached.connection.url.endswith(f":{nats_server.port}")


async def test_a_named_server_that_does_not_answer_is_not_replaced_by_the_embedded_one(
    tmp_path: Path, free_port: int
) -> None:
    with pytest.raises(UnreachableError):
        async with reach(target(tmp_path, free_port, urls=(f"nats://127.0.0.1:{free_port}",))):
            pass
    assert not (tmp_path / "store").exists()


async def test_a_command_that_may_not_start_the_embedded_server_needs_one_named(tmp_path: Path, free_port: int) -> None:
    with pytest.raises(NoServerNamedError):
        async with reach(target(tmp_path, free_port, may_embed=False)):
            pass


async def test_a_server_on_the_default_port_that_does_not_speak_nats_is_an_error(tmp_path: Path) -> None:
    async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(speak_http, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotNatsError, match="does not speak NATS"):
            async with reach(target(tmp_path, port)):
                pass


async def test_a_named_server_that_does_not_speak_nats_keeps_its_own_error(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    plain = NatsServer(tmp_path / "plain", jetstream=False).start()
    try:
        with pytest.raises(NoJetStreamError, match="without JetStream|no JetStream"):
            async with reach(target(tmp_path, nats_server.port, urls=(plain.url,))):
                pass
    finally:
        plain.stop()


async def test_the_connection_ends_with_its_use(tmp_path: Path, nats_server: NatsServer) -> None:
    async with reach(target(tmp_path, nats_server.port)) as reached:
        assert reached.connection.connected
    assert not reached.connection.connected


@pytest.mark.parametrize(
    ("fields", "listens", "expected"),
    [
        ({}, False, True),
        ({}, True, False),
        ({"embedded": True}, True, True),
        ({"urls": ("nats://somewhere:4222",)}, False, False),
        ({"urls": ("nats://somewhere:4222",), "embedded": True}, False, True),
    ],
)
async def test_whether_a_server_would_be_started_is_known_beforehand(
    tmp_path: Path, free_port: int, fields: dict[str, object], listens: bool, expected: bool
) -> None:
    wanted = target(tmp_path, free_port, **fields)
    if not listens:
        assert would_start(wanted) is expected
        return
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", free_port):
        assert would_start(wanted) is expected


async def test_a_running_embedded_server_is_shared_and_not_started(tmp_path: Path, free_port: int) -> None:
    wanted = target(tmp_path, free_port, embedded=True)
    async with EmbeddedServer(Store(tmp_path / "store"), free_port):
        assert not would_start(wanted)


async def test_the_owner_of_the_embedded_server_publishes_where_it_is_named_too(tmp_path: Path, free_port: int) -> None:
    async with reach(target(tmp_path, free_port, embedded=True)) as reached:
        await ensure_stream(reached.connection)
        port = reached.connection.url.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost"):
            named = target(tmp_path, free_port, urls=(f"nats://{host}:{port}",))
            async with reach(named) as second:
                assert second.embedded is None
                await second.connection.jetstream().publish("market.stocks.trades", b"{}")
        as_reader = target(tmp_path / "another", free_port, urls=named.urls)
        async with reach(as_reader) as third:
            assert (await third.connection.api("STREAM.INFO.MARKET_DATA"))["state"]["messages"] == 2
            with pytest.raises(AccessDeniedError, match="permissions violation"):
                await third.connection.api("STREAM.PURGE.MARKET_DATA")


async def test_credentials_for_other_servers_are_not_used_at_the_embedded_one(tmp_path: Path, free_port: int) -> None:
    mine = Access(user="ann", password="hunter2")
    async with reach(target(tmp_path, free_port, embedded=True, access=mine)) as reached:
        await ensure_stream(reached.connection)


def test_what_is_given_goes_to_the_server_that_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    given = Access(token="t")
    assert owner_access(["nats://127.0.0.1:4222"], given, store) is given
    assert owner_access(["nats://127.0.0.1:4222"], Access(), store) == Access()  # no embedded server ever ran
    lock = store.open_lock("server.lock")
    fcntl.flock(lock, fcntl.LOCK_EX)
    state = ServerState(4222, 1, 1, "2.15.1", str(tmp_path), 0)
    store.state_path.write_bytes(orjson.dumps(state))
    store.password_path.write_text("hunter2")
    owner = Access(user="spyctl", password_file=store.password_path)
    for url in ("nats://127.0.0.1:4222", "localhost", "nats://localhost", "nats://[::1]:4222"):
        assert owner_access([url], Access(), store) == owner
    for url in ("nats://127.0.0.1:4223", "nats://elsewhere:4222", "nats://ann@localhost:4222"):
        assert owner_access([url], Access(), store) == Access()
    both = ["nats://localhost:4222", "nats://elsewhere:4222"]
    assert owner_access(both, Access(), store) == Access()  # the other one would get to know the password
    assert owner_access(["nats://127.0.0.1:4222"], given, store) is given
    os.close(lock)
    assert owner_access(["nats://127.0.0.1:4222"], Access(), store) == Access()  # it does not run
