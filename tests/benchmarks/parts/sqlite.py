"""Writing on SQLite, where every commit waits for the disk: ours, and Litestar with advanced-alchemy as it comes."""

import tempfile
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

from tests.benchmarks.competitors import app, chosen, contending, on_sqlite, ours
from tests.benchmarks.findings import Bars, Findings, Row, grouped
from tests.benchmarks.measure import medians, ratio
from tests.benchmarks.plan import Plan
from tests.benchmarks.questions import DELETE, POST, POST_ONE, Question
from tests.benchmarks.turns import Samples, compare
from tests.databases import PostgresqlDatabase

CONNECTIONS = 8
STORED = 1000


async def run(plan: Plan, _postgresql: PostgresqlDatabase) -> Findings:
    """Measure; wrk would not wait for the last answers, which come late here, into the next turn."""
    plan = replace(plan, by_wrk=False)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="netvision-bench-") as folder:
        async with contending(chosen(plan, ours(), app("naive")), on_sqlite(Path(folder))) as contenders:
            for question in (POST, POST_ONE, DELETE):
                samples = await compare(plan, contenders, question, CONNECTIONS, STORED)
                rows += laid_out(question, samples)
    bars = Bars("requests per second", grouped(rows, "endpoint", "server", "requests/s"))
    return Findings(f"SQLite, {CONNECTIONS} connections", rows, bars)


def laid_out(question: Question, samples: Samples) -> list[Row]:
    """Lay out what was found on one endpoint."""
    return [
        {
            "endpoint": question.name,
            "server": name,
            "requests/s": (middle := medians(own)).rate,
            "p50 ms": middle.p50,
            "p99 ms": middle.p99,
            "server µs": middle.server,
            "requests ÷ naive": ratio(attrgetter("rate"), own, samples.get("naive")),
        }
        for name, own in samples.items()
    ]
