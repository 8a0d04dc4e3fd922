"""The places that a person comes back to: marks, a loop, and where each seek began."""

import re
from collections import deque
from collections.abc import Mapping, Sequence

from spyctl.errors import ControlError, UsageError
from spyctl.replay.segments import Cursor

_MOST_MARKS, _LONGEST_NAME, _MOST_LEFT = 200, 40, 100
_TIME = re.compile(r"[+\-\d]|(open|close)([+-]|$)", re.IGNORECASE)  # what begins so is a time


class Waypoints:
    """Marks by name, and a loop from one event time to another (Unix ns), ``None`` where there is none.

    ``loop_start_ns`` is the start of a loop whose end is still to be set.
    """

    def __init__(self, marks: Mapping[str, int], loop: tuple[int, int] | None = None) -> None:
        self.marks = dict(marks)
        self.loop = loop
        self.loop_start_ns: int | None = None
        self._left: deque[Cursor] = deque(maxlen=_MOST_LEFT)

    def mark(self, name: str, event_ns: int) -> None:
        """Remember a place; without a name it gets one. Raises :class:`UsageError`, :class:`ControlError`."""
        if not name:
            name = next(f"m{i}" for i in range(1, _MOST_MARKS + 2) if f"m{i}" not in self.marks)
        if len(name) > _LONGEST_NAME or not name.isprintable() or " " in name or _TIME.match(name):
            raise UsageError(f"{name[:_LONGEST_NAME]!r} cannot name a mark", "a short word, such as m1 or gap-fill")
        if len(self.marks) >= _MOST_MARKS and name not in self.marks:
            raise ControlError(f"there are {_MOST_MARKS} marks already", "move one of them: mark NAME")
        self.marks[name] = event_ns

    def at(self, name: str) -> int:
        """Return the event time of a mark. Raises :class:`UsageError`."""
        if name not in self.marks:
            known = f"the marks are {', '.join(sorted(self.marks))}" if self.marks else "mark NAME sets one"
            raise UsageError(f"there is no mark {name!r}", known)
        return self.marks[name]

    def left(self, place: Cursor) -> None:
        """Remember where a seek began."""
        self._left.append(place)

    def back(self) -> Cursor:
        """Return where the last seek began, and forget it. Raises :class:`ControlError` where there was none."""
        if not self._left:
            raise ControlError("there is no seek to undo", "seek TIME goes somewhere first")
        return self._left.pop()

    def set_loop(self, ends: Sequence[int]) -> None:
        """Loop between two event times; no ends end the loop. Raises :class:`UsageError`."""
        if ends and ends[0] >= ends[1]:
            raise UsageError("a loop that ends where it starts, or before, has no length", "the earlier time first")
        self.loop_start_ns, self.loop = None, (ends[0], ends[1]) if ends else None

    def loop_here(self, event_ns: int) -> None:
        """Set the start of a loop here, then its end, then end it. Raises :class:`ControlError`."""
        if self.loop is not None:
            self.loop = None
        elif self.loop_start_ns is None:
            self.loop_start_ns = event_ns
        elif self.loop_start_ns == event_ns:
            raise ControlError("a loop that ends where it starts has no length", "play on, then set its end")
        else:
            start_ns, end_ns = sorted((self.loop_start_ns, event_ns))
            self.loop, self.loop_start_ns = (start_ns, end_ns), None
