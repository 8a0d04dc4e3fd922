"""The made-up market keeps the rules of a book, and a trade is in both schemas."""

from datetime import date

import databento_dbn as dbn

from spyctl.dbn.synthetic import FLAGS_BOOK, Stamp, SyntheticMarket
from tests.support.records import ES, T0

DAY = date(2025, 12, 16)


def test_the_same_seed_gives_the_same_records() -> None:
    walks = [
        [bytes(record) for n in range(50) for _, record in market.step(Stamp(ES, T0 + n, T0 + n, 1, n))]
        for market in (SyntheticMarket(7, DAY), SyntheticMarket(7, DAY))
    ]
    assert walks[0] == walks[1]


def test_books_are_never_crossed_and_trades_are_books_too() -> None:
    market, trades, shown = SyntheticMarket(3, DAY), [], []
    for n in range(2_000):
        for schema, record in market.step(Stamp(ES, T0 + n, T0 + n, 1, n)):
            if schema == "trades":
                trades.append((record.ts_event, record.price, record.size))
                continue
            assert isinstance(record, dbn.MBP10Msg)
            top = record.levels[0]
            assert top.bid_px < top.ask_px
            assert record.flags == (0 if record.action == "T" else FLAGS_BOOK)
            if record.action == "T":
                shown.append((record.ts_event, record.price, record.size))
    assert len(trades) > 50
    assert trades == shown
