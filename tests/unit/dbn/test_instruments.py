"""Where the names of instruments come from, and in which order."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from spyctl.dbn.instruments import Definitions, Naming
from spyctl.dbn.records import parse_header
from spyctl.market.symbology import Mapping
from spyctl.timing.instants import DAY as A_DAY
from spyctl.timing.instants import day_number
from tests.support.records import DAY_NS, ES, metadata

D16 = day_number(date(2025, 12, 16))
HEADER = parse_header(metadata("trades"))


def test_the_header_goes_before_records_symbology_and_definitions() -> None:
    mappings = [Mapping(name, 7, D16, D16 + 1) for name in ("R", "S", "D")]
    naming = Naming(HEADER, (mappings[0],), (mappings[1],), lambda: (mappings[2],))
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

    def definitions() -> tuple[Mapping, ...]:
        asked.append("definitions")
        return ()

    naming = Naming(HEADER, in_definitions=definitions)
    assert naming.ids
    assert asked == []
    assert naming.mappings
    assert naming.mappings
    assert asked == ["definitions"]


class FakeFile:
    """A ``definition`` file that counts how often it is read."""

    def __init__(self, name: str, start_ns: int, end_ns: int | None) -> None:
        self.path = Path(name)
        self.header = parse_header(metadata("definition", mappings={}, start=start_ns, end=end_ns))
        self.read = 0

    def definitions(self) -> Iterator[tuple[str, int, int]]:
        self.read += 1
        yield "ESZ5", ES, D16


def test_only_definitions_of_the_dataset_and_the_days_are_read_and_each_once() -> None:
    today: Any = FakeFile("a", DAY_NS, DAY_NS + A_DAY)
    later: Any = FakeFile("b", DAY_NS + A_DAY, None)
    earlier: Any = FakeFile("c", DAY_NS - A_DAY, DAY_NS)
    definitions = Definitions()
    for file in (earlier, today, later):
        definitions.add(file)
    assert definitions.of("IFEU.IMPA", D16, D16) == ()
    for _ in range(2):
        assert definitions.of("GLBX.MDP3", D16, D16) == (Mapping("ESZ5", ES, D16, D16 + 1),)
    assert (earlier.read, today.read, later.read) == (0, 1, 0)
