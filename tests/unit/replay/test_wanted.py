"""What a search looks for, in columns; :mod:`tests.unit.replay.test_search` holds it against a plain look."""

from pathlib import Path

import numpy as np

from spyctl.dbn.sort_times import Selection, Sequencer
from spyctl.market.symbology import SymbolMap
from spyctl.replay.source import DBNIngestor
from spyctl.replay.wanted import large_trades, late_events, wide_spreads
from tests.support.records import MS, SECOND, T0, book, level, trade, write_file

BID, TICK = 6_815_000_000_000, 250_000_000


def test_records_of_which_none_is_wanted_are_told_without_their_sort_times(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [trade(T0 + i * MS, size=i) for i in range(10)])
    write_file(tmp_path, "mbp-10", [book(T0 + i * MS, T0 + i * MS + (2 * SECOND if i == 7 else 0)) for i in range(10)])
    trades, books = sorted(DBNIngestor(tmp_path).discover_files(), key=lambda info: info.schema, reverse=True)
    sequencer = Sequencer(Selection(), SymbolMap([]))
    traded, booked = (np.concatenate(list(info.file.chunks())) for info in (trades, books))
    assert [large_trades(lots).may_hit(traded, sequencer) for lots in (9, 10)] == [True, False]
    assert [late_events().may_hit(booked[part], sequencer) for part in (slice(0, 7), slice(0, 8))] == [False, True]
    assert not wide_spreads([trades, books]).may_hit(booked, sequencer)


def test_the_tick_is_the_least_spread_of_the_first_books(tmp_path: Path) -> None:
    books = [book(T0 + i * MS, levels=[level(ask=BID + TICK * (1 + i))] + [level()] * 9) for i in range(3)]
    write_file(tmp_path, "mbp-10", books)
    (info,) = DBNIngestor(tmp_path).discover_files()
    (records,) = info.file.chunks()
    assert wide_spreads([info]).hits(records, np.zeros(3, bool)).tolist() == [False, True, True]
    assert not wide_spreads([]).hits(records[:0], np.zeros(0, bool)).any()
