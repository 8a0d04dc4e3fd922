"""The live side inside this process: its run, its plan, its figures, and how a refused key ends it."""

import asyncio
import io
import json
import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from nats.js.errors import NotFoundError

from spyctl.bus.connection import Connection, connect
from spyctl.bus.runs import RunRecord, Runs, RunState
from spyctl.bus.stream import ensure_stream
from spyctl.bus.target import Target
from spyctl.cli.framework.remedies import remedy_for
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.futures_options import FeedChoice
from spyctl.cli.live_run import (
    LiveRequest,
    SimulatedMarket,
    Underlyings,
    Vendor,
    _figures,
    _say,
    _show_plan,
    _silence_is_suspicious,
    _spool,
    run_live,
)
from spyctl.errors import KeyInUseError, LeaseHeldError, OtherSourceError
from spyctl.live.aggressors import QuoteUse
from spyctl.live.feed_policy import equity_policies
from spyctl.live.pending import Pending
from spyctl.live.session import SUBJECTS
from spyctl.live.spool import Spool, spool_folder
from spyctl.market.events import OptionTrade, StockTrade
from spyctl.market.feeds import FeedState
from spyctl.market.subjects import decode
from spyctl.massive.key_hash import key_hash
from spyctl.massive.simulator import Peer, Script, Simulator, Walk
from spyctl.timing.instants import HOUR, SECOND
from spyctl.timing.notes import Note
from tests.support.clock import WALL_NS
from tests.support.connection import ScriptedConnection
from tests.support.live import StillFeed, still_session
from tests.support.rest import serving
from tests.support.servers import NatsServer
from tests.support.stream import read_stream
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
SIM = SimulatedMarket(rate=2_000.0, seed=7, trend=0.0)
KEY = "not-a-real-key-9f3a"
NOBODY = cast(Any, SimpleNamespace(now=()))


@pytest.fixture
def stderr() -> Iterator[io.StringIO]:
    with io.StringIO() as stream:
        yield stream


def request(url: str = "", **values: Any) -> LiveRequest:
    fields: dict[str, Any] = {
        "spool_limit": 0,
        "underlyings": Underlyings(("SPY",), 2), "sim": SIM, "feeds": FeedChoice(),
        "vendor": Vendor("", "", "http://127.0.0.1:1"),
        "backfill": False, "quotes": QuoteUse.NONE, "require_options": False, "lasting_ns": SECOND // 2,
        "target": Target(urls=(url,), named_by="NATS_URL"), "prefix": "", "force": False,
        "metrics": None, "as_json": True,
    }  # fmt: skip
    return LiveRequest(**fields | values)


async def newest(connection: Connection) -> RunRecord | None:
    return await (await Runs.open(connection)).newest("live", "MARKET_DATA")


