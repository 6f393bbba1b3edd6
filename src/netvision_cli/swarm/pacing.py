"""When producers may go on: the intended start of each batch, the room in the backlog, the number of records.

Without a rate the loop is closed: a producer that waits for a slow server offers less, and so measures fewer of the
slow calls. With one it is open: each batch has an intended start, which follows from the records before it and the rate
alone; a slow or absent server does not move it. A batch that had to wait for a free producer, or for room in the
backlog, starts late, and its response time includes that wait: from intended start to acknowledgement, with all
attempts and pauses.
"""

from collections.abc import Callable

from netvision_cli.swarm.latency import Histogram
from netvision_cli.swarm.options import SwarmOptions

IDLE_SECONDS = 0.02
"""How often producers check for room, and how long consumers pause after an empty page."""


class Pacing:
    """The schedule of one run."""

    def __init__(self, options: SwarmOptions, clock: Callable[[], float]) -> None:
        self.rate = options.rate
        self.backlog = options.backlog
        self.max_records = options.records
        self.clock = clock
        self.offered = 0
        self.response_times = Histogram()
        self.intended_start = clock()
        """When the next batch should start."""

    @property
    def is_exhausted(self) -> bool:
        """Return whether every record that was to be offered has been."""
        return self.max_records is not None and self.offered >= self.max_records

    @property
    def lag(self) -> float | None:
        """Return by how many seconds the next batch is late; None without a rate."""
        return None if self.rate is None else max(0.0, self.clock() - self.intended_start)

    def delay(self, outstanding: int) -> float:
        """Return how many seconds to wait before checking again for room and a batch that is due; 0 to go on now."""
        if 0 < self.backlog < outstanding:
            return IDLE_SECONDS
        return min(IDLE_SECONDS, max(0.0, self.intended_start - self.clock()))

    def reserve(self, size: int) -> int:
        """Take up to `size` of the records still to be offered, return how many, and schedule the batch after them."""
        if self.max_records is not None:
            size = min(size, self.max_records - self.offered)
        self.offered += size
        if self.rate is not None:
            self.intended_start += size / self.rate
        return size

    def acknowledge(self, intended_start: float) -> None:
        """Record the response time of a batch that was acknowledged now; without a rate it has none."""
        if self.rate is not None:
            self.response_times.add(self.clock() - intended_start)
