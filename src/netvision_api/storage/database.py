"""From settings to pools, sessions and migrations; what differs between PostgreSQL and SQLite is decided here."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

from advanced_alchemy.config import AlembicAsyncConfig, EngineConfig, SQLAlchemyAsyncConfig
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.pool import ConnectionPoolEntry

from netvision_api.database_url import parse_postgresql_url, parse_sqlite_url
from netvision_api.settings import Settings
from netvision_api.storage.errors import (
    CommitOutcomeUnknownError,
    NoConnectionError,
    is_disconnection,
    is_server_lost,
)
from netvision_api.storage.postgresql import connect_to_primary

VERSION_TABLE = "alembic_version"
DURABLE = "synchronous=FULL"
GENERATION = "generation"


class BoundedPool:
    """A pool whose connections are acquired in the order of the requests.

    When one of them has lost its server, or leads to one that takes no writes, those made before that lead nowhere
    either: all are replaced.
    """

    def __init__(self, engine: AsyncEngine, size: int, timeout: float) -> None:
        """Take an engine, the number of its connections, and the seconds to wait for one of them."""
        self.engine = engine
        self.timeout = timeout
        self.slots = asyncio.Semaphore(size)
        self.generation = 0
        event.listen(engine.sync_engine, "connect", self.mark_generation)
        event.listen(engine.sync_engine, "checkout", self.discard_stale)

    def is_exhausted(self) -> bool:
        """Return whether every connection is in use, so that others may be waiting."""
        return self.slots.locked()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[AsyncConnection]:
        """Borrow a connection; one that has lost its server is not used again, nor are those that are as old."""
        async with self.slot(), self.engine.connect() as connection:
            generation = self.generation
            try:
                yield connection
            except Exception as error:
                if is_server_lost(error):
                    self.retire(generation)
                    await connection.invalidate()
                raise

    def retire(self, generation: int) -> None:
        """Have the connections of a generation replaced when they are acquired next; the first of them to fail does."""
        if generation == self.generation:
            self.generation += 1

    def mark_generation(self, _connection: object, record: ConnectionPoolEntry) -> None:
        """Mark a new connection with its generation."""
        record.info[GENERATION] = self.generation

    def discard_stale(self, _connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
        """Have a connection of an earlier generation replaced before it is used."""
        if record.info[GENERATION] != self.generation:
            raise DisconnectionError

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait until a connection is free; raises NoConnectionError after the timeout."""
        try:
            async with asyncio.timeout(self.timeout):
                await self.slots.acquire()
        except TimeoutError as error:
            raise NoConnectionError(self.timeout) from error
        try:
            yield
        finally:
            self.slots.release()


class Database:
    """The connections of one database.

    SQLite has one connection that writes and others that read; on PostgreSQL one pool serves both.
    """

    def __init__(self, settings: Settings) -> None:
        """Prepare the engines; nothing is connected before the first statement."""
        self.kind = "sqlite" if settings.is_sqlite else "postgresql"
        size, timeout = settings.pool_size, settings.pool_timeout
        if settings.is_sqlite:
            writer = sqlite_config(settings, pool_size=1, pragma=DURABLE)
            reader = sqlite_config(settings, pool_size=size, pragma="query_only=1")
            self.writer = BoundedPool(writer.get_engine(), 1, timeout)
            prober = sqlite_config(settings, pool_size=1, pragma="query_only=1")
            self.reader = BoundedPool(reader.get_engine(), size, timeout)
        else:
            prober = postgresql_config(settings, pool_size=1)
            engine = postgresql_config(settings, pool_size=size).get_engine()
            self.writer = self.reader = BoundedPool(engine, size, timeout)
        self.prober = BoundedPool(prober.get_engine(), 1, timeout)

    @asynccontextmanager
    async def read_connection(self) -> AsyncIterator[AsyncConnection]:
        """Borrow a connection for single statements that read."""
        async with self.reader.acquire() as connection:
            yield connection

    @asynccontextmanager
    async def write_connection(self) -> AsyncIterator[AsyncConnection]:
        """Borrow a connection for single statements that write; each is committed when it returns."""
        async with self.writer.acquire() as connection:
            with commit_outcome_unknown():
                yield connection

    @asynccontextmanager
    async def read_session(self) -> AsyncIterator[AsyncSession]:
        """Open a session for statements that read, each a transaction of its own."""
        async with self.reader.acquire() as connection:
            bind = await connection.execution_options(isolation_level="AUTOCOMMIT")
            async with AsyncSession(bind) as session:
                yield session

    @asynccontextmanager
    async def probe_connection(self) -> AsyncIterator[AsyncConnection]:
        """Borrow the connection of readiness, which no request uses, for single statements that read."""
        async with self.prober.acquire() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    async def close(self) -> None:
        """Close every connection."""
        for pool in {self.writer, self.reader, self.prober}:
            await pool.engine.dispose()


