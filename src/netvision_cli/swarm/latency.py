"""How long the calls took: histograms of fixed size and known error that can be added and subtracted.

A bucket is two per cent wider than the one below it: a percentile is known to within one per cent, from 1 µs to a day.
The longest duration is known exactly. What happened between two moments is the later histogram less the earlier one.
"""

import math
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate
from operator import add, sub
from typing import Self

GROWTH = 1.02
SMALLEST = 1e-6
LARGEST = 86_400.0
BUCKETS_PER_E = 1 / math.log(GROWTH)

CALL_KINDS = ("insert", "fetch", "delete")
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
TIMES = PERCENTILES | {"max": 1.0}
"""The durations that are shown of each kind of call, and the share of the calls that took no longer."""

TIMES_BY_IMPORTANCE = ("p50", "p99", "max", "p95", "p99.9")

MAIN_TIMES = {name: share for name, share in TIMES.items() if name != "p99.9"}
"""Those that the panel and the drawings have room for."""


def bucket_of(seconds: float) -> int:
    """Return the bucket of a duration; those below or above all buckets count in the first or last one."""
    return int(math.log(min(max(seconds, SMALLEST), LARGEST) / SMALLEST) * BUCKETS_PER_E)


def middle_of(bucket: int) -> float:
    """Return the duration that represents a bucket: no other in it differs by more than one per cent."""
    return SMALLEST * math.pow(GROWTH, bucket + 0.5)


BUCKETS = bucket_of(LARGEST) + 1


@dataclass
class Histogram:
    """Counts of durations in seconds."""

    counts: "array[int]" = field(default_factory=lambda: array("Q", bytes(8 * BUCKETS)), repr=False)
    count: int = 0
    longest: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bucket_of(seconds)] += 1
        self.count += 1
        self.longest = max(self.longest, seconds)

    def percentile(self, share: float) -> float:
        """Return the duration that this share of all does not exceed; 0 if nothing was counted."""
        if not self.count:
            return 0.0
        bucket = bisect_left(list(accumulate(self.counts)), max(1, math.ceil(share * self.count)))
        return min(middle_of(bucket), self.longest)

    def copy(self) -> Self:
        """Return the counts of this moment."""
        return type(self)(self.counts[:], self.count, self.longest)

    def merged(self, other: "Histogram") -> "Histogram":
        """Return what was counted here or there."""
        counts = array("Q", map(add, self.counts, other.counts))
        return Histogram(counts, self.count + other.count, max(self.longest, other.longest))

    def since(self, earlier: "Histogram") -> "Histogram":
        """Return what was counted after an earlier moment; its longest duration is known to within one per cent."""
        delta = Histogram(array("Q", map(sub, self.counts, earlier.counts)), self.count - earlier.count, self.longest)
        if self.longest == earlier.longest:
            delta.longest = delta.percentile(1.0)
        return delta


@dataclass
class Calls:
    """One kind of call: how many got a response, how fast, and how many failed or were retried."""

    durations: Histogram = field(default_factory=Histogram)
    errors: int = 0
    retries: int = 0

    def copy(self) -> "Calls":
        """Return the numbers of this moment."""
        return Calls(self.durations.copy(), self.errors, self.retries)

    def merged(self, other: "Calls") -> "Calls":
        """Return what was called here or there."""
        return Calls(self.durations.merged(other.durations), self.errors + other.errors, self.retries + other.retries)

    def since(self, earlier: "Calls") -> "Calls":
        """Return what was called after an earlier moment."""
        durations = self.durations.since(earlier.durations)
        return Calls(durations, self.errors - earlier.errors, self.retries - earlier.retries)

    def as_dict(self, elapsed: float) -> dict[str, float]:
        """Return the numbers by name; durations are in milliseconds, the rate is per second."""
        percentiles = {name: self.durations.percentile(share) for name, share in PERCENTILES.items()}
        times = {**percentiles, "max": self.durations.longest}
        return {
            "count": self.durations.count,
            "rate": round(self.durations.count / elapsed, 1) if elapsed else 0.0,
            **{name: round(seconds * 1000, 3) for name, seconds in times.items()},
            "errors": self.errors,
            "retries": self.retries,
        }
