"""The live side inside this process: its run, its plan, its figures, and how a refused key ends it."""

import asyncio
import io
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import pytest
from nats.js.errors import NotFoundError

from spyctl.bus.connection import Connection, connect
from spyctl.bus.runs import RunRecord, Runs, RunState
from spyctl.bus.stream import ensure_stream
from spyctl.cli.framework.remedies import remedy_for
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.futures_options import FeedChoice
from spyctl.cli.live_request import Underlyings, Vendor
from spyctl.cli.live_run import _figures, _say, _show_plan, run_live
from spyctl.errors import KeyInUseError, LeaseHeldError, LostTrackError, OtherSourceError
from spyctl.live.feed_policy import equity_policies
from spyctl.live.session import SUBJECTS
from spyctl.market.events import OptionTrade, StockTrade
from spyctl.market.feeds import FeedState
from spyctl.market.subjects import decode
from spyctl.massive.key_hash import key_hash
from spyctl.massive.simulator import Peer, Script, Simulator
from spyctl.timing.instants import HOUR, SECOND
from spyctl.timing.notes import Note
from tests.support.clock import WALL_NS
from tests.support.connection import ScriptedConnection
from tests.support.live import StillFeed, still_session
from tests.support.live_requests import request
from tests.support.servers import NatsServer
from tests.support.stream import read_stream, stored_by_subject
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
KEY = "not-a-real-key-9f3a"
NOBODY = cast(Any, SimpleNamespace(now=()))


@pytest.fixture
def stderr() -> Iterator[io.StringIO]:
    with io.StringIO() as stream:
        yield stream


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


async def test_lost_events_of_a_live_day_cannot_be_played_again(
    nats_server: NatsServer, stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(*_: object) -> None:
        raise LostTrackError("stream MARKET_DATA has lost events", "play it again from the start")

    monkeypatch.setattr("spyctl.live.session.LiveSession.run", lose)
    assert await run_live(request(nats_server.url, lasting_ns=None), Reporter(stderr)) == 5
    said = stderr.getvalue()
    assert "error: stream MARKET_DATA has lost events\n  try: look into the server's log; the next run" in said


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


def test_the_live_side_is_not_ready_before_its_feeds_are_up() -> None:
    session = still_session()
    feeds = [StillFeed(name=name, state=FeedState.CONNECTING) for name in ("stocks", "options")]
    policies = equity_policies(feeds[0], feeds[1], session.windows)
    for waiting_for in ("the stocks and options feed", "the options feed", ""):
        figures = _figures(session, policies, NOBODY, "MARKET_DATA", ScriptedConnection().as_connection())
        assert figures.waiting_for == waiting_for
        next((feed for feed in feeds if feed.state is not FeedState.UP), feeds[0]).state = FeedState.UP
    assert figures.gauges == {"feed_up_stocks": 1.0, "feed_up_options": 1.0, "queued": 0, "open_gaps": 0, "spooled": 0}


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


@pytest.mark.parametrize(
    ("spots", "futures", "spot"), [({}, (), "I:SPX"), ({"SPXW": "ES"}, ("ES.c.0",), "ES")], ids=["index", "ES"]
)
async def test_options_of_an_index_run_without_its_stock(
    nats_server: NatsServer,
    stderr: io.StringIO,
    capsys: pytest.CaptureFixture[str],
    spots: dict[str, str],
    futures: tuple[str, ...],
    spot: str,
) -> None:
    feeds = FeedChoice(("options", *(["futures"] if futures else [])), futures)
    asked = request(nats_server.url, underlyings=Underlyings(("SPXW",), 5, spots=spots), feeds=feeds, lasting_ns=None)
    running = asyncio.create_task(run_live(asked, Reporter(stderr)))

    async def trades() -> bool:
        return (await stored_by_subject(nats_server.url)).get("market.options.trades", 0) > 10

    await eventually(trades)
    os.kill(os.getpid(), signal.SIGINT)
    assert await running == 130
    summary = json.loads(capsys.readouterr().out)
    assert (summary["rejected"], summary["gaps"], summary["missing"]) == (0, 0, [])
    assert abs(summary["centre"] - 6_810) < 50
    assert not any(subject.startswith("market.stocks") for subject in summary["by_subject"])
    names = {json.loads(data)["underlying"] for _, subject, data, _ in await read_stream(nats_server.url)
             if "options" in subject}  # fmt: skip
    assert names == {"SPXW"}
    assert f"SPXW options ±5 of {summary['expiry']}" in stderr.getvalue()
    assert f"; spot from {spot}" in stderr.getvalue()


async def test_a_run_that_is_ended_before_it_began_has_its_document(
    stderr: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    running = asyncio.create_task(run_live(request(f"nats://127.0.0.1:{port}"), Reporter(stderr)))
    await asyncio.wait_for(asked.wait(), 10)
    os.kill(os.getpid(), signal.SIGINT)
    assert await running == 130
    server.close()
    assert json.loads(capsys.readouterr().out) == {"error": "ended before it began", "try": "", "exit_code": 130}


def test_the_plan_says_that_es_does_not_trade_now(stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    sunday_ns = WALL_NS + 5 * 24 * HOUR
    monkeypatch.setattr("spyctl.cli.live_run.time.time_ns", lambda: sunday_ns)
    asked = request(sim=None, feeds=FeedChoice(("futures",), ("ES.c.0",)))
    _show_plan(asked, Reporter(stderr), asked.underlyings.windows(WALL_NS))
    assert "ES.c.0 trades and books; closed until Sun 2025-12-21 18:00 New York" in stderr.getvalue()
