"""Which stored messages are a run's own, among those of others."""

from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.bus.recognition import Message, count_identified, count_own, messages_after, messages_of
from tests.support.batches import batch_of
from tests.support.connection import ScriptedConnection

T = TypeVar("T")
OWN = [("a", b"%d" % n) for n in range(20)]
OTHER = ("a", b"of somebody else")


async def in_parts(rows: Sequence[T], size: int = 3) -> AsyncIterator[Sequence[T]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
        yield []


async def counted(stored: Sequence[Message], expected: Sequence[Message] = OWN) -> int | None:
    return await count_own(in_parts(stored, 4), in_parts(expected))


@given(st.integers(0, 20), st.lists(st.integers(0, 20), max_size=10))
async def test_the_first_events_are_counted_whatever_others_lie_between_them(own: int, places: list[int]) -> None:
    stored = OWN[:own]
    for place in places:
        stored.insert(place, OTHER)
    assert await counted(stored) == own


@pytest.mark.parametrize(
    ("stored", "own"),
    [
        ([*OWN[:5], OWN[3]], None),  # one of the two is somebody else's
        ([OTHER, *OWN[:5], *OWN[:2]], None),
        ([*OWN, *OWN], None),
        ([*OWN, OTHER], 20),
        ([("b", OWN[0][1])], 0),  # the same bytes on another subject
        (OWN[7:9], None),  # what comes before them is missing
    ],
)
async def test_what_equals_an_event_of_ours_is_never_somebody_elses_for_certain(
    stored: list[Message], own: int | None
) -> None:
    assert await counted(stored) == own


async def test_equal_events_in_a_row_are_counted_each() -> None:
    assert await counted([OWN[0]] * 3, [OWN[0]] * 5) == 3


@pytest.mark.parametrize(
    ("ids", "own"),
    [
        ([], 0),
        (["aaaa-8", "", "bbbb-9", "aaaa-9"], 2),
        (["aaaa-9", "aaaa-8"], 2),
        (["aaaa-7", "aaaa-8"], 1),
        (["aaaa-9"], None),
        (["aaaa-x", "aaaa-", "aaaa-\u0668"], 0),
    ],
)
async def test_events_with_an_identity_are_counted_by_it(ids: list[str], own: int | None) -> None:
    assert await count_identified(in_parts(ids, 2), "aaaa", 7) == own


@pytest.mark.parametrize("skip", [0, 1, 4, 8, 9])
async def test_messages_are_read_behind_those_that_are_skipped_the_first_alone(skip: int) -> None:
    held = [(subject, payload, "") for _, payload in OWN[:20] for subject in ("b", "a")]
    connection = ScriptedConnection({"STREAM.INFO.S": {}}, held=lambda: held).as_connection()
    parts = [rows async for rows in messages_after(connection, "S", ["a"], 2, 20, skip)]
    assert [message for rows in parts for message in rows] == OWN[1 + skip : 10]
    assert not parts or len(parts[0]) == 1


def test_events_become_messages_on_the_subject_of_their_rank() -> None:
    assert messages_of(batch_of([b"x", b"y"], [1, 0]), ("a", "b")) == [("b", b"x"), ("a", b"y")]
