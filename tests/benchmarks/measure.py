"""One measurement: a server under load for a short time, and what that cost whom."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import TYPE_CHECKING, TypeVar

from tests.benchmarks.competitors import Contender
from tests.benchmarks.load import Load, LoadError, Outcome, drive
from tests.benchmarks.questions import Question
from tests.benchmarks.wrk import drive_wrk

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


Figures = TypeVar("Figures", bound="DataclassInstance")


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


async def ask(contender: Contender, question: Question, requests: Iterator[bytes], load: Load) -> Sample:
    """Measure a contender once; raises LoadError for what was not done as asked, or does not show in the table."""
    before = await contender.records.count()
    server, database = contender.server.started(), contender.database.started() if contender.database else None
    try:
        outcome = await (drive_wrk if load.by_wrk else drive)(contender.service.url, requests, load)
    except LoadError as error:
        raise LoadError(f"{contender.name}, {question.name}: {error}") from error
    used = server(), database() if database else 0.0, outcome.cpu
    check(contender, question, outcome, await contender.records.count() - before)
    return Sample(
        outcome.count,
        outcome.count / outcome.seconds,
        outcome.p50,
        outcome.p99,
        *(1e6 * seconds / outcome.count for seconds in used),
    )


def check(contender: Contender, question: Question, outcome: Outcome, added: int) -> None:
    """Hold the answers against how many records there are more now."""
    answered = question.adds * outcome.count
    if abs(added - answered) > abs(question.adds) * outcome.unseen:
        raise LoadError(f"{contender.name} answered {question.name} as if {answered} records were added, not {added}")


def medians(samples: Sequence[Figures]) -> Figures:
    """Take the median of each value of what has nothing but numbers."""
    kind = type(samples[0])
    return kind(*(median(getattr(sample, field.name) for sample in samples) for field in fields(kind)))


def ratio(
    value: Callable[[Figures], float], samples: Sequence[Figures], others: Sequence[Figures] | None
) -> float | None:
    """Relate someone's samples to another's of the same rounds, and take the median; None where the other is absent."""
    if others is None:
        return None
    return median(value(sample) / value(other) for sample, other in zip(samples, others, strict=True))
