"""What a run holds at one moment, or did between two: every line, screen, summary and report is read off this value."""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from operator import add, sub

from netvision_cli.swarm.account import Tally
from netvision_cli.swarm.latency import Calls
from netvision_cli.swarm.workload import Workload


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The figures of a span of time; that of a whole run begins with its start."""

    until: float
    """When the span ended, in seconds since the start of the run."""

    seconds: float
    """How long it was."""

    cpu_seconds: float
    """How long this process computed in it."""

    tally: Tally
    calls: dict[str, Calls]
    responses: Calls | None
    """From the intended start of a batch to its acknowledgement; None where there was no rate."""

    waiting: int
    """How many records were stored at its end."""

    away: str
    """Why the server was waited for, if it was."""

    is_stopping: bool
    """Whether producing had ended."""

    @property
    def deleted(self) -> int:
        """Return how many records were deleted, whoever inserted them."""
        return self.tally.deleted + self.tally.foreign

    @property
    def errors(self) -> int:
        """Return how many calls failed."""
        return sum(calls.errors for calls in self.calls.values())

    @property
    def retries(self) -> int:
        """Return how many calls were made again."""
        return sum(calls.retries for calls in self.calls.values())

    @property
    def attempts(self) -> int:
        """Return how many calls were made."""
        return self.errors + sum(calls.durations.count for calls in self.calls.values())

    @property
    def cpu(self) -> float:
        """Return the share of one core that this process used."""
        return self.cpu_seconds / self.seconds if self.seconds > 0 else 0.0

    @property
    def timed(self) -> dict[str, Calls]:
        """Return all that has durations, by name."""
        return self.calls | ({"response": self.responses} if self.responses else {})

    def rate(self, count: int) -> float:
        """Return a count per second."""
        return count / self.seconds if self.seconds > 0 else 0.0

    def figures(self) -> dict[str, dict[str, float]]:
        """Return the numbers of all that has durations; those in milliseconds."""
        return {name: calls.as_dict(self.seconds) for name, calls in self.timed.items()}

    def since(self, earlier: "Snapshot") -> "Snapshot":
        """Return what happened after an earlier moment of the same run."""
        return replace(
            self,
            seconds=self.until - earlier.until,
            cpu_seconds=self.cpu_seconds - earlier.cpu_seconds,
            tally=combined(sub, self.tally, earlier.tally),
            calls={name: calls.since(earlier.calls[name]) for name, calls in self.calls.items()},
            responses=self.responses.since(earlier.responses) if self.responses and earlier.responses else None,
        )

    def joined(self, following: "Snapshot") -> "Snapshot":
        """Return one span for this one and the one right after it."""
        return replace(
            following,
            seconds=self.seconds + following.seconds,
            cpu_seconds=self.cpu_seconds + following.cpu_seconds,
            tally=combined(add, self.tally, following.tally),
            calls={name: calls.merged(following.calls[name]) for name, calls in self.calls.items()},
            responses=self.responses.merged(following.responses) if self.responses and following.responses else None,
            away=self.away or following.away,
        )


def combined(operator: Callable[[int, int], int], one: Tally, other: Tally) -> Tally:
    """Add or subtract every number of two tallies."""
    return Tally(*(operator(getattr(one, field.name), getattr(other, field.name)) for field in fields(Tally)))


def take(workload: Workload) -> Snapshot:
    """Take down what a workload and its account hold now."""
    has_rate = workload.options.rate is not None
    return Snapshot(
        until=workload.elapsed,
        seconds=workload.elapsed,
        cpu_seconds=time.process_time() - workload.cpu_started,
        tally=replace(workload.account.tally),
        calls={name: calls.copy() for name, calls in workload.calls.items()},
        responses=Calls(workload.responses.copy()) if has_rate else None,
        waiting=workload.waiting,
        away=str(workload.away or ""),
        is_stopping=workload.stopping.is_set(),
    )
