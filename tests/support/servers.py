"""A real nats-server on a free port, with a store of its own."""

import json
import socket
import subprocess
import time
from pathlib import Path

from spyctl.bus.embedded import find_nats_server


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class NatsServer:
    """Starts, stops, kills and restarts one server; the port stays the same."""

    def __init__(self, folder: Path, *, jetstream: bool = True, extra: str = "", binary: Path | None = None) -> None:
        self.folder = folder
        self.jetstream = jetstream
        self.extra = extra
        self.binary = binary or find_nats_server()
        self.port = -1
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
                self.port = int(json.loads(ports.read_text())["nats"][0].rpartition(":")[2])
                return self
            except (OSError, ValueError, KeyError, TypeError):
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
