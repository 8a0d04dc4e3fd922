"""One name for each instrument of a selection, whichever file a record comes from."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from spyctl.dbn.catalog import scan
from spyctl.dbn.file_info import DBNFileInfo
from spyctl.dbn.siblings import TwoNames, symbol_maps, two_names, with_siblings
from spyctl.dbn.sort_times import Selection
from spyctl.timing.instants import day_number
from tests.support.plans import plan_of
from tests.support.records import DAY, DAY_NS, SECOND, T0, book, content, mapped, metadata, trade, write_file

D16 = day_number(DAY)
A_DAY = 86_400 * SECOND
Interval = tuple[date, date, str]
YEAR = date(2025, 1, 1), date(2026, 1, 1)


def files(root: Path) -> list[DBNFileInfo]:
    return with_siblings(scan(root).files)


def selection(*words: str, days: tuple[int, ...] | None = None) -> Selection:
    return Selection(symbols=words, days=frozenset(days) if days is not None else None)


def write_parent_beside_continuous(root: Path) -> Path:
    parent: dict[str, list[Interval]] = {"ESZ5": [(*YEAR, "1")], "ESH6": [(*YEAR, "2")]}
    trades = [trade(T0, instrument_id=1), trade(T0 + 1, instrument_id=2)]
    write_file(root, "trades", trades, symbols=("ES.FUT",), mappings=parent, stype_in="parent")
    front: dict[str, list[Interval]] = {"ES.c.0": [(*YEAR, "1")]}
    write_file(root, "mbp-10", [book(T0 + 2, instrument_id=1)], symbols=("ES.c.0",), mappings=front)
    return root


def test_the_continuous_symbol_of_one_file_names_the_instrument_in_all(tmp_path: Path) -> None:
    infos = files(write_parent_beside_continuous(tmp_path))
    trades, books = symbol_maps(infos, selection())
    assert [trades.name(number, D16) for number in (1, 2)] == ["ES", "ESH6"]
    assert books.name(1, D16) == "ES"
    assert two_names(infos, selection()) == [TwoNames(infos[0].path, "ESZ5", "ES")]


@pytest.mark.parametrize(("word", "name"), [("ESZ5", "ESZ5"), ("ES.c.0", "ES"), ("ES", "ES"), ("1", "ES")])
def test_only_what_was_asked_for_gives_names(tmp_path: Path, word: str, name: str) -> None:
    infos = files(write_parent_beside_continuous(tmp_path))
    assert [symbols.name(1, D16) for symbols in symbol_maps(infos, selection(word))] == [name, name]
    assert plan_of(tmp_path, symbols=(word,)).volume.events["mbp-10"] == 1


def write_two_fronts(root: Path) -> Path:
    for shift, symbol, number in ((0, "ES.c.0", "1"), (1, "ES.v.0", "2")):
        mappings = {symbol: [(*YEAR, number)]}
        records = [trade(T0 + shift * A_DAY, instrument_id=int(number))]
        span = {"start": DAY_NS + shift * A_DAY, "end": DAY_NS + (shift + 1) * A_DAY}
        name = f"glbx-mdp3-202512{16 + shift}.trades.dbn"
        write_file(root, "trades", records, name=name, symbols=(symbol,), mappings=mappings, **span)
    return root


def test_a_root_is_ambiguous_only_on_days_that_are_played(tmp_path: Path) -> None:
    # The headers map both for the whole year; each file holds one day.
    first, second = symbol_maps(files(write_two_fronts(tmp_path)), selection())
    assert [first.name(1, D16), second.name(2, D16 + 1)] == ["ES", "ES"]
    same_day = {"ES.n.0": [(*YEAR, "3")]}
    write_file(tmp_path, "mbp-10", [book(T0, instrument_id=3)], symbols=("ES.n.0",), mappings=same_day)
    infos = files(tmp_path)
    assert symbol_maps(infos, selection())[0].name(1, D16) == "ES.c.0"
    assert symbol_maps(infos, selection(days=(D16 + 1,)))[1].name(2, D16 + 1) == "ES"


def test_a_capture_names_its_own_records_alone(tmp_path: Path) -> None:
    def capture(name: str, ns: int, raw: str) -> None:
        records = [mapped("ES.FUT", raw, 5), trade(ns, instrument_id=5)]
        (tmp_path / name).write_bytes(content(records, metadata(None, version=3, symbols=(), start=0)))

    capture("a.dbn", T0, "ESZ5")
    capture("b.dbn", T0 + 7 * A_DAY, "CLF6")
    maps = symbol_maps(files(tmp_path), selection())
    assert [names.name(5, day) for names, day in zip(maps, (D16, D16 + 7), strict=True)] == ["ESZ5", "CLF6"]


def test_of_two_continuous_symbols_of_one_contract_the_first_file_names_it(tmp_path: Path) -> None:
    for name, symbol, shift in (("a", "ES.v.0", 0), ("b", "ES.c.0", 1)):
        records = [trade(T0 + shift, instrument_id=5)]
        mappings = {symbol: [(*YEAR, "5")]}
        write_file(tmp_path, "trades", records, name=f"{name}.dbn", symbols=(symbol,), mappings=mappings)
    maps = symbol_maps(files(tmp_path), selection())
    assert [names.names(5, D16)[0] for names in maps] == ["ES.v.0", "ES.v.0"]


def test_an_id_that_a_capture_gave_to_another_instrument_names_nothing_elsewhere(tmp_path: Path) -> None:
    records = [mapped("ES.FUT", "ESZ5", 5), mapped("ES.FUT", "ESH6", 6), trade(T0, instrument_id=5)]
    records += [mapped("ES.FUT", "ESM6", 5), trade(T0 + 1, instrument_id=5)]
    (tmp_path / "a.dbn").write_bytes(content(records, metadata(None, version=3, symbols=(), start=0)))
    books = [book(T0 + number, instrument_id=number) for number in (5, 6)]
    write_file(tmp_path, "mbp-10", books, symbols=("ALL_SYMBOLS",), mappings={})
    infos = files(tmp_path)
    maps = {info.schema: names for info, names in zip(infos, symbol_maps(infos, selection()), strict=True)}
    assert [maps["mbp-10"].name(number, D16) for number in (5, 6)] == [None, "ESH6"]


def test_another_root_is_never_the_same_contract(tmp_path: Path) -> None:
    for name, symbol, shift in (("a", "ES.c.0", 0), ("b", "NQ.c.0", 1), ("c", "NQZ5", 2)):
        records = [trade(T0 + shift, instrument_id=5)]
        write_file(
            tmp_path, "trades", records, name=f"{name}.dbn", symbols=(symbol,), mappings={symbol: [(*YEAR, "5")]}
        )
    maps = symbol_maps(files(tmp_path), selection())
    assert [names.names(5, D16)[0] for names in maps] == ["ES.c.0", "NQ.c.0", "NQ.c.0"]


def test_a_contract_that_changes_its_name_from_day_to_day_is_told(tmp_path: Path) -> None:
    days = [(DAY, DAY + timedelta(1), "1")], [(DAY + timedelta(1), DAY + timedelta(2), "1")]
    write_file(tmp_path, "trades", [trade(T0, instrument_id=1)], symbols=("ESZ5",), mappings={"ESZ5": days[0]})
    later = [trade(T0 + A_DAY, instrument_id=1)]
    path = write_file(
        tmp_path, "trades", later, name="b.dbn", symbols=("ES.c.0",), mappings={"ES.c.0": days[1]},
        start=DAY_NS + A_DAY, end=DAY_NS + 2 * A_DAY,
    )  # fmt: skip
    assert two_names(files(tmp_path), selection()) == [TwoNames(path, "ESZ5", "ES", DAY + timedelta(1))]


def test_what_lies_beside_a_file_goes_before_what_another_says(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [trade(T0, instrument_id=1)], symbols=("ALL_SYMBOLS",), mappings={})
    (tmp_path / "trades" / "symbology.json").write_text(
        '{"result":{"OLD":[{"d0":"2025-01-01","d1":"2026-01-01","s":"1"}]},"stype_out":"instrument_id"}'
    )
    mappings = {"ESZ5": [(*YEAR, "1")]}
    write_file(tmp_path, "mbp-10", [book(T0, instrument_id=1)], symbols=("ESZ5",), mappings=mappings)
    trades, books = symbol_maps(files(tmp_path), selection())
    assert [trades.name(1, D16), books.name(1, D16)] == ["OLD", "ESZ5"]
