"""The bounded queue of live events: quotes give way before trades, gap records never."""

from spyctl.live.backlog import NO_DROPS, Backlog, Drops, Pending


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
