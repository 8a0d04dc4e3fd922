"""The books at a place: the last one of each symbol before it, whatever has been looked for before."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spyctl.dbn.sort_times import Selection
from spyctl.replay.file_source import FileSource
from spyctl.replay.seeds import Seeds
from spyctl.replay.segments import Cursor
from spyctl.replay.source import DBNIngestor
from spyctl.timing.instants import SECOND
from tests.support.days import FILES, ONE_DAY, SYMBOLS, File, Plain, plain, written
from tests.support.records import DAY, T0, book, write_file


def expected(plain: Plain, place: Cursor) -> list[bytes]:
    last = {plain.symbols[i]: plain.payloads[i] for i in range(len(plain.payloads)) if plain.books[i]
            and i < plain.index(place)}  # fmt: skip
    return [last[symbol] for symbol in sorted(last)]


def found(seeds: Seeds, place: Cursor) -> list[bytes]:
    return [book.payloads()[0] for book in seeds.before(place)]


@settings(max_examples=60)
@given(FILES, st.sampled_from([Selection(), Selection(reorder_ns=5 * SECOND), Selection(symbols=("B",))]), st.data())
def test_the_last_book_of_each_symbol_before_a_place(files: list[File], chosen: Selection, data: st.DataObject) -> None:
    with written(files, chosen) as plain:
        seeds = Seeds(plain.source)
        within = [place for place in plain.places() if T0 - ONE_DAY <= place.sort_ns <= T0 + 2 * ONE_DAY]
        for place in data.draw(st.lists(st.sampled_from(within), min_size=1, max_size=5)):
            assert found(seeds, place) == expected(plain, place)


BOOKS = [(0, 0, 1, 1, 1), (1, 0, 2, 1, 1), (20_000, 0, 1, 1, 1)]


@pytest.mark.parametrize("compressed", [False, True])
def test_a_symbol_without_a_book_before_the_place_has_none(compressed: bool) -> None:
    with written([("mbp-10", 0, compressed, BOOKS)]) as plain:
        seeds = Seeds(plain.source)
        assert found(seeds, plain.cursors[0]) == []
        assert found(seeds, plain.cursors[1]) == [plain.payloads[0]]
        assert found(seeds, plain.cursors[2]) == plain.payloads[:2]
        assert found(seeds, Cursor(plain.cursors[2].sort_ns, 1)) == [plain.payloads[2], plain.payloads[1]]


def test_a_book_of_the_day_before_is_found_in_its_file() -> None:
    with written([("mbp-10", 0, True, BOOKS), ("mbp-10", 1, False, [(5, 0, 3, 1, 1)])]) as plain:
        seeds = Seeds(plain.source)
        assert found(seeds, plain.cursors[3]) == [plain.payloads[2], plain.payloads[1]]
        assert found(seeds, Cursor(plain.cursors[3].sort_ns + 1)) == [plain.payloads[i] for i in (2, 1, 3)]


def test_what_has_been_looked_for_before_does_not_show() -> None:
    with written([("mbp-10", 0, False, BOOKS), ("mbp-10", 1, False, [(5, 0, 1, 1, 1)])]) as plain:
        one, places = Seeds(plain.source), [plain.cursors[i] for i in (3, 1, 2, 3, 0, 2)]
        for place in places:
            assert found(one, place) == found(Seeds(plain.source), place)


def test_a_place_that_is_asked_for_again_is_not_looked_for_again() -> None:
    with written([("mbp-10", 0, False, BOOKS)]) as plain:
        seeds = Seeds(plain.source)
        assert seeds.before(plain.cursors[2]) is seeds.before(plain.cursors[2])


def test_trades_alone_have_no_books() -> None:
    with written([("trades", 0, False, BOOKS)]) as plain:
        assert found(Seeds(plain.source), plain.cursors[2]) == []


def names(day: date, *numbers: int) -> dict[str, Any]:
    mappings = {SYMBOLS[number]: [(day, day + timedelta(1), str(number))] for number in numbers}
    midnight = T0 // ONE_DAY * ONE_DAY + (day - DAY).days * ONE_DAY
    span = {"start": midnight, "end": midnight + ONE_DAY}
    return {"symbols": tuple(mappings), "mappings": mappings, "stype_in": "raw_symbol", "day": day, **span}


def test_a_symbol_of_another_day_is_none_of_those_however_far_others_were_looked_for(tmp_path: Path) -> None:
    write_file(tmp_path, "mbp-10", [book(T0, instrument_id=1)], **names(DAY, 1))
    later = [book(T0 + ONE_DAY + i * SECOND, instrument_id=2) for i in range(60)]
    write_file(tmp_path, "mbp-10", later, **names(DAY + timedelta(1), 2, 3))
    plain_days = plain(FileSource(tuple(DBNIngestor(tmp_path).discover_files()), Selection()))
    seeds = Seeds(plain_days.source)
    for index in (20, 50, 20, 2, 20):  # 3 has no book anywhere: it is looked for to the very beginning, once
        assert found(seeds, plain_days.cursors[index]) == [plain_days.payloads[index - 1]]


def test_an_instrument_that_nothing_names_has_its_id_for_a_name(tmp_path: Path) -> None:
    write_file(tmp_path, "mbp-10", [book(T0 + i * SECOND, instrument_id=7 + i % 2) for i in range(9)], mappings={})
    unnamed = plain(FileSource(tuple(DBNIngestor(tmp_path).discover_files()), Selection()))
    assert set(unnamed.symbols) == {"7", "8"}
    assert found(Seeds(unnamed.source), unnamed.cursors[6]) == [unnamed.payloads[4], unnamed.payloads[5]]
