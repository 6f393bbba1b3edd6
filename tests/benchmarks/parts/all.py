"""GET /all of few and of many records: memory, first byte, rate, and whether the server answers others meanwhile."""

import subprocess
from collections.abc import Mapping, Sequence
from operator import attrgetter
from time import perf_counter

from tests.benchmarks.competitors import Contender, app, chosen, contending, on_postgresql, ours
from tests.benchmarks.findings import Bars, Findings, Row, grouped
from tests.benchmarks.load import LoadError
from tests.benchmarks.measure import medians, ratio
from tests.benchmarks.plan import Plan
from tests.benchmarks.processes import peak_memory, script
from tests.benchmarks.storage import on_server
from tests.benchmarks.streams import CHUNK, Reading, read_all
from tests.databases import PostgresqlDatabase

FEW = 10_000


async def run(plan: Plan, postgresql: PostgresqlDatabase) -> Findings:
    """Measure."""
    rows = [row for count in (FEW, plan.rows) for row in await read(plan, postgresql, count)]
    return Findings(
        "GET /all, on PostgreSQL",
        rows,
        Bars("MB/s, by the number of records", grouped(rows, "records", "program", "MB/s")),
    )


async def read(plan: Plan, postgresql: PostgresqlDatabase, count: int) -> list[Row]:
    """Read so many records off servers that have done nothing before, in turns; then by our own client."""
    async with contending(chosen(plan, ours(), app("bare")), on_postgresql(postgresql)) as contenders:
        for contender in contenders:
            await on_server(contender.records).fill(count)
        rounds = [[await read_all(contender, count) for contender in contenders] for _ in range(plan.rounds)]
        readings = {contender.name: turns for contender, *turns in zip(contenders, *rounds, strict=True)}
        rows = [laid_out(contender, count, readings) for contender in contenders]
        return [*rows, client_row(contenders[0], count)]


def laid_out(contender: Contender, count: int, readings: Mapping[str, Sequence[Reading]]) -> Row:
    """Lay out what was found on one server."""
    own = readings[contender.name]
    middle = medians(own)
    return {
        "records": f"{count:,}",
        "program": contender.name,
        "MB/s": middle.rate,
        "MB/s ÷ bare": ratio(attrgetter("rate"), own, readings.get("bare")),
        "first byte ms": middle.first,
        "liveness p99 ms": middle.alive,
        "server µs/record": middle.server,
        "PostgreSQL µs/record": middle.database,
        "peak MiB": peak_memory(contender.service.pid),
    }


def client_row(contender: Contender, count: int) -> Row:
    """Read by the client's command, through a pipe."""
    command = [script("netvision"), "list", "--format", "ndjson", "--url", contender.service.url]
    size = lines = 0
    peak, began = 0.0, perf_counter()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout
        while chunk := process.stdout.read(CHUNK):
            size, lines, peak = size + len(chunk), lines + chunk.count(b"\n"), peak_memory(process.pid)
    if lines != count:
        raise LoadError(f"netvision list printed {lines} records of {count}")
    return {
        "records": f"{count:,}",
        "program": "netvision list",
        "MB/s": size / (perf_counter() - began) / 1e6,
        "MB/s ÷ bare": None,
        "first byte ms": None,
        "liveness p99 ms": None,
        "server µs/record": None,
        "PostgreSQL µs/record": None,
        "peak MiB": peak,
    }
