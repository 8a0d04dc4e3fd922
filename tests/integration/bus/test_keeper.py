"""The keeper of the embedded server: brings a dead server back, gives up in the end, and needs no library."""

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest

from spyctl.bus import keeper
from spyctl.bus.embedded import KEEPER, Store
from spyctl.bus.keeper import KEPT_FREE, MAX_RESTARTS, PASSWORD
from spyctl.bus.runs import Runs
from spyctl.bus.stream import ensure_stream
from spyctl.bus.target import Reached, Target, reach
from tests.support.embedded import User, is_alive
from tests.support.waiting import eventually, eventually_sync

pytestmark = pytest.mark.integration

# A server that tells its version, counts its starts, says that it listens, and ends.
SHORT_LIVED = """#!/bin/sh
if [ "$1" = --version ]; then echo "nats-server: v2.99.0"; exit; fi
echo start >> "{folder}/starts"
echo '{{"nats": ["nats://127.0.0.1:4321"]}}' > "{folder}/nats-server_$$.ports"
exec sleep {seconds}
"""


def stand_in(folder: Path, text: str) -> Path:
    binary = folder / "binary"
    binary.write_text(text)
    binary.chmod(0o755)
    return binary


def keep(binary: Path, folder: Path) -> "subprocess.Popen[bytes]":
    """Start a keeper that has a user until ``users.lock`` is let go."""
    store = Store(folder)
    lock, users, share = (store.open_lock(name) for name in ("server.lock", "users.lock", "users.lock"))
    keeper.fcntl.flock(share, keeper.fcntl.LOCK_SH)
    process = subprocess.Popen(
        [sys.executable, "-I", str(KEEPER), str(binary), str(folder), "-1", str(lock), str(users)],
        pass_fds=(lock, users, share),
    )
    for descriptor in (lock, users, share):
        os.close(descriptor)
    return process


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
    eventually_sync(lambda: not is_alive(server))
    users.append(User(tmp_path, free_port))
    assert users[1].ready()[3] == 1


def test_a_server_whose_keeper_was_killed_comes_back_for_its_users(
    tmp_path: Path, free_port: int, users: list[User]
) -> None:
    users += [User(tmp_path, free_port) for _ in range(2)]
    port, server, keeper, _ = users[0].ready()
    users[1].ready()
    for killed in (signal.SIGKILL, signal.SIGTERM):
        os.kill(keeper, killed)
        eventually_sync(lambda: (state := Store(tmp_path).state()) is not None and state.pid != server)  # noqa: B023
        state = Store(tmp_path).state()
        assert state is not None
        assert state.port == port
        server, keeper = state.pid, state.keeper_pid
    for user in users:
        user.end()
    eventually_sync(lambda: not is_alive(server))


def test_the_last_user_that_leaves_ends_the_server_and_its_state(
    tmp_path: Path, free_port: int, users: list[User]
) -> None:
    users.append(User(tmp_path, free_port))
    _, server, keeper_pid, _ = users[0].ready()
    assert (tmp_path / "state.json").exists()
    users[0].end()
    eventually_sync(lambda: not is_alive(server) and not is_alive(keeper_pid))
    assert not (tmp_path / "state.json").exists()


def test_a_server_that_dies_again_and_again_is_given_up(tmp_path: Path) -> None:
    process = keep(stand_in(tmp_path, SHORT_LIVED.format(folder=tmp_path, seconds=0.2)), tmp_path)
    assert process.wait(60) == 0
    assert len((tmp_path / "starts").read_text().splitlines()) == 1 + MAX_RESTARTS
    assert not (tmp_path / "state.json").exists()


def test_a_server_that_does_not_start_ends_its_keeper(tmp_path: Path) -> None:
    process = keep(stand_in(tmp_path, "#!/bin/sh\nexit 1\n"), tmp_path)
    assert process.wait(60) == 1


