"""Marks, loops and the places to go back to."""

import pytest

from spyctl.errors import ControlError, UsageError
from spyctl.replay.segments import Cursor
from spyctl.replay.waypoints import Waypoints


def test_a_mark_without_a_name_gets_the_next_free_one() -> None:
    ways = Waypoints({"m2": 5})
    for ns in (10, 20, 30):
        ways.mark("", ns)
    assert ways.marks == {"m2": 5, "m1": 10, "m3": 20, "m4": 30}
    ways.mark("m1", 99)
    assert ways.at("m1") == 99


@pytest.mark.parametrize("name", ["12", "+a", "-a", "a b", "a\tb", "x" * 41, "open", "Close", "close-5m", "open+1s"])
def test_what_reads_as_a_time_or_as_two_words_names_no_mark(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a mark"):
        Waypoints({}).mark(name, 1)


@pytest.mark.parametrize("name", ["a", "x" * 40, "gap-fill", "opening", "é"])
def test_any_other_word_does(name: str) -> None:
    ways = Waypoints({})
    ways.mark(name, 7)
    assert ways.at(name) == 7


def test_two_hundred_marks_are_enough() -> None:
    ways = Waypoints({f"m{i}": i for i in range(1, 201)})
    for name in ("", "another"):
        with pytest.raises(ControlError, match="200 marks already"):
            ways.mark(name, 1)
    ways.mark("m7", 1)
    assert ways.at("m7") == 1


def test_a_mark_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError) as refusal:
        Waypoints({"b": 1, "a": 2}).at("c")
    assert (refusal.value.message, refusal.value.remedy) == ("there is no mark 'c'", "the marks are a, b")
    with pytest.raises(UsageError) as refusal:
        Waypoints({}).at("c")
    assert refusal.value.remedy == "mark NAME sets one"


def test_seeks_are_undone_from_the_last_one_back_and_the_oldest_forgotten() -> None:
    ways = Waypoints({})
    for ns in range(1, 106):
        ways.left(Cursor(ns))
    assert [ways.back().sort_ns for _ in range(100)] == list(range(105, 5, -1))
    with pytest.raises(ControlError, match="no seek to undo"):
        ways.back()


def test_a_loop_has_a_length() -> None:
    ways = Waypoints({})
    for ends in ([5, 5], [6, 5]):
        with pytest.raises(UsageError, match="has no length"):
            ways.set_loop(ends)
    ways.set_loop([5, 6])
    assert ways.loop == (5, 6)
    ways.set_loop([])
    assert ways.loop is None


def test_one_key_sets_the_start_then_the_end_then_ends_it() -> None:
    ways = Waypoints({})
    ways.loop_here(10)
    assert (ways.loop, ways.loop_start_ns) == (None, 10)
    with pytest.raises(ControlError, match="has no length"):
        ways.loop_here(10)
    ways.loop_here(7)
    assert (ways.loop, ways.loop_start_ns) == ((7, 10), None)
    ways.loop_here(99)
    assert (ways.loop, ways.loop_start_ns) == (None, None)


def test_a_loop_by_its_ends_forgets_a_start_that_was_set() -> None:
    ways = Waypoints({})
    ways.loop_here(10)
    ways.set_loop([1, 2])
    assert (ways.loop, ways.loop_start_ns) == ((1, 2), None)
