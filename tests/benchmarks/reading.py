"""``tail`` against a bare consumer, completion against a bare Typer application, and what a start costs."""

import asyncio
import os
import resource
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


def cpu_ms(command: list[str], **env: str) -> float:
    """Run a command to its end; returns the CPU time that it took, which no other process disturbs much."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=os.environ | env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


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

    yield from start_rows(serve, folder, times, program)


def start_rows(serve: Serve, folder: Path, times: int, program: str) -> Iterator[tuple[str, str, str]]:
    """Yield the rows of what a start costs, in CPU time."""
    (folder / "bare.py").write_text(BARE_APP)
    asked = {"COMP_WORDS": "x hello --", "COMP_CWORD": "2"}
    first = [program, "replay", "-s", "max", "--count", "1", "-q", "--no-digest", "--data-dir", str(folder / "packed")]
    with serve(folder) as server:
        turns = [
            (
                cpu_ms([sys.executable, str(folder / "bare.py")], _BARE_COMPLETE="complete_bash", **asked),
                cpu_ms([program], _SPYCTL_COMPLETE="complete_bash", COMP_WORDS="spyctl replay --", COMP_CWORD="2"),
                cpu_ms([sys.executable, "-c", IMPORTS]),
                cpu_ms([program, "--help"]),
                cpu_ms([*first, "--nats-url", server.url]),
            )
            for _ in range(4 * times)
        ]
    bare_app, completion, imports, help_page, event = map(statistics.median, zip(*turns, strict=True))
    yield "(h) completion of a bare Typer app", f"{bare_app:,.0f} ms", "CPU, as are the next four"
    yield "completion of an option", f"{completion:,.0f} ms", f"{completion / bare_app:.2f} × (h)"
    yield "(i) importing numpy, nats, typer", f"{imports:,.0f} ms", ""
    yield "spyctl --help", f"{help_page:,.0f} ms", f"{help_page - imports:+,.0f} ms against (i)"
    yield "a replay of one event, start to end", f"{event:,.0f} ms", f"{event - imports:+,.0f} ms against (i)"


async def _stored(url: str) -> int:
    client = await nats.connect(url)
    info = await client.jetstream().stream_info("MARKET_DATA")
    await client.close()
    return int(info.state.messages)
