"""ES beside SPY and alone: through cuts, with a bad key, an unknown symbol; nothing of the other feeds is lost."""

import asyncio
import io
import json
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from spyctl.bus.target import Target
from spyctl.cli import live_run
from spyctl.cli.framework.reporter import Reporter
from spyctl.cli.futures_options import EQUITY, FEEDS, FeedChoice
from spyctl.cli.live_request import Gateway, LiveRequest, SimulatedMarket, Underlyings, Vendor
from spyctl.cli.live_run import run_live
from spyctl.dbn.gateway.simulator import KEY, GatewaySimulator
from spyctl.live.aggressors import QuoteUse
from spyctl.live.session import LiveSession
from spyctl.massive.simulator import Simulator
from spyctl.summary import StopReason
from spyctl.timing.instants import SECOND
from tests.conftest import Cli
from tests.support.gateway import Plan
from tests.support.servers import NatsServer
from tests.support.stream import read_stream, stored_by_subject
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
FUTURES = {"market.futures.trades", "market.futures.mbp10"}
EVERYTHING = FeedChoice(FEEDS, ("ES.c.0",))
ES_ALONE = FeedChoice(("futures",), ("ES.c.0",))


class Live:
    """A live run on two scripted vendors, and what it published and said."""

    def __init__(self, url: str, plan: Plan | None = None, feeds: FeedChoice = EVERYTHING) -> None:
        self.gateway = GatewaySimulator(1_000, script=plan or Plan())
        self.stocks = Simulator(500)
        self.feeds = feeds
        self.key = KEY
        self.url = url
        self.stderr = io.StringIO()
        self.stored: list[tuple[int, str, bytes, str]] = []

    async def run_through_a_cut(self) -> int:
        """Run until ES was cut off and is back, and everything is told; then end as by Ctrl-C."""
        running = asyncio.create_task(self.run(600))

        async def stored(subject: str, least: int) -> bool:
            return (await stored_by_subject(self.url)).get(subject, 0) >= least

        for name in {"futures"} | {name for name in self.feeds.names if name == "stocks"}:
            await eventually(partial(stored, f"market.{name}.trades", 20))
        self.gateway.abort()
        await eventually(partial(stored, "market.gaps", 2))
        before = (await stored_by_subject(self.url))["market.futures.trades"]
        await eventually(partial(stored, "market.futures.trades", before + 5))
        os.kill(os.getpid(), signal.SIGINT)
        return await running

    async def run_until(self, done: Callable[[LiveSession], bool]) -> int:
        """Run until a session has come so far, then end it as after ``--for``."""
        return await ended_when(done, self.run(600))

    async def run(self, seconds: float) -> int:
        async with self.gateway.serving(), self.stocks.serving():
            request = LiveRequest(
                underlyings=Underlyings(("SPY",), 2), sim=None, feeds=self.feeds,
                vendor=Vendor(
                    "k" if self.feeds.equity else "", self.stocks.url, "http://127.0.0.1:1",
                    gateway=Gateway(self.key, self.gateway.address),
                ),
                backfill=False, quotes=QuoteUse.NONE, require_options=False,
                lasting_ns=round(seconds * SECOND), spool_limit=0,
                target=Target(urls=(self.url,), named_by="NATS_URL"), prefix="", force=False, metrics=None,
                as_json=True,
            )  # fmt: skip
            code = await run_live(request, Reporter(self.stderr))
        self.stored = await read_stream(self.url)
        return code

    def documents(self, *subjects: str) -> list[dict[str, Any]]:
        return [json.loads(payload) for _, subject, payload, _ in self.stored if subject in subjects]


def has_quotes(session: LiveSession) -> bool:
    return session.sender.by_subject["market.stocks.quotes"] > 0


def has_all_futures(session: LiveSession) -> bool:
    return all(session.sender.by_subject[subject] > 0 for subject in FUTURES)


