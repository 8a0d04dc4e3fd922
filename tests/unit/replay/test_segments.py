"""Cursors, segments and the journal that holds them."""

import numpy as np
import orjson
from hypothesis import given
from hypothesis import strategies as st

from spyctl.market.events import ResetReason
from spyctl.replay.segments import BEGINNING, Cursor, Journal, Segment


@given(st.lists(st.integers(1, 6), min_size=1, max_size=30).map(sorted), st.data())
def test_the_place_behind_some_events_is_where_the_next_one_is(times: list[int], data: st.DataObject) -> None:
    place, published = BEGINNING, 0
    while published < len(times):
        count = data.draw(st.integers(1, len(times) - published))
        place = place.after(np.array(times[published : published + count], np.int64))
        published += count
        last = times[published - 1]
        assert place == Cursor(last, times[:published].count(last))


def test_behind_events_at_another_instant_the_ordinal_begins_anew() -> None:
    assert Cursor(5, 3).after(np.array([6, 6])) == Cursor(6, 2)
    assert Cursor(5, 3).after(np.array([5])) == Cursor(5, 4)
    assert Cursor(5, 3).after(np.array([5, 6])) == Cursor(6, 1)


def test_places_have_an_order() -> None:
    assert BEGINNING < Cursor(1) < Cursor(1, 2) < Cursor(2, 0)


@st.composite
def journals(draw: st.DrawFn) -> tuple[Journal, list[bool]]:
    """A journal, and for each message of its run whether it is an event."""
    journal, messages = Journal(run_id="r"), [True] * draw(st.integers(0, 9))
    for number in range(1, draw(st.integers(0, 12)) + 1):
        seeds = draw(st.integers(0, 3))
        reason = draw(st.sampled_from(ResetReason))
        cursor = Cursor(draw(st.integers(0, 99)), draw(st.integers(0, 3)))
        journal = journal.with_segment(Segment(number, len(messages) + 1, cursor, reason, number, number, seeds))
        messages += [False] * (seeds + 1) + [True] * draw(st.integers(0, 9))
    return journal, messages


@given(journals(), st.integers(1, 15))
def test_the_last_segments_alone_still_count_the_events_before(drawn: tuple[Journal, list[bool]], kept: int) -> None:
    journal, messages = drawn
    last = journal.last(kept)
    assert last.segments == journal.segments[-kept:]
    assert last.last(kept) == last
    for position in range(last.segments[0].first - 1, len(messages) + 1):
        assert last.events_before(position) == journal.events_before(position) == sum(messages[:position])


@given(journals())
def test_a_position_belongs_to_the_segment_of_its_next_message(drawn: tuple[Journal, list[bool]]) -> None:
    journal, messages = drawn
    for position in range(len(messages) + 1):
        held = journal.holding(position)
        later = [i for i, segment in enumerate(journal.segments) if segment.first > position + 1]
        assert journal.segments[held].first <= position + 1
        assert held == min(later, default=len(journal.segments)) - 1


@given(
    journals(),
    st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 1 << 62), max_size=3),
    st.none() | st.tuples(st.integers(0, 1 << 62), st.integers(0, 1 << 62)),
)
def test_the_record_of_a_run_gives_its_journal_back(
    drawn: tuple[Journal, list[bool]], marks: dict[str, int], loop: tuple[int, int] | None
) -> None:
    journal = Journal(drawn[0].segments, marks, run_id="r", loop=loop)
    again = Journal.of(orjson.loads(orjson.dumps(journal.document())))
    if len(journal.segments) == 1 and not marks and loop is None:
        assert (journal.document(), again) == ({}, Journal())
    else:
        assert again == journal.last(8)


def test_what_comes_before_the_events_of_a_segment() -> None:
    assert Segment().prelude == 0
    assert Segment(1, 7, Cursor(5), ResetReason.SEEK).prelude == 1
    assert Segment(1, 7, Cursor(5), ResetReason.SEEK, seeds=3).prelude == 4
