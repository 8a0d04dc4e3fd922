"""The yardstick of the ``nats`` CLI: its own fast batch publishing, of messages as long as ours."""

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from spyctl.bus.connection import connect
from spyctl.bus.stream import desired_config
from tests.support.servers import NatsServer

Serve = Callable[[Path], AbstractContextManager[NatsServer]]
FLOW, ACKS = 500, 8  # what the server lowers a flow to, and how many of them may be on their way


def fast_publisher() -> str | None:
    """Return the path of a ``nats`` that can publish like that, ``None`` where there is none on PATH."""
    nats = shutil.which("nats")
    if nats is None:
        return None
    known = subprocess.run([nats, "bench", "js", "pub", "fast", "--help"], capture_output=True, check=False)
    return nats if known.returncode == 0 else None


def publish(nats: str, serve: Serve, folder: Path, subject: str, payload: bytes, count: int) -> float:
    """Have the CLI publish a payload ``count`` times; returns events a second, by the times of storing."""
    path = folder / "payload"
    path.write_bytes(payload)
    with serve(folder) as server:
        asyncio.run(_make_stream(server.url))
        subprocess.run(
            [
                nats, "--server", server.url, "bench", "js", "pub", "fast", subject, "--stream", "MARKET_DATA",
                "--msgs", str(count), "--payload", str(path), "--size", f"{len(payload)}B", "--batch", str(FLOW),
                "--max-outstanding-acks", str(ACKS), "--no-progress",
            ],
            stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        return asyncio.run(_rate(server.url, count))


async def _make_stream(url: str) -> None:
    connection = await connect([url])
    await connection.api("STREAM.CREATE.MARKET_DATA", desired_config(batched=True))
    await connection.close()


async def _rate(url: str, count: int) -> float:
    connection = await connect([url])
    state = (await connection.api("STREAM.INFO.MARKET_DATA"))["state"]
    await connection.close()
    assert state["messages"] == count
    first, last = (datetime.fromisoformat(state[key]) for key in ("first_ts", "last_ts"))
    return float((count - 1) / (last - first).total_seconds())
