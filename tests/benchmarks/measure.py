"""One measurement: a server under load for a short time, and what that cost whom."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from statistics import median
from time import process_time

from tests.benchmarks.competitors import Contender
from tests.benchmarks.load import LoadError, Tally, drive
from tests.benchmarks.questions import Question


@dataclass(frozen=True)
class Sample:
    """What one measurement found, or the medians of several."""

    requests: float
    rate: float
    """Requests per second."""

    p50: float
    p99: float
    """Milliseconds."""

    server: float
    database: float
    load: float
    """Microseconds of processor time per request: of the server, of the database, and of who asked."""


async def ask(
    contender: Contender, question: Question, requests: Iterator[bytes], connections: int, seconds: float
) -> Sample:
    """Measure a contender once, and check that its table holds afterwards what its answers said."""
    before = await contender.records.count()
    sample = await measure(contender, [requests] * connections, seconds)
    expected, held = before + question.adds * sample.requests, await contender.records.count()
    if held != expected:
        raise LoadError(f"{contender.name} answered {question.name} as if it held {expected}, but holds {held}")
    return sample


async def measure(contender: Contender, lanes: Sequence[Iterator[bytes]], seconds: float) -> Sample:
    """Ask a contender for some seconds, and meter it, its database and this process meanwhile."""
    server, database = contender.server.started(), contender.database.started() if contender.database else None
    own = process_time()
    try:
        tally = await drive(contender.service.url, lanes, seconds)
    except LoadError as error:
        raise LoadError(f"{contender.name}: {error}") from error
    return related(tally, server(), database() if database else 0.0, process_time() - own)


def related(tally: Tally, *used: float) -> Sample:
    """Relate the seconds that were used to the requests."""
    count = len(tally.durations)
    return Sample(
        count, count / tally.seconds, *percentiles(tally.durations), *(1e6 * seconds / count for seconds in used)
    )


def percentiles(durations: Sequence[float]) -> tuple[float, float]:
    """Return p50 and p99 of seconds, in milliseconds."""
    ordered = sorted(durations)
    return 1000 * ordered[len(ordered) // 2], 1000 * ordered[len(ordered) * 99 // 100]


def medians(samples: Sequence[Sample]) -> Sample:
    """Take the median of each value."""
    return Sample(*(median(getattr(sample, field.name) for sample in samples) for field in fields(Sample)))


def ratio(value: Callable[[Sample], float], samples: Sequence[Sample], others: Sequence[Sample] | None) -> float | None:
    """Relate someone's samples to another's of the same rounds, and take the median; None where the other is absent."""
    if others is None:
        return None
    return median(value(sample) / value(other) for sample, other in zip(samples, others, strict=True))
