"""What an earlier run left behind: events on disk, and the hole between it and this one."""

import asyncio
import io
import json
import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from nats.js.errors import NotFoundError

from spyctl.bus.connection import connect
from spyctl.bus.stream import ensure_stream
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.futures_options import FeedChoice
from spyctl.cli.live_request import Gateway, LiveRequest, Vendor
from spyctl.cli.live_restart import spool_of
from spyctl.cli.live_run import run_live
from spyctl.dbn.gateway.simulator import KEY as GATEWAY_KEY
from spyctl.dbn.gateway.simulator import GatewaySimulator
from spyctl.live.pending import Pending
from spyctl.live.spool import Spool, spool_folder
from spyctl.massive.simulator import Simulator, Walk
from spyctl.timing.instants import SECOND
from tests.support.gateway import Plan
from tests.support.live_requests import request
from tests.support.rest import serving
from tests.support.servers import NatsServer
from tests.support.stream import read_stream, stored_by_subject
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
KEY = "not-a-real-key-9f3a"


@pytest.fixture
def stderr() -> Iterator[io.StringIO]:
    with io.StringIO() as stream:
        yield stream


async def test_what_a_killed_run_left_on_disk_is_published_unless_the_stream_holds_it(
    nats_server: NatsServer, stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    connection = await connect([nats_server.url])
    stream = await ensure_stream(connection)
    spool = Spool(spool_folder(stream.name, stream.born), 10_000, 0)
    spool.append([Pending(b"{}", f"T.{n}", "market.stocks.trades", "stocks", n) for n in range(3)])
    spool.acknowledge(0)
    spool.close()
    for n in range(2):
        await connection.jetstream().publish("market.stocks.trades", b"{}", headers={"Nats-Msg-Id": f"T.{n}"})

    run = cast(Any, SimpleNamespace(connection=connection, stream=stream, began_after=2))
    wanted = request(spool_limit=1_000_000)
    async with spool_of(wanted, Reporter(stderr), run) as left:
        assert left is not None
        assert [event.identity for event in left.read()[0]] == ["T.2"]
        async with spool_of(wanted, Reporter(stderr), run) as taken:
            assert taken is None
    async with spool_of(request(), Reporter(stderr), run) as none:
        assert none is None
    assert "1 event left on disk by an earlier run" in stderr.getvalue()
    assert "events cannot wait on disk" in stderr.getvalue()
    await connection.close()


class Recorded(Walk):
    """A walk that remembers its trades as REST has them."""

    rows: list[dict[str, Any]]

    def step(self, count: int, ms: int, topics: Iterable[str]) -> list[dict[str, Any]]:
        messages = super().step(count, ms, topics)
        self.rows += [
            {"sip_timestamp": each["t"] * 10**6, "price": each["p"], "size": each["s"], "exchange": each["x"],
             "id": each["i"], "sequence_number": each["q"]}
            for each in messages if each["ev"] == "T" and each["sym"] == "SPY"
        ]  # fmt: skip
        return messages


class Runs:
    """Runs into one stream, each ended once it has stored some more events on a subject."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str], subject: str) -> None:
        self.stderr = io.StringIO()
        self._url = url
        self._subject = subject
        self._capsys = capsys

    async def count(self) -> int:
        try:
            return (await stored_by_subject(self._url)).get(self._subject, 0)
        except NotFoundError:
            return 0

    async def run(self, asked: LiveRequest, more: int = 20) -> dict[str, Any]:
        """Run until there are so many ``more`` events, then end as by Ctrl-C; returns the summary."""
        running = asyncio.create_task(run_live(replace(asked, lasting_ns=None), Reporter(self.stderr)))
        before = await self.count()

        async def has_more() -> bool:
            return await self.count() >= before + more

        await eventually(has_more)
        os.kill(os.getpid(), signal.SIGINT)
        assert await running == 130
        return json.loads(self._capsys.readouterr().out)  # type: ignore[no-any-return]

    async def stored(self) -> list[tuple[str, dict[str, Any], str]]:
        """Return subject, document and identity of all that the stream holds."""
        return [(subject, json.loads(payload), name) for _, subject, payload, name in await read_stream(self._url)]


async def test_the_hole_between_two_runs_is_filled_and_what_the_first_one_stored_is_not_stored_again(
    nats_server: NatsServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spyctl.cli.live_restart.stocks_trade_between", lambda *_: True)
    walk = Recorded()
    walk.rows = []
    runs = Runs(nats_server.url, capsys, "market.stocks.trades")
    with serving({"/v3/trades/SPY": (200, {"results": []})}) as rest:
        async with Simulator(400, walk).serving() as simulator:
            asked = request(sim=None, vendor=Vendor(KEY, simulator.url, rest.url), backfill=True, url=nats_server.url)
            first = await runs.run(asked)
            await eventually(lambda: walk.rows[-1]["sip_timestamp"] > first["ended_ns"] + SECOND // 4)
            simulator.rate = 0
            rest.answers["/v3/trades/SPY"] = [(200, {"results": walk.rows})]
            second = await runs.run(asked, more=sum(row["sip_timestamp"] > first["ended_ns"] for row in walk.rows))
    names = [name for subject, _, name in await runs.stored() if subject == "market.stocks.trades"]
    assert len(set(names)) == len(names)
    assert second["backfilled"] == second["published"] > 10
    assert second["duplicates"] > 10  # what REST knows of the end of the first run
    assert (second["gaps"], second["open_gaps"]) == (2, ["options"])  # no spot, no options
    assert "gap stocks: open (restart)" in runs.stderr.getvalue()


# --- futures

TRADES, BOOKS = "market.futures.trades", "market.futures.mbp10"


def es_alone(url: str, gateway: GatewaySimulator, *, backfill: bool = True) -> LiveRequest:
    vendor = Vendor("", "", "http://127.0.0.1:1", gateway=Gateway(GATEWAY_KEY, gateway.address))
    feeds = FeedChoice(("futures",), ("ES.c.0",))
    return request(url, sim=None, feeds=feeds, vendor=vendor, backfill=backfill)


@pytest.fixture
def always_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spyctl.cli.live_restart.futures_trade_from", lambda ns: ns)


@pytest.mark.usefixtures("always_open")
async def test_the_hole_between_two_runs_of_es_is_sent_again_and_nothing_is_stored_twice(
    nats_server: NatsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    async with GatewaySimulator(800).serving() as gateway:
        runs, asked = Runs(nats_server.url, capsys, TRADES), es_alone(nats_server.url, gateway)
        first = await runs.run(asked)
        missed = gateway.sent + 300
        await eventually(lambda: gateway.sent >= missed)
        second = await runs.run(asked)
        history = [(sent.schema, sent.ts_event_ns) for sent in gateway._history]
    stored = await runs.stored()
    names = [name for _, _, name in stored]
    assert len(set(names)) == len(names)
    gaps = [event for subject, event, _ in stored if subject == "market.gaps"]
    assert [(gap["reason"], gap["to_ns"] is None, gap["events"]) for gap in gaps] == [
        ("restart", True, None), ("restart", False, 0),
    ]  # fmt: skip
    assert abs(gaps[0]["from_ns"] - first["ended_ns"]) < 2 * SECOND
    assert (first["gaps"], second["gaps"], second["gaps_filled"], second["open_gaps"]) == (0, 1, 1, [])
    assert second["backfilled"] >= 300
    assert second["received"] == second["published"] + second["duplicates"]
    for schema, subject in (("trades", TRADES), ("mbp-10", BOOKS)):
        times = [event["ts_event_ns"] for name, event, _ in stored if name == subject]
        assert times == sorted(times)
        assert times == [ns for name, ns in history if name == schema and times[0] <= ns <= times[-1]][: len(times)]


@pytest.mark.usefixtures("always_open")
async def test_without_backfill_the_hole_between_two_runs_of_es_stays_one(
    nats_server: NatsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    async with GatewaySimulator(800).serving() as gateway:
        runs, asked = Runs(nats_server.url, capsys, TRADES), es_alone(nats_server.url, gateway, backfill=False)
        await runs.run(asked)
        missed = gateway.sent + 300
        await eventually(lambda: gateway.sent >= missed)
        second = await runs.run(asked)
    gaps = [event for subject, event, _ in await runs.stored() if subject == "market.gaps"]
    assert [(gap["to_ns"] is None, gap["events"]) for gap in gaps] == [(True, None), (False, None)]
    assert (second["gaps"], second["gaps_filled"], second["backfilled"]) == (1, 0, 0)
    assert gaps[1]["to_ns"] > gaps[1]["from_ns"]


@pytest.mark.usefixtures("always_open")
async def test_what_the_gateway_lacks_of_the_hole_between_two_runs_stays_open(
    nats_server: NatsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan()
    async with GatewaySimulator(800, script=plan).serving() as gateway:
        runs, asked = Runs(nats_server.url, capsys, TRADES), es_alone(nats_server.url, gateway)
        await runs.run(asked)
        stored = [event["ts_event_ns"] for subject, event, _ in await runs.stored() if subject == BOOKS]
        plan.leave_out = lambda records: [
            sent for sent in records if sent.schema == "mbp-10" and sent.ts_event_ns == max(stored)
        ]
        second = await runs.run(asked)
    *_, short = [event for subject, event, _ in await runs.stored() if subject == "market.gaps"]
    assert (short["reason"], short["to_ns"], short["events"]) == ("restart", None, stored.count(max(stored)))
    assert (second["open_gaps"], second["gaps_filled"]) == (["futures"], 0)


async def test_a_closed_market_has_no_hole(
    nats_server: NatsServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spyctl.cli.live_restart.futures_trade_from", lambda ns: ns + 3_600 * SECOND)
    async with GatewaySimulator(800).serving() as gateway:
        runs, asked = Runs(nats_server.url, capsys, TRADES), es_alone(nats_server.url, gateway)
        await runs.run(asked)
        assert (await runs.run(asked))["gaps"] == 0
