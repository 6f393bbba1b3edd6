"""Records that come and go for minutes, the oldest first, while others are read: does it slow down or grow?"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.benchmarks.competitors import contending, on_postgresql, ours
from tests.benchmarks.findings import Bars, Findings, Row, grouped
from tests.benchmarks.load import LoadError, drive_lanes, percentiles
from tests.benchmarks.plan import Plan
from tests.benchmarks.questions import BATCH, PAGE, TEXT, request
from tests.benchmarks.storage import on_server
from tests.databases import PostgresqlDatabase

FEW = 1000
LANES = 7
"""Connections that insert and delete; one more reads."""

KEY = "01900000-0000-7000-8000-{:012x}"
KEY_IN_SQL = "('01900000-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid"
SIZES = """
    SELECT (pg_table_size('records') / 1e6)::float, (pg_indexes_size('records') / 1e6)::float, n_dead_tup
    FROM pg_stat_user_tables WHERE relname = 'records'
"""


@dataclass(frozen=True)
class Look:
    """What one interval showed."""

    p50: float
    p99: float
    """Milliseconds that GET /10 took."""

    deleted: float
    """Records per second."""

    table: float
    index: float
    """Megabytes."""

    dead: int
    """Rows that wait to be cleaned up."""


@dataclass
class Queue:
    """The stored records, by their numbers."""

    first: int
    end: int

    def churned(self) -> Iterator[bytes]:
        """Insert a batch, then delete as many of the oldest, for ever."""
        while True:
            numbers = range(self.end, self.end + BATCH)
            self.end = numbers.stop
            body = json.dumps([{"uuid": KEY.format(number), "text": TEXT} for number in numbers])
            yield request("POST", "/new", body.encode())
            for _ in numbers:
                self.first += 1
                yield request("DELETE", "/" + KEY.format(self.first - 1))


async def run(plan: Plan, postgresql: PostgresqlDatabase) -> Findings:
    """Measure, with few and with many records that stay as many."""
    rows = [row for count in (FEW, plan.rows) for row in await churn(plan, postgresql, count)]
    bars = Bars("p50 of GET /10 in ms, by the number of records that stay", grouped(rows, "stored", "until", "p50 ms"))
    return Findings(f"Churn: {LANES} connections insert and delete, one reads GET /10; PostgreSQL", rows, bars)


async def churn(plan: Plan, postgresql: PostgresqlDatabase, count: int) -> list[Row]:
    """Look at the table after each minute; after each half where it is less than two."""
    intervals = max(2, round(plan.minutes))
    seconds = 60 * plan.minutes / intervals
    queue = Queue(0, count)
    lanes = [queue.churned() for _ in range(LANES)]
    async with contending([ours()], on_postgresql(postgresql)) as [contender]:
        records = on_server(contender.records)
        await records.fill(count, KEY_IN_SQL)
        looks = []
        for _ in range(intervals):
            deleted = queue.first
            p50, p99 = await read_meanwhile(contender.service.url, lanes, seconds)
            looks.append(Look(p50, p99, (queue.first - deleted) / seconds, *await records.connection.fetchrow(SIZES)))
        if (held := await records.count()) != queue.end - queue.first:
            raise LoadError(f"{queue.end - queue.first} records should be left, but there are {held}")
    return [laid_out(count, seconds * number, seen, looks[0]) for number, seen in enumerate(looks, start=1)]


async def read_meanwhile(url: str, lanes: Sequence[Iterator[bytes]], seconds: float) -> tuple[float, float]:
    """Churn for some time; returns p50 and p99 of reading a page meanwhile."""
    _, read = await asyncio.gather(drive_lanes(url, lanes, seconds), drive_lanes(url, [PAGE.requests([])], seconds))
    return percentiles(read.durations)


def laid_out(count: int, until: float, seen: Look, first: Look) -> Row:
    """Lay out what was found at one time."""
    return {
        "stored": f"{count:,}",
        "until": f"{until:.0f} s",
        "p50 ms": seen.p50,
        "p99 ms": seen.p99,
        "p50 ÷ first": seen.p50 / first.p50,
        "deleted/s": seen.deleted,
        "table MB": seen.table,
        "index MB": seen.index,
        "dead rows": seen.dead,
    }
