"""``tail`` against a bare consumer, completion against a bare Typer application, and the time to the first event."""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import nats

from tests.support.servers import NatsServer

Serve = Callable[[Path], AbstractContextManager[NatsServer]]
BARE_APP = """
import typer
app = typer.Typer()
@app.command()
def hello(name: str = "x"): ...
@app.command()
def bye(name: str = "x"): ...
app(prog_name="bare")
"""
IMPORTS = "import numpy, nats, typer"


def took_s(command: list[str], **env: str) -> float:
    begun_s = time.perf_counter()
    subprocess.run(command, env=os.environ | env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - begun_s


async def bare(url: str, total: int) -> float:
    """Count the messages of a stream with a callback of an ordered consumer; returns events a second."""
    client = await nats.connect(url)
    count, done = 0, asyncio.Event()

    async def on_message(message: Any) -> None:
        nonlocal count
        count += 1
        if count == total:
            done.set()

    begun_s = time.perf_counter()
    await client.jetstream().subscribe(">", stream="MARKET_DATA", ordered_consumer=True, cb=on_message)
    await done.wait()
    found = count / (time.perf_counter() - begun_s)
    await client.close()
    return found


def tail(url: str, total: int, *arguments: str) -> float:
    """Run ``spyctl tail`` into a pipe; returns events a second from the first line to the last."""
    command = [sys.executable, "-m", "spyctl", "tail", "--from", "start", "--until-end", "--nats-url", url, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
    assert process.stdout is not None
    first = process.stdout.readline()
    begun_s = time.perf_counter()
    lines = first.count(b"\n")
    while lines < total and (data := os.read(process.stdout.fileno(), 1 << 20)):
        lines += data.count(b"\n")
    spent_s = time.perf_counter() - begun_s  # the bare one is not asked to take its leave either
    process.communicate()
    return total / spent_s


def rows(serve: Serve, folder: Path, times: int) -> Iterator[tuple[str, str, str]]:
    """Yield the rows of the table: name, figure, remark."""
    program = str(Path(sys.executable).with_name("spyctl"))
    with serve(folder) as server:
        subprocess.run(
            [program, "replay", "-s", "max", "-q", "--nats-url", server.url, "--data-dir", str(folder / "packed")],
            stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        total = asyncio.run(_stored(server.url))
        pairs = [(asyncio.run(bare(server.url, total)), tail(server.url, total)) for _ in range(times)]
        base, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(mine / theirs for theirs, mine in pairs)
        yield "(g) bare callback ordered consumer", f"{base:,.0f}/s", f"{total:,} events"
        yield "tail, JSON lines into a pipe", f"{ours:,.0f}/s", f"{ratio:.2f} of (g)"

    (folder / "bare.py").write_text(BARE_APP)
    asked = {"COMP_WORDS": "x hello --", "COMP_CWORD": "2"}
    found = [
        (
            took_s([sys.executable, str(folder / "bare.py")], _BARE_COMPLETE="complete_bash", **asked),
            took_s([program], _SPYCTL_COMPLETE="complete_bash", COMP_WORDS="spyctl replay --", COMP_CWORD="2"),
        )
        for _ in range(4 * times)
    ]
    base, ours = (statistics.median(column) for column in zip(*found, strict=True))
    yield "(h) completion of a bare Typer app", f"{base * 1000:,.0f} ms", ""
    yield "completion of an option", f"{ours * 1000:,.0f} ms", f"{ours / base:.2f} × (h)"

    first = [program, "replay", "-s", "max", "--count", "1", "-q", "--no-digest", "--data-dir", str(folder / "packed")]
    with serve(folder) as server:
        both = [
            (took_s([sys.executable, "-c", IMPORTS]), took_s([*first, "--nats-url", server.url]))
            for _ in range(4 * times)
        ]
    imports, event = (statistics.median(column) for column in zip(*both, strict=True))
    yield "importing numpy, nats, typer", f"{imports * 1000:,.0f} ms", ""
    yield "a replay of one event, start to end", f"{event * 1000:,.0f} ms", f"{(event - imports) * 1000:,.0f} ms more"


async def _stored(url: str) -> int:
    client = await nats.connect(url)
    info = await client.jetstream().stream_info("MARKET_DATA")
    await client.close()
    return int(info.state.messages)
