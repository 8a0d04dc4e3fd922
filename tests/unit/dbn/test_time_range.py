"""The exact first and last event, against the records written."""

from datetime import timedelta
from pathlib import Path

import pytest

from spyctl.dbn.catalog import scan
from spyctl.dbn.time_range import time_range
from tests.support.records import DAY, DAY_NS, MS, SECOND, T0, book, trade, write_file

NEXT = DAY + timedelta(days=1)
UNDEF_TS = 2**64 - 1


@pytest.mark.parametrize("compressed", [False, True])
def test_snapshots_count_for_ts_recv_alone(tmp_path: Path, compressed: bool) -> None:
    books = [book(DAY_NS - 5, DAY_NS, flags=168), *(book(T0 + i * MS) for i in (3, 0, 7, 2))]
    write_file(tmp_path, "mbp-10", books, compressed=compressed)
    span = time_range(scan(tmp_path).files, DAY)
    assert (span.first_ns, span.last_ns) == (T0, T0 + 7 * MS)
    assert (span.records, span.snapshots, span.files, span.damage) == (5, 1, 1, ())
    assert (span.first_recv_ns, span.last_recv_ns) == (DAY_NS, T0 + 7 * MS + 100_000)


def test_snapshots_alone_have_no_first_event(tmp_path: Path) -> None:
    write_file(tmp_path, "mbp-10", [book(DAY_NS - 5, DAY_NS, flags=168)])
    span = time_range(scan(tmp_path).files, DAY)
    assert (span.first_ns, span.last_ns, span.first_recv_ns) == (None, None, DAY_NS)


def test_no_records_have_no_times(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [])
    span = time_range(scan(tmp_path).files, DAY)
    assert (span.records, span.first_ns, span.first_recv_ns, span.last_recv_ns) == (0, None, None, None)


def test_undefined_times_bound_nothing(tmp_path: Path) -> None:
    records = [trade(T0 + 1, UNDEF_TS), trade(UNDEF_TS, T0 + 5), trade(T0 + 2, T0 + 3)]
    write_file(tmp_path, "trades", records)
    span = time_range(scan(tmp_path).files, DAY)
    assert (span.first_ns, span.last_ns) == (T0 + 1, T0 + 2)
    assert (span.first_recv_ns, span.last_recv_ns) == (T0 + 1, T0 + 5)


def test_only_the_day_and_the_symbols_asked_for(tmp_path: Path) -> None:
    shift = 86_400 * SECOND
    records = [trade(T0, instrument_id=7), trade(T0 + MS), trade(T0 + shift), trade(T0 + shift + MS)]
    write_file(tmp_path, "trades", records, name="glbx-mdp3-20251216-20251217.trades.dbn")
    infos = scan(tmp_path).files
    assert (time_range(infos, DAY).records, time_range(infos, NEXT).first_ns) == (2, T0 + shift)
    assert time_range(infos, DAY, ("ES",)).first_ns == T0 + MS
    assert time_range(infos, DAY, ("NQ",)).records == 0


def test_damage_is_noted_and_what_is_whole_is_measured_and_told_as_it_is_read(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", [trade(T0 + i) for i in range(10)])
    path.write_bytes(path.read_bytes()[:-1])
    sizes: list[int] = []
    span = time_range(scan(tmp_path).files, DAY, advance=sizes.append)
    assert (span.records, span.last_ns, len(span.damage)) == (9, T0 + 8, 1)
    assert sum(sizes) == 9 * 48
