"""What happened when: a run cut into intervals, few enough to keep for ever and to draw."""

import asyncio
from collections import deque

from netvision_cli.swarm.snapshot import Snapshot, take
from netvision_cli.swarm.workload import Workload

TICK_SECONDS = 1.0
MINUTE = 60
MAX_INTERVALS = 240
"""So many, and neighbours become one: a run of any length is between half as many and as many intervals."""

BUSY_SHARE = 0.9
"""A process that computes for more of its time than this on one core cannot offer more."""


class History:
    """The last minute in seconds, and the whole run in intervals."""

    def __init__(self, start: Snapshot) -> None:
        """Begin with nothing."""
        self.last = start
        self.minute: deque[Snapshot] = deque(maxlen=MINUTE)
        self.intervals: list[Snapshot] = []
        self.ticks = 1
        """How many ticks make an interval by now."""

        self.ticked = 0
        """How many of them the last interval has."""

        self.busy_seconds = 0.0
        """For how long this process was as busy as it can be."""

    async def record(self, workload: Workload) -> None:
        """Take a snapshot every second."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.add(take(workload))

    def add(self, now: Snapshot) -> None:
        """Note what happened since the last time."""
        lately, self.last = now.since(self.last), now
        if lately.cpu > BUSY_SHARE:
            self.busy_seconds += lately.seconds
        self.minute.append(lately)
        self.extend(lately)

    def extend(self, lately: Snapshot) -> None:
        """Let the last interval grow to its length, or begin the next one; join neighbours when there are too many."""
        if self.intervals and self.ticked < self.ticks:
            self.intervals[-1] = self.intervals[-1].joined(lately)
            self.ticked += 1
            return
        self.intervals.append(lately)
        self.ticked = 1
        if len(self.intervals) > MAX_INTERVALS:
            last = self.intervals.pop()
            self.intervals = [one.joined(other) for one, other in zip(*[iter(self.intervals)] * 2, strict=True)]
            self.intervals.append(last)
            self.ticks *= 2
