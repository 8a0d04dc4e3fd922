"""Refusals: which pass, and when a row of them is too long."""

import pytest

from spyctl.bus.acks.refusals import UNTAKEN, Refusals
from spyctl.timing.instants import SECOND


@pytest.mark.parametrize(
    ("reason", "err_code", "replicas", "limit_s"),
    [
        ("stream is full", 10077, 3, 4),
        ("duplicate message id is in process", 10158, 1, 120),
        ("too many requests", 10167, 1, 120),
        ("raft: not leader", 0, 3, 120),
        (None, 0, 3, 120),
        (None, 0, 1, 4),
    ],
    ids=["full", "in process", "queue", "not leader", "nobody, replicated", "nobody"],
)
def test_what_passes_by_itself_is_waited_for_as_an_outage_is(
    reason: str | None, err_code: int, replicas: int, limit_s: int
) -> None:
    refusals = Refusals(replicas)
    for second in range(limit_s + 1):
        refusals.note(reason, err_code)
        assert not refusals.last_too_long(second * SECOND, 4.0, 120.0)
    assert refusals.last_too_long((limit_s + 1) * SECOND, 4.0, 120.0)


def test_a_row_begins_anew_with_an_event_that_was_stored() -> None:
    refusals = Refusals(1)
    for second in range(100):
        refusals.note("stream is full", 10077)
        assert not refusals.last_too_long(second * 3 * SECOND, 4.0, 120.0)
        if second % 2:
            refusals.stored()


def test_an_answer_without_a_reason_is_nobodys() -> None:
    assert Refusals(1).note(None, 0) == UNTAKEN


def test_a_row_begins_anew_over_another_connection() -> None:
    refusals = Refusals(1)
    refusals.note(None, 0)
    assert not refusals.last_too_long(0, 4.0, 120.0)
    refusals.disconnected()
    refusals.note(None, 0)  # which was still to be heard
    refusals.connected()
    assert (refusals.reason, refusals.sentence) == ("", "")
    refusals.note(None, 0)
    assert not refusals.last_too_long(30 * SECOND, 4.0, 120.0)
