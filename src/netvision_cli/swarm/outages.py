"""When the server was away: periods without a response while a call was waiting for one, and failed.

Failures between responses that follow one another are errors, not an outage: it lasts for at least half a second. It
begins with the last response before it, or with the first call that failed if that was later, since nobody notices a
server that is away while nothing is requested; it ends with the next response.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

MIN_SECONDS = 0.5
MAX_PERIODS = 1000
"""How many outages are kept; older ones are only counted."""


@dataclass(slots=True)
class Outage:
    """One period without a response; times are in seconds since the start of the run."""

    began: float
    error: str
    """Why the first call in it failed."""

    ended: float | None = None

    def seconds(self, now: float) -> float:
        """Return how long it lasted, or has lasted until now."""
        return (now if self.ended is None else self.ended) - self.began


class Outages:
    """The outages of a run, from the responses and failures of its calls."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.started = clock()
        self.wall_started = datetime.now(UTC)
        self.last_response = self.started
        self.failing: Outage | None = None
        """The period since the last response, if a call has failed in it."""

        self.ended: deque[Outage] = deque(maxlen=MAX_PERIODS)
        self.count = 0
        self.total = 0.0
        self.longest = 0.0

    @property
    def now(self) -> float:
        """Return the seconds since the start of the run."""
        return self.clock() - self.started

    def fail(self, sent: float, error: str) -> None:
        """Note that a call failed, and when by the clock it was sent."""
        began = max(sent, self.last_response) - self.started
        if self.failing:
            self.failing.began = min(self.failing.began, began)
        else:
            self.failing = Outage(began, error)

    def respond(self) -> None:
        """Note a response."""
        if self.failing:
            self.end(self.failing)
        self.last_response = self.clock()

    def end(self, outage: Outage) -> None:
        """Keep a period that has ended, if it was long enough."""
        self.failing = None
        seconds = outage.seconds(self.now)
        if seconds < MIN_SECONDS:
            return
        outage.ended = self.now
        self.ended.append(outage)
        self.count += 1
        self.total += seconds
        self.longest = max(self.longest, seconds)

    @property
    def current(self) -> Outage | None:
        """Return the outage of this moment."""
        is_one = self.failing and self.failing.seconds(self.now) >= MIN_SECONDS
        return self.failing if is_one else None

    def clock_time(self, seconds: float) -> datetime:
        """Return the date and time of a moment of the run."""
        return self.wall_started + timedelta(seconds=seconds)

    def as_dict(self) -> dict[str, Any]:
        """Return how many outages there were and when, the one of this moment included."""
        now, current = self.now, [self.current] if self.current else []
        seconds = [outage.seconds(now) for outage in current]
        return {
            "count": self.count + len(current),
            "total": round(self.total + sum(seconds), 3),
            "longest": round(max([self.longest, *seconds]), 3),
            "periods": [self.period(outage, now) for outage in [*self.ended, *current]],
        }

    def period(self, outage: Outage, now: float) -> dict[str, Any]:
        """Return one outage for the summary."""
        return {
            "at": self.clock_time(outage.began).isoformat(timespec="milliseconds"),
            "began": round(outage.began, 3),
            "seconds": round(outage.seconds(now), 3),
            "has_ended": outage.ended is not None,
            "error": outage.error,
        }
