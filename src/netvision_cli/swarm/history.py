"""What happened when: a run cut into intervals, few enough to keep however long it is, and to draw."""

import asyncio
from collections import deque

from netvision_cli.swarm.snapshot import Snapshot
from netvision_cli.swarm.workload import Workload

TICK_SECONDS = 1.0
MINUTE = 60
MAX_INTERVALS = 240
"""Beyond this number neighbours are merged: a long run has between half as many and as many intervals."""

BUSY_SHARE = 0.9
"""A process that uses more than this share of one core cannot offer more load."""


class History:
    """The last minute in seconds, and the whole run in intervals."""

    def __init__(self, start: Snapshot) -> None:
        self.last = start
        self.minute: deque[Snapshot] = deque(maxlen=MINUTE)
        self.intervals: list[Snapshot] = []
        self.ticks = 1
        """How many ticks an interval has at present."""

        self.ticked = 0
        """How many of them the last interval has so far."""

        self.busy_seconds = 0.0
        """For how long this process was as busy as it can be."""

    async def record(self, workload: Workload) -> None:
        """Take a snapshot every second."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.add(Snapshot.of(workload))

    def add(self, now: Snapshot) -> None:
        """Record what happened since the last snapshot."""
        delta, self.last = now.since(self.last), now
        if delta.cpu > BUSY_SHARE:
            self.busy_seconds += delta.seconds
        self.minute.append(delta)
        self.extend(delta)

    def extend(self, delta: Snapshot) -> None:
        """Extend the last interval until it is complete, or begin the next; merge neighbours if there are too many."""
        if self.intervals and self.ticked < self.ticks:
            self.intervals[-1] = self.intervals[-1].merged(delta)
            self.ticked += 1
            return
        self.intervals.append(delta)
        self.ticked = 1
        if len(self.intervals) > MAX_INTERVALS:
            last = self.intervals.pop()
            # One iterator given twice yields the intervals in pairs; with an odd number strict=True would raise.
            self.intervals = [one.merged(other) for one, other in zip(*[iter(self.intervals)] * 2, strict=True)]
            self.intervals.append(last)
            self.ticks *= 2
