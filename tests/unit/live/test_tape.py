"""What the display and the watchdogs read off the last events."""

from spyctl.live.tape import RECENT, Tape
from spyctl.market.events import EventSource
from tests.support.events import option_trade, quote, trade


def test_the_last_quote_and_the_last_print_of_each_contract_are_kept() -> None:
    tape = Tape()
    for ns, event in enumerate([quote(seq=1), option_trade(680, seq=2), quote(seq=3), option_trade(680, seq=4)]):
        tape.see(event, ns)
    assert "SPY" in tape.last_quotes
    assert (tape.last_quotes["SPY"].seq, tape.last_quote_ns) == (3, 2)
    (ticker,) = tape.last_prints
    assert tape.last_prints[ticker].seq == 4
    assert (tape.prints[ticker], tape.volumes[ticker]) == (2, 10)


def test_what_a_backfill_brings_counts_as_traded_but_is_not_the_last_print() -> None:
    tape = Tape()
    tape.see(option_trade(680, source=EventSource.POLYGON_REST), 1)
    tape.see(quote(source=EventSource.POLYGON_REST), 2)
    tape.see(trade(), 3)
    assert (tape.last_prints, tape.last_quotes) == ({}, {})
    assert sum(tape.volumes.values()) == 5


def test_prints_are_forgotten_and_the_quote_is_not() -> None:
    tape = Tape()
    tape.see(option_trade(), 1)
    tape.see(quote(), 2)
    tape.forget_prints()
    assert not tape.last_prints
    assert not tape.volumes
    assert not tape.prints
    assert "SPY" in tape.last_quotes


def test_the_last_trades_of_all_feeds_are_kept_in_order() -> None:
    tape = Tape()
    for seq in range(2 * RECENT):
        tape.see(trade(seq=seq), seq)
    tape.see(quote(), 1)
    tape.see_written("market.futures.mbp10", b"book")
    tape.see_written("market.futures.trades", b"future")
    tape.see(trade(source=EventSource.POLYGON_REST), 1)
    assert len(tape.recent) == RECENT
    assert list(tape.recent)[-2:] == [trade(seq=2 * RECENT - 1), ("market.futures.trades", b"future")]
    assert tape.written == {"market.futures.mbp10": b"book", "market.futures.trades": b"future"}
