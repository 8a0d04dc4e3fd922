"""The keeper of the embedded server: brings a dead server back, gives up in the end, and needs no library."""

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spyctl.bus import keeper
from spyctl.bus.embedded import KEEPER, Store
from spyctl.bus.keeper import KEPT_FREE, MAX_RESTARTS
from tests.support.embedded import User, is_alive
from tests.support.waiting import eventually_sync

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
