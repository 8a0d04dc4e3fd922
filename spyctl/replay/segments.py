"""Where a replay has been: the stretches between its jumps, in the order in which they were played.

A message of a run has a position, 1, 2, 3, …; an event has a place in the input, its :class:`Cursor`. The segments tie
the two together: they are written into the record of the run before their first message is sent, so that whoever
resumes, verifies or reconciles the run can make all of its messages again.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import numpy as np

from spyctl.dbn.sort_times import Int64s
from spyctl.market.events import ResetReason

_KEPT, _WRITTEN = 10_000, 8  # segments: in memory, and in the record of the run


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the input: before the events of the sort time ``sort_ns`` or later, behind ``ordinal`` of them."""

    sort_ns: int = 0
    ordinal: int = 0

    def after(self, sort_ns: Int64s) -> "Cursor":
        """Return the place behind some events that follow here, at least one, by their sort times."""
        last_ns = int(sort_ns[-1])
        same = len(sort_ns) - int(np.searchsorted(sort_ns, last_ns))
        return Cursor(last_ns, same + (self.ordinal if same == len(sort_ns) and last_ns == self.sort_ns else 0))


BEGINNING = Cursor()


@dataclass(frozen=True, slots=True)
class Segment:
    """What a replay plays without a jump, from ``cursor`` on.

    ``first`` is the position of its first message. All but the first begin with a reset (``reason``, from where in
    event time, and when by the wall clock), then the ``seeds``: the last book of each symbol before the place. A
    warm-up ends at ``until``. ``lap`` counts how often the whole plan was played before.
    """

    number: int = 0
    first: int = 1
    cursor: Cursor = BEGINNING
    reason: ResetReason | None = None
    from_ns: int = 0
    jumped_ns: int = 0
    seeds: int = 0
    until: Cursor | None = None
    lap: int = 0

    @property
    def prelude(self) -> int:
        """How many messages come before its events."""
        return self.seeds + (self.reason is not None)


@dataclass(frozen=True, slots=True)
class Journal:
    """The segments of the run ``run_id``, its marks (name → sort time), and its loop from one sort time to another.

    Of a run that loops for days only the last segments are kept: ``before`` is how many events the others had.
    """

    segments: tuple[Segment, ...] = (Segment(),)
    marks: Mapping[str, int] = field(default_factory=dict)
    before: int = 0
    run_id: str = ""
    loop: tuple[int, int] | None = None

    def with_segment(self, segment: Segment) -> "Journal":
        """Return it with one more segment."""
        return replace(self, segments=(*self.segments, segment)).last(_KEPT)

    def last(self, count: int) -> "Journal":
        """Return it with only so many segments."""
        if len(self.segments) <= count:
            return self
        kept = self.segments[-count:]
        return replace(self, segments=kept, before=self.events_before(kept[0].first - 1))

    def document(self) -> dict[str, Any]:
        """Return it as the record of a run holds it; nothing of a run without a jump, a mark and a loop."""
        if len(self.segments) == 1 and not self.marks and self.loop is None:
            return {}
        kept = self.last(_WRITTEN)
        segments = [asdict(segment) for segment in kept.segments]
        return {
            "run_id": self.run_id,
            "segments": segments,
            "marks": dict(self.marks),
            "before": kept.before,
            "loop": self.loop,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read what :meth:`document` wrote."""
        segments = tuple(
            Segment(
                **entry
                | {
                    "cursor": Cursor(**entry["cursor"]),
                    "until": Cursor(**entry["until"]) if entry.get("until") is not None else None,
                    "reason": ResetReason(entry["reason"]) if entry["reason"] is not None else None,
                }
            )
            for entry in document.get("segments", [])
        )
        return cls(
            segments or (Segment(),),
            dict(document.get("marks", {})),
            document.get("before", 0),
            document.get("run_id", ""),
            tuple(document["loop"]) if document.get("loop") else None,
        )

    def holding(self, position: int) -> int:
        """Return the index of the segment that the message behind a position belongs to."""
        return max((i for i, segment in enumerate(self.segments) if segment.first <= position + 1), default=0)

    def events_before(self, position: int) -> int:
        """Return how many of the messages up to a position are events of the input, not resets or seeds."""
        preludes = sum(min(each.prelude, max(0, position + 1 - each.first)) for each in self.segments)
        return self.before + position - (self.segments[0].first - 1) - preludes
