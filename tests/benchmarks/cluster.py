"""Three servers that replicate: one stream and the loss of its leader, and two shards at once.

``python -m tests.benchmarks.cluster [date|schema]`` plays the shards alone and says what was proved.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from spyctl.bus.connection import connect
from spyctl.dbn.sample import write_day
from spyctl.timing.instants import HOUR, MINUTE, day_start
from tests.support.cluster import led_by, replicated, three_servers
from tests.support.servers import NatsServer
from tests.support.stream import read_stream
from tests.support.waiting import eventually_sync

DAYS = (date(2025, 12, 16), date(2025, 12, 17))
SPLITS = {  # the prefix of each shard, and what it plays
    "date": {"FIRST": ("--date", str(DAYS[0])), "SECOND": ("--date", str(DAYS[1]))},
    "schema": {"TRADES": ("--schema", "trades"), "BOOKS": ("--schema", "mbp-10")},
}
KILLED_AT = 8 << 20  # stored bytes, a third of the input
Row = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Shard:
    """What became of a shard: what it was to play, who led its stream, the summary of its run, the payloads stored."""

    played: Sequence[str]
    leader: str
    summary: dict[str, Any]
    payloads: list[bytes]


def write_days(folder: Path, minutes: int) -> Path:
    """Write a synthetic stretch of each of two days."""
    for day in DAYS:
        start = day_start(day) + 14 * HOUR + 25 * MINUTE
        write_day(folder, day, start, start + minutes * MINUTE)
    return folder


def replay(data: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start ``spyctl replay`` at full speed."""
    command = [sys.executable, "-m", "spyctl", "replay", "-s", "max", "-q", "--data-dir", str(data), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def summary_of(process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    """Wait for a replay; returns its summary, which says that all is well."""
    summary: dict[str, Any] = json.loads(process.communicate()[0])
    assert process.returncode == 0, summary
    assert summary["read"] == summary["published"] == summary["acked"]
    assert summary["reordered"] == 0
    return summary


def payloads_of(data: Path, *arguments: str) -> list[bytes]:
    """Return the payloads of an input in their order, without any server."""
    return replay(data, "--sink", "stdout", "--raw", *arguments).communicate()[0].splitlines()


def play_shards(folder: Path, data: Path, split: str) -> list[Shard]:
    """Play the shards of an input at once, each onto a stream that is led by a server of its own."""
    shards = SPLITS[split]
    with three_servers(folder) as servers:
        urls = _urls(servers.values())
        asyncio.run(_make_shards(urls, shards))
        runs = [
            replay(data, "--json", "--nats-url", urls, "--prefix", prefix, *played) for prefix, played in shards.items()
        ]
        summaries = [summary_of(run) for run in runs]
        return [
            Shard(played, leader, summary, asyncio.run(_payloads(servers[leader].url, summary["stream"])))
            for leader, played, summary in zip(servers, shards.values(), summaries, strict=False)
        ]


def prove(shards: Sequence[Shard], data: Path) -> int:
    """Hold what the shards have stored to their inputs; returns how many events that is."""
    for shard in shards:
        assert shard.payloads == payloads_of(data, *shard.played)
    total = sum(len(shard.payloads) for shard in shards)
    assert total == len(payloads_of(data))
    return total


def _urls(servers: Iterable[NatsServer]) -> str:
    return ",".join(server.url for server in servers)


async def _make_shards(urls: str, prefixes: Iterable[str]) -> None:
    connection = await connect(urls.split(","))
    for prefix, server in zip(prefixes, ("n1", "n2"), strict=True):
        await replicated(connection, prefix)
        await led_by(connection, f"{prefix}_MARKET_DATA", server)
    await connection.close()


async def _payloads(url: str, stream: str) -> list[bytes]:
    return [payload for _, _, payload, _ in await read_stream(url, stream)]


def rows(folder: Path) -> Iterator[Row]:
    """Yield the rows of the table: name, figure, remark."""
    data = write_days(folder / "days", 10)
    base = _one_stream(Path(tempfile.mkdtemp(dir=folder)), data, replicas=1)
    whole = _one_stream(Path(tempfile.mkdtemp(dir=folder)), data)
    killed = _one_stream(Path(tempfile.mkdtemp(dir=folder)), data, kill=True)
    ratio = whole["events_per_s"] / base["events_per_s"]
    yield "(j) one of three servers, R1", f"{base['events_per_s']:,.0f}/s", _ack_text(base)
    yield "three servers, R3", f"{whole['events_per_s']:,.0f}/s", f"{ratio:.2f} of (j), {_ack_text(whole)}"
    yield "three servers, leader killed once", f"{killed['events_per_s']:,.0f}/s", f"none lost, {_ack_text(killed)}"
    shards = play_shards(Path(tempfile.mkdtemp(dir=folder)), data, "date")
    total = prove(shards, data)
    rate = total / max(shard.summary["wall_s"] for shard in shards)
    yield "two shards at once, R3", f"{rate:,.0f}/s", f"{rate / base['events_per_s']:.2f} of (j), each in order"


def _one_stream(folder: Path, data: Path, *, replicas: int = 3, kill: bool = False) -> dict[str, Any]:
    # Plays both days onto one stream, and holds what it has stored to the input; returns the summary.
    with three_servers(folder) as servers:
        urls = _urls(servers.values())
        leader = servers[asyncio.run(_make_stream(urls, replicas))]
        run = replay(data, "--json", "--nats-url", urls)
        if kill:
            eventually_sync(lambda: _size(leader.folder) > KILLED_AT)
            leader.stop(kill=True)
        summary = summary_of(run)
        url = next(server.url for server in servers.values() if server.process is not None)
        assert asyncio.run(_payloads(url, summary["stream"])) == payloads_of(data)
    return summary


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.blk"))


async def _make_stream(urls: str, replicas: int) -> str:
    connection = await connect(urls.split(","))
    leader = await replicated(connection, replicas=replicas)
    await connection.close()
    return leader


def _ack_text(summary: dict[str, Any]) -> str:
    return f"ack p50 {summary['ack_ms']['p50']:.0f} ms, p99 {summary['ack_ms']['p99']:.0f} ms"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        data = write_days(Path(name) / "data", 5)
        shards = play_shards(Path(name), data, sys.argv[1] if len(sys.argv) > 1 else "date")
        total = prove(shards, data)
        for shard in shards:
            print(f"{shard.summary['stream']}, led by {shard.leader}: {len(shard.payloads):,} events, in order")
        print(f"both: {total:,} events, which is the whole input; none lost, none twice")


if __name__ == "__main__":
    main()
