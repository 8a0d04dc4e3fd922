"""Which files are read for days, schemas and symbols; and how days are written."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from spyctl.dbn.catalog import Catalog, scan
from spyctl.dbn.choice import (
    EVERY_DAY,
    FileQuery,
    choose_files,
    files_for_day,
    parse_dates,
    parse_days,
    selection_for,
    trading_day_choice,
)
from spyctl.dbn.sort_times import Selection
from spyctl.errors import (
    DamagedFileError,
    MissingDaysError,
    MixedFilesError,
    NoDataError,
    NoSuchDataError,
    ReversedRangeError,
    SeveralDatasetsError,
    UnknownDatasetError,
    UnknownSymbolError,
    UsageError,
)
from spyctl.timing.instants import SECOND, day_number
from tests.support.plans import plan_of
from tests.support.records import DAY, DAY_NS, MS, T0, book, content, metadata, trade, write_file

NEXT = DAY + timedelta(days=1)
TRADES = [trade(T0 + i * MS) for i in range(10)]
BOOKS = [book(T0 + i * MS) for i in range(20)]


def trades(*numbers: int, ids: int | None = None) -> list[object]:
    more = {} if ids is None else {"instrument_id": ids}
    return [trade(T0 + n * MS, sequence=n, **more) for n in numbers]


def folder_of(root: Path, *days: date) -> Catalog:
    for day in days:
        shift = (day - DAY).days * 86_400 * SECOND
        write_file(root, "trades", [trade(T0 + shift)], day=day, start=DAY_NS + shift, end=None)
    return scan(root)


@pytest.mark.parametrize(
    ("texts", "chosen"),
    [
        ([], [14, 16, 17]),
        (["all"], [14, 16, 17]),
        (["last"], [17]),
        (["2025-12-16"], [16]),
        (["2025-12-15..2025-12-17"], [16, 17]),
        (["2025-12-17", "2025-12-14"], [14, 17]),
        (["last", "2025-12-14"], [14, 17]),
        (["all", "2025-12-14"], [14, 16, 17]),
    ],
)
def test_days_are_chosen_among_those_of_the_files(tmp_path: Path, texts: Sequence[str], chosen: list[int]) -> None:
    catalog = folder_of(tmp_path, *(date(2025, 12, day) for day in (14, 16, 17)))
    choice = choose_files(catalog, FileQuery(days=parse_days(texts)))
    assert choice.days == tuple(date(2025, 12, day) for day in chosen)
    assert [info.first_date for info in choice.files] == list(choice.days)


@pytest.mark.parametrize("text", ["2025-12-18", "2025-12-18..2025-12-19"])
def test_a_day_without_a_file_names_those_that_there_are(tmp_path: Path, text: str) -> None:
    catalog = folder_of(tmp_path, DAY)
    with pytest.raises(MissingDaysError, match="no data for 2025-12-18 in .*, which holds 2025-12-16") as caught:
        choose_files(catalog, FileQuery(days=parse_days([text])))
    assert caught.value.days == (date(2025, 12, 18),)


@pytest.mark.parametrize("text", ["tomorrow", "2025-12-16..", "..2025-12-16", "2025-12-16..x", "2025-12-16..last"])
def test_text_that_is_not_a_day_is_refused(text: str) -> None:
    for parse in (parse_days, parse_dates):
        with pytest.raises(UsageError, match="not a date"):
            parse([text])


def test_a_range_that_ends_before_it_begins_is_refused_with_both_ends() -> None:
    for parse in (parse_days, parse_dates):
        with pytest.raises(ReversedRangeError) as caught:
            parse(["2025-12-17..2025-12-16"])
        assert (caught.value.first, caught.value.last) == (NEXT, DAY)
        assert "--" not in caught.value.message + caught.value.remedy


def test_dates_to_make_or_fetch_are_in_order_and_each_once() -> None:
    assert parse_dates(["2025-12-17", "2025-12-16..2025-12-17"]) == [DAY, NEXT]
    for word in ("all", "last"):
        with pytest.raises(UsageError):
            parse_dates([word])


def test_absent_days_of_a_range_are_named_saturdays_aside(tmp_path: Path) -> None:
    catalog = folder_of(tmp_path, date(2025, 12, 19), date(2025, 12, 22))
    choice = choose_files(catalog, FileQuery(days=parse_days(["2025-12-18..2025-12-22"])))
    assert choice.absent == (date(2025, 12, 18), date(2025, 12, 21))
    assert choose_files(catalog, FileQuery()).absent == ()


def test_a_day_without_a_record_in_a_file_of_several_is_told_apart_from_one_without_a_file(tmp_path: Path) -> None:
    records = [trade(T0), trade(T0 + 3 * 86_400 * SECOND)]
    write_file(tmp_path, "trades", records, name="glbx-mdp3-20251216-20251219.trades.dbn")
    choice = choose_files(scan(tmp_path), FileQuery(days=parse_days(["2025-12-15..2025-12-19"])))
    assert choice.absent == (date(2025, 12, 15),)
    assert choice.empty == (date(2025, 12, 17), date(2025, 12, 18))


def test_a_trading_day_takes_the_files_of_two_utc_days(tmp_path: Path) -> None:
    catalog = folder_of(tmp_path, date(2025, 12, 15), DAY, NEXT)
    assert choose_files(catalog, FileQuery(days=trading_day_choice(DAY))).days == (date(2025, 12, 15), DAY)
    with pytest.raises(NoSuchDataError, match="no data for the trading day 2025-12-20"):
        choose_files(catalog, FileQuery(days=trading_day_choice(date(2025, 12, 20))))


def test_schemas_are_told_apart_and_a_schema_without_a_file_is_named(tmp_path: Path) -> None:
    catalog = folder_of(tmp_path, DAY)
    assert choose_files(catalog, FileQuery(schemas=("trades",))).files_of("trades", DAY)[0].records == 1
    with pytest.raises(NoSuchDataError, match="no mbp-10 data in"):
        choose_files(catalog, FileQuery(schemas=("mbp-10",)))


def test_files_of_a_day_are_those_that_cover_it(tmp_path: Path) -> None:
    choice = choose_files(folder_of(tmp_path, DAY, NEXT), FileQuery(days=EVERY_DAY))
    assert [info.first_date for info in choice.files_of("trades", NEXT)] == [NEXT]
    assert choice.files_of("mbp-10", NEXT) == []


def test_days_are_told_apart_only_in_a_file_that_holds_others_too(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES, name="glbx-mdp3-20251216-20251217.trades.dbn")
    (info,) = scan(tmp_path).files
    one, both = frozenset({day_number(DAY)}), frozenset({day_number(DAY), day_number(NEXT)})
    assert selection_for(info, Selection(days=one)).days == one
    assert selection_for(info, Selection(days=both)).days is None


def test_synthetic_and_vendor_files_are_never_merged(tmp_path: Path) -> None:
    write_file(tmp_path / "a", "trades", TRADES)
    write_file(tmp_path / "b", "mbp-10", BOOKS)
    (tmp_path / "b" / "metadata.json").write_text('{"synthetic": true}')
    with pytest.raises(MixedFilesError, match="never merged"):
        plan_of(tmp_path)


def test_a_folder_of_unreadable_files_raises_their_error(tmp_path: Path) -> None:
    (tmp_path / "odd.dbn").write_bytes(b"nonsense")
    with pytest.raises(DamagedFileError):
        plan_of(tmp_path)


def test_a_file_that_cannot_be_read_is_named_when_its_date_is_asked_for(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", trades(1), name="glbx-mdp3-20251216.trades.dbn")
    bad = write_file(tmp_path, "trades", trades(1), name="glbx-mdp3-20251217.trades.dbn")
    data = bytearray(bad.read_bytes())
    data[3] = 9
    bad.write_bytes(bytes(data))
    with pytest.raises(DamagedFileError, match="DBN version 9"):
        plan_of(tmp_path, ["2025-12-17"])
    for asked in (["2025-12-16..2025-12-17"], [], ["all"]):
        assert len(plan_of(tmp_path, asked).unreadable) == 1
    assert plan_of(tmp_path, ["2025-12-16"]).unreadable == ()
    with pytest.raises(NoDataError):
        plan_of(tmp_path, ["2025-12-18"])


def test_synthetic_and_vendor_files_of_one_day_are_refused(tmp_path: Path) -> None:
    write_file(tmp_path / "v", "trades", trades(1))
    write_file(tmp_path / "s", "trades", trades(2))
    (tmp_path / "s" / "metadata.json").write_text('{"synthetic": true}')
    with pytest.raises(MixedFilesError, match="never merged"):
        files_for_day(scan(tmp_path).files, DAY, tmp_path)


def test_a_parent_means_the_futures_of_its_root(tmp_path: Path) -> None:
    names = {"ESZ5": "1", "ESH6": "2", "ESZ5-ESH6": "3", "NQZ5": "4"}
    mappings = {name: [(DAY, DAY + timedelta(1), number)] for name, number in names.items()}
    records = [one for n in range(1, 5) for one in trades(n, ids=n)]
    write_file(tmp_path, "trades", records, mappings=mappings)
    plan = plan_of(tmp_path, symbols=("ES.FUT",))
    assert plan.volume.events["trades"] == 3


def test_several_datasets_are_never_mixed(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    other = content(TRADES, metadata("trades")).replace(b"GLBX.MDP3", b"IFEU.IMPA")
    (tmp_path / "ifeu.dbn").write_bytes(other)
    with pytest.raises(SeveralDatasetsError, match=r"GLBX.MDP3 and IFEU.IMPA") as caught:
        plan_of(tmp_path)
    assert caught.value.datasets == ("GLBX.MDP3", "IFEU.IMPA")
    assert len(plan_of(tmp_path, dataset="IFEU.IMPA").infos) == 1
    with pytest.raises(UnknownDatasetError, match="no data of XNAS.ITCH"):
        plan_of(tmp_path, dataset="XNAS.ITCH")


def test_a_symbol_that_no_file_names_is_refused(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    with pytest.raises(UnknownSymbolError, match=r"no NQ in .*, which holds ES.c.0"):
        plan_of(tmp_path, symbols=("NQ",))


def test_a_dataset_without_futures_is_refused_by_its_file(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", TRADES)
    (tmp_path / "xnas.dbn").write_bytes(content(TRADES, metadata("trades")).replace(b"GLBX.MDP3", b"XNAS.ITCH"))
    with pytest.raises(NoSuchDataError, match="xnas.dbn holds XNAS.ITCH, which is no dataset of futures"):
        plan_of(tmp_path, dataset="XNAS.ITCH")


def test_files_without_a_record_are_no_dates(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [], day=NEXT, start=DAY_NS + 86_400 * SECOND, end=None)
    catalog = folder_of(tmp_path, DAY)
    assert choose_files(catalog, FileQuery(days=parse_days(["last"]))).days == (DAY,)
    choice = choose_files(catalog, FileQuery(days=parse_days(["2025-12-16..2025-12-17"])))
    assert (choice.days, choice.empty, choice.absent) == ((DAY,), (NEXT,), ())


def test_the_rest_of_a_joined_file_is_not_called_absent(tmp_path: Path) -> None:
    one, two = (
        content([trade(T0 + shift)], metadata("trades", start=DAY_NS + shift, end=DAY_NS + shift + 86_400 * SECOND))
        for shift in (0, 86_400 * SECOND)
    )
    (tmp_path / "both.dbn").write_bytes(one + two)
    with pytest.raises(DamagedFileError, match="a second DBN header"):
        plan_of(tmp_path, days=["2025-12-17"])
