"""The process that runs the embedded ``nats-server`` and ends it with its last user.

Started by :mod:`spyctl.bus.embedded` as ``python keeper.py BINARY FOLDER PORT LOCK USERS``; the last two are
inherited descriptors of ``server.lock``, held exclusively, and ``users.lock``. Only the standard
library is imported: this process stays for as long as the server does.

The folder and all in it belong to its user alone, whatever the umask. Whoever connects without a password reads and
consumes; to publish, or to change anything, takes the password of the user ``spyctl``, which is in the folder.
"""

import ctypes
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

READY_TIMEOUT_S = 600.0  # a server that restores a large store is slow, but not stuck
STOP_TIMEOUT_S = 60.0
MAX_RESTARTS = 5
KEPT_FREE = 64_000_000  # bytes of the disk; by default the server would leave a quarter of it unused
OWNER = "spyctl"
PASSWORD = "password"  # the file with the owner's
_UMASK = 0o077
# What reading takes: to look at streams, to get messages, to make consumers and to acknowledge what they deliver.
_READING = (
    "$JS.API.INFO", "$JS.API.STREAM.INFO.>", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.MSG.GET.>",
    "$JS.API.DIRECT.GET.>", "$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.DURABLE.CREATE.>",
    "$JS.API.CONSUMER.INFO.>", "$JS.API.CONSUMER.NAMES.>", "$JS.API.CONSUMER.LIST.>", "$JS.API.CONSUMER.MSG.NEXT.>",
    "$JS.ACK.>", "$JS.FC.>", "$SYS.REQ.USER.INFO",
)  # fmt: skip
_CONTROL = ("spyctl.ctl.>", "$SRV.>")  # or it could take commands away from a run
_POLL_S = 0.02
_PR_SET_PDEATHSIG = 1


def _config(folder: Path, port: int) -> Path:
    quoted = json.dumps(str(folder), ensure_ascii=False)  # the server reads no \\u escapes
    held = sum(path.stat().st_size for path in (folder / "jetstream").rglob("*") if path.is_file())
    limit = max(1, held + shutil.disk_usage(folder).free - KEPT_FREE)
    owner = {"user": OWNER, "password": _password(folder)}
    rights = {"publish": {"allow": _READING}, "subscribe": {"allow": [">"], "deny": _CONTROL}}
    reader = {"user": "reader", "password": secrets.token_hex(), "permissions": rights}
    path = folder / "server.conf"
    path.unlink(missing_ok=True)  # an old one may be readable by others
    path.write_text(
        f"server_name: spyctl-embedded\nhost: 127.0.0.1\nport: {port}\n"
        f"ports_file_dir: {quoted}\n"
        f"jetstream {{ store_dir: {quoted}, max_file_store: {limit} }}\n"
        f"authorization {{ users: {json.dumps([owner, reader])} }}\nno_auth_user: reader\n",
        encoding="utf-8",
    )
    return path


def _password(folder: Path) -> str:
    path = folder / PASSWORD
    if not path.exists() or not path.read_text().strip():
        path.unlink(missing_ok=True)
        path.write_text(secrets.token_hex(24))
    return path.read_text().strip()


def _close_to_others(folder: Path) -> None:
    os.umask(_UMASK)
    with suppress(OSError):  # somebody else's folder, which is theirs to close
        folder.chmod(0o777 & ~_UMASK)


def _die_with_parent() -> None:
    # Linux only: if this process is killed, the server must not stay behind without a keeper.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _start(binary: str, folder: Path, port: int, lock: int) -> tuple[subprocess.Popen[bytes], int]:
    for stale in folder.glob("nats-server_*.ports"):
        stale.unlink()
    config = _config(folder, port)
    server = subprocess.Popen(
        [binary, "-c", str(config)],
        pass_fds=(lock,),
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    )
    ports = folder / f"nats-server_{server.pid}.ports"
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError, ValueError, KeyError, IndexError):
            return server, int(json.loads(ports.read_text())["nats"][0].rpartition(":")[2])
        time.sleep(_POLL_S)
    server.kill()
    server.wait()
    raise SystemExit(1)


def _version(binary: str) -> str:
    text = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    return text.strip().rpartition("v")[2]


def _write_state(folder: Path, version: str, server: subprocess.Popen[bytes], port: int) -> None:
    state = {
        "port": port,
        "pid": server.pid,
        "keeper_pid": os.getpid(),
        "version": version,
        "store": str(folder),
        "started_ns": time.time_ns(),
    }
    part = folder / "state.json.part"
    part.write_text(json.dumps(state))
    part.replace(folder / "state.json")


def main(binary: str, folder: Path, port: int, lock: int, users: int) -> None:
    """Run the server until nobody holds a share of ``users.lock``."""
    unused = threading.Event()

    def wait_for_last_user() -> None:
        fcntl.flock(users, fcntl.LOCK_EX)
        unused.set()

    os.chdir("/")
    _close_to_others(folder)
    version = _version(binary)
    server, port = _start(binary, folder, port, lock)
    signal.signal(signal.SIGTERM, lambda *_: unused.set())  # before anybody can know of the server
    _write_state(folder, version, server, port)
    threading.Thread(target=wait_for_last_user, daemon=True).start()
    restarts = 0
    while not unused.wait(0.1):
        if server.poll() is not None:  # it died: its users wait for it to come back on the same port
            restarts += 1
            if restarts > MAX_RESTARTS:
                break
            server, port = _start(binary, folder, port, lock)
            _write_state(folder, version, server, port)
    (folder / "state.json").unlink(missing_ok=True)
    server.terminate()
    try:
        server.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:6]))
