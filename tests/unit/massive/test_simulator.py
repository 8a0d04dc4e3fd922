"""The walk of the simulator: the same for a seed, plausible, and in the vendor's wire form."""

from collections import Counter

import pytest

from spyctl.market.events import EventSource
from spyctl.massive.normalize import normalize
from spyctl.massive.simulator import START_PRICE, Market, Walk
from tests.unit.massive.test_normalize import MS, RECV

OPTIONS = ["T.O:SPY251216C00680000", "T.O:SPY251216P00660000"]


def test_the_same_seed_gives_the_same_walk_and_another_one_does_not() -> None:
    walks = [Walk(seed, first_id=0).step(200, MS, OPTIONS) for seed in (7, 7, 8)]
    assert walks[0] == walks[1] != walks[2]


@pytest.mark.parametrize(("market", "prefix"), [("stocks", "SPY"), ("options", "O:")])
def test_every_message_is_one_that_the_vendor_may_send(market: str, prefix: str) -> None:
    messages = [message for message in Walk(first_id=0).step(500, MS, OPTIONS) if message["sym"].startswith(prefix)]
    parsed = normalize(messages, market, RECV, EventSource.SIM)
    assert len(parsed.events) == len(messages) > 10
    assert (parsed.rejects, parsed.notes) == ([], [])
    assert len({(identity, event.seq) for event, identity in parsed.events}) == len(messages)  # options have no id


def test_quotes_are_uncrossed_and_trades_near_them() -> None:
    messages = Walk(first_id=0).step(1_000, MS, [])
    quotes = [message for message in messages if message["ev"] == "Q"]
    trades = [message for message in messages if message["ev"] == "T"]
    assert 600 < len(quotes) < 800
    assert all(quote["bp"] < quote["ap"] <= quote["bp"] + 0.03 for quote in quotes)
    assert all(abs(trade["p"] - START_PRICE) < 5 for trade in trades)


def test_options_trade_only_where_somebody_holds_them_and_the_near_ones_more() -> None:
    assert all(message["sym"] == "SPY" for message in Walk(first_id=0).step(500, MS, ["T.SPY", "Q.SPY", "T.O:BAD"]))
    symbols = [message["sym"] for message in Walk(first_id=0).step(500, MS, OPTIONS)]
    assert symbols.count("O:SPY251216C00680000") > 10 * symbols.count("O:SPY251216P00660000")


def test_the_price_drifts_by_the_trend_with_the_time_that_passes() -> None:
    walk = Walk(first_id=0, trend=3.0)
    for elapsed_ms in (0, 30_000, 60_000):
        walk.step(0, MS + elapsed_ms, [])
    assert walk.price == pytest.approx(START_PRICE + 3.0)


def test_a_price_never_falls_below_a_dollar() -> None:
    walk = Walk(first_id=0, price=2.0, trend=-100.0)
    walk.step(0, MS, [])
    walk.step(10, MS + 60_000, [])
    assert walk.price >= 1.0


def test_ids_and_sequences_count_up_from_the_first_one() -> None:
    messages = Walk(first_id=5).step(50, MS, [])
    ids = [int(number) for message in messages for number in (message.get("i"), message["q"]) if number is not None]
    assert ids == list(range(6, 6 + len(ids)))


def test_option_quotes_come_on_top_and_change_nothing_else() -> None:
    plain, quoted = Walk(first_id=0), Walk(first_id=0)
    with_quotes = [*OPTIONS, *(topic.replace("T.", "Q.") for topic in OPTIONS)]
    drawn = 0
    for ms in range(MS, MS + 1_000, 10):
        messages = quoted.step(5, ms, with_quotes)
        quotes = [message for message in messages if message["ev"] == "Q" and message["sym"].startswith("O:")]
        assert plain.step(5, ms, OPTIONS) == [message for message in messages if message not in quotes]
        drawn += len(quotes)
    assert drawn > 50


def test_a_market_of_several_stocks_gives_each_its_turn_and_its_own_options() -> None:
    market = Market([Walk(first_id=0), Walk(8, first_id=10**6, symbol="BRK.B")])
    topics = [*OPTIONS, "T.O:BRKB251216C00680000"]
    messages = [message for n in range(100) for message in market.step(5, MS + n, topics)]
    stocks = Counter(message["sym"] for message in messages if not message["sym"].startswith("O:"))
    assert set(stocks) == {"SPY", "BRK.B"}
    assert len(messages) == 500
    assert {message["sym"][:6] for message in messages if message["sym"].startswith("O:")} == {"O:SPY2", "O:BRKB"}
