"""Durations counted in buckets, and their percentiles."""

import math
from collections import deque
from dataclasses import dataclass

RECENT_NS = 2_000_000_000
_PER_OCTAVE = 16  # about 4 % from one bucket to the next


class Histogram:
    """Counts of durations in nanoseconds, in logarithmic buckets of about 4 %."""

    def __init__(self) -> None:
        self.count = 0
        self._buckets: dict[int, int] = {}

    def add(self, ns: int, times: int = 1) -> None:
        """Count a duration; negative ones count as zero."""
        bucket = int(math.log2(ns) * _PER_OCTAVE) if ns > 1 else 0
        self._buckets[bucket] = self._buckets.get(bucket, 0) + times
        self.count += times

    def copy(self) -> "Histogram":
        """Return what has been counted so far."""
        return self.since(Histogram())

    def since(self, earlier: "Histogram") -> "Histogram":
        """Return what was counted after ``earlier`` was copied from this one."""
        newer = Histogram()
        newer._buckets = {
            bucket: more for bucket, count in self._buckets.items() if (more := count - earlier._buckets.get(bucket, 0))
        }
        newer.count = self.count - earlier.count
        return newer

    def percentile(self, percent: float) -> float | None:
        """Return the duration in ns that ``percent`` % do not exceed, ``None`` where nothing was counted."""
        if not self.count:
            return None
        rank, seen = percent / 100 * self.count, 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                break
        return float(2 ** ((bucket + 0.5) / _PER_OCTAVE))


class Recent:
    """What a histogram that goes on counting has counted in the last ``span_ns``; looked at again and again."""

    def __init__(self, whole: Histogram, span_ns: int = RECENT_NS) -> None:
        self._whole = whole
        self._span_ns = span_ns
        self._copies: deque[tuple[int, Histogram]] = deque()

    def p99_ms(self, clock_ns: int) -> float | None:
        """Return the p99 at a monotonic time, in milliseconds; ``None`` where nothing was counted lately."""
        self._copies.append((clock_ns, self._whole.copy()))
        while len(self._copies) > 1 and self._copies[1][0] <= clock_ns - self._span_ns:
            self._copies.popleft()
        percentiles = Percentiles.of(self._whole.since(self._copies[0][1]))
        return percentiles.p99 if percentiles is not None else None


@dataclass(frozen=True, slots=True)
class Percentiles:
    """p50 and p99 in milliseconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, histogram: Histogram) -> "Percentiles | None":
        """Take both from a histogram of nanoseconds; ``None`` where it is empty."""
        p50, p99 = histogram.percentile(50), histogram.percentile(99)
        if p50 is None or p99 is None:
            return None
        return cls(round(p50 / 1e6, 3), round(p99 / 1e6, 3))
