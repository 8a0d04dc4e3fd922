"""What could not become an event: counted by reason, the first of each reason told."""

from collections import Counter, deque
from collections.abc import Callable

from spyctl.errors import SpyctlError
from spyctl.timing.instants import SECOND

MAX_REASONS = 50  # the names of unknown events have no end
MAX_FAILURES = 100  # exceptions of our own in a minute


class Rejects:
    """Counts rejects by reason, with a sample of each; ``note`` is told once of each reason."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self.counts: Counter[str] = Counter()
        self.samples: dict[str, str] = {}
        self._note = note
        self._failures: deque[int] = deque(maxlen=MAX_FAILURES)

    def add(self, reason: str, sample: str) -> None:
        """Count a reject."""
        if reason not in self.counts and len(self.counts) >= MAX_REASONS:
            reason = "other"
        self.counts[reason] += 1
        if reason not in self.samples:
            self.samples[reason] = sample
            self._note(f"rejected, {reason}: {sample[:100]}")

    def failed(self, error: Exception, sample: str, clock_ns: int) -> None:
        """Count an error of our own, at a monotonic time. Raises :class:`SpyctlError` after many within a minute."""
        self.add("internal", f"{type(error).__name__}: {error}: {sample}")
        self._failures.append(clock_ns)
        if len(self._failures) == MAX_FAILURES and clock_ns - self._failures[0] < 60 * SECOND:
            text = f"{MAX_FAILURES} internal errors within a minute, the last: {error}"
            raise SpyctlError(text, "report it with this sentence") from error
