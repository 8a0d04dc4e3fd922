"""Which records are new when a gateway sends again what it sent, cut wherever it may be."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spyctl.dbn.gateway.places import LOOK_BACK_NS, Places
from spyctl.dbn.records import RECORD_DTYPES, Records

T0 = 1_765_895_400_000_000_000
BOTH = ("trades", "mbp-10")


def records(*stamps: tuple[int, int], schema: str = "mbp-10") -> Records:
    """Records of (instrument, ts_event − T0)."""
    rows = np.zeros(len(stamps), RECORD_DTYPES[schema])
    rows["instrument_id"] = [instrument for instrument, _ in stamps]
    rows["ts_event"] = [T0 + ns for _, ns in stamps]
    return rows


def new(places: Places, *stamps: tuple[int, int]) -> list[bool]:
    return places.new("mbp-10", records(*stamps)).tolist()  # type: ignore[no-any-return]


def test_at_first_everything_is_new() -> None:
    places = Places()
    assert new(places, (1, 0), (1, 0), (1, 5)) == [True] * 3
    assert places.newest_ns == T0 + 5


def test_of_an_instant_as_many_are_known_as_had_come() -> None:
    places = Places()
    new(places, (1, 4), (1, 5), (1, 5))
    places.begin(T0 + 5)
    assert new(places, (1, 5)) == [False]
    assert new(places, (1, 5), (1, 5), (1, 6)) == [False, True, True]
    assert (places.short, places.outstanding) == (0, 0)


def test_each_schema_and_instrument_has_a_place_of_its_own() -> None:
    places = Places()
    new(places, (1, 5), (2, 9))
    places.new("trades", records((1, 3), schema="trades"))
    places.begin(places.resume_ns(BOTH, T0))
    assert places.new("trades", records((1, 3), (1, 3), (1, 5), schema="trades")).tolist() == [False, True, True]
    assert new(places, (1, 3), (2, 8), (1, 5), (2, 9), (1, 6), (2, 9)) == [False, False, False, False, True, True]


def test_what_does_not_come_again_is_counted() -> None:
    places = Places()
    new(places, (1, 5), (1, 5), (1, 5), (2, 5))
    places.begin(T0 + 5)
    assert new(places, (1, 5), (1, 7)) == [False, True]
    assert places.short == 2
    assert places.outstanding == 1  # of the second instrument


def test_a_session_that_sends_nothing_again_has_only_news() -> None:
    places = Places()
    new(places, (1, 5))
    places.begin(None)
    assert new(places, (1, 5)) == [True]
    assert (places.short, places.outstanding) == (0, 0)


def test_what_comes_late_behind_the_place_is_new() -> None:
    places = Places()
    new(places, (1, 5), (1, 5))
    places.begin(T0 + 5)
    assert new(places, (1, 5), (1, 5), (1, 4)) == [False, False, True]
    assert new(places, (1, 3), (1, 8)) == [True, True]


def test_the_lowest_of_the_newest_is_where_to_go_on() -> None:
    places = Places()
    assert places.resume_ns(BOTH, T0) == T0  # nothing has come
    new(places, (1, 5), (2, 9))
    assert places.resume_ns(BOTH, T0) == T0  # no trade yet
    places.new("trades", records((1, 7), schema="trades"))
    assert places.resume_ns(BOTH, T0) == T0 + 5


def test_what_has_been_quiet_for_long_does_not_hold_the_others_back() -> None:
    places = Places()
    places.new("trades", records((1, 0), schema="trades"))
    new(places, (1, 10 * LOOK_BACK_NS))
    assert places.resume_ns(BOTH, T0) == T0 + 9 * LOOK_BACK_NS
    places.begin(T0 + 9 * LOOK_BACK_NS)
    assert places.new("trades", records((1, 10 * LOOK_BACK_NS + 1), schema="trades")).tolist() == [True]
    assert places.short == 0


@given(
    st.lists(st.tuples(st.integers(1, 2), st.integers(0, 3)), min_size=1, max_size=40),
    st.lists(st.integers(0, 40), max_size=4),
    st.integers(1, 7),
)
def test_every_record_is_new_once_wherever_sessions_are_cut(
    steps: list[tuple[int, int]], cuts: Sequence[int], segment: int
) -> None:
    stamps, ns = [], 0
    for instrument, ahead in steps:
        ns += ahead
        stamps.append((instrument, ns))
    places, taken, had = Places(), [], 0
    for session, cut in enumerate([*sorted(min(cut, len(stamps)) for cut in cuts), len(stamps)]):
        start = places.resume_ns(["mbp-10"], T0) if session else None
        places.begin(start)
        again = [stamp for stamp in stamps[:cut] if start is None or T0 + stamp[1] >= start]
        for first in range(0, len(again), segment):
            part = again[first : first + segment]
            taken += [stamp for stamp, fresh in zip(part, new(places, *part), strict=True) if fresh]
        had = max(had, cut)
        assert taken == stamps[:had]
        assert (places.short, places.outstanding) == (0, 0)
