"""What the name, the header and the ends of a file tell of it."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from spyctl.dbn.catalog import scan
from spyctl.dbn.file_info import DBNFileInfo, Extent, archive_of, dates_in_name, days_of, may_hold
from tests.support.records import DAY, DAY_NS, MS, SECOND, T0, trade, write_file

TRADES = [trade(T0 + i * MS) for i in range(10)]
A_DAY = 86_400 * SECOND


def only(root: Path) -> DBNFileInfo:
    (info,) = scan(root).files
    return info


@pytest.mark.parametrize(
    ("name", "dates"),
    [
        ("glbx-mdp3-20251216.trades.dbn", (DAY, DAY)),
        ("glbx-mdp3-20251214-20251216.trades.ESZ5.dbn.zst", (date(2025, 12, 14), DAY)),
        ("glbx-mdp3-20251399.trades.dbn", None),
        ("mine.dbn", None),
    ],
)
def test_dates_in_a_name_are_read_where_it_is_the_vendors(name: str, dates: tuple[date, date] | None) -> None:
    assert dates_in_name(Path(name)) == dates


def test_a_file_may_hold_the_days_of_its_name_and_any_day_without_a_name() -> None:
    assert may_hold(Path("glbx-mdp3-20251216.trades.dbn"), [DAY])
    assert not may_hold(Path("glbx-mdp3-20251216.trades.dbn"), [date(2025, 12, 17)])
    assert may_hold(Path("mine.dbn"), [DAY])


def test_the_archive_of_a_file_lies_beside_it() -> None:
    assert archive_of(Path("a/x.dbn")) == Path("a/x.dbn.zst")


def test_a_span_that_is_not_known_ends_with_the_header_or_the_day(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES, end=DAY_NS + 20 * 3_600 * SECOND)
    info = only(tmp_path)
    assert info.span == (T0 + 100_000, T0 + 9 * MS + 100_000)
    unknown = replace(info, extent=Extent(None, T0))
    assert unknown.span == (T0, DAY_NS + 20 * 3_600 * SECOND - 1)


def test_what_a_problem_or_a_gateway_said_is_told(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    info = only(tmp_path)
    assert info.gateway_warnings() == []
    warned = replace(info, gateway_errors=("slow reader", "again", "again"))
    assert warned.gateway_warnings() == [f"{info.path.name}: the gateway said: slow reader and 2 more"]


def test_a_range_of_days_in_the_name(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES, name="glbx-mdp3-20251214-20251216.trades.dbn")
    (info,) = scan(tmp_path).files
    assert (info.first_date, info.last_date) == (date(2025, 12, 14), DAY)
    assert len(days_of([info])) == 3


def test_a_file_of_any_other_name_is_dated_by_its_records(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES, name="mine.dbn")
    (info,) = scan(tmp_path).files
    assert (info.first_date, info.last_date) == (DAY, DAY)
