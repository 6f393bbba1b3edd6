"""Competitors in turns: each round asks everyone, another one first each time, so that the machine's moods meet all."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

from tests.benchmarks.competitors import Contender
from tests.benchmarks.measure import Sample, ask, medians
from tests.benchmarks.plan import Plan
from tests.benchmarks.questions import DELETE, Question

MOST_DELETED = 12_000
"""Records that nobody can delete in a second."""

Samples = Mapping[str, Sequence[Sample]]
"""What was measured of whom, in the order of the rounds."""


async def in_turns(
    plan: Plan, contenders: Sequence[Contender], turn: Callable[[Contender, float], Awaitable[Sample]], name: str
) -> Samples:
    """Take a turn for everyone that does not count, to warm up, then one in each round."""
    samples: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
    for number in range(-1, plan.rounds):
        first = number % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            sample = await turn(contender, plan.seconds if number >= 0 else plan.seconds / 4)
            if number >= 0:
                samples[contender.name].append(sample)
    costs = ", ".join(f"{name} {medians(own).server:.0f}" for name, own in samples.items())
    print(f"{name}: {costs} µs", file=sys.stderr, flush=True)
    return samples


async def compare(
    plan: Plan, contenders: Sequence[Contender], question: Question, connections: int, stored: int
) -> Samples:
    """Ask everyone the same, each time with so many records stored, and what is to be deleted besides."""

    async def turn(contender: Contender, seconds: float) -> Sample:
        keys = await contender.records.hold(stored + to_delete(question, seconds))
        return await ask(contender, question, question.requests(keys), plan.load(connections, seconds))

    return await in_turns(plan, contenders, turn, f"{question.name}, {connections} connections")


def to_delete(question: Question, seconds: float) -> int:
    """Return how many records can be deleted in a turn at the most."""
    return int(MOST_DELETED * seconds) if question is DELETE else 0
