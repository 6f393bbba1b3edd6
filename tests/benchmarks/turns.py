"""Competitors in turns: each round asks everyone, another one first each time, so that the machine's moods meet all."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

from tests.benchmarks.competitors import Contender
from tests.benchmarks.load import Load
from tests.benchmarks.measure import Sample, ask, medians
from tests.benchmarks.plan import Plan
from tests.benchmarks.questions import DELETE, MOST_PER_SECOND, Question

Samples = Mapping[str, Sequence[Sample]]
"""What was measured of whom, in the order of the rounds."""


Turn = Callable[[Contender, Load], Awaitable[Sample]]


async def in_turns(plan: Plan, contenders: Sequence[Contender], connections: int, turn: Turn) -> Samples:
    """Take a turn for everyone that does not count, to warm up, then one in each round."""
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for number in range(-1, plan.rounds):
        first = number % len(contenders)
        load = plan.load(connections, plan.seconds if number >= 0 else plan.seconds / 4)
        for contender in (*contenders[first:], *contenders[:first]):
            sample = await turn(contender, load)
            if number >= 0:
                samples[contender.name].append(sample)
    return samples


async def compare(
    plan: Plan, contenders: Sequence[Contender], question: Question, connections: int, stored: int
) -> Samples:
    """Ask everyone the same, each time with so many records stored, and what is to be deleted besides."""

    async def turn(contender: Contender, load: Load) -> Sample:
        keys = await contender.records.hold(stored + to_delete(question, load.seconds))
        return await ask(contender, question, question.requests(keys), load)

    samples = await in_turns(plan, contenders, connections, turn)
    tell(f"{question.name}, {connections} connections", samples)
    return samples


def to_delete(question: Question, seconds: float) -> int:
    """Return how many records a turn can delete at the most."""
    return int(MOST_PER_SECOND * seconds) if question is DELETE else 0


def tell(what: str, samples: Samples) -> None:
    """Say on standard error what was just measured, for those who wait."""
    costs = ", ".join(f"{name} {medians(own).server:.0f}" for name, own in samples.items())
    print(f"{what}: {costs} µs", file=sys.stderr, flush=True)
