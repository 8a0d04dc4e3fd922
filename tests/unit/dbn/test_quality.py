"""How good a day is: figures on planted faults, and the twins against a plain count."""

from datetime import timedelta
from pathlib import Path

import pytest

from spyctl.dbn.catalog import scan
from spyctl.dbn.quality import assess, in_daily_break
from tests.support.records import DAY, DAY_NS, ES, MS, SECOND, T0, book, level, trade, write_file

US = 1_000


def test_a_clean_day_has_nothing_to_look_at(tmp_path: Path) -> None:
    trades = [trade(T0 + i * MS, sequence=i) for i in range(100)]
    twins = [book(T0 + i * MS, sequence=i, action=one.action, price=one.price) for i, one in enumerate(trades)]
    write_file(tmp_path, "trades", trades)
    write_file(tmp_path, "mbp-10", twins, compressed=True)
    found = assess(scan(tmp_path).files, DAY)
    for quality, seconds in found.values():
        assert (quality.records, quality.unmatched_trades, quality.peak_per_s, quality.doubts()) == (100, 0, 100, [])
        assert quality.latency_p50_ns == pytest.approx(100 * US, rel=0.024)
        assert (quality.latency_max_ns, quality.instruments) == (100 * US, 1)
        assert seconds.records.sum() == 100


def test_each_planted_fault_is_counted(tmp_path: Path) -> None:
    crossed = [level(bid=10, ask=5), *(level() for _ in range(9))]
    locked = [level(bid=10, ask=10), *(level() for _ in range(9))]
    books = [
        book(DAY_NS - 5, DAY_NS, flags=168, sequence=0),
        book(T0, sequence=10),
        book(T0 + 5 * MS, sequence=9),  # reset
        book(T0 + 2 * MS, T0 + 6 * MS, sequence=11),  # inversion of 3 ms
        book(T0 + 7 * MS, sequence=12, flags=130 | 4),
        book(T0 + 8 * MS, sequence=13, flags=130 | 8, levels=crossed),
        book(T0 + 9 * MS, sequence=14, levels=locked),
        book(T0 + 10 * MS, T0 + 9 * MS + 200_000, sequence=15),  # received before it happened
        book(T0 + 300 * SECOND, sequence=16),
        book(T0 + 300 * SECOND, T0 + 303 * SECOND, sequence=17),  # late
        book(T0 + 304 * SECOND, sequence=3, instrument_id=7),  # another instrument's numbers are its own
    ]
    write_file(tmp_path, "mbp-10", books)
    ((quality, _),) = assess(scan(tmp_path).files, DAY).values()
    assert (quality.snapshots, quality.sequence_resets, quality.inversions) == (1, 1, 1)
    assert quality.largest_inversion_ns == 3 * MS
    assert (quality.maybe_bad_book, quality.bad_ts_recv) == (1, 1)  # not the midnight snapshot, flagged too
    assert (quality.crossed, quality.locked, quality.received_before_event, quality.late) == (1, 1, 1, 1)
    assert (quality.quiets, len(quality.quiet), quality.unmatched_trades) == (2, 2, None)
    assert len(quality.doubts()) == 8


def test_only_the_day_and_the_symbols_asked_for(tmp_path: Path) -> None:
    records = [trade(T0 + i, instrument_id=ES + i % 2) for i in range(10)]
    records += [trade(T0 + 86_400 * SECOND + i) for i in range(5)]
    write_file(tmp_path, "trades", records, name="glbx-mdp3-20251216-20251217.trades.dbn")
    infos = scan(tmp_path).files
    assert assess(infos, DAY)["trades"][0].records == 10
    assert assess(infos, DAY + timedelta(days=1), ("ES.c.0",))["trades"][0].records == 5
    assert assess(infos, DAY, ("ES.c.0",))["trades"][0].records == 5


def test_damage_is_noted_beside_the_figures(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", [trade(T0 + i) for i in range(10)])
    path.write_bytes(path.read_bytes()[:-1])
    quality, _ = assess(scan(tmp_path).files, DAY)["trades"]
    assert (quality.records, len(quality.damage)) == (9, 1)


def test_the_daily_break_is_no_doubt() -> None:
    seventeen = DAY_NS + 22 * 3600 * SECOND  # New York in winter
    assert in_daily_break(seventeen - SECOND, seventeen + 3600 * SECOND)
    assert not in_daily_break(T0, T0 + 3600 * SECOND)


def test_a_file_a_symbol_is_judged_like_one_file(tmp_path: Path) -> None:
    ids = (1, 2)
    trades = {i: [trade(T0 + n * SECOND + i, instrument_id=i, sequence=n) for n in range(50)] for i in ids}
    for i, records in trades.items():
        mappings = {f"ES{i}": [(DAY, DAY + timedelta(1), str(i))]}
        write_file(tmp_path, "trades", records, name=f"{i}.trades.dbn", symbols=[f"ES{i}"], mappings=mappings)
    books = [
        book(one.ts_event, instrument_id=one.instrument_id, sequence=one.sequence, action=one.action, price=one.price)
        for one in sorted((one for some in trades.values() for one in some), key=lambda one: one.ts_event)
    ]
    write_file(tmp_path, "mbp-10", books)
    found = assess(scan(tmp_path).files, DAY)
    quality, _ = found["trades"]
    assert (quality.records, quality.inversions, quality.sequence_resets, quality.quiets) == (100, 0, 0, 0)


def test_a_day_without_a_record_is_said(tmp_path: Path) -> None:
    records = [trade(T0), trade(T0 + 2 * 86_400 * SECOND)]
    write_file(tmp_path, "trades", records, name="glbx-mdp3-20251216-20251218.trades.dbn")
    ((quality, _),) = assess(scan(tmp_path).files, DAY + timedelta(days=1)).values()
    assert quality.doubts() == ["trades: no record on this day"]
