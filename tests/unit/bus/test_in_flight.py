"""The window of what is unacknowledged: counts, bounds, holes and the checkpoint, in whatever order answers come."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.bus.checkpoint import BEGINNING, Checkpoint
from spyctl.bus.in_flight import MEASURE_NS, Chunk, Delivery, InFlight
from tests.support.batches import batch_of, numbered
from tests.support.clock import FakeClock

LARGE = 1 << 30


def window(*lengths: int, anchor: Checkpoint = BEGINNING, **bounds: Any) -> InFlight:
    """Return a window that holds chunks of so many events each, behind the anchor."""
    clock = FakeClock()
    in_flight = InFlight(bounds.get("messages", LARGE), bounds.get("size", LARGE), Delivery(), anchor, clock)
    first = anchor.position + 1
    for length in lengths:
        in_flight.add(Chunk.of(first, numbered(range(first, first + length)), clock.now_ns()))
        first += length
    return in_flight


def positions(in_flight: InFlight) -> list[int]:
    return [position for chunk in in_flight.unacknowledged() for position in range(chunk.first, chunk.end)]


@given(st.data())
def test_counts_checkpoint_and_holes_are_right_after_acknowledgements_in_any_order(data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    began = data.draw(st.integers(0, 9))
    anchor = Checkpoint(began, 3 * began)
    in_flight = window(*lengths, anchor=anchor)
    last = began + sum(lengths)
    waiting = set(range(began + 1, last + 1))
    sizes = {position: len(b"event %d" % position) for position in waiting}
    order = data.draw(st.permutations(sorted(waiting)))

    newest = began
    for position in order[: data.draw(st.integers(0, len(order)))]:
        seq = 3 * position + 1
        in_flight.acknowledge(position, seq)
        in_flight.acknowledge(position, seq)  # saying so twice changes nothing
        waiting.discard(position)
        newest = max(newest, position)

        assert positions(in_flight) == sorted(waiting)
        assert (in_flight.count, in_flight.size) == (len(waiting), sum(sizes[left] for left in waiting))
        assert in_flight.delivery.acked == last - began - len(waiting)
        assert in_flight.oldest == (min(waiting) if waiting else None)
        assert in_flight.has_hole == any(left < newest for left in waiting)
        # All up to the checkpoint is stored, and nothing behind it under its sequence or an earlier one.
        assert all(left > in_flight.anchor.position for left in waiting)
        assert in_flight.anchor.seq == (3 * in_flight.anchor.position + 1 if in_flight.anchor != anchor else anchor.seq)
        if not in_flight.has_hole:
            assert in_flight.anchor.position == newest
    assert in_flight.delivery.reordered == 0


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.lists(st.integers(-1, 30), max_size=6))
def test_an_acknowledgement_through_a_position_covers_all_before_it(lengths: list[int], through: list[int]) -> None:
    in_flight = window(*lengths)
    reached = 0
    for position in through:
        in_flight.acknowledge_through(position)
        reached = max(reached, min(position, sum(lengths)))
        assert positions(in_flight) == list(range(reached + 1, sum(lengths) + 1))
        assert in_flight.delivery.acked == reached == sum(lengths) - in_flight.count


def test_an_acknowledgement_through_a_position_passes_over_what_was_acknowledged_by_itself() -> None:
    in_flight = window(4, 4)
    for position in (2, 3, 6):
        in_flight.acknowledge(position, position)
    in_flight.acknowledge_through(5)
    assert positions(in_flight) == [7, 8]
    assert in_flight.delivery.acked == 6


def test_what_is_unacknowledged_comes_in_runs_of_consecutive_events_with_their_bytes() -> None:
    in_flight = window(3, 4)
    for position in (2, 5, 6):
        in_flight.acknowledge(position, position)
    chunks = in_flight.unacknowledged()
    assert [(chunk.first, list(chunk.batch.payloads())) for chunk in chunks] == [
        (1, [b"event 1"]), (3, [b"event 3"]), (4, [b"event 4"]), (7, [b"event 7"]),
    ]  # fmt: skip
    assert in_flight.sent_through == 7


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.integers(1, 20), st.integers(1, 60), st.integers(0, 12))
def test_room_is_what_sending_one_event_after_the_other_would_find(
    sizes: list[int], max_messages: int, max_bytes: int, already: int
) -> None:
    in_flight = window(*([1] * already), messages=max_messages, size=max_bytes)
    count, size, expected = in_flight.count, in_flight.size, 0
    for length in sizes:
        if count >= max_messages or size >= max_bytes:
            break
        count, size, expected = count + 1, size + length, expected + 1
    assert in_flight.room(batch_of([b"x" * length for length in sizes])) == expected


def test_a_large_batch_waits_until_a_good_part_of_it_can_be_sent_a_small_one_does_not() -> None:
    in_flight = window(8, messages=10)
    assert in_flight.room(numbered(range(5))) == 2
    assert not in_flight.has_room(numbered(range(5)))
    assert in_flight.has_room(numbered(range(2)))
    in_flight.acknowledge_through(1)
    assert in_flight.has_room(numbered(range(5)))  # three of ten
    alone = window(messages=10, size=1)
    assert alone.has_room(numbered(range(5)))  # nothing is waited for, so waiting would never end
    assert not window(1, messages=1).has_room(numbered(range(1)))


def test_a_later_event_stored_under_an_earlier_sequence_counts_as_reordered() -> None:
    in_flight = window(4)
    in_flight.acknowledge(1, 1)
    in_flight.acknowledge(3, 2)
    in_flight.acknowledge(2, 3)
    in_flight.acknowledge(4, 4)
    assert in_flight.delivery.reordered == 1
    assert (in_flight.delivery.first_seq, in_flight.delivery.last_seq) == (1, 4)


@pytest.mark.parametrize(
    ("seq", "known", "expected"),
    [(11, False, (1, 0)), (10, False, (1, 1)), (11, True, (1, 1))],
    ids=["sent twice by us", "stored before we began", "known not to be sent before"],
)
def test_a_duplicate_is_ours_or_an_earlier_runs(seq: int, known: bool, expected: tuple[int, int]) -> None:
    in_flight = window(1, anchor=Checkpoint(0, 10))
    in_flight.acknowledge(1, seq, duplicate=True, known=known)
    delivery = in_flight.delivery
    assert (delivery.duplicates, delivery.known) == expected
    assert in_flight.count == 0
    assert (delivery.first_seq is None) == bool(delivery.known)  # what an earlier run stored is not in our span


def test_acknowledgements_of_events_that_are_not_in_flight_change_nothing() -> None:
    in_flight = window(2)
    in_flight.moved.clear()
    in_flight.acknowledge(3, 3)
    in_flight.acknowledge_through(0)
    assert (in_flight.count, in_flight.delivery.acked, in_flight.moved.is_set()) == (2, 0, False)


def test_an_acknowledgement_wakes_whoever_waits_and_is_measured_from_the_sending() -> None:
    clock = FakeClock()
    in_flight = InFlight(LARGE, LARGE, Delivery(), clock=clock)
    in_flight.add(Chunk.of(1, numbered(range(3)), clock.now_ns()))
    clock.advance(5_000_000)
    in_flight.acknowledge(1, 1)
    assert in_flight.moved.is_set()
    assert in_flight.progress_ns == clock.now_ns()
    clock.advance(MEASURE_NS // 2)
    in_flight.acknowledge(2, 2)  # measured together with the third one
    assert in_flight.delivery.ack_ns.count == 1
    in_flight.acknowledge(3, 3)
    assert in_flight.delivery.ack_ns.count == 3
    assert 4_500_000 < in_flight.delivery.ack_ns.percentile(50) < 5_500_000


def test_the_oldest_event_waits_since_its_chunk_was_sent() -> None:
    clock = FakeClock()
    in_flight = InFlight(LARGE, LARGE, Delivery(), clock=clock)
    assert (in_flight.oldest, in_flight.oldest_ns, in_flight.sent_through) == (None, None, 0)
    sent = []
    for first in (1, 3):
        sent.append(clock.now_ns())
        in_flight.add(Chunk.of(first, numbered(range(2)), clock.now_ns()))
        clock.advance(7)
    assert in_flight.oldest_ns == sent[0]
    in_flight.acknowledge_through(2)
    assert in_flight.oldest_ns == sent[1]
    assert all(a < b for a, b in pairwise(sent))


def test_the_figures_are_a_copy() -> None:
    in_flight = window(3)
    in_flight.delivery.published = 3
    in_flight.acknowledge(1, 9)
    in_flight.delivery.refusals["full"] += 1
    figures = in_flight.delivery.figures("per message", "S")
    in_flight.acknowledge(2, 10)
    in_flight.delivery.refusals["full"] += 1
    assert (figures.unacknowledged, figures.last_seq, figures.refusals) == (2, 9, {"full": 1})


@pytest.mark.parametrize(("seq", "receded"), [(9, True), (8, True), (10, False)])
def test_a_later_event_under_a_sequence_that_was_given_before_says_that_the_server_lost_some(
    seq: int, receded: bool
) -> None:
    in_flight = window(3)
    in_flight.acknowledge(1, 9)
    in_flight.acknowledge(2, seq)
    assert in_flight.receded is receded


def test_what_is_known_to_be_stored_goes_no_further_once_the_server_has_lost_some() -> None:
    in_flight = window(4)
    for position, seq in ((1, 8), (2, 9), (3, 5), (4, 12)):  # others publish too, so that a later one looks right
        in_flight.acknowledge(position, seq)
    assert in_flight.anchor == Checkpoint(2, 9)
    assert in_flight.placed is not None
    assert in_flight.placed[0] == Checkpoint(2, 9)


def test_a_checkpoint_may_follow_another_only_where_each_event_has_a_sequence_of_its_own() -> None:
    assert Checkpoint(7, 20).may_follow(Checkpoint(5, 9))
    assert Checkpoint(5, 11).may_follow(Checkpoint(5, 9))  # others publish too
    assert not Checkpoint(7, 10).may_follow(Checkpoint(5, 9))


def test_the_last_event_whose_sequence_is_known_is_kept_beside_the_anchor() -> None:
    in_flight = window(4)
    assert (in_flight.placed, in_flight.last_acknowledged(0)) == (None, None)
    in_flight.acknowledge_through(3)
    last = in_flight.last_acknowledged(3)
    assert last is not None
    assert last.payloads() == [b"event 3"]
    assert in_flight.last_acknowledged(2) is None
    assert in_flight.placed is None
    in_flight.close_at(Checkpoint(3, 9))
    in_flight.acknowledge_through(4)
    in_flight.anchor = Checkpoint(4, 20)  # as counted, behind whatever else there is
    assert in_flight.placed is not None
    assert (in_flight.placed[0], in_flight.placed[1].payloads()) == (Checkpoint(3, 9), [b"event 3"])


def test_behind_a_hole_a_later_event_has_its_sequence() -> None:
    in_flight = window(4)
    for position in (1, 3):
        in_flight.acknowledge(position, position)
    assert in_flight.placed is not None
    assert (in_flight.anchor.position, in_flight.placed[0]) == (1, Checkpoint(3, 3))
