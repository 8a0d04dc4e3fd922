"""Rows of the benchmark for long lines: whether a paced replay holds the speed it is asked for, whatever the delay."""

import asyncio
import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from spyctl.bus.acks.mode import AckMode
from spyctl.dbn.sample import write_day
from spyctl.timing.instants import HOUR, MINUTE, day_start
from tests.benchmarks.live import Serve
from tests.support.proxy import Proxy

DAY = date(2025, 12, 16)
DELAYS_MS = (0, 50, 200, 600)
SPEED = 10
MINUTES = 2  # of the opening, when most is going on


async def _replay(url: str, data: Path, mode: AckMode) -> dict[str, Any]:
    command = ["replay", "-s", str(SPEED), "--json", "-q", "--data-dir", str(data), "--nats-url", url, "--ack", mode]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "spyctl", *command, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    summary: dict[str, Any] = json.loads(out)
    assert summary["read"] == summary["published"] == summary["acked"]
    return summary


async def _over_a_line(port: int, data: Path, mode: AckMode, delay_ms: int) -> dict[str, Any]:
    async with Proxy(port, delay_ms / 1e3) as proxy:
        return await _replay(proxy.url, data, mode)


def rows(serve: Serve, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the speed achieved over lines of several lengths, and what the line made wait."""
    data = folder / "opening"
    start = day_start(DAY) + 14 * HOUR + 30 * MINUTE
    write_day(data, DAY, start, start + MINUTES * MINUTE)
    for mode in (AckMode.FAST, AckMode.MESSAGE):
        for delay_ms in DELAYS_MS:
            with serve(folder) as server:
                summary = asyncio.run(_over_a_line(server.port, data, mode, delay_ms))
            what = f"at {SPEED}×, {delay_ms} ms each way, ack {mode}"
            late = f"{summary['stalls']} stalls, ack p99 {summary['ack_ms']['p99']:,.0f} ms"
            yield what, f"{summary['speed_achieved']:.2f}×", f"{late}, peak {summary['peak_events_per_s']:,}/s"
