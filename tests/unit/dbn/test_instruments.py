"""Where the names of instruments come from, and in which order."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from spyctl.dbn.instruments import DefinitionFile, Definitions, Names, Naming
from spyctl.dbn.records import parse_header
from spyctl.dbn.sidecars import ManifestEntries
from spyctl.errors import DamagedFileError
from spyctl.market.symbology import Mapping
from spyctl.timing.instants import DAY as A_DAY
from spyctl.timing.instants import day_number
from tests.support.records import DAY_NS, ES, metadata

D16 = day_number(date(2025, 12, 16))
HEADER = parse_header(metadata("trades"))


def test_the_header_goes_before_records_symbology_and_definitions() -> None:
    mappings = [Mapping(name, 7, D16, D16 + 1) for name in ("R", "S", "D")]
    naming = Naming(HEADER, (mappings[0],), (mappings[1],), lambda: Names((mappings[2],)))
    assert [mapping.symbol for mapping in naming.own] == ["ES.c.0", "R"]
    assert [mapping.symbol for mapping in naming.mappings] == ["ES.c.0", "R", "S", "D"]
    assert naming.ids == {ES, 7}


def test_ids_are_those_named_on_a_day() -> None:
    naming = Naming(HEADER, (Mapping("ESH6", 7, D16 + 10, D16 + 20),))
    assert naming.ids_on(D16, D16) == {ES}
    assert naming.ids_on(D16, D16 + 10) == {ES, 7}
    assert naming.ids_on(D16 + 10, D16 + 30) == {7}


def test_definitions_are_asked_only_for_names_that_are_asked_for() -> None:
    asked: list[str] = []

    def definitions() -> Names:
        asked.append("definitions")
        return Names()

    naming = Naming(HEADER, in_definitions=definitions)
    assert naming.ids
    assert asked == []
    assert naming.mappings
    assert naming.mappings
    assert asked == ["definitions"]


class FakeFile:
    """A ``definition`` file that counts how often it is read."""

    compressed, size = False, 0

    def __init__(self, name: str, start_ns: int, end_ns: int | None, **header: Any) -> None:
        self.path = Path(name)
        self.header = parse_header(metadata("definition", start=start_ns, end=end_ns, **{"mappings": {}} | header))
        self.read = 0
        self.damage: DamagedFileError | None = None

    def remnant(self) -> None:
        return None

    def definitions(self) -> Iterator[tuple[str, int, int]]:
        self.read += 1
        yield "ESZ5", ES, D16
        if self.damage is not None:
            raise self.damage


def definitions_of(*files: Any) -> Definitions:
    definitions = Definitions()
    definitions.files += [DefinitionFile(file, ManifestEntries()) for file in files]
    return definitions


def test_only_definitions_of_the_dataset_and_the_days_are_read_and_each_once() -> None:
    today, later = FakeFile("a", DAY_NS, DAY_NS + A_DAY), FakeFile("b", DAY_NS + A_DAY, None)
    earlier = FakeFile("c", DAY_NS - A_DAY, DAY_NS)
    definitions = definitions_of(earlier, today, later)
    assert definitions.of("IFEU.IMPA", D16, D16) == Names()
    for _ in range(2):
        assert definitions.of("GLBX.MDP3", D16, D16) == Names((Mapping("ESZ5", ES, D16, D16 + 1),))
    assert (earlier.read, today.read, later.read) == (0, 1, 0)


def test_the_header_of_a_definition_file_names_instruments_too() -> None:
    mappings = {"NQZ5": [(date(2025, 9, 20), date(2025, 12, 20), "7")]}
    file = FakeFile("a", DAY_NS, DAY_NS + A_DAY, symbols=("NQZ5",), mappings=mappings)
    found = definitions_of(file).of("GLBX.MDP3", D16, D16).mappings
    assert [(mapping.symbol, mapping.instrument_id) for mapping in found] == [("NQZ5", 7), ("ESZ5", ES)]


def test_a_damaged_definition_file_gives_what_is_whole_and_is_named() -> None:
    file = FakeFile("a", DAY_NS, DAY_NS + A_DAY)
    file.damage = DamagedFileError("a", "cut short", offset=9)
    names = definitions_of(file).of("GLBX.MDP3", D16, D16)
    assert names.mappings == (Mapping("ESZ5", ES, D16, D16 + 1),)
    assert [error.message for error in names.damage] == ["a: cut short at byte 9"]
