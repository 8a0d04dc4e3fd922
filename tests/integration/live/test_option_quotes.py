"""Who hit whom, by the quotes of the contracts."""

from dataclasses import replace

import pytest

from spyctl.errors import ExitCode
from spyctl.live.aggressors import QuoteUse
from spyctl.market.events import EventSource, OptionQuote, OptionTrade
from spyctl.market.subjects import decode, encode
from spyctl.massive.normalize import normalize
from spyctl.massive.simulator import Peer, Script
from spyctl.summary import StopReason
from tests.support.live_session import OPTIONS, option_trade, quote, running, stored
from tests.support.servers import NatsServer
from tests.support.stream import read_stream
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration


class NoOptionQuotes(Script):
    """A plan with the trades of options, and without their quotes."""

    async def subscribe(self, peer: Peer, topics: list[str]) -> None:
        if any(topic.startswith("Q.O:") for topic in topics):
            await peer.status("error", "not authorized")
        await super().subscribe(peer, [topic for topic in topics if not topic.startswith("Q.O:")])


CLASSIFY = replace(OPTIONS, quotes=QuoteUse.CLASSIFY)


async def test_the_sides_that_the_simulator_drew_are_found_again_through_cuts(nats_server: NatsServer) -> None:
    async with running(nats_server.url, rate=4_000, options=CLASSIFY) as run:
        for cuts in range(4):
            before = run.session.filter.aggressors.quoted
            await eventually(lambda before=before: run.session.filter.aggressors.quoted > before + 300)
            if cuts < 3:
                run.simulator.abort()
                await eventually(lambda cuts=cuts: run.session.gaps.count >= cuts + 1)
                await eventually(run.is_up)
        summary = await run.end()
        quotes = run.simulator.walk.quotes
    trades = [event for event in await stored(nats_server.url) if isinstance(event, OptionTrade)]
    found = sum(trade.aggressor is quotes.side(trade.seq or 0) for trade in trades)
    assert len(trades) == summary["by_subject"]["market.options.trades"] > 1_200
    assert found >= 0.999 * len(trades) - cuts  # a cut may fall between a trade and its quote
    assert (summary["option_quotes"], summary["rejected"]) == ("classify", 0)
    assert summary["options_classified"] == sum(trade.aggressor != 0 for trade in trades)
    assert summary["options_quoted"] == sum(trade.opt_ask is not None for trade in trades)
    assert 0.8 < summary["options_classified_share"] < 0.95  # a tenth trades in the middle
    assert summary["options_wait_ms"]["p50"] > 0
    assert {name for _, name, *_ in await read_stream(nats_server.url)} >= {"market.options.trades", "market.gaps"}


async def test_published_option_quotes_are_stored_in_order_with_the_trades(nats_server: NatsServer) -> None:
    publish = replace(OPTIONS, quotes=QuoteUse.PUBLISH)
    async with running(nats_server.url, rate=1_000, options=publish) as run:
        await eventually(lambda: run.session.filter.aggressors.quoted > 100)
        run.simulator.rate = 0
        await eventually(lambda: run.received == run.simulator.sent)
        summary = await run.end()
    events = await stored(nats_server.url)
    assert summary["by_subject"]["market.options.quotes"] == sum(isinstance(event, OptionQuote) for event in events)
    assert summary["published"] == summary["received"] == len(events) == run.simulator.sent
    last: dict[str, OptionQuote] = {}
    wrong = trades = 0
    for event in events:
        if isinstance(event, OptionQuote):
            last[event.option_symbol] = event
        elif isinstance(event, OptionTrade) and event.option_symbol in last:
            quote = last[event.option_symbol]
            trades += 1
            wrong += quote.ts_event_ns <= event.ts_event_ns and (event.opt_bid, event.opt_ask) != (
                quote.bid_px, quote.ask_px
            )  # fmt: skip
    assert trades > 50
    assert wrong <= 0.2 * trades  # those whose quote came after them


async def test_a_plan_without_option_quotes_costs_the_sides_and_nothing_else(nats_server: NatsServer) -> None:
    async with running(nats_server.url, options=CLASSIFY, script=NoOptionQuotes()) as run:
        await eventually(lambda: run.is_up("stocks"))
        await run.say("stocks", quote())
        await eventually(lambda: not run.session.uses_option_quotes)
        await eventually(run.is_up)
        await run.say("options", option_trade())
        assert not any(topic.startswith("Q.O:") for topic in run.feed("options").desired)
        summary = await run.end()
    (trade,) = (event for event in await stored(nats_server.url) if isinstance(event, OptionTrade))
    assert (trade.aggressor, trade.opt_bid) == (0, None)
    told = [note["text"] for note in summary["notes"] if "option quotes" in note["text"]]
    assert told == ["option quotes: not authorized; option trades have no side from now on"]
    assert (summary["missing"], summary["gaps"], summary["option_quotes"]) == ([], 0, "off")
    assert run.exit_code(StopReason.DURATION) == ExitCode.OK


async def test_without_option_quotes_the_bytes_are_those_of_the_events_as_they_came(nats_server: NatsServer) -> None:
    frame = [option_trade(strike) for strike in (679, 680, 680, 681)]
    async with running(nats_server.url) as run:
        await eventually(lambda: run.is_up("stocks"))
        await run.say("stocks", quote())
        await eventually(run.is_up)
        assert not any(topic.startswith("Q.O:") for topic in run.feed("options").desired)
        await run.say("options", *frame)
        await run.end()
    payloads = [payload for _, subject, payload, _ in await read_stream(nats_server.url) if "options" in subject]
    expected = [event for event, _ in normalize(frame, "options", 0, EventSource.SIM).events]
    received = [replace(decode("market.options.trades", payload), ts_recv_ns=0) for payload in payloads]
    assert received == expected
    assert payloads == [encode(decode("market.options.trades", payload)) for payload in payloads]