async def ended_when(done: Callable[[LiveSession], bool], running: Coroutine[Any, Any, int]) -> int:
    """Let a run of the command go on until its session has come so far, then end it as after ``--for``."""
    sessions: list[LiveSession] = []
    make = live_run._session

    def made(*args: Any) -> LiveSession:
        sessions.append(make(*args))
        return sessions[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_run, "_session", made)
        task = asyncio.create_task(running)
        await eventually(lambda: bool(sessions) and done(sessions[0]))
        sessions[0].stop(StopReason.DURATION)
        return await task


@pytest.fixture
def summary(capsys: pytest.CaptureFixture[str]) -> Callable[[], dict[str, Any]]:
    return lambda: json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


def settled(summary: dict[str, Any]) -> bool:
    return bool(
        summary["received"] == summary["published"] + summary["duplicates"]
        and summary["published"] == summary["acked"] > 0
    )


async def test_es_alone_needs_no_other_key_and_survives_a_cut(
    nats_server: NatsServer, summary: Callable[[], dict[str, Any]]
) -> None:
    live = Live(nats_server.url, feeds=ES_ALONE)
    assert await live.run_through_a_cut() == 130
    found = summary()
    assert settled(found)
    assert set(found["by_subject"]) == {*FUTURES, "market.gaps"}
    assert (found["gaps"], found["feed_reconnects"]) == (1, {"futures": 1})
    events = live.documents(*FUTURES)
    assert len(events) == found["published"]
    assert {event["source"] for event in events} == {"databento_live"}
    assert {event["symbol"] for event in events} == {"ES"}
    times = [event["ts_event_ns"] for event in events]
    assert times == sorted(times)
    gaps = live.documents("market.gaps")
    assert [(gap["feed"], gap["source"], gap["events"]) for gap in gaps] == [
        ("futures", "databento_live", None), ("futures", "databento_live", 0),
    ]  # fmt: skip
    assert found["backfilled"] > 0
    assert "ES.c.0 trades and books" in live.stderr.getvalue()
    assert "SPY" not in live.stderr.getvalue()


async def test_a_cut_of_one_feed_is_no_gap_of_the_others(
    nats_server: NatsServer, summary: Callable[[], dict[str, Any]]
) -> None:
    live = Live(nats_server.url)
    await live.run_through_a_cut()
    found = summary()
    assert settled(found)
    assert {gap["feed"] for gap in live.documents("market.gaps")} == {"futures"}
    assert {"stocks", "options", "futures"} == set(found["feed_reconnects"])
    assert all(found["by_subject"][f"market.{name}"] for name in ("stocks.quotes", "futures.mbp10"))


async def test_a_wrong_key_for_es_costs_spy_nothing(
    nats_server: NatsServer, summary: Callable[[], dict[str, Any]]
) -> None:
    live = Live(nats_server.url)
    live.key = "db-wrong"
    assert await live.run_until(lambda session: bool(session.refused) and has_quotes(session)) == 3
    found = summary()
    assert settled(found)
    assert (found["refused"], found["open_gaps"], found["complete"]) == (["futures"], ["futures"], True)
    assert found["by_subject"]["market.stocks.quotes"] > 0
    (gap,) = live.documents("market.gaps")
    assert (gap["feed"], gap["reason"], gap["to_ns"]) == ("futures", "CRAM authentication failed", None)
    said = live.stderr.getvalue()
    assert "error: Databento refuses the key: CRAM authentication failed" in said
    assert "db-wrong" not in said


@pytest.mark.parametrize(
    ("key", "symbols", "code", "says"),
    [
        ("db-wrong", ("ES.c.0",), 4, "Databento refuses the key: CRAM authentication failed"),
        (KEY, ("XX.c.0",), 6, "Databento does not know XX.c.0"),
    ],
)
async def test_es_alone_that_is_refused_ends_at_once(
    nats_server: NatsServer, key: str, symbols: tuple[str, ...], code: int, says: str
) -> None:
    live = Live(nats_server.url, feeds=replace(ES_ALONE, futures=symbols))
    live.key = key
    assert await live.run(60) == code
    assert f"error: {says}" in live.stderr.getvalue()
    assert [gap["feed"] for gap in live.documents("market.gaps")] == ["futures"]


