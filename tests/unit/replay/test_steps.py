"""How much of each piece belongs to a step."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.market.columns import EVENT_TYPES
from spyctl.market.encode import EncodedBatch
from spyctl.market.subjects import rank_of, subject_of
from spyctl.replay.commands import Unit
from spyctl.replay.steps import Steps
from tests.support.batches import batch_of

TRADE, BOOK = (rank_of(subject_of(EVENT_TYPES[schema])) for schema in ("trades", "mbp-10"))


def piece_of(events: list[tuple[int, bool]]) -> EncodedBatch:
    batch = batch_of([b"x"] * len(events), [TRADE if is_trade else BOOK for _, is_trade in events])
    batch.sort_ns[:] = np.array([ns for ns, _ in events], np.int64)
    return batch


def steps(left: int, unit: Unit, end_ns: int = 0) -> Steps:
    loop = asyncio.new_event_loop()
    try:
        return Steps(left, unit, end_ns, loop.create_future())
    finally:
        loop.close()


def taken(step: Steps, pieces: Iterator[EncodedBatch]) -> int:
    """Take all that belongs to a step; returns how many events that was."""
    count = 0
    for piece in pieces:
        end = step.take(piece, 0)
        count += end
        if step.done:
            break
        assert end == len(piece)
    return count


EVENTS = st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=30).map(sorted)


@given(EVENTS, st.integers(1, 7), st.integers(1, 12), st.sampled_from(Unit))
def test_it_takes_what_belongs_to_it_however_the_pieces_are_cut(
    events: list[tuple[int, bool]], size: int, count: int, unit: Unit
) -> None:
    trades = [i for i, (_, is_trade) in enumerate(events) if is_trade]
    expected = {
        Unit.EVENTS: min(count, len(events)),
        Unit.TRADES: trades[count - 1] + 1 if count <= len(trades) else len(events),
        Unit.SECONDS: sum(ns <= count for ns, _ in events),
    }[unit]
    step = steps(count, unit, end_ns=count)
    pieces = (piece_of(events[start : start + size]) for start in range(0, len(events), size))
    assert taken(step, pieces) == expected
    assert (
        step.done
        == {
            Unit.EVENTS: count <= len(events),
            Unit.TRADES: count <= len(trades),
            Unit.SECONDS: expected < len(events),
        }[unit]
    )


@pytest.mark.parametrize(("unit", "end"), [(Unit.EVENTS, 4), (Unit.TRADES, 5), (Unit.SECONDS, 3)])
def test_it_begins_in_the_middle_of_a_piece(unit: Unit, end: int) -> None:
    piece = piece_of([(1, True), (1, False), (2, True), (3, False), (4, True), (5, True)])
    assert steps(2, unit, end_ns=2).take(piece, 2) == end


def test_a_time_that_is_past_takes_nothing() -> None:
    step = steps(1, Unit.SECONDS, end_ns=2)
    assert step.take(piece_of([(3, True), (4, True)]), 1) == 1
    assert step.done
