import errno
import os
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from spyctl.dbn.catalog import days, scan
from spyctl.dbn.normalize import Selection
from spyctl.dbn.overlaps import without_doubles
from spyctl.errors import DamagedFileError, NoDataError, UsageError
from spyctl.market.sessions import trading_day
from spyctl.replay.plan import choose_dates, make_plan
from spyctl.replay.source import DBNIngestor
from spyctl.timing.instants import SECOND
from tests.support.records import DAY, DAY_NS, MS, T0, book, trade, write_file

NEXT = date(2025, 12, 17)
TRADES = [trade(T0 + i * MS) for i in range(10)]
BOOKS = [book(DAY_NS - 5, DAY_NS, flags=168), *(book(T0 + i * MS) for i in range(20))]


def test_files_are_found_in_catalog_order_with_their_span(tmp_path: Path) -> None:
    write_file(tmp_path, "mbp-10", BOOKS, compressed=True)
    write_file(tmp_path, "trades", [trade(T0 + 86_400 * SECOND + i * MS) for i in range(10)], day=NEXT)
    write_file(tmp_path, "trades", TRADES)

    catalog = scan(tmp_path)
    infos, unreadable = catalog.files, catalog.unreadable

    assert unreadable == []
    assert [(info.schema, info.first_date) for info in infos] == [("trades", DAY), ("trades", NEXT), ("mbp-10", DAY)]
    assert [info.records for info in infos] == [10, 10, 21]
    assert (infos[2].first_ns, infos[2].last_ns) == (DAY_NS, T0 + 19 * MS + 100_000)
    assert days(infos) == [DAY, NEXT]
    assert not any(info.synthetic for info in infos)


def test_a_range_of_days_in_the_name(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES, name="glbx-mdp3-20251214-20251216.trades.dbn")
    (info,) = scan(tmp_path).files
    assert (info.first_date, info.last_date) == (date(2025, 12, 14), DAY)
    assert len(days([info])) == 3


def test_a_file_of_any_other_name_is_dated_by_its_records(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES, name="mine.dbn")
    (info,) = scan(tmp_path).files
    assert (info.first_date, info.last_date) == (DAY, DAY)


