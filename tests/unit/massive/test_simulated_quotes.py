"""The quotes around simulated option trades: each trade has the side that was drawn, and taking the newest is wrong."""

from collections import Counter

import pytest

from spyctl.live.aggressors import side_of
from spyctl.market.events import Aggressor
from spyctl.massive.simulated_quotes import Message, SimulatedQuotes

SYMBOL = "O:SPY261126C00680000"


def trade(sequence: int, price: float = 2.0, ms: int = 10_000) -> Message:
    return {"ev": "T", "sym": SYMBOL, "p": price, "t": ms, "q": sequence}


def test_the_side_is_a_function_of_seed_and_sequence() -> None:
    quotes, same, other = SimulatedQuotes(7), SimulatedQuotes(7), SimulatedQuotes(8)
    sides = [quotes.side(n) for n in range(400)]
    assert sides == [same.side(n) for n in range(400)] != [other.side(n) for n in range(400)]
    counts = Counter(sides)
    assert 0 < counts[Aggressor.MID] < counts[Aggressor.BUY] + counts[Aggressor.SELL]


@pytest.mark.parametrize("price", [0.01, 0.02, 0.05, 2.0, 480.25])
def test_the_quote_before_a_trade_gives_its_side(price: float) -> None:
    quotes = SimulatedQuotes(7)
    for n in range(500):
        quotes.later()
        *before, last = quotes.around(trade(n, price, 100 * n))
        quote = before[0] if before else quotes.later()[0]
        assert last["q"] == n
        assert quote["t"] <= last["t"]
        assert quotes.side(n) is side_of(price, quote["bp"], quote["ap"])
        assert quote["bp"] < quote["ap"] or quote["bp"] == quote["ap"] == 0


def test_each_trade_moves_the_quote_and_some_quotes_come_late() -> None:
    quotes = SimulatedQuotes(7)
    late = wrong = 0
    for n in range(500):
        late += len(quotes.around(trade(n, ms=100 * n))) == 1
        moved = quotes.later()[-1]
        assert moved["t"] == 100 * n + 1
        wrong += quotes.side(n) is not side_of(2.0, moved["bp"], moved["ap"])
    assert 5 < late < 60
    assert wrong > 400


def test_a_contract_that_trades_again_at_once_has_its_quote_before_it() -> None:
    quotes = SimulatedQuotes(7)
    quotes.around(trade(0))
    assert all(len(quotes.around(trade(n))) == 2 for n in range(1, 200))
