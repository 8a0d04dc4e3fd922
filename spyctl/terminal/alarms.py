"""From when on a figure is worth a look (yellow), and from when on something is wrong (red).

The limits are those of ``docs/screens.md``; a word always stands beside the colour.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Alarm(NamedTuple):
    """How to show a figure: its style, and the word beside it; both are empty while all is well."""

    style: str = ""
    word: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """The values from which on a figure is yellow and red, and the words for that."""

    yellow: float
    red: float
    words: tuple[str, str]

    def alarm(self, value: float | None) -> Alarm:
        """Return how to show a value; ``None``, nothing measured, is no alarm."""
        if value is None or value < self.yellow:
            return Alarm()
        return Alarm("red", self.words[1]) if value >= self.red else Alarm("yellow", self.words[0])


ACK_MS = Limit(100, 1_000, ("slow", "very slow"))  # the p99 of the last seconds
ARRIVAL_MS = Limit(500, 2_000, ("slow", "very slow"))  # likewise
BACKLOG = Limit(0.02, 0.5, ("filling", "nearly full"))  # the share of it that is in use
CONSUMER_S = Limit(1, 10, ("late", "far behind"))  # the age of the oldest event that it has not been given
BEHIND_S = Limit(0.1, 5, ("late", "far behind"))
WAITING_S = Limit(1, 10, ("waiting", "waiting"))  # for the server, which stores nothing
STALLED_S = Limit(1, 10, ("shifted", "shifted"))  # by how much the schedule was shifted altogether
