"""When the server was away: periods without a response while a call was waiting for one.

Failures between responses that follow one another are errors, not an outage: it lasts for at least half a second. It
begins with the last response before it, or with the first call that failed if that was later, since nobody notices a
server that is away while nothing is requested; it ends with the next response. Calls that are announced by `send` need
not fail: that they wait is enough.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

MIN_SECONDS = 0.5
SILENCE = "no response"
MAX_PERIODS = 1000
"""How many outages are kept; older ones are only counted."""


@dataclass(slots=True)
class Outage:
    """One period without a response; times are in seconds since the start of the run."""

    began: float
    error: str
    """Why the first call in it failed, or that none did."""

    ended: float | None = None

    def seconds(self, now: float) -> float:
        """Return how long it lasted, or has lasted until now."""
        return (now if self.ended is None else self.ended) - self.began


class Outages:
    """The outages of a run, from the responses and failures of its calls."""

    def __init__(self, clock: Callable[[], float], grain: float = 0.0) -> None:
        """Begin now; a call sent within `grain` seconds of a response counts as sent at once after it."""
        self.clock = clock
        self.grain = grain
        self.started = clock()
        self.stopped: float | None = None
        self.wall_started = datetime.now(UTC)
        self.last_response = self.started
        self.waiting: list[float] = []
        """When the announced calls were sent that wait for a response."""

        self.failing: Outage | None = None
        """The period since the last response, if a call has failed in it."""

        self.ended: deque[Outage] = deque(maxlen=MAX_PERIODS)
        self.count = 0
        self.total = 0.0
        self.longest = 0.0

    @property
    def now(self) -> float:
        """Return the seconds since the start of the run, or those until the end."""
        return (self.clock() if self.stopped is None else self.stopped) - self.started

    def stop(self) -> None:
        """Let time end; an outage of this moment lasts to the end of the run."""
        self.stopped = self.clock()

    def send(self) -> float:
        """Announce a call, and return when it is sent."""
        self.waiting.append(self.clock())
        return self.waiting[-1]

    def fail(self, sent: float, error: str) -> None:
        """Note that a call failed, and when by the clock it was sent."""
        self.fail_at(self.beginning(sent), error)
        self.settle(sent)

    def fail_at(self, began: float, error: str) -> None:
        """Begin a period without a response, or let it have begun earlier."""
        if self.failing:
            self.failing.began = min(self.failing.began, began)
        else:
            self.failing = Outage(began, error)

    def beginning(self, sent: float) -> float:
        """Return when a period without a response began, in seconds of the run, by a call that was sent in it."""
        return (self.last_response if sent <= self.last_response + self.grain else sent) - self.started

    def respond(self, sent: float | None = None) -> None:
        """Note a response, and to which announced call."""
        if self.waiting:
            self.fail_at(self.beginning(min(self.waiting)), SILENCE)
        if self.failing:
            self.end(self.failing)
        self.last_response = self.clock()
        self.settle(sent)

    def settle(self, sent: float | None) -> None:
        """Wait no longer for an announced call."""
        if sent in self.waiting:
            self.waiting.remove(sent)

    def look_away(self) -> None:
        """Note that nobody was looking until now: what happened since the last response is not known."""
        if not self.failing:
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
        outage = self.failing
        if not outage and self.waiting:
            outage = Outage(self.beginning(min(self.waiting)), SILENCE)
        return outage if outage and outage.seconds(self.now) >= MIN_SECONDS else None

    @property
    def begun(self) -> int:
        """Return how many outages there were, the one of this moment included."""
        return self.count + (self.current is not None)

    def clock_time(self, seconds: float) -> datetime:
        """Return the date and time of a moment of the run."""
        return self.wall_started + timedelta(seconds=seconds)

    def next_beginning(self, seconds: float) -> float | None:
        """Return when the outage began that lasted at a moment of the run, or the next one after it."""
        outages = [*self.ended, *([self.current] if self.current else [])]
        return next((outage.began for outage in outages if outage.ended is None or outage.ended >= seconds), None)

    def as_dict(self) -> dict[str, Any]:
        """Return how many outages there were and when, the one of this moment included."""
        now, current = self.now, [self.current] if self.current else []
        seconds = [outage.seconds(now) for outage in current]
        total = self.total + sum(seconds)
        return {
            "count": self.count + len(current),
            "total": round(total, 3),
            "watched": round(now, 3),
            "availability": round(100 * (1 - total / now), 4) if now > 0 else 100.0,
            "longest": round(max([self.longest, *seconds]), 3),
            "periods": [self.period(outage, now) for outage in [*self.ended, *current]],
        }

    def period(self, outage: Outage, now: float) -> dict[str, Any]:
        """Return one outage for the summary."""
        return {
            "at": iso(self.clock_time(outage.began)),
            "until": iso(self.clock_time(now if outage.ended is None else outage.ended)),
            "began": round(outage.began, 3),
            "seconds": round(outage.seconds(now), 3),
            "has_ended": outage.ended is not None,
            "error": outage.error,
        }


def iso(at: datetime) -> str:
    """Write a time with milliseconds."""
    return at.isoformat(timespec="milliseconds")
