"""The bounded queue of live events: quotes give way before trades, gap records never."""

from pathlib import Path

from spyctl.live.backlog import NO_DROPS, Backlog, Drops
from spyctl.live.pending import Pending
from spyctl.live.spool import Spool


def quote(n: int, symbol: str = "SPY") -> Pending:
    return Pending(b"q%d" % n, f"Q.{symbol}.{n}", "market.stocks.quotes", "stocks", n, symbol)


def trade(n: int) -> Pending:
    return Pending(b"t%d" % n, f"T.{n}", "market.stocks.trades", "stocks", n)


def gap(n: int) -> Pending:
    return Pending(b"g%d" % n, f"G.{n}", "market.gaps", "", n)


def held(backlog: Backlog) -> list[str]:
    return [event.identity for event in backlog.take(1_000)]


def test_events_come_out_in_order() -> None:
    backlog = Backlog(10)
    for n in range(10):
        backlog.append(quote(n) if n % 2 else trade(n))
    assert [event.received_ns for event in backlog.take(4) + backlog.take(99)] == list(range(10))
    assert (len(backlog), backlog.high_water, backlog.dropped.total()) == (0, 10, 0)


def test_when_full_only_the_newest_quote_of_a_symbol_stays() -> None:
    backlog = Backlog(10)
    for n in range(11):
        backlog.append(quote(n, "SPY" if n % 2 else "QQQ") if n < 9 else trade(n))
    assert held(backlog) == ["Q.SPY.7", "Q.QQQ.8", "T.9", "T.10"]
    assert backlog.dropped == {"stocks": 7}


def test_trades_go_last_the_oldest_first_and_gap_records_stay() -> None:
    backlog = Backlog(10)
    backlog.append(gap(0))
    for n in range(1, 12):
        backlog.append(trade(n))
    kept = held(backlog)
    assert kept[0] == "G.0"
    assert kept[-1] == "T.11"
    assert len(kept) + backlog.dropped["stocks"] == 12
    assert kept[1:] == [f"T.{n}" for n in range(12 - len(kept) + 1, 12)]


def test_it_stays_bounded_under_any_mixture() -> None:
    backlog, offered = Backlog(100), 0
    for n in range(10_000):
        backlog.append((trade, quote, quote)[n % 3](n))
        offered += 1
        assert len(backlog) <= 100
    assert len(backlog) + backlog.dropped.total() == offered


def test_when_full_a_tenth_is_freed_at_once() -> None:
    backlog = Backlog(100)
    for n in range(101):
        backlog.append(trade(n))
    assert len(backlog) == 90


def test_what_had_to_go_is_told_once_with_its_oldest_event() -> None:
    backlog = Backlog(10)
    for n in range(5, 18):  # too many at 15, and again at 17
        backlog.append(trade(n))
    assert backlog.take_drops() == Drops(4, from_ns=5)
    assert backlog.take_drops() == NO_DROPS


def test_what_memory_cannot_hold_goes_to_disk_and_comes_back_in_order(tmp_path: Path) -> None:
    backlog = Backlog(10, Spool(tmp_path, 1_000_000, 0))
    for n in range(100):
        backlog.append(quote(n) if n % 2 else trade(n))
        assert len(backlog) - backlog.spooled <= 10
    assert (len(backlog), backlog.dropped.total()) == (100, 0)
    taken: list[int] = []
    while len(backlog):
        if backlog.unsettled:
            backlog.settle(len(taken))
        taken += [event.received_ns for event in backlog.take(3)]
        if len(taken) % 10 == 0 and len(taken) < 100:
            backlog.append(trade(100 + len(taken)))  # what comes meanwhile stays behind what waits
    assert taken[:100] == list(range(100))
    assert taken[100:] == sorted(taken[100:])
    backlog.settle(len(taken))
    assert not backlog.unsettled
    assert not list(tmp_path.glob("*.block"))


def test_where_the_spool_is_full_quotes_give_way_before_trades(tmp_path: Path) -> None:
    backlog = Backlog(10, Spool(tmp_path, 600, 0))
    for n in range(60):
        backlog.append(quote(n) if n % 3 else trade(n))
    assert 0 < backlog.spooled < 40
    assert len(backlog) + backlog.dropped.total() == 60
    assert len(backlog) - backlog.spooled <= 10
    assert backlog.take_drops().count == backlog.dropped["stocks"] > 0


def test_what_waits_in_memory_is_kept_for_the_next_run(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1_000_000, 0)
    backlog = Backlog(10, spool)
    for n in range(7):
        backlog.append(trade(n))
    assert (backlog.spooled, backlog.keep(), backlog.keep()) == (0, 7, 7)
    spool.close()
    backlog = Backlog(10, Spool(tmp_path, 1_000_000, 0))
    backlog.append(trade(7))
    assert (backlog.recovered, len(backlog)) == (7, 8)
    backlog.settle(None)
    assert held(backlog) == [f"T.{n}" for n in range(5)]
    backlog.settle(None)
    assert held(backlog) == ["T.5", "T.6"]
    backlog.settle(None)
    assert held(backlog) == ["T.7"]


def test_a_block_that_cannot_be_read_counts_as_dropped(tmp_path: Path) -> None:
    backlog = Backlog(10, Spool(tmp_path, 1_000_000, 0))
    for n in range(21):
        backlog.append(trade(n))
    min(tmp_path.glob("*.block")).write_bytes(b"")
    backlog.settle(None)
    assert held(backlog)[0] == "T.5"
    assert (backlog.dropped, backlog.take_drops().count) == ({"spool": 5}, 5)
