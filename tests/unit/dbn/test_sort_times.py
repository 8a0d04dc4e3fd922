"""The sort time against a plain reading of the contract."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spyctl.dbn.file_info import Exclusion
from spyctl.dbn.records import RECORD_DTYPES, Records
from spyctl.dbn.sort_times import Selection, Sequencer, effective_recv, is_snapshot
from spyctl.market.symbology import Mapping, SymbolMap
from spyctl.timing.instants import DAY
from tests.support.records import DAY_NS, ES, MS, SECOND, T0, book, trade

UNDEF_TS = 2**64 - 1
NO_NAMES = SymbolMap([])


def array(schema: str, records: list[Any]) -> Records:
    return np.frombuffer(b"".join(map(bytes, records)), RECORD_DTYPES[schema])


def reference(records: list[tuple[int, int, bool]], window: int) -> list[tuple[int, bool]]:
    newest, found = 0, []
    for ts_event, ts_recv, snapshot in records:
        newest = max(newest, ts_event if ts_recv == UNDEF_TS else ts_recv)
        if not snapshot and abs(newest - ts_event) <= window:
            found.append((ts_event, False))
        else:
            found.append((newest, not snapshot))
    return found


offsets = st.integers(-3 * SECOND, 3 * SECOND)
stamps = st.tuples(offsets, st.none() | offsets, st.booleans())


@given(st.lists(stamps, max_size=40), st.integers(1, 41), st.sampled_from([0, 1, MS, SECOND]))
def test_the_sort_time_is_that_of_the_contract_for_any_chunk_size(
    found: list[tuple[int, int | None, bool]], size: int, window: int
) -> None:
    stamped = [(T0 + e, UNDEF_TS if r is None else T0 + r, snapshot) for e, r, snapshot in found]
    records = [book(e, r, flags=168 if snapshot else 130) for e, r, snapshot in stamped]
    sequencer = Sequencer(Selection(reorder_ns=window), NO_NAMES)

    chunks = [sequencer.next(array("mbp-10", records[i : i + size])) for i in range(0, len(records), size)]

    times = [pair for part in chunks for pair in zip(part.sort_ns.tolist(), part.late.tolist(), strict=True)]
    assert times == reference(stamped, window)


@given(st.lists(stamps, max_size=40), st.integers(1, 8), st.sampled_from([0, MS, SECOND]), st.booleans())
def test_records_that_are_passed_over_count_as_if_they_had_been_looked_at(
    found: list[tuple[int, int | None, bool]], size: int, window: int, by_recv: bool
) -> None:
    records = [book(T0 + e, UNDEF_TS if r is None else T0 + r, flags=168 if s else 130) for e, r, s in found]
    selection = Selection(reorder_ns=window, by_recv=by_recv)
    looking, passing = Sequencer(selection, NO_NAMES), Sequencer(selection, NO_NAMES)
    for start in range(0, len(records), size):
        piece = array("mbp-10", records[start : start + size])
        may_be = passing.may_be_late(piece)
        passing.skip(piece)
        assert looking.next(piece).late.any() <= may_be
        assert passing.newest_ns == looking.newest_ns


def test_where_nothing_is_out_of_order_or_far_apart_nothing_may_be_late() -> None:
    piece = array("mbp-10", [book(T0 + i * MS, T0 + i * MS + SECOND) for i in range(9)])
    assert not Sequencer(Selection(), NO_NAMES).may_be_late(piece)
    assert Sequencer(Selection(reorder_ns=SECOND - 1), NO_NAMES).may_be_late(piece)


def test_by_recv_the_sort_time_is_the_running_maximum() -> None:
    sequencer = Sequencer(Selection(by_recv=True), NO_NAMES)
    times = sequencer.next(array("trades", [trade(T0 + 9, T0), trade(T0, T0 + 5), trade(T0 - 5 * SECOND, T0 + 2)]))

    assert (times.sort_ns - T0).tolist() == [0, 5, 5]
    assert not times.late.any()
    assert sequencer.bound_ns == T0 + 5


def test_a_file_is_finished_once_nothing_can_fall_before_the_end() -> None:
    for ts_event, finished in ((T0 + 2 * SECOND - 100_001, False), (T0 + 2 * SECOND, True)):
        sequencer = Sequencer(Selection(end_ns=T0 + SECOND), NO_NAMES)
        sequencer.next(array("trades", [trade(ts_event)]))
        assert sequencer.finished is finished


def test_a_file_is_finished_behind_its_last_day() -> None:
    sequencer = Sequencer(Selection(days=frozenset({DAY_NS // DAY})), NO_NAMES)
    sequencer.next(array("trades", [trade(T0)]))
    assert not sequencer.finished
    sequencer.next(array("trades", [trade(T0 + DAY)]))
    assert sequencer.finished


def test_an_undefined_ts_recv_is_replaced_by_ts_event_and_nonsense_is_negative() -> None:
    records = array("trades", [trade(T0, UNDEF_TS), trade(T0, T0 + 5), trade(UNDEF_TS, UNDEF_TS)])
    assert effective_recv(records).tolist() == [T0, T0 + 5, -1]


def test_a_snapshot_is_told_by_its_flag_alone() -> None:
    assert is_snapshot(array("mbp-10", [book(flags=168), book(flags=130), book(flags=32)])).tolist() == [1, 0, 1]


def test_an_exclusion_takes_only_its_times_and_instruments() -> None:
    records = array("trades", [trade(T0 + i, T0 + i, instrument_id=1 + i % 2) for i in range(6)])
    for ids, selected in ((None, [1, 0, 0, 0, 1, 1]), (frozenset({2}), [1, 0, 1, 0, 1, 1])):
        selection = Selection(exclusions=(Exclusion(T0 + 1, T0 + 3, ids),))
        assert Sequencer(selection, NO_NAMES).next(records).selected.tolist() == selected


def test_symbols_are_selected_by_the_name_of_the_day() -> None:
    day = DAY_NS // DAY
    names = SymbolMap([Mapping("ESZ5", ES, day, day + 1), Mapping("ESH6", ES, day + 1, day + 2)])
    records = array("trades", [trade(T0, T0), trade(T0 + DAY, T0 + DAY), trade(T0, T0, instrument_id=7)])
    for symbol, selected in (("ESZ5", [1, 0, 0]), ("ES", [1, 1, 0]), ("7", [0, 0, 1])):
        assert Sequencer(Selection(symbols=(symbol,)), names).next(records).selected.tolist() == selected


def test_an_empty_chunk_leaves_the_running_maximum() -> None:
    sequencer = Sequencer(Selection(), NO_NAMES)
    sequencer.next(array("trades", [trade(T0, T0)]))
    sequencer.next(array("trades", []))
    assert (sequencer.newest_ns, sequencer.bound_ns) == (T0, T0 - SECOND)
