"""The plan in equal parts of event time, for what is drawn over it."""

from dataclasses import dataclass

BINS = 400  # more than a screen has columns for them


@dataclass(frozen=True, slots=True)
class Bins:
    """:data:`BINS` equal parts of what lies between two event times (Unix ns), both included, by number, from 0."""

    first_ns: int
    last_ns: int

    @property
    def width_ns(self) -> float:
        """How long each of them is."""
        return max(1, self.last_ns - self.first_ns + 1) / BINS

    def at(self, ns: int) -> int:
        """Return the part that an event time lies in, the first or the last one where it lies outside."""
        return min(BINS - 1, max(0, (ns - self.first_ns) * BINS // max(1, self.last_ns - self.first_ns + 1)))

    def middle_ns(self, number: int) -> int:
        """Return the event time in the middle of a part."""
        return self.first_ns + round((number + 0.5) * self.width_ns)
