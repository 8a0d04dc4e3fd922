"""The nearest of each kind before and behind a place."""

from datetime import timedelta

import pytest

from spyctl.dbn.sort_times import Selection
from spyctl.errors import ControlError
from spyctl.replay.commands import Find, Sight
from spyctl.replay.file_source import FileSource
from spyctl.replay.finder import Finder
from spyctl.replay.segments import BEGINNING, Cursor
from spyctl.replay.source import DBNIngestor
from spyctl.replay.targets import Span
from spyctl.timing.instants import HOUR, MINUTE
from tests.support.days import ONE_DAY, no_turn, run
from tests.support.records import DAY, ES, SECOND, T0, book, level, trade, write_file

QUIET = [(T0 + 60 * SECOND, T0 + 90 * SECOND), (T0 + 200 * SECOND, T0 + 300 * SECOND)]
TICK = 250_000_000


def rolling(first: int, second: int) -> dict[str, list[tuple[object, object, str]]]:
    roll = DAY + timedelta(1)
    return {"ES.c.0": [(DAY - timedelta(9), roll, str(first)), (roll, DAY + timedelta(9), str(second))]}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> FileSource:
    root = tmp_path_factory.mktemp("days")
    names = {"mappings": rolling(ES, ES + 1)}
    sizes = {1: 60, 2: 49, 3: 50}
    trades = [trade(T0 + i * SECOND, size=sizes.get(i, 1)) for i in range(9)]
    trades += [trade(T0 + 100 * SECOND, T0 + 103 * SECOND, size=1)]  # late: its place is when it was received
    write_file(root, "trades", trades, **names)
    spreads = [1, 1, 2, 1, 1]
    books = [
        book(T0 + i * SECOND, levels=[level(100 * TICK, (100 + spread) * TICK)] * 10)
        for i, spread in enumerate(spreads)
    ]
    write_file(root, "mbp-10", books, **names)
    more = {"start": T0 // ONE_DAY * ONE_DAY + ONE_DAY, "end": T0 // ONE_DAY * ONE_DAY + 2 * ONE_DAY}
    write_file(root, "trades", [trade(T0 + ONE_DAY, instrument_id=ES + 1)], day=DAY + timedelta(1), **names, **more)
    return FileSource(tuple(DBNIngestor(root).discover_files()), Selection())


def find(source: FileSource, sight: Sight, at: Cursor, *, backward: bool = False, behind: bool = False) -> Cursor:
    finder = Finder(source, Span(T0, T0 + ONE_DAY), QUIET)
    marks = [T0 + 5 * SECOND, T0 + 7 * SECOND]
    return run(finder.find(Find(sight, backward), at, marks, no_turn, behind=behind))  # type: ignore[no-any-return]


MIDNIGHT = T0 // ONE_DAY * ONE_DAY + ONE_DAY
LATE = T0 + 103 * SECOND


@pytest.mark.parametrize(
    ("sight", "at", "following"),
    [
        (Sight.TRADE, T0, T0 + SECOND),
        (Sight.TRADE, T0 + SECOND, T0 + SECOND),
        (Sight.TRADE, T0 + SECOND + 1, T0 + 3 * SECOND),
        (Sight.SPREAD, T0, T0 + 2 * SECOND),
        (Sight.LATE, T0, LATE),
        (Sight.QUIET, T0, T0 + 90 * SECOND),
        (Sight.QUIET, T0 + 90 * SECOND, T0 + 300 * SECOND),
        (Sight.TROUBLE, T0, T0 + 90 * SECOND),
        (Sight.TROUBLE, T0 + 90 * SECOND, LATE),
        (Sight.ROLL, T0, MIDNIGHT),
        (Sight.SESSION, T0, T0 + 30 * MINUTE),
        (Sight.SESSION, T0 + 30 * MINUTE, T0 + 6 * HOUR + 20 * MINUTE),
        (Sight.MARK, T0, T0 + 5 * SECOND),
        (Sight.MARK, T0 + 5 * SECOND, T0 + 7 * SECOND),
        (Sight.PLACE, T0 + 6 * SECOND, T0 + 7 * SECOND),
        (Sight.PLACE, T0 + 7 * SECOND, T0 + 30 * MINUTE),
    ],
)
def test_the_next_of_a_kind(source: FileSource, sight: Sight, at: int, following: int) -> None:
    assert find(source, sight, Cursor(at)).sort_ns == following


@pytest.mark.parametrize(
    ("sight", "at", "before"),
    [
        (Sight.TRADE, T0 + HOUR, T0 + 3 * SECOND),
        (Sight.TRADE, T0 + 3 * SECOND, T0 + SECOND),
        (Sight.SPREAD, T0 + ONE_DAY, T0 + 2 * SECOND),
        (Sight.LATE, T0 + HOUR, LATE),
        (Sight.QUIET, T0 + HOUR, T0 + 300 * SECOND),
        (Sight.TROUBLE, T0 + 300 * SECOND, LATE),
        (Sight.TROUBLE, LATE, T0 + 90 * SECOND),
        (Sight.ROLL, T0 + ONE_DAY, MIDNIGHT),
        (Sight.SESSION, T0 + 30 * MINUTE, T0),
        (Sight.MARK, T0 + 7 * SECOND, T0 + 5 * SECOND),
        (Sight.PLACE, T0 + 30 * MINUTE, T0 + 7 * SECOND),
    ],
)
def test_the_one_before(source: FileSource, sight: Sight, at: int, before: int) -> None:
    assert find(source, sight, Cursor(at), backward=True).sort_ns == before


def test_what_is_exactly_there_counts_unless_one_has_just_come_there(source: FileSource) -> None:
    there = find(source, Sight.TRADE, BEGINNING)
    assert find(source, Sight.TRADE, there) == there
    assert find(source, Sight.TRADE, there, behind=True).sort_ns == T0 + 3 * SECOND


@pytest.mark.parametrize("sight", Sight)
def test_where_there_is_none_that_is_said(source: FileSource, sight: Sight) -> None:
    with pytest.raises(ControlError, match=r"there is no .* before this place in the plan") as refusal:
        find(source, sight, BEGINNING, backward=True)
    assert "2025-12-16" in str(refusal.value.remedy)
    with pytest.raises(ControlError, match=r"there is no .* after this place in the plan"):
        find(source, sight, Cursor(T0 + ONE_DAY, 1))


@pytest.mark.parametrize(
    ("sight", "name"), [(Sight.LATE, "late event"), (Sight.QUIET, "quiet stretch"), (Sight.TROUBLE, "trouble")]
)
def test_what_there_is_none_of_has_a_name(source: FileSource, sight: Sight, name: str) -> None:
    with pytest.raises(ControlError, match=f"there is no {name} before this place"):
        find(source, sight, BEGINNING, backward=True)


def test_the_least_size_is_told(source: FileSource) -> None:
    with pytest.raises(ControlError, match="no trade of 50 lots or more before"):
        find(source, Sight.TRADE, Cursor(T0), backward=True)
