"""The whole path against Databento's own reader: what the stream holds is what an independent reading gives."""

import asyncio
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest

from spyctl.api import NATSBus, ReplayPublisher
from spyctl.dbn.sample import write_day
from spyctl.market.events import MBP10, Aggressor, BidAskLevel, EventSource, FuturesTrade
from spyctl.replay.source import DBNIngestor
from spyctl.timing.instants import HOUR, MINUTE, SECOND, day_start
from tests.conftest import Cli
from tests.support.kernels import built_kernel, encoded_by
from tests.support.records import DAY, DAY_NS, MS, T0, book, trade, write_file
from tests.support.servers import NatsServer
from tests.support.stream import read_stream

pytestmark = pytest.mark.integration
UNDEF_PRICE = 2**63 - 1
SIDES = {"B": Aggressor.BUY, "A": Aggressor.SELL, "N": Aggressor.MID}


def price(fixed: int) -> float | None:
    return None if fixed == UNDEF_PRICE else fixed / 1e9


def oracle(root: Path, window: int = SECOND) -> list[tuple[str, bytes]]:
    """Read the files with ``databento.DBNStore`` alone and sort plainly, as the contract says."""
    import databento

    keyed: list[tuple[tuple[int, int, int, int], str, bytes]] = []
    paths = sorted(root.glob("trades/*.dbn*")) + sorted(root.glob("MBP-10/*.dbn*"))
    for number, path in enumerate(paths):
        newest = 0
        for position, record in enumerate(databento.DBNStore.from_file(path)):
            newest = max(newest, record.ts_recv)
            snapshot = bool(int(record.flags) & 32)
            near = abs(newest - record.ts_event) <= window
            key = record.ts_event if near and not snapshot else newest
            event: Any
            if path.parent.name == "trades":
                event = FuturesTrade(
                    record.ts_event, record.ts_recv, EventSource.DIRECT_FEED, "ES", record.price / 1e9,
                    record.size, SIDES[str(record.side)], seq=record.sequence,
                )  # fmt: skip
                rank, subject = 0, "market.futures.trades"
            else:
                levels = tuple(
                    BidAskLevel(price(one.bid_px), one.bid_sz, price(one.ask_px), one.ask_sz) for one in record.levels
                )
                event = MBP10(
                    record.ts_event, record.ts_recv, EventSource.DIRECT_FEED, "ES", levels, snapshot, record.sequence
                )
                rank, subject = 1, "market.futures.mbp10"
            keyed.append(((key, rank, number, position), subject, orjson.dumps(event)))
    return [(subject, payload) for _, subject, payload in sorted(keyed)]


async def replayed(root: Path, server: NatsServer, dates: list[date]) -> list[tuple[str, bytes]]:
    async with NATSBus(server.url) as bus:
        publisher = ReplayPublisher(bus, DBNIngestor(root), replay_speed=0)
        stats = await publisher.replay_continuous(dates)
    stored = await read_stream(server.url)
    assert stats.events == len(stored)
    assert [seq for seq, *_ in stored] == list(range(1, len(stored) + 1))
    return [(subject, payload) for _, subject, payload, _ in stored]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("encoder", ["numpy", "compiled"])
async def test_two_synthetic_days_are_stored_as_the_oracle_reads_them(
    encoder: str, tmp_path: Path, nats_server: NatsServer
) -> None:
    compiled = built_kernel() if encoder == "compiled" else None
    if encoder == "compiled" and compiled is None:
        pytest.skip("there is no C compiler")
    next_day = date(2025, 12, 17)
    write_day(tmp_path, DAY, DAY_NS + 24 * HOUR - 2 * MINUTE, DAY_NS + 24 * HOUR, rate=40)
    write_day(tmp_path, next_day, day_start(next_day), day_start(next_day) + MINUTE, rate=40)

    with encoded_by(compiled):
        found = await replayed(tmp_path, nats_server, [DAY, next_day])

    assert len(found) > 6_000
    assert found == oracle(tmp_path)


@pytest.mark.filterwarnings("ignore")
async def test_disorder_late_records_and_snapshots_are_stored_as_the_oracle_reads_them(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    write_file(
        tmp_path,
        "trades",
        [
            trade(T0, sequence=1),
            trade(T0 - 30 * MS, T0 + 200_000, sequence=2),  # out of order, inside the window
            trade(T0 - 585 * SECOND, T0 + MS, sequence=3),  # late
            trade(T0 + 2 * MS, sequence=4),
            trade(T0 + 2 * MS, sequence=5),
        ],
    )
    write_file(
        tmp_path,
        "mbp-10",
        [
            book(DAY_NS - 7 * HOUR, DAY_NS, flags=168, sequence=6),
            book(T0 + 2 * MS, sequence=7),
            book(T0 - 30 * MS, T0 + 3 * MS, sequence=8),
        ],
        compressed=True,
    )

    found = await replayed(tmp_path, nats_server, [DAY])

    assert found == oracle(tmp_path)
    assert [orjson.loads(payload)["seq"] for _, payload in found] == [6, 2, 8, 1, 3, 4, 5, 7]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["fast", "message", "older"])
async def test_every_ack_mode_stores_what_the_oracle_reads(
    how: str, tmp_path: Path, nats_server: NatsServer, cli: Cli, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue("old_server") if how == "older" else nats_server
    root = tmp_path / "dbn-data"
    next_day = date(2025, 12, 17)
    write_day(root, DAY, DAY_NS + 24 * HOUR - MINUTE, DAY_NS + 24 * HOUR)
    write_day(root, next_day, day_start(next_day), day_start(next_day) + MINUTE)
    ack = "auto" if how == "older" else how
    result = await asyncio.to_thread(cli, "replay", "-s", "max", "--ack", ack, "--nats-url", server.url)
    assert result.returncode == 0, result.stderr
    assert ("acks fast ingest" if how == "fast" else "acks per message") in result.stdout
    assert [(subject, payload) for _, subject, payload, _ in await read_stream(server.url)] == oracle(root)


async def test_the_python_api_counts_and_selects(tmp_path: Path, nats_server: NatsServer) -> None:
    write_file(tmp_path, "trades", [trade(T0 + i * MS) for i in range(10)])
    write_file(tmp_path, "mbp-10", [book(T0 + i * MS) for i in range(10)])
    async with NATSBus([nats_server.url]) as bus:
        publisher = ReplayPublisher(bus, DBNIngestor(tmp_path), replay_speed=10.0)
        stats = await publisher.replay_date(DAY, T0 + MS, T0 + 4 * MS, include_mbp10=False)
        assert (stats.events, stats.trades, stats.mbp10, stats.late) == (3, 3, 0, 0)
        stats = await publisher.replay_date(DAY, include_trades=False)
        assert (stats.events, stats.mbp10) == (10, 10)
        assert stats.actual_speed() >= 0
        event = next(DBNIngestor(tmp_path).read_trades(DAY))
        await bus.publish("market.futures.trades", event)
    stored = await read_stream(nats_server.url)
    assert len(stored) == 14
    assert stored[-1][2] == orjson.dumps(event)
