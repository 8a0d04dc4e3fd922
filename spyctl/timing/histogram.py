"""Durations counted in buckets, and their percentiles."""

import math
from dataclasses import dataclass

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
