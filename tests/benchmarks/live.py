"""The live side's rows of the benchmark: latency at a rate, the highest rate, and the client library's own way."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nats

from spyctl.bus.connection import connect
from spyctl.bus.stream import desired_config
from tests.support.servers import NatsServer

PATIENCE_S = 120.0
Serve = Callable[[Path], contextlib.AbstractContextManager[NatsServer]]


@contextlib.contextmanager
def vendor(rate: float, total: int) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.benchmarks.vendor", str(rate), str(total)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


async def _stored(url: str, total: int) -> tuple[float, float]:
    # When the first and the last event were stored, by the clock of this process.
    connection = await connect([url])
    first_s, deadline_s = 0.0, time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(Exception):
            held = (await connection.api("STREAM.INFO.MARKET_DATA"))["state"]["messages"]
            first_s = first_s or (time.monotonic() if held else 0.0)
            if held >= total:
                break
        await asyncio.sleep(0.02)
    await connection.close()
    return first_s, time.monotonic()


def ours(serve: Serve, folder: Path, rate: float, total: int) -> dict[str, Any]:
    """Run ``spyctl live`` until all is stored; returns its summary, with the events stored a second."""
    with serve(folder) as server, vendor(rate, total) as url:
        process = subprocess.Popen(
            [sys.executable, "-m", "spyctl", "live", "--feed-url", url, "--nats-url", server.url, "--json", "-q"],
            env=os.environ | {"POLYGON_API_KEY": "none"}, stdout=subprocess.PIPE,
        )  # fmt: skip
        first_s, last_s = asyncio.run(_stored(server.url, total))
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    summary: dict[str, Any] = json.loads(out)
    assert summary["received"] == summary["acked"] + summary["dropped"], summary
    return summary | {"rate": summary["acked"] / (last_s - first_s)}


def theirs(serve: Serve, folder: Path, total: int) -> float:
    """Let the client library parse, and await each publish; returns events a second."""
    from polygon import WebSocketClient

    async def run(url: str, feed: str) -> float:
        connection = await connect([url])
        await connection.api("STREAM.CREATE.MARKET_DATA", desired_config())
        await connection.close()
        client = await nats.connect(url)
        jetstream = client.jetstream()
        count, begun_s = 0, 0.0
        done = asyncio.Event()

        async def handle(messages: list[Any]) -> None:
            nonlocal count, begun_s
            begun_s = begun_s or time.monotonic()
            for message in messages:
                subject = "market.stocks.quotes" if message.event_type == "Q" else "market.stocks.trades"
                await jetstream.publish(subject, json.dumps(vars(message)).encode())
                count += 1
            if count >= total:
                done.set()

        socket = WebSocketClient("none", feed=feed.removeprefix("ws://"), secure=False, market="stocks",
                                 subscriptions=["T.SPY", "Q.SPY"])  # fmt: skip
        task = asyncio.create_task(socket.connect(handle, proxy=None))
        await done.wait()
        took_s = time.monotonic() - begun_s
        task.cancel()
        await asyncio.wait({task}, timeout=2)
        await client.close()
        return count / took_s

    with serve(folder) as server, vendor(0, total) as feed:
        return asyncio.run(run(server.url, feed))


def rows(serve: Serve, folder: Path, seconds: float = 10.0) -> Iterator[tuple[str, str, str]]:
    """Yield the rows of the table: name, figure, remark."""
    for rate in (5_000, 20_000):
        summary = ours(serve, folder, rate, round(rate * seconds))
        ack = summary["ack_ms"]
        text = f"received to acked p50 {ack['p50']:.1f} ms, p99 {ack['p99']:.1f} ms, {summary['dropped']:,} dropped"
        yield f"live at {rate:,}/s", f"{summary['rate']:,.0f}/s", text
    total = round(20_000 * seconds)
    fastest = ours(serve, folder, 0, total)
    base = theirs(serve, folder, 20_000)
    yield "live, as fast as it is fed", f"{fastest['rate']:,.0f}/s", f"{fastest['rate'] / base:.1f} × (f)"
    yield "(f) parsed mode, await js.publish", f"{base:,.0f}/s", ""
