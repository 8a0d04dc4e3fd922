from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from spyctl.errors import DamagedFileError
from spyctl.market.symbology import (
    CaptureMapping,
    Mapping,
    SymbolChoice,
    SymbolMap,
    ambiguous_roots,
    capture_mappings,
    front_root,
    header_mappings,
    read_symbology,
    root_of,
)
from spyctl.timing.instants import DAY, day_number

D14, D16, D20 = (day_number(date(2025, 12, day)) for day in (14, 16, 20))


@pytest.mark.parametrize(
    ("symbol", "root"),
    [("ES.c.0", "ES"), ("ES.v.0", "ES"), ("ES.n.0", "ES"), ("ES.c.1", None), ("ESZ5", None), ("ES.FUT", None)],
)
def test_only_front_continuous_symbols_have_a_root(symbol: str, root: str | None) -> None:
    assert front_root(symbol) == root


def test_a_name_is_valid_from_its_first_day_up_to_its_end() -> None:
    names = SymbolMap([Mapping("ES.c.0", 7, D14, D20), Mapping("ESH6", 7, D20, D20 + 5)])
    assert names.name(7, D14 - 1) is None
    assert names.name(7, D14) == "ES"
    assert names.name(7, D20 - 1) == "ES"
    assert names.name(7, D20) == "ESH6"
    assert names.name(8, D14) is None


def test_a_root_that_would_name_two_instruments_on_one_day_is_not_used() -> None:
    front, by_volume = Mapping("ES.c.0", 7, D14, D20), Mapping("ES.v.0", 8, D16, D20)
    roots = ambiguous_roots([(front, [D14, D16]), (by_volume, [D16])])
    assert roots == {"ES"}
    assert ambiguous_roots([(front, [D14]), (by_volume, [D16])]) == frozenset()  # not on one day of what is played
    assert SymbolMap([front], roots).name(7, D14) == "ES.c.0"


def test_a_roll_and_two_names_for_one_instrument_are_no_ambiguity() -> None:
    roll = [Mapping("ES.c.0", 7, D14, D20), Mapping("ES.c.0", 8, D20, D20 + 90)]
    same = [Mapping("ES.c.0", 7, D14, D20), Mapping("ES.v.0", 7, D14, D20)]
    for mappings in (roll, same):
        assert ambiguous_roots((mapping, range(D14, D20 + 90)) for mapping in mappings) == frozenset()


def test_the_first_mapping_wins() -> None:
    names = SymbolMap([Mapping("ESZ5", 7, D14, D20), Mapping("ES.c.0", 7, D14, D20)])
    assert names.name(7, D16) == "ESZ5"


def test_header_mappings_hold_the_id_on_either_side() -> None:
    interval = {"start_date": date(2025, 12, 14), "end_date": date(2025, 12, 20)}
    expected = (Mapping("ESZ5", 7, D14, D20),)
    assert header_mappings({"ESZ5": [interval | {"symbol": "7"}]}, "instrument_id") == expected
    assert header_mappings({"7": [interval | {"symbol": "ESZ5"}]}, "raw_symbol") == expected
    assert header_mappings({"ESZ5": [interval | {"symbol": ""}]}, "instrument_id") == ()


def test_symbology_json(tmp_path: Path) -> None:
    path = tmp_path / "symbology.json"
    assert read_symbology(path) == ()
    path.write_text('{"result":{"ES.c.0":[{"d0":"2025-12-14","d1":"2025-12-20","s":"7"}]},"stype_out":"instrument_id"}')
    assert read_symbology(path) == (Mapping("ES.c.0", 7, D14, D20),)


@pytest.mark.parametrize("text", ["", "[]", '{"result":{"A":[{}]}}', '{"result":{"A":[{"d0":1,"d1":2,"s":3}]}}'])
def test_a_symbology_json_of_another_form_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "symbology.json"
    path.write_text(text)
    with pytest.raises(DamagedFileError, match=r"symbology\.json"):
        read_symbology(path)


UNDEFINED = 2**64 - 1


def said(asked: str, raw: str, instrument_id: int, day: int, start_ns: int = UNDEFINED) -> CaptureMapping:
    return CaptureMapping(asked, raw, instrument_id, day * DAY + 7, start_ns, UNDEFINED)


@pytest.mark.parametrize("undefined", [0, UNDEFINED])
def test_a_capture_mapping_without_a_start_holds_for_the_whole_capture(undefined: int) -> None:
    names = SymbolMap(capture_mappings([said("ES.c.0", "ESZ5", 7, D16, undefined)])[0])
    assert [names.name(7, day) for day in (0, D14, D16, D20)] == ["ES"] * 4


def test_a_capture_mapping_with_a_start_holds_from_that_day_on() -> None:
    names = SymbolMap(capture_mappings([said("ES.c.0", "ESZ5", 7, D20, D16 * DAY)])[0])
    assert [names.name(7, day) for day in (D14, D16, D20)] == [None, "ES", "ES"]


