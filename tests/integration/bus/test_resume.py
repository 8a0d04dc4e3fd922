"""``replay --resume`` after SIGKILL: the stream is that of an undisturbed run, whatever moment was hit."""

import asyncio
import json
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from spyctl.bus.connection import Connection, connect
from spyctl.bus.runs import run_ids
from spyctl.dbn.sample import write_day
from spyctl.dbn.sort_times import Selection
from spyctl.market.encode import encode_batch
from spyctl.market.subjects import SUBJECTS
from spyctl.replay.source import DBNIngestor, Reading, read_batches
from spyctl.timing.instants import HOUR, MINUTE
from tests.conftest import Cli
from tests.support.records import DAY, DAY_NS, T0, trade, write_file
from tests.support.servers import NatsServer, stored_bytes
from tests.support.stream import read_stream
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
KILLS = 4  # of a real process; the simulated histories kill at every moment


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "dbn-data"
    write_day(root, DAY, T0 - MINUTE, T0 + 2 * MINUTE)
    write_day(root, DAY.replace(day=17), DAY_NS + 24 * HOUR, DAY_NS + 24 * HOUR + MINUTE)  # over dates too
    same = [trade(T0 + 3 * MINUTE) for _ in range(500)]  # equal payloads in a row
    (path,) = root.glob("trades/*1216*")
    write_file(root, "trades", same, name=path.name.replace(".dbn.zst", ".0001.dbn"))
    return root


def expected(root: Path) -> list[tuple[str, bytes]]:
    events = []
    for batch in read_batches(DBNIngestor(root).discover_files(), Selection(), Reading()):
        for piece in encode_batch(batch):
            events += [(SUBJECTS[r], p) for r, p in zip(piece.ranks.tolist(), piece.payloads(), strict=True)]
    return events


async def stored_events(url: str) -> list[tuple[str, bytes]]:
    return [(subject, payload) for _, subject, payload, _ in await read_stream(url)]


async def stored(connection: Connection) -> int:
    try:
        return int((await connection.api("STREAM.INFO.MARKET_DATA"))["state"]["messages"])
    except Exception:  # not made yet
        return 0


async def records(url: str) -> list[dict[str, Any]]:
    connection = await connect([url])
    bucket = await connection.jetstream().key_value("SPYCTL")
    records = [json.loads((await bucket.get(f"run.{run}")).value or b"{}") for run in await run_ids(connection)]
    await connection.close()
    return records


async def killed(environment: dict[str, str], folder: Path, url: str, how: str, target: int, *more: str) -> bool:
    """Run a replay and kill it once the stream holds ``target`` messages; returns whether it was still running."""
    connection = await connect([url])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "spyctl", "replay", "-s", "max", "-q", "--ack", how, "--nats-url", url, *more,
        env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while process.returncode is None and await stored(connection) < target:  # noqa: ASYNC110
            await asyncio.sleep(0.001)  # leaves the processor to the replay
        if process.returncode is None:
            process.kill()
        return await process.wait() == -9
    finally:
        await connection.close()


