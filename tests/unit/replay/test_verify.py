"""A stream compared with its events: what is equal, missing, or none of them."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyctl.replay.verify import compare
from spyctl.summary import Verified

Message = tuple[str, bytes]
EVENTS = [("t" if n % 7 == 0 else "b", b"%d" % n) for n in range(1, 101)]


async def batched(messages: list[tuple[int, str, bytes]], size: int) -> AsyncIterator[list[tuple[int, str, bytes]]]:
    for start in range(0, len(messages), size):
        yield messages[start : start + size]


def as_stored(events: list[Message]) -> list[tuple[int, str, bytes]]:
    return [(seq, subject, payload) for seq, (subject, payload) in enumerate(events, 1)]


@pytest.mark.parametrize(
    ("changed", "dropped", "result"),
    [
        (None, None, Verified(stored=100)),
        (9, None, Verified(stored=99, missing=1, differing=1, first_difference=9)),
        (None, 7, Verified(stored=99, missing=1, first_difference=8)),
        (9, 7, Verified(stored=98, missing=2, differing=1, first_difference=8)),
        (None, 100, Verified(stored=99, missing=1)),
    ],
)
async def test_each_difference_is_counted_once(changed: int | None, dropped: int | None, result: Verified) -> None:
    stored = [
        (seq, subject, b"{}" if seq == changed else payload)
        for seq, subject, payload in as_stored(EVENTS)
        if seq != dropped
    ]
    found = await compare(batched(stored, 8), iter(EVENTS))
    assert found == result
    assert found.equal == (changed is None and dropped is None)


async def test_the_same_payload_on_another_subject_differs() -> None:
    found = await compare(batched([(5, "b", b"1")], 1), iter([("t", b"1")]))
    assert found == Verified(stored=0, missing=1, differing=1, first_difference=5)


async def test_messages_behind_the_last_event_differ() -> None:
    found = await compare(batched(as_stored([*EVENTS, ("t", b"more"), ("t", b"more")]), 8), iter(EVENTS))
    assert found == Verified(stored=100, differing=2, first_difference=101)


@given(st.sets(st.integers(0, 99)), st.integers(1, 9))
async def test_whatever_is_dropped_is_missing_and_the_rest_is_stored(dropped: set[int], size: int) -> None:
    kept = [event for number, event in enumerate(EVENTS) if number not in dropped]
    found = await compare(batched(as_stored(kept), size), iter(EVENTS))
    assert (found.stored, found.missing, found.differing) == (100 - len(dropped), len(dropped), 0)