@contextmanager
def commit_outcome_unknown() -> Iterator[None]:
    """Raise CommitOutcomeUnknownError if the database is lost while a commit may be in progress."""
    try:
        yield
    except Exception as error:
        if not is_disconnection(error):
            raise
        raise CommitOutcomeUnknownError from error


def alembic_config() -> AlembicAsyncConfig:
    """Configure the migrations: those in the installed package, else those in the checkout."""
    package = Path(__file__).parents[1]
    location = package / "migrations"
    if not location.is_dir():
        location = package.parents[1] / "migrations"
    return AlembicAsyncConfig(
        script_location=str(location), version_table_name=VERSION_TABLE, render_as_batch=False, script_config=""
    )


def engine_url(settings: Settings) -> str:
    """Return the URL for SQLAlchemy; that of PostgreSQL goes to asyncpg as it is, so here it names the driver only."""
    if settings.is_sqlite:
        return parse_sqlite_url(settings.database_url).set(drivername="sqlite+aiosqlite").render_as_string()
    return "postgresql+asyncpg://"


def configure(settings: Settings, **engine: Any) -> SQLAlchemyAsyncConfig:  # noqa: ANN401 - SQLAlchemy's own options
    """Build advanced-alchemy's configuration of one engine."""
    return SQLAlchemyAsyncConfig(
        connection_string=engine_url(settings),
        engine_config=EngineConfig(
            max_overflow=0,
            pool_timeout=settings.pool_timeout,  # type: ignore[arg-type]  # a fraction is fine
            hide_parameters=True,
            **engine,
        ),
        alembic_config=alembic_config(),
    )


def migration_config(settings: Settings) -> SQLAlchemyAsyncConfig:
    """Configure a connection for migrations: waiting for the lock and rewriting the data may take their time."""
    if settings.is_sqlite:
        return sqlite_config(settings, pool_size=1, pragma=DURABLE)
    return configure(settings, pool_size=1, connect_args=connect_args(settings))


def connect_args(settings: Settings, **options: object) -> dict[str, object]:
    """Return how SQLAlchemy connects to PostgreSQL, with further options of asyncpg."""
    url = parse_postgresql_url(settings.database_url)
    timeout = min(settings.pool_timeout, url.connect_timeout or inf)
    return {"async_creator_fn": partial(connect_to_primary, url, timeout=timeout), **options}


def postgresql_config(settings: Settings, *, pool_size: int) -> SQLAlchemyAsyncConfig:
    """Configure the pool of PostgreSQL, with a deadline for everything that can hang.

    A closed connection is noticed before it is used; a ping at each checkout would cost three round trips.
    """
    statement = settings.statement_timeout
    server_settings = {
        "statement_timeout": f"{statement * 1000:.0f}",
        "lock_timeout": f"{statement * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{(statement + 5) * 1000:.0f}",
    }
    arguments = connect_args(settings, command_timeout=statement + 1, server_settings=server_settings)
    config = configure(settings, pool_size=pool_size, connect_args=arguments)

    @event.listens_for(config.get_engine().sync_engine, "checkout")
    def discard_closed(connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401 - the driver's own type
        if connection.driver_connection.is_closed():
            raise DisconnectionError

    return config


def sqlite_config(settings: Settings, *, pool_size: int, pragma: str) -> SQLAlchemyAsyncConfig:
    """Configure connections to the SQLite file that begin no transaction by themselves.

    The driver would defer BEGIN until the first write, which then finds the file busy at once despite the timeout.
    """
    config = configure(
        settings,
        pool_size=pool_size,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        connect_args={"timeout": settings.pool_timeout / 2},
    )

    @event.listens_for(config.get_engine().sync_engine, "connect")
    def set_pragmas(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own type
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return config
