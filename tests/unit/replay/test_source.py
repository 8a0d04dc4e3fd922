"""Files → canonical batches, and the ingestor of the Python API."""

from datetime import date
from pathlib import Path

import databento_dbn as dbn
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.dbn.catalog import scan
from spyctl.dbn.sort_times import Selection
from spyctl.errors import DamagedFileError, NoDataError, UsageError
from spyctl.market.columns import events
from spyctl.replay.source import DBNIngestor, Reading, read_batches
from spyctl.timing.instants import SECOND
from tests.support.records import DAY, DAY_NS, MS, T0, book, trade, write_file

NEXT = date(2025, 12, 17)
TRADES = [trade(T0 + i * MS) for i in range(10)]
BOOKS = [book(DAY_NS - 5, DAY_NS, flags=168), *(book(T0 + i * MS) for i in range(20))]


def test_the_ingestor_reads_events_and_exact_ranges(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    write_file(tmp_path, "mbp-10", BOOKS, compressed=True)
    ingestor = DBNIngestor(tmp_path)

    assert [info.schema for info in ingestor.discover_files("trades")] == ["trades"]
    assert len(list(ingestor.read_trades(DAY))) == 10
    assert [event.ts_event_ns for event in ingestor.read_trades(DAY, T0 + MS, T0 + 3 * MS)] == [T0 + MS, T0 + 2 * MS]
    assert sum(event.is_snapshot for event in ingestor.read_mbp10(DAY)) == 1
    assert ingestor.get_time_range("2025-12-16", "mbp-10") == (T0, T0 + 19 * MS)
    assert ingestor.get_time_range(DAY) == (T0, T0 + 9 * MS)
    found = ingestor.time_range(DAY, "mbp-10")
    assert (found.first_ns, found.last_ns) == (T0, T0 + 19 * MS)
    assert (found.records, found.snapshots, found.first_recv_ns) == (21, 1, DAY_NS)


def test_the_ingestor_gives_what_is_whole_then_the_damage(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", TRADES)
    path.write_bytes(path.read_bytes()[:-7])
    events = DBNIngestor(tmp_path).read_trades(DAY)
    assert [next(events).ts_event_ns for _ in range(9)][-1] == T0 + 8 * MS
    with pytest.raises(DamagedFileError):
        next(events)


def test_one_day_of_a_file_of_several(tmp_path: Path) -> None:
    midnight = DAY_NS + 86_400 * SECOND
    records = [trade(midnight - 2 * SECOND), trade(midnight - 5, midnight - 1), trade(midnight - 4, midnight + 1)]
    write_file(tmp_path, "trades", records, name="glbx-mdp3-20251216-20251217.trades.dbn")
    ingestor = DBNIngestor(tmp_path)
    assert len(list(ingestor.read_trades(DAY))) == 2
    assert len(list(ingestor.read_trades(NEXT))) == 1
    assert ingestor.time_range(NEXT, "trades").records == 1
    assert len(list(ingestor.read_trades())) == 3
    assert ingestor.get_available_dates() == ["2025-12-16", "2025-12-17"]


def test_no_such_day(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    ingestor = DBNIngestor(tmp_path)
    assert ingestor.get_time_range("2025-12-17") == (None, None)
    for read in (ingestor.time_range, lambda day: list(ingestor.read_trades(day))):
        with pytest.raises(NoDataError, match="no trades data for 2025-12-17"):
            read("2025-12-17")
    with pytest.raises(UsageError, match="'17 December' is not a date"):
        list(ingestor.read_trades("17 December"))


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    ingestor = DBNIngestor(tmp_path / "nothing")
    assert (ingestor.discover_files(), ingestor.get_available_dates("mbp-10")) == ([], [])
    with pytest.raises(NoDataError):
        list(ingestor.read_trades())


def test_a_strict_reading_ends_at_the_first_damage(tmp_path: Path) -> None:
    cut = write_file(tmp_path, "trades", TRADES)
    cut.write_bytes(cut.read_bytes()[:-7])
    write_file(tmp_path, "trades", [trade(T0 + 86_400 * SECOND)], day=NEXT)
    infos = scan(tmp_path).files
    for strict, count in ((False, 10), (True, 9)):
        reading = Reading(strict)
        assert sum(len(batch) for batch in read_batches(infos, Selection(), reading)) == count
        assert (len(reading.damage), reading.stopped) == (1, strict)


def test_counts_of_all_files_are_summed_by_reason_and_instrument(tmp_path: Path) -> None:
    undefined = (1 << 63) - 1
    for day in (DAY, NEXT):
        at = T0 + (day - DAY).days * 86_400 * SECOND
        write_file(tmp_path, "trades", [trade(at, price=undefined), trade(at, instrument_id=9)], day=day)
    reading = Reading()
    assert sum(len(batch) for batch in read_batches(scan(tmp_path).files, Selection(), reading)) == 2
    assert (reading.read, reading.rejected, reading.unresolved) == (4, {"no_price": 2}, {9: 2})


def test_another_instrument_on_a_later_day_is_a_roll_and_is_noted_once() -> None:
    reading = Reading()
    for instrument_id, day in ((1, 10), (1, 11), (2, 12), (2, 12), (2, 13), (3, 13), (3, 13)):
        reading.saw_front("ES", instrument_id, day * 86_400 * SECOND)
    assert [(roll.from_id, roll.to_id) for roll in reading.rolls] == [(1, 2), (2, 3)]
    assert [roll.ts_ns for roll in reading.rolls] == [12 * 86_400 * SECOND, 13 * 86_400 * SECOND]


TWO_NAMES = {
    "ES.c.0": [(DAY, date(2025, 12, 18), "1")],
    "ES.v.0": [(DAY, NEXT, "1"), (NEXT, date(2025, 12, 18), "2")],
}


@pytest.mark.parametrize(
    ("words", "names", "rolls"),
    [
        (("ES.v.0",), ["ES", "ES"], [("ES", 1, 2)]),
        (("ES.c.0",), ["ES", "ES"], []),
        ((), ["ES.c.0", "ES.c.0", "ES.v.0"], [("ES.v.0", 1, 2)]),
        (("1",), ["ES", "ES"], []),
    ],
)
def test_names_and_rolls_are_decided_by_the_symbols_asked_for(
    tmp_path: Path, words: tuple[str, ...], names: list[str], rolls: list[tuple[str, int, int]]
) -> None:
    noon = T0 + 86_400 * SECOND
    records = [trade(T0, instrument_id=1), trade(noon, instrument_id=1), trade(noon + MS, instrument_id=2)]
    write_file(tmp_path, "trades", records, mappings=TWO_NAMES, name="t.dbn", end=DAY_NS + 2 * 86_400 * SECOND)
    reading, found = Reading(), []
    for batch in read_batches(scan(tmp_path).files, Selection(symbols=words), reading):
        found += [event.symbol for event in events(batch)]
    assert found == names
    assert [(roll.symbol, roll.from_id, roll.to_id) for roll in reading.rolls] == rolls


UNDEFINED = dbn.UNDEF_TIMESTAMP
SNAPSHOT = 168
# how a record tells its time, how many ms after the one before it, how many ms before that its event lies
KINDS = st.sampled_from(["both", "no ts_recv", "snapshot", "snapshot without ts_recv"])
RECORDS = st.lists(st.tuples(KINDS, st.integers(0, 3_000), st.integers(0, 5_000)), min_size=1, max_size=12)


def times_of(records: list[tuple[str, int, int]]) -> list[tuple[int, int, bool]]:
    now, times = T0, []
    for kind, step, age in records:
        now += step * MS
        times.append((now - age * MS, UNDEFINED if "no" in kind or "without" in kind else now, "snapshot" in kind))
    return times


@given(RECORDS, RECORDS, st.booleans())
def test_files_whose_first_records_have_no_ts_recv_or_are_snapshots_are_merged_like_a_plain_sort(
    tmp_path_factory: pytest.TempPathFactory,
    of_trades: list[tuple[str, int, int]],
    of_books: list[tuple[str, int, int]],
    compressed: bool,
) -> None:
    root, expected = tmp_path_factory.mktemp("data"), []
    for rank, (schema, make, records) in enumerate((("trades", trade, of_trades), ("mbp-10", book, of_books))):
        messages, running = [], 0
        for i, (ts_event, ts_recv, snapshot) in enumerate(times_of(records)):
            running = max(running, ts_event if ts_recv == UNDEFINED else ts_recv)
            near = not snapshot and abs(running - ts_event) <= SECOND
            expected.append((ts_event if near else running, rank, i))
            flags = SNAPSHOT if snapshot else 0
            messages.append(make(ts_event, ts_recv, flags=flags, sequence=100 * rank + i))  # type: ignore[operator]
        write_file(root, schema, messages, compressed=compressed)
    files, found = scan(root).files, []
    for batch in read_batches(files, Selection(), Reading()):
        found += [event.seq for event in events(batch)]
    assert found == [100 * rank + i for _, rank, i in sorted(expected)]
