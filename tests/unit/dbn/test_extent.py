"""How far the records of a file go, counted chunk after chunk, and remembered."""

from pathlib import Path

import numpy as np
import pytest

from spyctl.dbn.catalog import scan
from spyctl.dbn.extent import Extent, ExtentCounter, remembered_extent
from spyctl.dbn.records import Records, record_dtype
from spyctl.timing.instants import DAY as A_DAY
from tests.support.records import DAY_NS, SECOND, T0, trade, write_file

UNDEF = (1 << 64) - 1


def records(*times: int) -> Records:
    found = np.zeros(len(times), record_dtype("trades", ts_out=False))
    found["ts_recv"] = times
    found["ts_event"] = DAY_NS
    return found


def test_first_last_and_days_by_the_running_maximum() -> None:
    counter = ExtentCounter()
    counter.add(records(T0, T0 + 2 * A_DAY))
    counter.add(records(T0 + A_DAY))  # late: it counts to the day before it
    day = DAY_NS // A_DAY
    assert counter.extent() == Extent(3, T0, T0 + 2 * A_DAY, T0, frozenset({day, day + 2}))


def test_a_first_record_without_a_time_takes_that_of_one_near_it() -> None:
    counter = ExtentCounter()
    counter.add(records(UNDEF, T0))
    extent = counter.extent()
    assert (extent.first_ns, extent.least_ns) == (T0, DAY_NS)


def test_no_record_has_no_extent() -> None:
    assert ExtentCounter().extent() == Extent(0, None, None, 0, frozenset())


@pytest.mark.parametrize("value", [None, 1, [], [1, 2, 3, 4], ["a", 2, 3, 4, []], [1, 2.5, 3, 4, []]])
def test_what_makes_no_sense_is_not_remembered(value: object) -> None:
    assert remembered_extent(value) is None
    assert remembered_extent([1, 2, None, 4, [5]]) == Extent(1, 2, None, 4, frozenset({5}))


def test_what_a_reading_has_counted_is_known_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spyctl.dbn.catalog.SMALL", 0)  # as if it were too large to be counted
    path = write_file(tmp_path, "trades", [trade(T0), trade(T0 + SECOND)], compressed=True)
    (info,) = scan(tmp_path).files
    assert info.records is None
    for _ in info.chunks():
        pass
    (info,) = scan(tmp_path).files
    assert (info.records, info.last_ns) == (2, T0 + SECOND + 100_000)
    path.write_bytes(path.read_bytes())
    assert [info.records for info in scan(tmp_path).files] == [None]
