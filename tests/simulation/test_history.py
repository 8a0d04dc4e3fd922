"""Seeds by the thousand: whatever happens, each event is stored once and in order, or somebody says what is not."""

import os

import pytest

from tests.simulation.history import History, replay
from tests.simulation.seed import Seed

SEEDS = 2_000
SOAK = int(os.environ.get("SPYCTL_SEEDS", "1000000"))
CHUNK = 250


def chunks(first: int, end: int) -> list[range]:
    return [range(start, start + CHUNK) for start in range(first, end, CHUNK)]


@pytest.mark.parametrize("numbers", chunks(0, SEEDS), ids=str)
def test_every_end_is_true(numbers: range) -> None:
    for number in numbers:
        replay(number)


@pytest.mark.soak
@pytest.mark.parametrize("numbers", chunks(SEEDS, SOAK), ids=str)
def test_every_end_of_a_million_is_true(numbers: range) -> None:
    for number in numbers:
        replay(number)


def test_a_seed_happens_again_in_the_very_same_way() -> None:
    for number in range(20):
        assert replay(number).world.history == replay(number).world.history


def test_seeds_meet_every_fault_and_come_to_every_kind_of_end() -> None:
    kinds = {fault.kind for number in range(500) for fault in Seed.of(number).faults}
    assert kinds == {
        "cut", "deaf", "swallow", "freeze", "kill", "second", "restart", "elect", "bucket", "lose", "foreign", "same",
        "purge", "refill", "usurp", "stall", "suspend",
    }  # fmt: skip
    verdicts = {replay(number).verdict.partition(":")[0] for number in range(200)}
    assert {"complete", "LostTrackError", "LostEventsError"} <= verdicts


def test_a_history_that_is_not_true_is_told_with_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(History, "_ours", lambda self: [1, 2, 2])
    with pytest.raises(AssertionError, match=r"doubled or out of order.*\nagain: python -m tests.simulation 0"):
        replay(0)
