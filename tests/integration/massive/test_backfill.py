"""Trades of a gap, fetched from a loopback REST server: all pages, each gap once, and no failure spreads."""

import time
from typing import Any

import pytest

from spyctl.market.feeds import Arrival
from spyctl.massive.backfill import Backfill, Filler
from spyctl.massive.rest import MassiveRest
from spyctl.timing.clock import SystemClock
from spyctl.timing.instants import DAY, SECOND
from tests.support.events import trade
from tests.support.rest import serving

TRADE = {"sip_timestamp": time.time_ns(), "price": 1.0, "size": 1, "exchange": 300}


async def test_a_gap_that_begins_before_the_last_one_is_filled_is_filled_too() -> None:
    with serving({"/v3/trades/": (200, {"results": [TRADE]})}) as rest:
        holds: list[int] = []
        lines: list[str] = []

        async def take(arrival: Arrival, symbols: Any) -> int:
            return len(arrival.events)

        filler = Filler(
            Backfill(MassiveRest("k", rest.url)), hold=lambda: holds.append(1), release=lambda: holds.append(-1),
            take=take, info=lines.append, warn=lines.append,
            clock=SystemClock(),
        )  # fmt: skip
        filler.lost("options", ["T.O:SPY251216C00680000"])
        first = filler.fill("options", 0, 1)
        filler.lost("options", ["T.O:SPY251216C00681000"])
        filler.wanted("options", ["T.O:SPY251216C00682000"])
        second = filler.fill("options", 2, 3)
        await first
        await second
    assert [path[-6:-3] for path, *_ in rest.asked] == ["680", "681", "682"]
    assert (holds.count(1), sum(holds), filler.filled, filler.unfilled) == (2, 0, 3, 0)
    assert lines == ["backfill: 1 trade of the options gap", "backfill: 2 trades of the options gap"]


@pytest.mark.parametrize(
    ("topics", "whole"),
    [
        (["T.SPY", "T.QQQ"], True),
        (["T.O:SPY251216C00680000", "Q.O:SPY251216C00680000"], True),
        (["T.SPY", "Q.SPY"], False),
        ([], True),
    ],
    ids=["trades", "quotes that are not published", "quotes", "nothing"],
)
async def test_a_gap_is_filled_where_only_trades_were_missing(topics: list[str], whole: bool) -> None:
    async def take(arrival: Arrival, symbols: Any) -> int:
        return len(arrival.events)

    with serving({"/v3/trades/": (200, {"results": []})}) as rest:
        filler = Filler(
            Backfill(MassiveRest("k", rest.url)), hold=lambda: None, release=lambda: None, take=take,
            info=lambda _: None, warn=lambda _: None, clock=SystemClock(),
            matters=lambda topic: not topic.startswith("Q.O:"),
        )  # fmt: skip
        filler.lost("stocks", topics)
        assert await filler.fill("stocks", 0, 1) is whole
    assert filler.unfilled == 0


async def test_where_rest_is_behind_it_is_asked_again_and_then_that_is_told() -> None:
    end_ns = time.time_ns()
    old, new = (TRADE | {"sip_timestamp": end_ns - ago_s * SECOND} for ago_s in (9, 0))
    for turns, unfilled in (([old, old, new], 0), ([old] * 6, 1)):
        lines: list[str] = []
        with serving({"/v3/trades/": [(200, {"results": [row]}) for row in turns]}) as rest:

            async def take(arrival: Arrival, symbols: Any) -> int:
                return len(arrival.events)

            filler = Filler(
                Backfill(MassiveRest("k", rest.url), pause_s=0.01), hold=lambda: None, release=lambda: None, take=take,
                info=lambda _: None, warn=lines.append, clock=SystemClock(),
            )  # fmt: skip
            filler.lost("stocks", ["T.SPY"])
            filling = filler.fill("stocks", end_ns - 10 * SECOND, end_ns)
            filler.see("stocks", [(trade(ts_event_ns=end_ns - SECOND), "id")])  # the first one after the gap
            await filling
        assert (len(rest.asked), filler.unfilled) == (5 if unfilled else 3, unfilled)
        assert lines == ["backfill: stocks trades over REST do not reach the end of the gap yet"] * unfilled


async def test_of_a_gap_longer_than_a_day_the_last_day_is_fetched() -> None:
    lines: list[str] = []
    with serving({"/v3/trades/": (200, {"results": []})}) as rest:

        async def take(arrival: Arrival, symbols: Any) -> int:
            return len(arrival.events)

        filler = Filler(
            Backfill(MassiveRest("k", rest.url)), hold=lambda: None, release=lambda: None, take=take,
            info=lambda _: None, warn=lines.append, clock=SystemClock(),
        )  # fmt: skip
        filler.lost("stocks", ["T.SPY"])
        await filler.fill("stocks", 10 * SECOND, DAY + 20 * SECOND)
    ((_, query, _),) = rest.asked
    assert int(query["timestamp.gte"][0]) == 19 * SECOND
    assert (filler.unfilled, lines) == (1, ["backfill: of the stocks gap only the last 24 hours"])


async def test_answers_of_other_types_cost_themselves_alone() -> None:
    rows = [TRADE, 5, TRADE | {"sip_timestamp": "x"}, TRADE | {"sequence_number": [1]}, TRADE | {"sip_timestamp": {}}]
    answers: dict[str, Any] = {"/v3/trades/O:A": (200, {"results": rows}), "/v3/trades/O:B": (200, {"results": 7})}
    with serving(answers) as rest:
        filling = await Backfill(MassiveRest("k", rest.url), pause_s=0.01).trades(["O:A", "O:B"], 0, 1)
    assert (len(filling.messages), filling.missing) == (4, {})


async def test_a_contract_that_is_unavailable_costs_the_others_nothing() -> None:
    trades = {"results": [{"sip_timestamp": time.time_ns(), "price": 1.0, "size": 1, "exchange": 300}]}
    answers: dict[str, Any] = {"/v3/trades/O:A": (200, trades), "/v3/trades/O:B": (500, {"error": "oh"})}
    # A page that names itself as the next one does not go on for ever.
    answers["/v3/trades/O:C"] = (200, trades | {"next_url": "https://x/v3/trades/O:C?cursor=1"})
    with serving(answers) as rest:
        filling = await Backfill(MassiveRest("k", rest.url), pause_s=0.01).trades(["O:A", "O:B", "O:C"], 0, 1)
    assert [message["sym"] for message in filling.messages].count("O:A") == 1
    assert filling.missing == {"O:B": "oh"}
    assert len([path for path, *_ in rest.asked if path.endswith("O:C")]) == 2
