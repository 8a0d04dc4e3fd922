"""Searches against a plain look at all events, over small days of any shape."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spyctl.dbn.sort_times import Selection
from spyctl.errors import ControlError
from spyctl.replay.commands import Unit
from spyctl.replay.search import next_hit, previous_hit, rolls, session_times, so_many_back
from spyctl.replay.segments import Cursor
from spyctl.replay.wanted import large_trades, late_events, wide_spreads
from spyctl.timing.instants import HOUR, MINUTE, SECOND, clock_text
from spyctl.timing.instants import NEW_YORK as ZONE
from tests.support.days import FILES, ONE_DAY, File, no_turn, run, written
from tests.support.records import MS, T0

SELECTIONS = st.sampled_from(
    [
        Selection(),
        Selection(reorder_ns=5 * SECOND),
        Selection(by_recv=True),
        Selection(start_ns=T0 + 400 * MS, end_ns=T0 + ONE_DAY + 2 * SECOND),
    ]
)


@settings(max_examples=60)
@given(FILES, SELECTIONS, st.data())
def test_the_next_and_the_previous_hit(files: list[File], selection: Selection, data: st.DataObject) -> None:
    with written(files, selection) as plain:
        kind = data.draw(st.sampled_from(["trade", "spread", "late"]))
        if kind == "trade":
            wanted, hits = large_trades(51), [size >= 51 for size in plain.sizes]
        elif kind == "late":
            wanted, hits = late_events(), plain.late.tolist()
        else:
            wanted = wide_spreads(plain.source.infos)
            first = next((f for f in sorted(files, key=lambda f: f[1]) if f[0] == "mbp-10" and f[3]), None)
            tick = min((record[4] for record in first[3]), default=0) * 250_000_000 if first else 0
            hits = [spread > tick for spread in plain.spreads]
        cursors = plain.cursors
        places = plain.places()
        for place in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=4)):
            index = plain.index(place)
            exact = index < len(cursors) and cursors[index] == place
            for behind in (False, True):
                start = index + (behind and exact)
                expected = next((cursors[i] for i in range(start, len(hits)) if hits[i]), None)
                assert run(next_hit(plain.source, wanted, place, no_turn, behind=behind)) == expected
            before = [cursors[i] for i in range(min(index, len(hits))) if hits[i]]
            assert run(previous_hit(plain.source, wanted, place, no_turn)) == (before[-1] if before else None)


@settings(max_examples=60)
@given(FILES, SELECTIONS, st.integers(1, 30), st.sampled_from([Unit.EVENTS, Unit.TRADES]), st.data())
def test_so_many_back(files: list[File], selection: Selection, count: int, unit: Unit, data: st.DataObject) -> None:
    with written(files, selection) as plain:
        cursors = plain.cursors
        for place in data.draw(st.lists(st.sampled_from(plain.places()), min_size=1, max_size=4)):
            counted = [i for i in range(plain.index(place)) if i < len(cursors)]
            if unit is Unit.TRADES:
                counted = [i for i in counted if not plain.books[i]]
            expected = cursors[counted[max(0, len(counted) - count)]] if counted else place
            assert run(so_many_back(plain.source, place, count, unit, no_turn)) == expected


@settings(max_examples=20)
@given(FILES, st.integers(1, 30))
def test_so_many_seconds_back_end_at_the_beginning(files: list[File], seconds: int) -> None:
    with written(files) as plain:
        place = Cursor(T0 + 5 * SECOND, 1)
        found = run(so_many_back(plain.source, place, seconds, Unit.SECONDS, no_turn))
        assert found.ordinal == 0
        assert found.sort_ns == max(place.sort_ns - seconds * SECOND, plain.source.least_ns)
        assert all(plain.sort_ns >= plain.source.least_ns)


def test_with_a_wider_reorder_window_the_first_event_is_found_too() -> None:
    files: list[File] = [("trades", 0, False, [(0, 1_500, 1, 60, 1), (5, 0, 1, 1, 1)])]
    with written(files, Selection(reorder_ns=5 * SECOND)) as plain:
        first, last = plain.cursors
        assert last.sort_ns - first.sort_ns > SECOND
        assert run(so_many_back(plain.source, last, 1, Unit.EVENTS, no_turn)) == first
        assert run(previous_hit(plain.source, large_trades(60), last, no_turn)) == first


@given(st.sampled_from([large_trades(51), late_events()]))
def test_a_search_ends_where_its_turn_ends_it(wanted: object) -> None:
    async def ended(_: float) -> None:
        raise ControlError("ended", "")

    files: list[File] = [("trades", 0, False, [(1, 0, 1, 1, 1)] * 9)]
    with written(files) as plain:
        last = plain.cursors[-1]
        for search in (
            next_hit(plain.source, wanted, Cursor(), ended, behind=False),  # type: ignore[arg-type]
            previous_hit(plain.source, wanted, last, ended),  # type: ignore[arg-type]
            so_many_back(plain.source, last, 1, Unit.EVENTS, ended),
        ):
            with pytest.raises(ControlError, match="ended"):
                run(search)


def test_session_times_are_those_of_new_yorks_trading_days() -> None:
    friday = T0 + 3 * ONE_DAY  # 2025-12-19
    found = session_times(friday - 20 * HOUR, friday + 3 * ONE_DAY)
    texts = [clock_text(ns, ZONE, 0) for ns in found]
    day = ["09:30:00", "10:00:00", "15:50:00", "16:00:00", "18:00:00"]
    assert texts == [*day[2:], *day[:-1], "18:00:00", "09:30:00"]  # nothing from Friday's close to Sunday evening
    assert session_times(friday, friday) == [friday]
    assert session_times(friday + 1, friday + MINUTE) == []


def test_on_a_half_day_the_close_is_early() -> None:
    half = T0 - 18 * ONE_DAY  # 2025-11-28 09:30 New York
    texts = [clock_text(ns, ZONE, 0) for ns in session_times(half, half + 8 * HOUR)]
    assert texts == ["09:30:00", "10:00:00", "12:50:00", "13:00:00"]


def test_a_plan_without_a_roll_has_none() -> None:
    with written([("trades", 0, False, [(1, 0, 1, 1, 1)])]) as plain:
        assert rolls(plain.source, T0, T0 + ONE_DAY) == []
        assert np.array_equal(plain.books, [False])
