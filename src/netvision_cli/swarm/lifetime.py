"""The life of a run: its clock, when it started, whether it is stopping, and the error that made it fail."""

import asyncio
import time
from collections.abc import Callable

from netvision_cli.errors import NetvisionError


class Lifetime:
    """What the tasks of a run share to stop together."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Begin now. The clock is not that of the event loop, which uvloop keeps in whole milliseconds."""
        self.clock = clock
        self.started = self.clock()
        self.stopped = self.started
        self.cpu_started = time.process_time()
        self.stopping = asyncio.Event()
        self.failure: NetvisionError | None = None

    @property
    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return self.clock() - self.started

    @property
    def cpu_seconds(self) -> float:
        """Return the processor time used since the start."""
        return time.process_time() - self.cpu_started

    @property
    def is_stopping(self) -> bool:
        """Return whether the run was stopped, or failed."""
        return self.stopping.is_set()

    def stop(self) -> None:
        """Stop the run; only the first call counts."""
        if not self.is_stopping:
            self.stopped = self.clock()
            self.stopping.set()

    def fail(self, error: NetvisionError) -> None:
        """Stop the run because of an error; the first one is kept."""
        self.failure = self.failure or error
        self.stopping.set()
