"""The state of a run at one moment, or what it did between two; lines, panel, summary and report all read it."""

from dataclasses import dataclass, replace
from typing import Self

from netvision_cli.swarm.latency import Calls
from netvision_cli.swarm.tally import Tally
from netvision_cli.swarm.workload import Workload


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The numbers of a span of time; for a whole run it begins with its start."""

    until: float
    """When the span ended, in seconds since the start of the run."""

    seconds: float
    """How long the span was."""

    cpu_seconds: float
    """The processor time that this process used in it."""

    tally: Tally
    calls: dict[str, Calls]
    response_times: Calls | None
    """From the intended start of a batch to its acknowledgement; None if there was no rate."""

    outstanding: int
    """How many records may have been stored at its end."""

    outage: str
    """Why the server was waited for at its end, if it was."""

    lag: float | None
    """By how many seconds the next batch was late at its end; None if there was no rate."""

    is_stopping: bool
    """Whether producing had ended."""

    @classmethod
    def of(cls, workload: Workload) -> Self:
        """Take a snapshot of a workload, from its start until now."""
        elapsed, has_rate = workload.lifetime.elapsed, workload.options.rate is not None
        outages = workload.caller.outages
        outage = outages.current if workload.caller.has_responded else outages.failing
        return cls(
            until=elapsed,
            seconds=elapsed,
            cpu_seconds=workload.lifetime.cpu_seconds,
            tally=workload.account.tally,
            calls={name: calls.copy() for name, calls in workload.caller.calls.items()},
            response_times=Calls(workload.pacing.response_times.copy()) if has_rate else None,
            outstanding=workload.outstanding,
            outage=outage.error if outage else "",
            lag=workload.pacing.lag,
            is_stopping=workload.lifetime.is_stopping,
        )

    @property
    def deleted(self) -> int:
        """Return how many records were deleted, including foreign ones."""
        return self.tally.deleted + self.tally.foreign

    @property
    def errors(self) -> int:
        """Return how many calls failed."""
        return sum(calls.errors for calls in self.calls.values())

    @property
    def retries(self) -> int:
        """Return how many calls were retried."""
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
        """Return everything that has durations, by name."""
        return self.calls | ({"response": self.response_times} if self.response_times else {})

    def rate(self, count: int) -> float:
        """Return a count per second."""
        return count / self.seconds if self.seconds > 0 else 0.0

    def figures(self) -> dict[str, dict[str, float]]:
        """Return the numbers of everything that has durations; the durations are in milliseconds."""
        return {name: calls.as_dict(self.seconds) for name, calls in self.timed.items()}

    def since(self, earlier: "Snapshot") -> "Snapshot":
        """Return what happened after an earlier moment of the same run."""
        return replace(
            self,
            seconds=self.until - earlier.until,
            cpu_seconds=self.cpu_seconds - earlier.cpu_seconds,
            tally=self.tally.since(earlier.tally),
            calls={name: calls.since(earlier.calls[name]) for name, calls in self.calls.items()},
            response_times=self.response_times.since(earlier.response_times)
            if self.response_times and earlier.response_times
            else None,
        )

    def merged(self, following: "Snapshot") -> "Snapshot":
        """Return one span for this one and the one right after it."""
        return replace(
            following,
            seconds=self.seconds + following.seconds,
            cpu_seconds=self.cpu_seconds + following.cpu_seconds,
            tally=self.tally.merged(following.tally),
            calls={name: calls.merged(following.calls[name]) for name, calls in self.calls.items()},
            response_times=self.response_times.merged(following.response_times)
            if self.response_times and following.response_times
            else None,
        )
