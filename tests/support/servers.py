"""A real nats-server on a free port, with a store of its own."""

import itertools
import json
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from spyctl.bus.embedded import find_nats_server

FIRST_PORT, PORTS = 10_000, 2_000  # up to 32,768, from where on the system takes ports for outgoing connections


def _candidates() -> Iterator[int]:
    # Each worker of pytest-xdist has a range of its own, and begins anywhere in it: other sessions may be running.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for i in itertools.count(random.randrange(PORTS)):
        yield FIRST_PORT + PORTS * (worker % 11) + i % PORTS


_ports = _candidates()


def unused_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens, and which no other test is given."""
    while True:
        port = next(_ports)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
            probe.bind(("127.0.0.1", port))
            return port


def stored_bytes(store: Path, stream: str = "MARKET_DATA") -> int:
    """Return the size of what a server has stored of a stream, 0 where there is none; asks no server."""
    blocks = (store / "jetstream" / "$G" / "streams" / stream / "msgs").glob("*.blk")
    return sum(path.stat().st_size for path in blocks)


class NatsServer:
    """Starts, stops, kills and restarts one server; its port stays the same."""

    def __init__(self, folder: Path, *, jetstream: bool = True, extra: str = "", binary: Path | None = None) -> None:
        self.folder = folder
        self.jetstream = jetstream
        self.extra = extra
        self.binary = binary or find_nats_server()
        self.port = unused_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> "NatsServer":
        self.folder.mkdir(parents=True, exist_ok=True)
        store = f'jetstream {{ store_dir: "{self.folder}" }}\n' if self.jetstream else ""
        config = self.folder / "server.conf"
        config.write_text(f'host: 127.0.0.1\nport: {self.port}\nports_file_dir: "{self.folder}"\n{store}{self.extra}\n')
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([str(self.binary), "-c", str(config)], stdout=log, stderr=log)
        ports = self.folder / f"nats-server_{self.process.pid}.ports"
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            try:
                json.loads(ports.read_text())  # written whole once it listens
                return self
            except (OSError, ValueError):
                if self.process.poll() is not None:
                    break
                time.sleep(0.01)
        raise RuntimeError((self.folder / "log").read_text())

    def stop(self, *, kill: bool = False) -> None:
        if self.process is not None:
            if kill:
                self.process.kill()
            else:
                self.process.terminate()
            self.process.wait(15)
            self.process = None

    def restart(self, *, kill: bool = False) -> None:
        self.stop(kill=kill)
        self.start()
