"""netvision swarm: what it deletes per second, and what its calls cost itself, the server and the database."""

import json
from dataclasses import dataclass

from tests.benchmarks.competitors import Contender, chosen, contending, on_postgresql, ours
from tests.benchmarks.findings import Bars, Findings, Row
from tests.benchmarks.load import LoadError
from tests.benchmarks.measure import medians
from tests.benchmarks.plan import Plan
from tests.benchmarks.processes import finish, script
from tests.databases import PostgresqlDatabase

LONGER = 5
"""How many times as long as others' its turns are: it warms up, deletes what remains, and checks its account."""


@dataclass(frozen=True)
class Turn:
    """One run of the swarm."""

    deleted: float
    """Records per second."""

    calls: float
    """Requests per second."""

    swarm: float
    server: float
    database: float
    """Microseconds of processor time per request."""


async def run(plan: Plan, postgresql: PostgresqlDatabase) -> Findings:
    """Measure."""
    async with contending(chosen(plan, ours()), on_postgresql(postgresql)) as contenders:
        rounds = [[take_turn(contender, LONGER * plan.seconds) for contender in contenders] for _ in range(plan.rounds)]
        remaining = [await contender.records.count() for contender in contenders]
    if any(remaining):
        raise LoadError(f"the swarm left {remaining} records")
    middles = {contender.name: medians(turns) for contender, *turns in zip(contenders, *rounds, strict=True)}
    groups = {name: {"requests/s": turn.calls, "deleted/s": turn.deleted} for name, turn in middles.items()}
    rows = [laid_out(name, turn) for name, turn in middles.items()]
    return Findings("netvision swarm, on PostgreSQL", rows, Bars("per second", groups))


def take_turn(contender: Contender, seconds: float) -> Turn:
    """Run it once; it fails if its account does not balance."""
    assert contender.database
    server, database = contender.server.started(), contender.database.started()
    ran = finish(
        script("netvision"), "swarm", "--url", contender.service.url, "--duration", f"{seconds * 1000:.0f}ms", "--json"
    )
    summary = json.loads(ran.output.splitlines()[-1])["summary"]
    used = (1e6 * each / summary["attempts"] for each in (ran.cpu, server(), database()))
    return Turn(summary["rates"]["deleted"], summary["attempts"] / summary["seconds"], *used)


def laid_out(name: str, turn: Turn) -> Row:
    """Lay out what was found with one server."""
    return {
        "server": name,
        "deleted/s": turn.deleted,
        "requests/s": turn.calls,
        "swarm µs": turn.swarm,
        "server µs": turn.server,
        "PostgreSQL µs": turn.database,
    }
