"""Notes about a strike window: what came in, what is on its way out, what has left."""

from collections import deque

from spyctl.live.snapshot import WindowNow
from spyctl.timing.notes import Note

_KEPT = 20


class WindowWatch:
    """Compares a window with what it was at the last look; ``notes`` are the last ones."""

    def __init__(self) -> None:
        self.notes: deque[Note] = deque(maxlen=_KEPT)
        self._strikes: frozenset[float] = frozenset()
        self._leaving: frozenset[float] = frozenset()

    def look(self, window: WindowNow, now_ns: int) -> None:
        """Note what has changed by a moment (Unix ns)."""
        strikes = frozenset(window.strikes)
        leaving = frozenset(window.leaving) - strikes
        if self._strikes and strikes and strikes != self._strikes:
            self._say(now_ns, self._move_text(strikes, leaving, window))
        if gone := self._leaving - leaving - strikes:
            self._say(now_ns, f"strike {_list_text(sorted(gone))} left: no longer subscribed")
        self._strikes, self._leaving = strikes, leaving

    def _move_text(self, strikes: frozenset[float], leaving: frozenset[float], window: WindowNow) -> str:
        span = f"{min(strikes):g} to {max(strikes):g}"
        changes = []
        if added := strikes - self._strikes:
            changes.append(f"{_list_text(sorted(added))} added")
        if going := leaving - self._leaving:
            left_s = max(window.leaving[strike] for strike in going)
            changes.append(f"{_list_text(sorted(going))} leaving in {max(0.0, left_s):.0f} s")
        return f"window moved to {span}" + (f": {', '.join(changes)}" if changes else "")

    def _say(self, now_ns: int, text: str) -> None:
        self.notes.append(Note(now_ns, text))


def _list_text(strikes: list[float]) -> str:
    # A few by name, many by their ends.
    return ", ".join(f"{strike:g}" for strike in strikes) if len(strikes) <= 3 else f"{strikes[0]:g} to {strikes[-1]:g}"
