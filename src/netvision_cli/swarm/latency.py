"""What the calls took: histograms of bounded size and known error, one for each kind of call."""

import math
from collections import Counter
from dataclasses import dataclass, field

GROWTH = 1.02
"""How much wider each bucket is than the one before; a value is known to within one per cent."""

SMALLEST = 1e-6
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}


@dataclass
class Histogram:
    """Counts of durations in seconds, in buckets that grow with them; there are some 1 100 from 1 µs to 1 h."""

    buckets: Counter[int] = field(default_factory=Counter)
    count: int = 0
    longest: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.buckets[math.floor(math.log(max(seconds, SMALLEST) / SMALLEST, GROWTH))] += 1
        self.count += 1
        self.longest = max(self.longest, seconds)

    def percentile(self, share: float) -> float:
        """Return the duration that this share of all does not exceed; 0 where nothing was counted."""
        rank = math.ceil(share * self.count)
        for bucket in sorted(self.buckets):
            rank -= self.buckets[bucket]
            if rank <= 0:
                return min(SMALLEST * math.pow(GROWTH, bucket + 0.5), self.longest)
        return 0.0


@dataclass
class Calls:
    """One kind of call: how many were answered, how fast, and how many failed or were tried again."""

    durations: Histogram = field(default_factory=Histogram)
    errors: int = 0
    retries: int = 0

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
