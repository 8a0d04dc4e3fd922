"""Rejects: counted by reason, told once each, and errors of our own that become too many."""

import pytest

from spyctl.errors import SpyctlError
from spyctl.live.rejects import MAX_FAILURES, MAX_REASONS, Rejects
from spyctl.timing.instants import SECOND


def test_a_reason_is_told_once_with_its_first_sample() -> None:
    notes: list[str] = []
    rejects = Rejects(notes.append)
    for sample in ("first", "second"):
        rejects.add("bad_price", sample)
    assert (rejects.counts, rejects.samples, notes) == (
        {"bad_price": 2},
        {"bad_price": "first"},
        ["rejected, bad_price: first"],
    )


def test_reasons_without_end_are_counted_together() -> None:
    rejects = Rejects(lambda _: None)
    for n in range(MAX_REASONS + 5):
        rejects.add(f"reason {n}", "")
    assert (len(rejects.counts), rejects.counts["other"]) == (MAX_REASONS + 1, 5)


def test_errors_of_our_own_end_it_when_many_come_within_a_minute() -> None:
    slow, fast = Rejects(lambda _: None), Rejects(lambda _: None)
    for n in range(MAX_FAILURES - 1):
        fast.failed(ValueError("odd"), "", n)
    for n in range(2 * MAX_FAILURES):
        slow.failed(ValueError("odd"), "", n * SECOND)
    with pytest.raises(SpyctlError, match="within a minute, the last: odd"):
        fast.failed(ValueError("odd"), "", 99)