def test_a_keeper_that_is_told_to_end_ends_its_server(tmp_path: Path) -> None:
    process = keep(stand_in(tmp_path, SHORT_LIVED.format(folder=tmp_path, seconds=60)), tmp_path)
    eventually_sync((tmp_path / "state.json").exists)
    state = json.loads((tmp_path / "state.json").read_text())
    assert (state["port"], state["version"], state["keeper_pid"]) == (4321, "2.99.0", process.pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert not is_alive(state["pid"])


def test_the_server_may_fill_the_disk_but_for_a_reserve(tmp_path: Path) -> None:
    folder = tmp_path / 'a "store" of Zoë'
    (folder / "jetstream").mkdir(parents=True)
    (folder / "jetstream" / "block").write_bytes(b"x" * 1_000_000)
    config = keeper._config(folder, 4321).read_text(encoding="utf-8")
    limit = int(config.rpartition("max_file_store: ")[2].split()[0])
    assert abs(limit - (shutil.disk_usage(folder).free - KEPT_FREE + 1_000_000)) < 1 << 30
    assert "port: 4321" in config
    assert 'store_dir: "' in config
    assert '\\"store\\" of Zoë"' in config  # the server reads no \\u escapes


def test_only_the_standard_library_is_imported() -> None:
    tree = ast.parse(KEEPER.read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {
        name.split(".")[0]
        for node in imports
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    }
    assert modules <= sys.stdlib_module_names


# --- who may do what


@pytest.fixture
async def embedded(tmp_path: Path, free_port: int) -> AsyncIterator[Reached]:
    """The embedded server with a stream of ours that holds one event, started where everybody may write."""
    before = os.umask(0)
    try:
        async with reach(Target(embedded=True, store=tmp_path / "store", port=free_port)) as reached:
            await ensure_stream(reached.connection)
            await Runs.open(reached.connection)
            jetstream = reached.connection.jetstream()
            await jetstream.publish("market.stocks.trades", b"{}")
            await (await jetstream.key_value("SPYCTL")).put("run.aaaa", b"{}")
            yield reached
    finally:
        os.umask(before)


def url_of(reached: Reached) -> str:
    assert reached.embedded is not None
    assert reached.embedded.state is not None
    return reached.embedded.state.url


async def test_nothing_in_the_store_is_anybody_elses_whatever_the_umask(embedded: Reached, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    assert any((folder / "jetstream").rglob("*.blk"))
    for path in (folder, *folder.rglob("*")):
        assert not path.stat().st_mode & 0o077, path
    assert folder.stat().st_mode & 0o777 == 0o700


async def test_who_connects_without_a_password_reads_and_consumes(embedded: Reached) -> None:
    client = await nats.connect(url_of(embedded))
    jetstream = client.jetstream()
    assert (await jetstream.stream_info("MARKET_DATA")).state.messages == 1
    assert (await jetstream.get_last_msg("MARKET_DATA", "market.stocks.trades")).data == b"{}"
    ordered = await jetstream.subscribe("market.stocks.trades", ordered_consumer=True)
    assert (await ordered.next_msg(5)).data == b"{}"
    await ordered.unsubscribe()
    pulled = await jetstream.pull_subscribe("market.stocks.trades", "mine")
    [message] = await pulled.fetch(1, timeout=5)
    await message.ack_sync()
    pushed = await jetstream.subscribe("market.>")
    await (await pushed.next_msg(5)).ack()
    bucket = await jetstream.key_value("SPYCTL")
    assert (await bucket.get("run.aaaa")).value == b"{}"
    watcher = await bucket.watchall()
    update = await watcher.updates(5)
    assert update is not None
    assert update.key == "run.aaaa"
    clock = await client.subscribe("spyctl.clock")
    await client.flush()
    await embedded.connection.write(b"PUB spyctl.clock 1\r\n0\r\n")
    assert (await clock.next_msg(5)).data == b"0"
    await client.close()


@pytest.mark.parametrize(
    "subject",
    [
        "market.stocks.trades", "P.market.stocks.trades", "$KV.SPYCTL.run.aaaa", "spyctl.ctl.aaaa",
        "_INBOX.of.the.owner",
        "$JS.API.STREAM.PURGE.MARKET_DATA", "$JS.API.STREAM.DELETE.MARKET_DATA", "$JS.API.STREAM.UPDATE.MARKET_DATA",
        "$JS.API.STREAM.CREATE.OTHER", "$JS.API.STREAM.MSG.DELETE.MARKET_DATA",
    ],
)  # fmt: skip
async def test_who_connects_without_a_password_changes_nothing(embedded: Reached, subject: str) -> None:
    refused: list[str] = []

    async def failed(error: Exception) -> None:
        refused.append(str(error))

    client = await nats.connect(url_of(embedded), error_cb=failed)
    await client.publish(subject, b"{}")
    await client.flush()
    await eventually(lambda: bool(refused))
    await client.close()
    assert f'permissions violation for publish to "{subject.lower()}"' in refused[0]
    assert (await embedded.connection.api("STREAM.INFO.MARKET_DATA"))["state"]["messages"] == 1


async def test_a_store_of_before_is_closed_at_its_next_start(tmp_path: Path, free_port: int) -> None:
    folder = tmp_path / "store"
    (folder / "jetstream").mkdir(parents=True, mode=0o755)
    (folder / "server.conf").write_text("port: 1")
    (folder / "server.conf").chmod(0o666)
    passwords = set()
    for _ in range(2):
        async with reach(Target(embedded=True, store=folder, port=free_port)):
            assert folder.stat().st_mode & 0o777 == 0o700
            assert (folder / "server.conf").stat().st_mode & 0o077 == 0
            passwords.add((folder / PASSWORD).read_text())
        await eventually(lambda: not Store(folder).locked())
    assert len(passwords) == 1
