"""The jumps that are due, and how much comes before them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spyctl.market.encode import EncodedBatch
from spyctl.market.events import ResetReason
from spyctl.replay.boundaries import Boundaries, Jump
from spyctl.replay.segments import Cursor
from spyctl.replay.waypoints import Waypoints
from spyctl.timing.instants import MAX_INSTANT
from tests.support.batches import numbered

TIMES = st.lists(st.integers(1, 20), min_size=1, max_size=20).map(sorted)


def piece_at(times: list[int]) -> EncodedBatch:
    piece = numbered(range(len(times)))
    piece.sort_ns[:] = np.array(times, np.int64)
    return piece


@given(
    TIMES,
    st.none() | st.tuples(st.integers(1, 20), st.integers(1, 20)).filter(lambda ends: ends[0] < ends[1]),
    st.none() | st.tuples(st.integers(1, 20), st.integers(0, 4)),
    st.integers(0, 20),
    st.data(),
)
def test_what_is_due_and_what_comes_before_it_agree(
    times: list[int],
    loop: tuple[int, int] | None,
    until: tuple[int, int] | None,
    begun: int,
    data: st.DataObject,
) -> None:
    if until is not None:  # no place is behind more events of an instant than there are
        until = until[0], min(until[1], times.count(until[0]))
    ways = Waypoints({})
    ways.loop = loop
    bounds = Boundaries(ways, 1, 0, 1)
    place = Cursor(begun)
    bounds.arrive(Jump(place, ResetReason.SEEK, until=Cursor(*until) if until is not None else None))
    times = [ns for ns in times if ns >= begun]
    start = 0
    while start < len(times):
        if bounds.due(times[start], place) is not None:
            break
        piece = piece_at(times[start : start + data.draw(st.integers(1, 9))])
        limit = bounds.limit(piece, place)
        assert 1 <= limit <= len(piece)
        for taken in range(1, limit):
            assert bounds.due(times[start + taken], place.after(piece.sort_ns[:taken])) is None
        place, start = place.after(piece.sort_ns[:limit]), start + limit
        bounds.arrived = False
    if until is not None:
        expected = [i for i, ns in enumerate(times) if Cursor(ns, times[:i].count(ns)) < Cursor(*until)]
        assert start == len(expected)
    elif loop is not None and begun < loop[1] and (begun != loop[0] or any(ns < loop[1] for ns in times)):
        assert start == sum(ns < loop[1] for ns in times)
    else:
        assert start == len(times)


@given(st.integers(1, 5))
def test_a_plan_is_played_so_often(loops: int) -> None:
    bounds = Boundaries(Waypoints({}), 7, 0, loops)
    due = [bounds.due(MAX_INSTANT, Cursor(9, 1)) for _ in range(loops)]
    assert due == [Jump(Cursor(7), ResetReason.LOOP, lap=True)] * (loops - 1) + [None]


def test_a_warm_up_never_begins_before_time_does() -> None:
    bounds = Boundaries(Waypoints({}), 7, 10, 1)
    assert bounds.before_start() == Jump(Cursor(1), ResetReason.WARM_UP, None, Cursor(7))
