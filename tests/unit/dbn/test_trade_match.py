"""Trades against their twins in the books, and records in the order they were received."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spyctl.dbn.catalog import scan
from spyctl.dbn.trade_match import _unmatched, received_records, unmatched_trades
from spyctl.errors import DamagedFileError
from tests.support.records import DAY, MS, T0, book, trade, write_file


@given(
    one=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=60),
    other=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=60),
    size=st.integers(1, 7),
)
def test_twins_are_matched_as_a_plain_count_would(
    one: list[tuple[int, int]], other: list[tuple[int, int]], size: int
) -> None:
    def pieces(pairs: list[tuple[int, int]]) -> list[tuple[np.ndarray, np.ndarray]]:
        pairs = sorted(pairs)
        cut = [pairs[i : i + size] for i in range(0, len(pairs), size)]
        return [(np.array([t for t, _ in part]), np.array([t * 100 + k for t, k in part], np.uint64)) for part in cut]

    lacking = _unmatched(iter(pieces(one)), iter(pieces(other)))
    left, right = Counter(one), Counter(other)
    assert lacking == ((left - right).total(), (right - left).total())


def test_a_trade_needs_a_twin_of_the_same_times_price_size_side_and_sequence(tmp_path: Path) -> None:
    trades = [trade(T0 + i * MS, sequence=i) for i in range(5)]
    twins = [book(T0 + i * MS, sequence=i, action=one.action) for i, one in enumerate(trades)]
    twins[1] = book(T0 + MS, sequence=1, action=trades[1].action, size=9)
    del twins[4]
    write_file(tmp_path, "trades", trades)
    write_file(tmp_path, "mbp-10", [*twins, book(T0 + 9 * MS)])  # a change of the book needs no trade
    files = scan(tmp_path).files
    assert unmatched_trades([files[0]], [files[1]], DAY, ()) == (2, 1)


def test_files_of_one_symbol_each_come_in_the_order_they_were_received(tmp_path: Path) -> None:
    for number in (1, 2):
        mappings = {f"ES{number}": [(DAY, DAY + timedelta(1), str(number))]}
        records = [trade(T0 + i, T0 + i, instrument_id=number, sequence=i) for i in range(number, 40, 2)]
        write_file(tmp_path, "trades", records, name=f"{number}.dbn", mappings=mappings)
    damage: list[DamagedFileError] = []
    chunks = list(received_records(scan(tmp_path).files, DAY, (), damage))
    assert np.concatenate(chunks)["sequence"].tolist() == list(range(1, 40))
    assert damage == []


def test_damage_is_added_and_what_is_whole_is_given(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", [trade(T0 + i) for i in range(10)])
    path.write_bytes(path.read_bytes()[:-1])
    damage: list[DamagedFileError] = []
    assert sum(map(len, received_records(scan(tmp_path).files, DAY, (), damage))) == 9
    assert len(damage) == 1
