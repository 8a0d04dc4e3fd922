"""A server that greets like NATS, in a test's own words, says one thing, and has no JetStream."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

INFO: dict[str, Any] = {
    "server_id": "X", "version": "2.14.0", "proto": 1, "host": "127.0.0.1", "port": 4222, "max_payload": 1_048_576,
    "headers": True, "jetstream": True,
}  # fmt: skip


@contextmanager
def greeting(info: dict[str, Any] | bytes, then: bytes = b"PONG\r\n") -> Iterator[str]:
    """Serve on a free port; yields the URL. ``info`` changes INFO, or is what is sent for it; ``then`` answers PING."""
    line = info if isinstance(info, bytes) else b"INFO " + json.dumps(INFO | info).encode() + b"\r\n"
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(peer: socket.socket) -> None:
        with peer, suppress(OSError):
            peer.sendall(line)
            while data := peer.recv(65_536):
                if b"PING" in data:
                    peer.sendall(then)
                if request := re.search(rb"PUB \$JS\.API\.\S+ (\S+) ", data):
                    peer.sendall(b"HMSG %b 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n" % request[1])

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"nats://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
