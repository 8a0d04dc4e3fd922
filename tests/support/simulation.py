"""``spyctl live --sim`` as a process, for as long as a test needs it."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.stream import stored_by_subject
from tests.support.waiting import eventually_sync

LIVE_SUBJECTS = {"market.stocks.trades", "market.stocks.quotes", "market.options.trades"}


def simulate(
    environment: dict[str, str],
    folder: Path,
    url: str,
    *options: str,
    until: Callable[[dict[str, int]], bool],
    stream: str = "MARKET_DATA",
) -> dict[str, Any]:
    """Run it until the stream's counts by subject satisfy ``until``, end it by Ctrl-C, return its summary."""
    command = [sys.executable, "-m", "spyctl", "live", "--sim", "--json", "-q", "--nats-url", url, *options]
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        eventually_sync(
            lambda: process.poll() is not None or until(asyncio.run(stored_by_subject(url, stream))), timeout_s=60
        )
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    summary: dict[str, Any] = json.loads(out)
    return summary
