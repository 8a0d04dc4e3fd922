"""The page on rehearsing: its consumer keeps the right book across jumps, and its table names what exists."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spyctl.replay.commands import parse_command
from tests.support.records import MS, SECOND, T0, book, level, trade, write_file
from tests.support.servers import NatsServer

PAGE = (Path(__file__).parent.parent.parent / "docs" / "rehearsing.md").read_text()


def test_every_command_of_the_table_exists() -> None:
    rows = [line for line in PAGE.splitlines() if re.match(r"\| [a-z]", line)]
    commands = [words for row in rows for words in re.findall(r"`([^`]+)`", row.rsplit("|", 2)[1])]
    assert len(commands) > 25
    for words in commands:
        parse_command(words.replace("--", "").split())


@pytest.mark.integration
async def test_the_consumer_of_the_page_has_the_right_book_after_a_jump(
    environment: dict[str, str], nats_server: NatsServer, tmp_path: Path
) -> None:
    root = tmp_path / "dbn-data"
    write_file(root, "trades", [trade(T0 + i * SECOND) for i in range(60)])
    prices = [6_815_000_000_000 + i * 250_000_000 for i in range(60)]
    books = [book(T0 + i * SECOND + MS, levels=[level(px, px + 250_000_000)] * 10) for i, px in enumerate(prices)]
    write_file(root, "mbp-10", books)
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    script = tmp_path / "consumer.py"
    script.write_text(code.replace("nats://localhost:4222", nats_server.url))
    env = environment | {"NATS_URL": nats_server.url}

    def spyctl(*arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "spyctl", *arguments], env=env, cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    replay = spyctl("replay", "--start-paused", "--speed", "1")
    said: list[str] = []
    consumer = None
    try:
        for words in ("step 5", "seek +30s"):
            while True:
                control = spyctl("ctl", *words.split())
                out, _ = await asyncio.to_thread(control.communicate)
                if control.returncode == 0:
                    break
                assert control.returncode in (5, 6), out  # it has not begun yet
        consumer = subprocess.Popen(
            [sys.executable, "-u", str(script)], stdout=subprocess.PIPE, text=True, cwd=tmp_path
        )
        lines = consumer.stdout
        assert lines is not None
        async with asyncio.timeout(60):
            said += [await asyncio.to_thread(lines.readline) for _ in range(3)]
    finally:
        replay.kill()
        replay.communicate()
        if consumer is not None:
            consumer.kill()
            consumer.communicate()
    first, reset, seed = (line.split() for line in said)
    assert first == ["ES", "6815.0", "6815.25"]
    assert (reset[0], (int(reset[2]) - T0) // SECOND) == ("seek", 32)
    at = (int(reset[2]) - T0 - MS) // SECOND  # the last book before the new place
    assert float(seed[1]) == 6_815.0 + (at if (int(reset[2]) - T0 - MS) % SECOND else at - 1) / 4
