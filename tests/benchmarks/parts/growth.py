"""What requests cost with few and with many records stored."""

from collections.abc import Sequence

from tests.benchmarks.competitors import Contender, contending, on_postgresql, ours
from tests.benchmarks.findings import Bars, Findings, Row, grouped
from tests.benchmarks.load import Load
from tests.benchmarks.measure import Sample, ask, medians, ratio
from tests.benchmarks.plan import Plan
from tests.benchmarks.questions import DELETE, PAGE, POST, READ, Question
from tests.benchmarks.storage import on_server
from tests.benchmarks.turns import Samples, in_turns, tell, to_delete
from tests.databases import PostgresqlDatabase

FEW = 1000
CONNECTIONS = 8
READ_KEYS = 10_000


async def run(plan: Plan, postgresql: PostgresqlDatabase) -> Findings:
    """Measure: one server holds few records, another one many."""
    rows: list[Row] = []
    async with contending([ours("few"), ours("many")], on_postgresql(postgresql)) as contenders:
        await on_server(contenders[1].records).fill(plan.rows)
        for question in (PAGE, READ, DELETE, POST):
            samples = await compare(plan, contenders, question)
            rows += [laid_out(plan, question, name, samples) for name in samples]
    return Findings(
        f"Growth: requests with {FEW:,} and with {plan.rows:,} records stored, {CONNECTIONS} connections, PostgreSQL",
        rows,
        Bars("CPU of server and database per request, µs", grouped(rows, "endpoint", "stored", "CPU µs")),
        ["Where few are deleted, they are more at first: as many as a turn may take."],
    )


async def compare(plan: Plan, contenders: Sequence[Contender], question: Question) -> Samples:
    """Ask for records from all over the tables."""

    async def turn(contender: Contender, load: Load) -> Sample:
        wanted = to_delete(question, load.seconds)
        records = on_server(contender.records)
        if contender.name == "few":
            keys = await records.hold(FEW + wanted)
        else:
            await records.refill(plan.rows)
            keys = await records.some(wanted or READ_KEYS)
        return await ask(contender, question, question.requests(keys), load)

    samples = await in_turns(plan, contenders, CONNECTIONS, turn)
    tell(f"{question.name}, few and many records", samples)
    return samples


def laid_out(plan: Plan, question: Question, name: str, samples: Samples) -> Row:
    """Lay out what was found with few or many records."""
    middle = medians(samples[name])
    return {
        "endpoint": question.name,
        "stored": f"{FEW if name == 'few' else plan.rows:,}",
        "requests/s": middle.rate,
        "p50 ms": middle.p50,
        "p99 ms": middle.p99,
        "server µs": middle.server,
        "PostgreSQL µs": middle.database,
        "CPU µs": cost(middle),
        "CPU ÷ few": ratio(cost, samples[name], samples["few"]),
    }


def cost(sample: Sample) -> float:
    """Add up what a request costs."""
    return sample.server + sample.database