async def test_a_simulated_run_is_summed_up_and_recorded(
    nats_server: NatsServer, stderr: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    running = asyncio.create_task(run_live(request(nats_server.url, lasting_ns=None), Reporter(stderr)))
    connection = await connect([nats_server.url])

    async def some_are_stored() -> bool:
        return (await ensure_stream(connection)).messages > 0

    await eventually(some_are_stored)
    os.kill(os.getpid(), signal.SIGINT)
    assert await running == 130
    summary = json.loads(capsys.readouterr().out)
    assert summary["received"] == summary["published"] == summary["acked"] > 0
    assert (summary["complete"], summary["stopped_by"]) == (True, "Ctrl-C")
    record = await newest(connection)
    await connection.close()
    assert record is not None
    assert (record.run_id, record.state) == (summary["run_id"], RunState.ENDED)
    assert record.subjects == list(SUBJECTS[:-1])  # gap records of several runs may stand side by side
    assert record.options == {"symbol": "SPY", "sim": True, "key_hash": ""}
    assert "SPY trades and quotes, options ±2 of " in stderr.getvalue()
    assert "stopping: " in stderr.getvalue()


async def test_a_run_ends_after_the_time_it_is_to_last(
    nats_server: NatsServer, stderr: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run_live(request(nats_server.url, lasting_ns=SECOND // 10), Reporter(stderr)) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["complete"], summary["stopped_by"]) == (True, "--for")


async def test_a_second_run_is_refused_while_the_first_one_holds_its_leases(
    nats_server: NatsServer, stderr: io.StringIO
) -> None:
    first = asyncio.create_task(run_live(request(nats_server.url, lasting_ns=None), Reporter(io.StringIO())))
    connection = await connect([nats_server.url])

    async def has_begun() -> bool:
        record = await newest(connection)
        return record is not None and record.checkpoint is not None

    await eventually(has_begun)
    with pytest.raises(LeaseHeldError, match=r"has been publishing to market\.stocks\.trades"):
        await run_live(request(nats_server.url), Reporter(stderr))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await connection.close()


async def test_a_second_run_with_the_same_key_is_refused_whatever_its_prefix(
    nats_server: NatsServer, stderr: io.StringIO
) -> None:
    async with Simulator(0).serving() as simulator:
        asked = request(nats_server.url, sim=None, vendor=Vendor(KEY, simulator.url, "http://127.0.0.1:1"))
        first = asyncio.create_task(run_live(replace(asked, lasting_ns=None), Reporter(io.StringIO())))
        await eventually(lambda: len(simulator.peers) == 2)
        with pytest.raises(
            KeyInUseError, match=r"run \w{4} \(process \d+ on .*\) has been using this key for"
        ) as error:
            await run_live(replace(asked, prefix="OTHER"), Reporter(stderr))
        assert "end it first" in remedy_for(error.value)
        other = replace(asked.vendor, api_key="another")
        assert await run_live(replace(asked, prefix="OTHER", vendor=other), Reporter(stderr)) == 0
        assert len(simulator.peers) == 2  # the first one was not cut off
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    connection = await connect([nats_server.url])
    keys = " ".join(await (await Runs.open(connection)).bucket.keys())
    await connection.close()
    assert f"lease.key.{key_hash(KEY)}" in keys
    assert KEY not in keys


async def test_simulated_events_are_not_mixed_with_others_on_a_named_server(
    nats_server: NatsServer, stderr: io.StringIO
) -> None:
    assert await run_live(request(nats_server.url), Reporter(stderr)) == 0
    connection = await connect([nats_server.url])
    await connection.jetstream().publish("market.stocks.trades", b'{"source":"polygon_ws"}')
    await connection.close()
    with pytest.raises(OtherSourceError):
        await run_live(request(nats_server.url), Reporter(stderr))
    assert await run_live(request(nats_server.url, force=True), Reporter(stderr)) == 0


class Refusing(Script):
    async def authenticate(self, peer: Peer, key: str) -> bool:
        await peer.status("auth_failed", "no such key")
        return False


async def test_a_refused_key_is_exit_4_and_the_run_has_failed(
    nats_server: NatsServer, stderr: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Simulator(0, script=Refusing()).serving() as simulator:
        vendor = Vendor(KEY, simulator.url, "http://127.0.0.1:1")
        asked = request(nats_server.url, sim=None, vendor=vendor, lasting_ns=None)
        assert await run_live(asked, Reporter(stderr)) == 4
    summary = json.loads(capsys.readouterr().out)
    assert (summary["received"], summary["complete"], summary["stopped_by"]) == (0, False, "error")
    assert "refuses the key: no such key" in stderr.getvalue()
    assert KEY not in stderr.getvalue() + repr(asked)
    connection = await connect([nats_server.url])
    record = await newest(connection)
    await connection.close()
    assert record is not None
    assert (record.state, record.options["key_hash"]) == (RunState.FAILED, key_hash(KEY))


@pytest.mark.parametrize(
    ("expiry", "hours", "text"),
    [
        (None, 0, "2025-12-16, 0DTE"),
        (None, 9, "2025-12-17, the next there is"),
        (date(2025, 12, 19), 0, "2025-12-19, as asked"),
    ],
)
def test_the_plan_names_the_expiry_and_where_it_comes_from(
    stderr: io.StringIO, expiry: date | None, hours: int, text: str
) -> None:
    asked = request(underlyings=Underlyings(("SPY",), 2, [expiry or 0]))
    _show_plan(asked, Reporter(stderr), asked.underlyings.windows(WALL_NS + hours * HOUR))
    assert f"SPY trades and quotes, options ±2 of {text}" in stderr.getvalue()


def test_notes_are_said_by_their_level(stderr: io.StringIO) -> None:
    for level in ("info", "warning"):
        _say(Reporter(stderr), Note(0, f"an {level}", level))
    assert stderr.getvalue().splitlines() == ["an info", "! an warning"]


def test_silence_is_suspicious_in_the_session_of_spy_alone() -> None:
    noon, night = WALL_NS + 3 * HOUR, WALL_NS + 15 * HOUR

    def suspicious(underlying: str, sim: SimulatedMarket | None = None) -> list[bool]:
        asked = replace(request(), sim=sim, underlyings=Underlyings((underlying,)))
        return [_silence_is_suspicious(asked)(ns) for ns in (noon, night)]

    assert suspicious("SPY") == [True, False]
    assert suspicious("ABCD") == [False, False]
    assert suspicious("SPY", SIM) == [True, True]
    assert suspicious("SPY", replace(SIM, rate=1)) == [False, False]


def test_the_live_side_is_not_ready_before_its_feeds_are_up() -> None:
    session = still_session()
    feeds = [StillFeed(name=name, state=FeedState.CONNECTING) for name in ("stocks", "options")]
    policies = equity_policies(feeds[0], feeds[1], session.windows)
    for waiting_for in ("the stocks and options feed", "the options feed", ""):
        figures = _figures(session, policies, NOBODY, "MARKET_DATA", ScriptedConnection().as_connection())
        assert figures.waiting_for == waiting_for
        next((feed for feed in feeds if feed.state is not FeedState.UP), feeds[0]).state = FeedState.UP
    assert figures.gauges == {"feed_up_stocks": 1.0, "feed_up_options": 1.0, "queued": 0, "open_gaps": 0, "spooled": 0}


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
    async with _spool(wanted, Reporter(stderr), run) as left:
        assert left is not None
        assert [event.identity for event in left.read()[0]] == ["T.2"]
        async with _spool(wanted, Reporter(stderr), run) as taken:
            assert taken is None
    async with _spool(request(), Reporter(stderr), run) as none:
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
    monkeypatch.setattr("spyctl.cli.live_run.stocks_trade_between", lambda *_: True)
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


async def test_several_underlyings_and_expiries_run_in_one(
    nats_server: NatsServer, stderr: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = Underlyings(("SPY", "BRK.B"), 1, [0, 1])
    running = asyncio.create_task(
        run_live(request(nats_server.url, underlyings=asked, lasting_ns=None), Reporter(stderr))
    )

    async def all_traded() -> bool:
        try:
            stored = [decode(subject, payload) for _, subject, payload, _ in await read_stream(nats_server.url)]
        except NotFoundError:
            return False
        options = {(e.underlying, e.exp_date) for e in stored if isinstance(e, OptionTrade)}
        return len(options) == 4 and {e.symbol for e in stored if isinstance(e, StockTrade)} == {"SPY", "BRK.B"}

    await eventually(all_traded)
    os.kill(os.getpid(), signal.SIGINT)
    assert await running == 130
    summary = json.loads(capsys.readouterr().out)
    assert (summary["rejected"], summary["received"]) == (0, summary["published"])
    assert [(window["symbol"], window["contracts"]) for window in summary["windows"]] == [
        ("SPY", 6), ("SPY", 6), ("BRK.B", 6), ("BRK.B", 6)
    ]  # fmt: skip
    assert "BRK.B trades and quotes, options ±1 of " in stderr.getvalue()
