"""Whether what is stored at the end is what was said of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.simulation.jetstream import Stored

STRANGER = "somebody else"  # who publishes too
COMPLETE = "complete"


class UntrueError(AssertionError):
    """What is stored is not what was said of it."""


@dataclass(frozen=True)
class Said:
    """How the run ended, as the user was told.

    ``out_of_order`` says that somebody told of events out of order, ``excused`` that something was lost only after the
    stream was to be asked for the last time, ``gentle`` that nothing may be lost. ``may_fall_out`` says that a process
    need not miss what another one had stored.
    """

    verdict: str
    events: int
    out_of_order: bool
    excused: bool
    gentle: bool
    may_fall_out: bool


def numbers_of(held: Sequence[Stored], subjects: Sequence[str]) -> list[int]:
    """Return which events of ours a stream holds."""
    return [int(each.payload.split()[1]) for each in held if each.subject in subjects and each.writer != STRANGER]


def judge(ours: Sequence[int], payloads: Sequence[bytes], said: Said) -> None:
    """Raise :class:`UntrueError` where events of ours, among the payloads of all, are not as was said."""
    if len(set(ours)) < len(ours) or (list(ours) != sorted(ours) and not said.out_of_order):
        raise UntrueError(f"doubled or out of order: {ours}")
    whole = list(range(1, said.events + 1))
    # Each process answers for what it has stored itself: what fell out since, or before it came, it does not miss.
    expected = whole[len(whole) - len(ours) :] if said.may_fall_out else whole
    stored = sorted(payloads, key=_number) if said.out_of_order else payloads
    if said.verdict == COMPLETE and not _has(stored, expected) and not said.excused:
        raise UntrueError(f"said to be complete, and events are missing: {sorted(set(whole) - set(ours))}")
    if said.gentle and (list(ours) != whole or not said.verdict.startswith(COMPLETE)):
        raise UntrueError("nothing was lost, and it did not come to its end")


def _number(payload: bytes) -> int:
    word = payload.split()[-1]
    return int(word) if word.isdigit() else 0


def _has(payloads: Sequence[bytes], numbers: Sequence[int]) -> bool:
    # Whether a reader meets these events in their order; what others publish may be the very same.
    stored = iter(payloads)
    return all(b"event %d" % number in stored for number in numbers)
