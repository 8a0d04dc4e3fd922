"""Three servers on loopback that replicate what they store."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spyctl.bus.connection import ApiError, Connection
from spyctl.bus.stream import desired_config
from spyctl.errors import BusError
from tests.support.servers import NatsServer, unused_port

PATIENCE_S = 30


@contextmanager
def three_servers(folder: Path) -> Iterator[dict[str, NatsServer]]:
    """Run a cluster; yields its servers by name."""
    ports = {name: unused_port() for name in ("n1", "n2", "n3")}
    routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports.values())
    servers = {
        name: NatsServer(
            folder / name,
            extra=f"server_name: {name}\ncluster {{ name: c, listen: '127.0.0.1:{port}', routes: [{routes}] }}",
        )
        for name, port in ports.items()
    }
    try:
        for server in servers.values():
            server.start()
        yield servers
    finally:
        for server in servers.values():
            server.stop(kill=True)


async def replicated(connection: Connection, prefix: str = "", *, replicas: int = 3) -> str:
    """Create the stream of a prefix with so many replicas; returns its leader."""
    config = desired_config(prefix, batched=True) | {"num_replicas": replicas}
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            await connection.api(f"STREAM.CREATE.{config['name']}", config)
            if leader := await leader_of(connection, config["name"]):
                return leader
        except (ApiError, BusError):
            assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def leader_of(connection: Connection, stream: str) -> str | None:
    """Return the server that leads a stream, ``None`` while its replicas elect one."""
    info = await connection.api(f"STREAM.INFO.{stream}")
    return info["cluster"].get("leader")


async def led_by(connection: Connection, stream: str, server: str) -> None:
    """Have a server lead a stream."""
    deadline = time.monotonic() + PATIENCE_S
    while await leader_of(connection, stream) != server:
        assert time.monotonic() < deadline
        with suppress(ApiError, BusError):  # its replicas elect one
            await connection.api(f"STREAM.LEADER.STEPDOWN.{stream}", {"placement": {"preferred": server}})
        await asyncio.sleep(0.2)
