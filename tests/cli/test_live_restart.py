"""What an earlier run left behind: events on disk, and the hole between it and this one."""

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from spyctl.bus.connection import connect
from spyctl.bus.stream import ensure_stream
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.live_request import Vendor
from spyctl.cli.live_restart import spool_of
from spyctl.cli.live_run import run_live
from spyctl.live.pending import Pending
from spyctl.live.spool import Spool, spool_folder
from spyctl.massive.simulator import Simulator, Walk
from spyctl.timing.instants import SECOND
from tests.support.live_requests import request
from tests.support.rest import serving
from tests.support.servers import NatsServer
from tests.support.stream import read_stream
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
    assert "1 event of an earlier run waited on disk" in stderr.getvalue()
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


async def test_the_hole_between_two_runs_is_filled_and_what_the_first_one_stored_is_not_stored_again(
    nats_server: NatsServer, stderr: io.StringIO, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spyctl.cli.live_restart.stocks_trade_between", lambda *_: True)
    walk = Recorded()
    walk.rows = []
    with serving({"/v3/trades/SPY": (200, {"results": []})}) as rest:
        async with Simulator(400, walk).serving() as simulator:
            vendor = Vendor(KEY, simulator.url, rest.url)
            asked = request(nats_server.url, sim=None, vendor=vendor, backfill=True, lasting_ns=3 * SECOND // 2)
            assert await run_live(asked, Reporter(stderr)) == 0
            first = json.loads(capsys.readouterr().out)
            await eventually(lambda: walk.rows[-1]["sip_timestamp"] > first["ended_ns"] + SECOND // 4)
            simulator.rate = 0
            rest.answers["/v3/trades/SPY"] = [(200, {"results": walk.rows})]
            assert await run_live(asked, Reporter(stderr)) == 3
    second = json.loads(capsys.readouterr().out)
    trades = [
        (seq, name) for seq, subject, _, name in await read_stream(nats_server.url) if subject.endswith("s.trades")
    ]
    names = [name for _, name in trades if name and name.startswith("T.SPY.")]
    assert len(set(names)) == len(names)
    assert second["backfilled"] == second["published"] > 10
    assert second["duplicates"] > 10  # what REST knows of the end of the first run
    assert (second["gaps"], second["open_gaps"], second["unfilled"]) == (2, ["options"], 0)  # no spot, no options
    assert "gap stocks: open (restart)" in stderr.getvalue()
