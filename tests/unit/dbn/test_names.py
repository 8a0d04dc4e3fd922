"""One name for each instrument of a selection, whichever file a record comes from."""

from datetime import date
from pathlib import Path

import pytest

from spyctl.dbn.catalog import scan
from spyctl.dbn.names import Renamed, names_of_selection, renamed_in
from spyctl.dbn.sort_times import Selection
from spyctl.timing.instants import day_number
from tests.support.records import DAY, DAY_NS, SECOND, T0, book, trade, write_file

D16 = day_number(DAY)
A_DAY = 86_400 * SECOND
Interval = tuple[date, date, str]
YEAR = date(2025, 1, 1), date(2026, 1, 1)


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
    infos = scan(write_parent_beside_continuous(tmp_path)).files
    symbols = names_of_selection(infos, selection())
    assert [symbols.name(number, D16) for number in (1, 2)] == ["ES", "ESH6"]
    assert renamed_in(infos, selection()) == [Renamed(infos[0].path, "ESZ5", "ES")]


@pytest.mark.parametrize(("word", "name"), [("ESZ5", "ESZ5"), ("ES.c.0", "ES"), ("ES", "ES"), ("1", "ES")])
def test_only_what_was_asked_for_gives_names(tmp_path: Path, word: str, name: str) -> None:
    infos = scan(write_parent_beside_continuous(tmp_path)).files
    assert names_of_selection(infos, selection(word)).name(1, D16) == name


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
    infos = scan(write_two_fronts(tmp_path)).files
    symbols = names_of_selection(infos, selection())
    assert [symbols.name(1, D16), symbols.name(2, D16 + 1)] == ["ES", "ES"]
    same_day = {"ES.n.0": [(*YEAR, "3")]}
    write_file(tmp_path, "mbp-10", [book(T0, instrument_id=3)], symbols=("ES.n.0",), mappings=same_day)
    infos = scan(tmp_path).files
    assert names_of_selection(infos, selection()).name(1, D16) == "ES.c.0"
    assert names_of_selection(infos, selection(days=(D16 + 1,))).name(2, D16 + 1) == "ES"


def test_what_a_file_says_goes_before_what_lies_beside_another(tmp_path: Path) -> None:
    write_file(tmp_path, "trades", [trade(T0, instrument_id=1)], symbols=("ALL_SYMBOLS",), mappings={})
    (tmp_path / "trades" / "symbology.json").write_text(
        '{"result":{"OLD":[{"d0":"2025-01-01","d1":"2026-01-01","s":"1"}]},"stype_out":"instrument_id"}'
    )
    mappings = {"ESZ5": [(*YEAR, "1")]}
    write_file(tmp_path, "mbp-10", [book(T0, instrument_id=1)], symbols=("ESZ5",), mappings=mappings)
    assert names_of_selection(scan(tmp_path).files, selection()).name(1, D16) == "ESZ5"