def test_a_capture_mapping_that_ends_within_a_day_holds_for_that_day() -> None:
    for end_ns in (D20 * DAY, D20 * DAY - 1, (D20 - 1) * DAY + 1):
        message = replace(said("ES.c.0", "ESZ5", 7, D16, D16 * DAY), end_ns=end_ns)
        names = SymbolMap(capture_mappings([message])[0])
        assert [names.name(7, day) for day in (D16, D20 - 1, D20)] == ["ES", "ES", None]


def test_an_id_said_to_be_the_name_of_a_continuous_symbol_is_no_symbol() -> None:
    assert [mapping.symbol for mapping in capture_mappings([said("ES.c.0", "294973", 294973, D16)])[0]] == ["ES.c.0"]


def test_an_id_that_is_given_away_twice_in_a_capture_has_each_name_in_its_turn() -> None:
    messages = [said("ES.FUT", raw, 7, D16) for raw in ("ESZ5", "ESH6", "ESM6")]
    mappings, epochs = capture_mappings(messages)
    assert len(epochs) == 2
    assert [SymbolMap(mappings).name(7, D16, epoch) for epoch in (0, 1, 2)] == ["ESZ5", "ESH6", "ESM6"]


def test_a_symbol_that_moves_to_another_instrument_in_a_capture_leaves_the_first_one_there() -> None:
    messages = [said("ES.c.0", "ESZ5", 7, D14), said("ES.c.0", "ESH6", 8, D16)]
    mappings, epochs = capture_mappings([replace(message, offset=n) for n, message in enumerate(messages)])
    names = SymbolMap(mappings)
    assert epochs == (1,)
    assert [names.name(7, D16, epoch) for epoch in (0, 1)] == ["ES", "ESZ5"]
    assert [names.name(8, D14, epoch) for epoch in (0, 1)] == ["ESH6", "ES"]


def test_a_symbol_that_moves_from_a_day_on_leaves_the_first_one_that_day() -> None:
    messages = [said("ES.c.0", "ESZ5", 7, D14, D14 * DAY), said("ES.c.0", "ESH6", 8, D14, D16 * DAY)]
    mappings, epochs = capture_mappings(messages)
    names = SymbolMap(mappings)
    assert epochs == ()
    assert [names.name(7, day) for day in (D14, D16)] == ["ES", "ESZ5"]
    assert [names.name(8, day) for day in (D14, D16)] == [None, "ES"]


def test_an_id_that_goes_to_another_instrument_in_a_capture_names_it_from_there_on() -> None:
    messages = [said("ES.c.0", "ESZ5", 7, D16), said("ES.v.0", "ESZ5", 7, D16), said("NQ.c.0", "NQZ5", 7, D16)]
    mappings, epochs = capture_mappings(messages)
    names = SymbolMap(mappings)
    assert len(epochs) == 1
    assert [names.name(7, D16, epoch) for epoch in (0, 1)] == ["ES", "NQ"]


@pytest.mark.parametrize(
    ("symbol", "root"),
    [("ES.c.0", "ES"), ("ES.v.1", "ES"), ("ESZ5", "ES"), ("6EH26", "6E"), ("ESZ5-ESH6", None), ("ES.FUT", None)],
)
def test_the_root_of_a_future(symbol: str, root: str | None) -> None:
    assert root_of(symbol) == root


def test_of_two_names_of_one_instrument_in_a_capture_the_first_one_wins() -> None:
    both = [said("ESZ5", "ESZ5", 7, D16), said("ES.c.0", "ESZ5", 7, D16)]
    assert SymbolMap(capture_mappings(both)[0]).name(7, D16) == "ESZ5"
    assert SymbolMap(capture_mappings(both[::-1])[0]).name(7, D16) == "ES"


@pytest.mark.parametrize(
    ("word", "taken"),
    [
        ("ES", ["ESZ5", "ES.c.0"]),
        ("ES.FUT", ["ESZ5", "ES.c.0", "ESZ5-ESH6", "ES:BF H6-M6-U6"]),
        ("ESG.FUT", ["ESGZ5", "ESGZ5-ESGH6"]),
        ("es.fut", ["ESZ5", "ES.c.0", "ESZ5-ESH6", "ES:BF H6-M6-U6"]),
        ("E.FUT", []),
    ],
)
def test_a_root_and_a_parent_go_by_the_whole_root(word: str, taken: list[str]) -> None:
    symbols = ["ESZ5", "ES.c.0", "ESGZ5", "ESZ5-ESH6", "ESGZ5-ESGH6", "ES:BF H6-M6-U6", "ESM4 P5230", "UD:1V: VT 2"]
    choice = SymbolChoice([word])
    assert [symbol for symbol in symbols if choice.takes(symbol)] == taken
