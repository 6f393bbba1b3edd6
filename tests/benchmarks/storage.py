"""The records of one competitor, filled and counted behind its back."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID, uuid4

import asyncpg
import psutil

from tests.benchmarks.questions import TEXT


class Records(Protocol):
    """What is done to any table."""

    async def hold(self, count: int) -> Sequence[UUID]:
        """Have the table hold so many records and nothing else; returns their keys."""

    async def count(self) -> int:
        """Count the records."""

    def server(self) -> int | None:
        """Return the first process of the database server, where it is not the competitor's own."""


@dataclass(frozen=True)
class PostgresqlRecords:
    """A table on PostgreSQL."""

    connection: asyncpg.Connection

    async def hold(self, count: int) -> Sequence[UUID]:
        keys = [uuid4() for _ in range(count)]
        await self.connection.execute("TRUNCATE records")
        await self.connection.copy_records_to_table("records", records=[(key, TEXT) for key in keys])
        await self.settle()
        return keys

    async def count(self) -> int:
        return int(await self.connection.fetchval("SELECT count(*) FROM records", timeout=None))

    def server(self) -> int:
        return int(psutil.Process(self.connection.get_server_pid()).ppid())

    async def fill(self, count: int, key: str = "gen_random_uuid()") -> None:
        """Hold so many records, with keys after an expression of their `number`."""
        await self.connection.execute("TRUNCATE records")
        await self.refill(count, key)

    async def refill(self, count: int, key: str = "gen_random_uuid()") -> None:
        """Add what is missing to so many records."""
        rows = f"SELECT {key}, $1 FROM generate_series(0, $2::bigint - 1) AS number"
        missing = count - await self.count()
        await self.connection.execute(f"INSERT INTO records (uuid, text) {rows}", TEXT, missing, timeout=None)
        await self.settle()

    async def some(self, wanted: int) -> Sequence[UUID]:
        """Return the keys of so many records, or somewhat fewer, from all over the table."""
        percent = min(100, 100 * wanted / await self.count())
        statement = f"SELECT uuid FROM records TABLESAMPLE BERNOULLI ({percent})"
        return [UUID(int=row[0].int) for row in await self.connection.fetch(statement, timeout=None)]

    async def settle(self) -> None:
        """Leave nothing to do for later that would be counted against a server."""
        await self.connection.execute("VACUUM ANALYZE records", timeout=None)


@dataclass(frozen=True)
class SqliteRecords:
    """A table in an SQLite file."""

    path: Path

    async def hold(self, count: int) -> Sequence[UUID]:
        keys = [uuid4() for _ in range(count)]
        with closing(sqlite3.connect(self.path, timeout=60)) as connection, connection:
            connection.execute("DELETE FROM records")
            connection.executemany("INSERT INTO records VALUES (?, ?)", [(key.hex, TEXT) for key in keys])
        return keys

    async def count(self) -> int:
        with closing(sqlite3.connect(self.path)) as connection:
            return int(connection.execute("SELECT count(*) FROM records").fetchone()[0])

    def server(self) -> int | None:
        return None


def on_server(records: Records) -> PostgresqlRecords:
    """Return records for what only PostgreSQL is asked."""
    assert isinstance(records, PostgresqlRecords)
    return records


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Records]:
    """Open a table."""
    if url.startswith("sqlite:///"):
        yield SqliteRecords(Path(url.removeprefix("sqlite:///")))
        return
    connection = await asyncpg.connect(url)
    try:
        yield PostgresqlRecords(connection)
    finally:
        await connection.close()