def test_a_folder_marked_synthetic_marks_what_lies_below(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    (tmp_path / "metadata.json").write_text('{"synthetic": true}')
    (info,) = scan(tmp_path).files
    assert info.synthetic


def test_damage_is_noted_and_what_is_no_dbn_is_told(tmp_path: Path) -> None:
    path = write_file(tmp_path, "trades", TRADES)
    path.write_bytes(path.read_bytes()[:-7])
    (tmp_path / "odd.dbn").write_bytes(b"nonsense")

    catalog = scan(tmp_path)
    (info,), (unreadable,) = catalog.files, catalog.unreadable

    assert info.problem is not None
    assert "cut short inside record 10" in info.problem.message
    assert "odd.dbn" in unreadable.message


def test_an_archive_beside_its_unpacked_file_is_the_same_data(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    write_file(tmp_path, "trades", TRADES, compressed=True)
    assert len(scan(tmp_path).files) == 1


def test_a_folder_that_cannot_be_looked_into_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(tmp_path, "trades", TRADES)
    walk = os.walk

    def closed(
        root: Path, onerror: Callable[[OSError], None], followlinks: bool
    ) -> Iterator[tuple[str, list[str], list[str]]]:
        onerror(OSError(errno.EACCES, "Permission denied", str(root / "MBP-10")))
        yield from walk(root)

    monkeypatch.setattr("os.walk", closed)
    catalog = scan(tmp_path)
    infos, (error,) = catalog.files, catalog.unreadable
    assert len(infos) == 1
    assert "MBP-10: cannot be looked into (Permission denied)" in error.message


def test_a_pipe_is_no_data_file(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    os.mkfifo(tmp_path / "trades" / "pipe.dbn")
    assert len(scan(tmp_path).files) == 1


def test_a_mark_that_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    (tmp_path / "metadata.json").write_text("{bad")
    (error,) = scan(tmp_path).unreadable
    assert "metadata.json: cannot be read" in error.message


def test_a_symbology_json_that_cannot_be_read_does_not_matter_beside_a_header(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    (tmp_path / "symbology.json").write_text("[]")
    catalog = scan(tmp_path)
    infos, unreadable = catalog.files, catalog.unreadable
    assert (len(infos), unreadable) == (1, [])


def test_parts_that_share_a_packet_are_no_doubles(tmp_path: Path) -> None:
    for number, times in enumerate([(0, 1), (1, 2)]):
        records = [trade(T0 + i * MS) for i in times]
        write_file(tmp_path, "trades", records, name=f"glbx-mdp3-20251216.trades.{number:04}.dbn")
        write_file(tmp_path, "mbp-10", [book(T0 + i * MS) for i in times], name=f"mine-{number}.dbn")
    assert without_doubles(scan(tmp_path).files)[1] == []


def test_doubles_are_found_and_parts_are_not_doubles(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES, name="glbx-mdp3-20251216.trades.0000.dbn")
    write_file(tmp_path, "trades", [trade(T0 + SECOND)], name="glbx-mdp3-20251216.trades.0001.dbn")
    assert without_doubles(scan(tmp_path).files)[1] == []
    write_file(tmp_path, "trades", TRADES, name="glbx-mdp3-20251216.trades.copy.dbn")
    (double,) = without_doubles(scan(tmp_path).files)[1]
    assert (double.kept.path.name, double.other.path.name) == (
        "glbx-mdp3-20251216.trades.0000.dbn",
        "glbx-mdp3-20251216.trades.copy.dbn",
    )


@pytest.mark.parametrize("make", [False, True])
def test_no_folder_and_nothing_in_it(tmp_path: Path, make: bool) -> None:
    root = tmp_path / "data"
    if make:
        root.mkdir()
    with pytest.raises(NoDataError) as caught:
        scan(root)
    assert "--data-dir" in caught.value.remedy


# --- the plan


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ([], [14, 16, 17]),
        (["all"], [14, 16, 17]),
        (["last"], [17]),
        (["2025-12-16"], [16]),
        (["2025-12-15..2025-12-17"], [16, 17]),
        (["2025-12-17", "2025-12-14"], [14, 17]),
    ],
)
def test_dates(asked: list[str], chosen: list[int]) -> None:
    available = [date(2025, 12, day) for day in (14, 16, 17)]
    assert choose_dates(asked, available, Path("x")) == tuple(date(2025, 12, day) for day in chosen)


def test_a_date_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(NoDataError, match="no data for 2025-12-18 in ./x, which holds 2025-12-16"):
        choose_dates(["2025-12-18"], [DAY], Path("x"))
    with pytest.raises(NoDataError, match="2025-12-18"):
        choose_dates(["2025-12-18..2025-12-19"], [DAY], Path("x"))


@pytest.mark.parametrize("text", ["tomorrow", "2025-12-16..", "2025-12-17..2025-12-16"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        choose_dates([text], [DAY], Path("x"))


def test_a_plan_counts_what_is_in_range(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    write_file(tmp_path, "mbp-10", BOOKS, compressed=True)
    plan = make_plan(tmp_path, [], "", Selection(start_ns=T0, end_ns=T0 + 5 * MS), speed=0.001)

    assert plan.events == {"trades": 5, "mbp-10": 5}
    assert (plan.first_ns, plan.last_ns, plan.wall_ns) == (T0, T0 + 4 * MS, 4 * SECOND)
    assert plan.exact


def test_a_plan_knows_that_quiet_stretches_are_shortened(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [trade(T0), trade(T0 + 100 * SECOND), trade(T0 + 101 * SECOND)])
    plan = make_plan(tmp_path, [], "", Selection(), speed=1.0, max_quiet_ns=5 * SECOND)
    assert plan.wall_ns == 6 * SECOND


def test_synthetic_and_vendor_files_are_never_merged(tmp_path: Path) -> None:
    write_file(tmp_path / "a", "trades", TRADES)
    write_file(tmp_path / "b", "mbp-10", BOOKS)
    (tmp_path / "b" / "metadata.json").write_text('{"synthetic": true}')
    with pytest.raises(UsageError, match="never merged"):
        make_plan(tmp_path, [], "", Selection())


def test_a_trading_day_takes_two_files(tmp_path: Path) -> None:
    eve = date(2025, 12, 15)
    write_file(tmp_path, "trades", [trade(DAY_NS - 7_200 * SECOND), trade(DAY_NS - 3_600 * SECOND)], day=eve)
    write_file(tmp_path, "trades", TRADES)
    plan = make_plan(tmp_path, [], "", Selection(), trading_day=trading_day(DAY))
    assert plan.dates == (eve, DAY)
    assert plan.events["trades"] == 11


def test_only_damage_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "odd.dbn").write_bytes(b"nonsense")
    with pytest.raises(DamagedFileError):
        make_plan(tmp_path, [], "", Selection())


# --- the ingestor


def test_the_ingestor_reads_events_and_exact_ranges(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    write_file(tmp_path, "mbp-10", BOOKS, compressed=True)
    ingestor = DBNIngestor(tmp_path)

    assert [info.schema for info in ingestor.discover_files("trades")] == ["trades"]
    assert len(list(ingestor.read_trades(DAY))) == 10
    assert [event.ts_event_ns for event in ingestor.read_trades(DAY, T0 + MS, T0 + 3 * MS)] == [T0 + MS, T0 + 2 * MS]
    assert sum(event.is_snapshot for event in ingestor.read_mbp10(DAY)) == 1
    found = ingestor.get_time_range(DAY, "mbp-10")
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
    assert ingestor.get_time_range(NEXT, "trades").records == 1


def test_no_such_day(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    with pytest.raises(NoDataError):
        DBNIngestor(tmp_path).get_time_range(NEXT, "trades")
