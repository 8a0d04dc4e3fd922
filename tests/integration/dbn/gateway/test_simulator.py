"""The simulated gateway: what it sends, and that the vendor's own client understands it."""

import asyncio
import threading
from datetime import date

import pytest

from spyctl.dbn.gateway.feed import FuturesFeed
from spyctl.dbn.gateway.simulator import KEY, Contract, GatewaySimulator
from tests.support.feeds import running
from tests.support.gateway import QUICK, FuturesListener
from tests.support.waiting import eventually

VENDOR_KEY = "db-" + "simulated".rjust(29, "x")  # the client counts the characters


def test_the_front_contract_has_the_name_of_its_month() -> None:
    assert [Contract.front(day).raw_symbol for day in (date(2025, 12, 16), date(2025, 12, 22), date(2026, 6, 1))] == [
        "ESZ5", "ESH6", "ESM6",
    ]  # fmt: skip


async def test_the_same_seed_gives_the_same_market() -> None:
    assert await _shown(3) == await _shown(3) != await _shown(4)


async def _shown(seed: int) -> list[bytes]:
    # Events without their times.
    listener = FuturesListener()
    async with GatewaySimulator(0, seed).serving() as gateway:
        feed = FuturesFeed(KEY, address=gateway.address, timing=QUICK)
        async with running(feed, listener):
            await eventually(lambda: feed.desired <= feed.held)
            gateway.step(50)
            await eventually(lambda: len(listener.events) == gateway.sent)
    return sorted(event.payload.partition(b'"source"')[2] for event in listener.events)


async def test_it_says_something_when_it_has_nothing_to_say() -> None:
    async with GatewaySimulator(0).serving() as gateway:
        gateway.script.heartbeat_s = 0.02
        feed = FuturesFeed(KEY, address=gateway.address, timing=QUICK)
        async with running(feed, FuturesListener()):
            await eventually(lambda: feed.desired <= feed.held)
            first_ns = feed.liveness.last_frame_ns
            await eventually(lambda: feed.liveness.last_frame_ns != first_ns)


async def test_the_client_of_the_vendor_understands_it() -> None:
    pytest.importorskip("databento")
    async with GatewaySimulator(2_000).serving() as gateway:
        gateway.script.key = VENDOR_KEY
        records, done = await asyncio.to_thread(_vendor_records, gateway.address.port), gateway.sent
    kinds = {type(record).__name__ for record in records}
    assert {"TradeMsg", "MBP10Msg", "SymbolMappingMsg", "SystemMsg"} <= kinds
    assert done > 0


def _vendor_records(port: int) -> list[object]:
    import databento

    records: list[object] = []
    enough = threading.Event()

    def take(record: object) -> None:
        records.append(record)
        if len(records) > 400:
            enough.set()

    client = databento.Live(key=VENDOR_KEY, gateway="127.0.0.1", port=port, ts_out=True)
    for schema in ("trades", "mbp-10"):
        client.subscribe(dataset="GLBX.MDP3", schema=schema, symbols=["ES.c.0"], stype_in="continuous")
    client.add_callback(take)
    client.start()
    assert enough.wait(20)
    client.terminate()
    return records