async def test_what_is_not_sent_again_stays_an_open_gap_with_its_count(
    nats_server: NatsServer, summary: Callable[[], dict[str, Any]]
) -> None:
    plan = Plan(leave_out=lambda records: [sent for sent in records if sent.schema == "trades"][-2:])
    live = Live(nats_server.url, plan, ES_ALONE)
    assert await live.run_through_a_cut() == 130
    found = summary()
    opened, short = live.documents("market.gaps")
    assert (opened["gap_id"], opened["events"]) == (short["gap_id"], None)
    assert short["to_ns"] is None
    assert short["events"] in (1, 2)  # a trade that we had, or one that we did not
    assert found["open_gaps"] == ["futures"]
    assert found["received"] == found["published"] + found["duplicates"]


async def test_spy_without_options(nats_server: NatsServer, summary: Callable[[], dict[str, Any]]) -> None:
    live = Live(nats_server.url, feeds=FeedChoice(EQUITY[:1]))
    assert await live.run_until(has_quotes) == 0
    found = summary()
    assert settled(found)
    assert set(found["by_subject"]) == {"market.stocks.trades", "market.stocks.quotes", "market.gaps"}
    assert set(found["feed_reconnects"]) == {"stocks"}
    assert not live.gateway.connections
    assert "options" not in live.stderr.getvalue()


async def test_two_runs_may_have_different_feeds(nats_server: NatsServer) -> None:
    both = [Live(nats_server.url, feeds=feeds) for feeds in (ES_ALONE, FeedChoice())]
    assert await asyncio.gather(*(live.run(0.8) for live in both)) == [0, 0]


async def test_everything_simulated_has_the_source_of_the_simulator(
    nats_server: NatsServer, summary: Callable[[], dict[str, Any]]
) -> None:
    live = Live(nats_server.url)
    request = LiveRequest(
        underlyings=Underlyings(("SPY",), 2), sim=SimulatedMarket(500, 7, 0.0), feeds=EVERYTHING,
        vendor=Vendor("", "", ""), backfill=False, quotes=QuoteUse.NONE,
        require_options=False, lasting_ns=600 * SECOND, spool_limit=0,
        target=Target(urls=(nats_server.url,), named_by="NATS_URL"), prefix="", force=False, metrics=None, as_json=True,
    )  # fmt: skip
    assert await ended_when(has_all_futures, run_live(request, Reporter(live.stderr))) == 0
    assert settled(summary())
    stored = await read_stream(nats_server.url)
    assert {json.loads(payload)["source"] for _, _, payload, _ in stored} == {"sim"}
    assert {subject for _, subject, _, _ in stored} >= FUTURES


# --- as its users run it


def test_es_without_a_key_is_exit_4_with_a_remedy(cli: Cli) -> None:
    result = cli("live", "--es", POLYGON_API_KEY="not-a-real-key-9f3a")
    assert result.returncode == 4
    assert "no key for futures: DATABENTO_API_KEY is not set" in result.stderr
    assert "try: export DATABENTO_API_KEY=…, or spyctl live --sim-es" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--feeds", "options"], "options without stocks"),
        (["--es", "--feeds", "futures", "--require-options"], "--require-options is for the options feed"),
        (["--sim-es", "--es-gateway", "localhost:9"], "--sim and --es-gateway exclude each other"),
    ],
)
def test_options_that_make_no_sense_are_refused(cli: Cli, arguments: list[str], says: str) -> None:
    result = cli("live", *arguments)
    assert (result.returncode, says in result.stderr) == (2, True), result.stderr


def test_simulated_es_needs_no_key_and_no_server(cli: Cli) -> None:
    result = cli("live", "--sim-es", "--feeds", "futures", "--sim-rate", "300", "--for", "1s", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["by_subject"]["market.futures.mbp10"] > 0
