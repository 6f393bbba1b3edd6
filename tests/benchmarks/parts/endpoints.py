"""Each endpoint of each competitor on PostgreSQL: what a request costs, and how many there are per second."""

from operator import attrgetter

from tests.benchmarks.competitors import app, chosen, contending, on_postgresql, ours
from tests.benchmarks.findings import Bars, Findings, Row
from tests.benchmarks.measure import medians, ratio
from tests.benchmarks.plan import Plan
from tests.benchmarks.questions import DELETE, PAGE, POST, POST_WITH_UUIDS, READ, Question
from tests.benchmarks.turns import Samples, compare
from tests.databases import PostgresqlDatabase

QUESTIONS = (PAGE, READ, DELETE, POST, POST_WITH_UUIDS)
STORED = 1000


async def run(plan: Plan, postgresql: PostgresqlDatabase) -> Findings:
    """Measure."""
    everyone = chosen(plan, ours(), app("floor"), app("bare"), app("fastapi"))
    rows: list[Row] = []
    costs = {}
    async with contending(everyone, on_postgresql(postgresql)) as contenders:
        for connections in plan.connections:
            for question in QUESTIONS:
                samples = await compare(plan, contenders, question, connections, STORED)
                rows += laid_out(question, connections, samples)
                title = f"{question.name}, {connections} connections"
                costs[title] = {name: medians(own).server for name, own in samples.items()}
    return Findings("Endpoints, on PostgreSQL", rows, Bars("server CPU per request, µs", costs))


def laid_out(question: Question, connections: int, samples: Samples) -> list[Row]:
    """Lay out what was found on one endpoint."""
    return [
        {
            "endpoint": question.name,
            "connections": connections,
            "server": name,
            "requests/s": (middle := medians(own)).rate,
            "p50 ms": middle.p50,
            "p99 ms": middle.p99,
            "server µs": middle.server,
            "PostgreSQL µs": middle.database,
            "load µs": middle.load,
            "server ÷ floor": ratio(attrgetter("server"), own, samples.get("floor")),
        }
        for name, own in samples.items()
    ]