@pytest.mark.parametrize("how", ["fast", "message"])
async def test_a_run_killed_at_random_moments_and_resumed_is_stored_like_an_undisturbed_one(
    cli: Cli, environment: dict[str, str], data: Path, tmp_path: Path, nats_server: NatsServer, how: str
) -> None:
    rng = random.Random(how)
    events = expected(data)
    # Events of an earlier run on the same subjects, which must not be taken for those of this one.
    await asyncio.to_thread(cli, "replay", "-s", "max", "--count", "300", "--nats-url", nats_server.url)
    connection = await connect([nats_server.url])
    kills = 0
    more: list[str] = []
    while kills < KILLS:
        # Now and then before anything of the new process is stored: while it leases, settles, notes its batch.
        ahead = rng.randrange(0, len(events) // KILLS // 4) if kills % 4 else 0
        kills += await killed(environment, tmp_path, nats_server.url, how, await stored(connection) + ahead, *more)
        # At full speed thousands of events are in flight, so that the day would soon be over.
        more = ["-s", "300" if kills % 4 else "max"] + (["--resume"] if len(await records(nats_server.url)) > 1 else [])
    await connection.close()
    result = await asyncio.to_thread(
        cli, "replay", "-s", "max", "--json", "--ack", how, "--nats-url", nats_server.url, "--resume"
    )
    summary: dict[str, Any] = json.loads(result.stdout) if result.stdout else {}
    assert result.returncode == 0 or "is complete" in result.stderr, result.stderr
    if summary:
        assert summary["read"] == summary["published"] == summary["acked"] == len(events) - (summary["resumed_at"] or 0)

    events_stored = await stored_events(nats_server.url)
    assert events_stored == events[:300] + events


async def test_a_run_ended_by_ctrl_c_is_resumed(
    cli: Cli, environment: dict[str, str], data: Path, tmp_path: Path, nats_server: NatsServer
) -> None:
    events = expected(data)
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "spyctl", "replay", "-s", "20", "-q", "--nats-url", nats_server.url,
            env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=stderr,
        )  # fmt: skip
    await eventually(lambda: stored_bytes(nats_server.folder) > 100_000)
    process.send_signal(2)
    assert await process.wait() == 130, log.read_text()
    result = await asyncio.to_thread(cli, "replay", "-s", "max", "--json", "--nats-url", nats_server.url, "--resume")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["resumed_at"] > 0
    events_stored = await stored_events(nats_server.url)
    assert len(events_stored) == len(events), result.stdout
    assert events_stored == events


async def test_a_resume_that_is_refused_gives_the_reason(
    cli: Cli, environment: dict[str, str], data: Path, tmp_path: Path, nats_server: NatsServer
) -> None:
    def refused(*arguments: str) -> str:
        result = cli("replay", "-s", "max", "--nats-url", nats_server.url, *arguments)
        assert result.returncode == 1, result.stderr
        assert "Traceback" not in result.stderr
        return result.stderr

    run = asyncio.to_thread
    for named in ((), ("zzzz",)):
        nothing = await run(cli, "replay", "-s", "max", "--nats-url", nats_server.url, "--resume", *named)
        assert nothing.returncode == 6
        assert f"there is no run {' '.join((*named, 'to'))} resume in MARKET_DATA" in nothing.stderr
    await run(cli, "replay", "-s", "max", "--count", "5", "--nats-url", nats_server.url)
    assert "is complete, and had other options: count was 5, is none" in await run(refused, "--resume")
    assert await killed(environment, tmp_path, nats_server.url, "fast", 1_000, "-s", "100")
    assert "had other options: by_recv was False" in await run(refused, "--resume", "--order", "recv")
    (path,) = data.glob("trades/*1216*.zst")
    content = path.read_bytes()
    path.write_bytes(content + content[-9:])
    assert "had other files" in await run(refused, "--resume", "--strict")
    path.write_bytes(content)
    connection = await connect([nats_server.url])
    await connection.api("STREAM.PURGE.MARKET_DATA", {})
    # The batch is still known to the server, so its fence tells; once it is forgotten, the messages would be missed.
    (record,) = [record for record in await records(nats_server.url) if record["state"] == "running"]
    bucket = await connection.jetstream().key_value("SPYCTL")
    await bucket.put(
        f"run.{record['run_id']}", json.dumps(record | {"batch": {"name": "unknown", "first": 1}}).encode()
    )
    assert "have expired" in await run(refused, "--resume")
    await connection.api("STREAM.DELETE.MARKET_DATA")
    assert "was recreated" in await run(refused, "--resume")
    await connection.close()


