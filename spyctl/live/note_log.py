"""The notes of a run: the last ones, how many warnings there were, and who is told."""

from collections import deque
from collections.abc import Callable

from spyctl.timing.clock import Clock
from spyctl.timing.notes import Note

KEPT = 50


class NoteLog:
    """Keeps the last notes; ``tell`` is shown each one."""

    def __init__(self, clock: Clock, tell: Callable[[Note], None] = lambda _: None) -> None:
        self.recent: deque[Note] = deque(maxlen=KEPT)
        self.warnings = 0
        self._clock = clock
        self._tell = tell

    def info(self, text: str) -> None:
        """Keep a note."""
        self._add(Note(self._clock.time_ns(), text, "info"))

    def warn(self, text: str) -> None:
        """Keep what somebody should look at."""
        self.warnings += 1
        self._add(Note(self._clock.time_ns(), text, "warning"))

    def _add(self, note: Note) -> None:
        self.recent.append(note)
        self._tell(note)
