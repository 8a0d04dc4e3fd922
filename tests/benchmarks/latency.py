"""How long an event takes from the vendor to a consumer of the stream, on a machine that is quiet or busy.

Everything runs on this machine, the consumer in a process of its own, so that clocks agree; the vendor stamps whole
milliseconds. ``python -m tests.benchmarks.latency`` prints the stages.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from nats.aio.msg import Msg

from spyctl.bus.arrivals import parse_reply
from spyctl.bus.connection import connect
from tests.benchmarks.live import Serve, vendor

RATE = 3_000
STAGES = ("event to received", "received to stored", "stored to consumer", "event to consumer")
_PERCENTS = (50.0, 99.0, 99.9)
_PATIENCE_S = 60.0


async def _consume(url: str, total: int) -> None:
    # Prints the four times of each event, in ms, one event a line.
    connection = await connect([url])
    rows: list[tuple[int, int, int, int]] = []
    done = asyncio.Event()

    async def received(message: Msg) -> None:
        now_ns = time.time_ns()
        event = orjson.loads(message.data)
        stored_ns = parse_reply(message.reply).stored_ns
        rows.append((event["ts_event_ns"], event["ts_recv_ns"], stored_ns, now_ns))
        if len(rows) >= total:
            done.set()

    while True:
        with contextlib.suppress(Exception):
            await connection.jetstream().subscribe(">", stream="MARKET_DATA", ordered_consumer=True, cb=received)
            break
        await asyncio.sleep(0.05)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_S):
            await done.wait()
    await connection.close()
    sys.stdout.buffer.write(orjson.dumps(rows))


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """Have so many processes do nothing but work meanwhile."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def measure(serve: Serve, folder: Path, seconds: float, rate: float = RATE) -> dict[str, list[float]]:
    """Return the percentiles (p50, p99, p99.9) of each stage, in ms; the first second does not count."""
    total = round(rate * seconds)
    with serve(folder) as server, vendor(rate, total) as url:
        live = subprocess.Popen(
            [sys.executable, "-m", "spyctl", "live", "--feed-url", url, "--nats-url", server.url, "--json", "-q"],
            env=os.environ | {"POLYGON_API_KEY": "none", "SPYCTL_SPOOL_LIMIT": "0"}, stdout=subprocess.PIPE,
        )  # fmt: skip
        command = [sys.executable, "-m", "tests.benchmarks.latency", server.url, str(total)]
        found = subprocess.run(command, capture_output=True, check=True)
        live.send_signal(signal.SIGINT)
        summary: dict[str, Any] = json.loads(live.communicate()[0])
    assert summary["received"] == summary["acked"], summary
    times = np.array(orjson.loads(found.stdout)[round(rate) :], "i8")
    stages = [
        times[:, 1] - times[:, 0],
        times[:, 2] - times[:, 1],
        times[:, 3] - times[:, 2],
        times[:, 3] - times[:, 0],
    ]
    return {name: (np.percentile(stage, _PERCENTS) / 1e6).tolist() for name, stage in zip(STAGES, stages, strict=True)}


def rows(serve: Serve, folder: Path, seconds: float = 8.0) -> Iterator[tuple[str, str, str]]:
    """Yield the rows of the table: name, figure, remark."""
    for name, processes in (("quiet", 0), ("busy", 2 * (os.cpu_count() or 1))):
        with busy(processes):
            stages = measure(serve, folder, seconds)
        p50, p99, p999 = stages.pop(STAGES[-1])
        remark = ", ".join(f"{stage} {of[1]:.1f}" for stage, of in stages.items())
        text = f"p99 {p99:.1f} ms, p99.9 {p999:.1f} ms; of the stages p99 {remark}"
        yield f"live at {RATE:,}/s, event to consumer, {name}", f"p50 {p50:.1f} ms", text


if __name__ == "__main__":
    if len(sys.argv) == 3:
        asyncio.run(_consume(sys.argv[1], int(sys.argv[2])))
    else:
        import tempfile

        from tests.benchmarks.bench import a_server

        with tempfile.TemporaryDirectory() as name:
            for row in rows(a_server, Path(name)):
                print(*row, sep=" | ")