async def test_a_run_that_is_still_publishing_is_not_resumed(
    cli: Cli, environment: dict[str, str], data: Path, tmp_path: Path, nats_server: NatsServer
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "spyctl", "replay", "-s", "1", "-q", "--nats-url", nats_server.url,
        env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    await eventually(lambda: stored_bytes(nats_server.folder) > 0)
    result = await asyncio.to_thread(cli, "replay", "-s", "1", "--nats-url", nats_server.url, "--resume")
    process.kill()
    await process.wait()
    assert result.returncode == 5
    assert "has been publishing" in result.stderr


async def test_a_resumed_run_does_not_count_events_of_another_one_between_its_crashes(
    cli: Cli, environment: dict[str, str], data: Path, tmp_path: Path, nats_server: NatsServer
) -> None:
    events, how = expected(data), "fast"
    url = ("--nats-url", nats_server.url)
    assert await killed(environment, tmp_path, nats_server.url, how, 1_500, "-s", "100")
    await asyncio.to_thread(cli, "replay", "-s", "max", "--count", "700", *url)  # settles the first, and leaves 700
    (first,) = [record for record in await records(nats_server.url) if record["state"] == "crashed"]
    resume = ("--resume", first["run_id"])
    connection = await connect([nats_server.url])
    target = await stored(connection) + 30
    await connection.close()
    assert await killed(environment, tmp_path, nats_server.url, how, target, "-s", "100", *resume)
    await asyncio.to_thread(nats_server.restart, kill=True)  # no batch is known any more: messages are counted
    result = await asyncio.to_thread(cli, "replay", "-s", "max", "--verify", "--json", *url, *resume)
    assert result.returncode == 0, result.stderr
    events_stored = await stored_events(nats_server.url)
    assert events_stored[first["checkpoint"]["position"] : first["checkpoint"]["position"] + 700] == events[:700]
    assert (
        events_stored[: first["checkpoint"]["position"]] + events_stored[first["checkpoint"]["position"] + 700 :]
        == events
    )
    summary = json.loads(result.stdout)
    assert (summary["differing"], summary["missing"]) == (0, 0)


@asynccontextmanager
async def suspended(
    environment: dict[str, str], folder: Path, url: str, how: str, *more: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Stop a replay (SIGSTOP) amidst its events, for longer than its leases last."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "spyctl", "replay", *more, "-q", "--ack", how, "--nats-url", url,
        env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    connection = await connect([url])
    while await stored(connection) < 1_000:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    process.send_signal(signal.SIGSTOP)
    bucket = await connection.jetstream().key_value("SPYCTL")
    for key in ("futures.trades", "futures.mbp10"):
        lease = json.loads((await bucket.get(f"lease.market.{key}")).value or b"{}")
        await bucket.put(f"lease.market.{key}", json.dumps(lease | {"ticked_ns": 0}).encode())
    await connection.close()
    yield process


async def woken(process: asyncio.subprocess.Process) -> str:
    """Have a stopped replay go on, which has to learn that it was overtaken; returns what it said."""
    process.send_signal(signal.SIGCONT)
    _, stderr = await process.communicate()
    text = stderr.decode()
    assert process.returncode == 5, text
    assert "took over" in text
    return text


@pytest.mark.parametrize("how", ["fast", "message"])
async def test_what_a_run_sends_after_another_process_went_on_with_it_is_not_stored(
    cli: Cli, environment: dict[str, str], tmp_path: Path, nats_server: NatsServer, how: str
) -> None:
    data = tmp_path / "dbn-data"
    write_file(data, "trades", [trade(T0 + i * 100_000) for i in range(30_000)])  # more than can be in flight
    async with suspended(environment, tmp_path, nats_server.url, how, "-s", "max") as process:
        (before,) = await records(nats_server.url)
        resume = ("replay", "-s", "2", "--json", "--ack", how, "--nats-url", nats_server.url, "--resume")
        resumed = asyncio.create_task(asyncio.to_thread(cli, *resume))

        async def gone_on() -> bool:
            (now,) = await records(nats_server.url)
            return bool(now["pid"] != before["pid"])

        await eventually(gone_on)
        await woken(process)  # while the other one has most of the events still before it
        result = await resumed
    assert result.returncode == 0, result.stderr
    events = await stored_events(nats_server.url)
    assert [event for event in events if not event[0].startswith("market.fences.")] == expected(data)
    assert json.loads(result.stdout)["reordered"] == 0


async def test_a_run_that_was_suspended_does_not_count_events_of_another_one(
    cli: Cli, environment: dict[str, str], data: Path, tmp_path: Path, nats_server: NatsServer
) -> None:
    async with suspended(environment, tmp_path, nats_server.url, "fast", "-s", "100") as process:
        other = await asyncio.to_thread(cli, "replay", "-s", "max", "--json", "--nats-url", nats_server.url)
        assert other.returncode == 0, other.stderr
        await woken(process)
    (first,) = [record for record in await records(nats_server.url) if record["state"] == "crashed"]
    result = await asyncio.to_thread(
        cli, "replay", "-s", "max", "--verify", "--json", "--nats-url", nats_server.url, "--resume", first["run_id"]
    )
    assert result.returncode == 0, result.stderr
    events, at = expected(data), first["checkpoint"]["position"]
    events_stored = await stored_events(nats_server.url)
    assert events_stored.pop(at)[0].startswith("market.fences.")
    assert events_stored == events[:at] + events + events[at:]


async def test_the_checkpoint_of_a_fast_ingest_run_follows_the_stream(
    environment: dict[str, str], data: Path, tmp_path: Path, nats_server: NatsServer
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "spyctl", "replay", "-s", "10", "-q", "--ack", "fast", "--nats-url", nats_server.url,
        env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    connection = await connect([nats_server.url])
    try:
        for least in (1, 1_000, 2_000):
            while await stored(connection) < least:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            at = await stored(connection)
            deadline = asyncio.get_running_loop().time() + 10  # a commit a second, not one at the end after 24 s
            while (
                not (runs := await records(nats_server.url))
                or (runs[0]["checkpoint"] or {"position": 0})["position"] < at
            ):
                assert asyncio.get_running_loop().time() < deadline
                await asyncio.sleep(0.05)
            assert runs[0]["checkpoint"]["seq"] == runs[0]["checkpoint"]["position"]
    finally:
        process.kill()
        await process.wait()
        await connection.close()


async def test_a_resumed_run_on_an_older_server_does_not_count_other_subjects(
    cli: Cli, environment: dict[str, str], data: Path, tmp_path: Path, old_server: NatsServer
) -> None:
    events = expected(data)
    url = ("--nats-url", old_server.url)
    assert await killed(environment, tmp_path, old_server.url, "message", 2_000, "-s", "100")
    connection = await connect([old_server.url])
    for i in range(500):
        await connection.jetstream().publish("market.stocks.trades", b"%d" % i)
    await connection.close()
    result = await asyncio.to_thread(cli, "replay", "-s", "max", "--verify", "--json", *url, "--resume")
    assert result.returncode == 0, result.stderr
    rows = [(s, p) for _, s, p, _ in await read_stream(old_server.url) if s != "market.stocks.trades"]
    assert rows == events


async def test_a_resume_with_other_bytes_or_other_symbols_is_refused(
    cli: Cli, environment: dict[str, str], tmp_path: Path, nats_server: NatsServer
) -> None:
    root = tmp_path / "dbn-data"
    path = write_file(root, "trades", [trade(T0 + i * 1_000_000) for i in range(30_000)])
    assert await killed(environment, tmp_path, nats_server.url, "fast", 1_000, "-s", "1")
    content = path.read_bytes()
    changed = bytearray(content)
    middle = len(changed) // 2
    changed[middle - 5_000 : middle + 5_000] = bytes(10_000)
    path.write_bytes(bytes(changed))
    result = await asyncio.to_thread(cli, "replay", "-s", "max", "--nats-url", nats_server.url, "--resume")
    assert (result.returncode, "had other files" in result.stderr) == (1, True), result.stderr
    path.write_bytes(content)
    mapping = {"result": {"ESH6": [{"d0": "2025-12-01", "d1": "2026-01-01", "s": "1"}]}}
    (root / "symbology.json").write_text(json.dumps(mapping))
    result = await asyncio.to_thread(cli, "replay", "-s", "max", "--nats-url", nats_server.url, "--resume")
    assert (result.returncode, "had other files" in result.stderr) == (1, True), result.stderr
