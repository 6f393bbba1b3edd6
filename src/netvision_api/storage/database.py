"""From settings to pools, sessions and migrations; what differs between PostgreSQL and SQLite is decided here."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
from advanced_alchemy.config import AlembicAsyncConfig, EngineConfig, SQLAlchemyAsyncConfig
from sqlalchemy import URL, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from netvision_api.database_url import parse_database_url
from netvision_api.settings import Settings
from netvision_api.storage.errors import (
    CommitOutcomeUnknownError,
    NoConnectionError,
    is_disconnection,
)

APPLICATION_NAME = "netvision-api"
VERSION_TABLE = "alembic_version"
DURABLE = "synchronous=FULL"


class PostgresqlConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """A connection whose prepared statements have names that no other process has.

    asyncpg numbers them, so that processes that share a connection through a pooler would run each other's statements.
    """

    def _get_unique_id(self, prefix: str) -> str:
        """Name a prepared statement, a portal or a savepoint."""
        return f"__netvision_{prefix}_{uuid4().hex}__"


class BoundedPool:
    """A pool whose connections are acquired in the order of the requests."""

    def __init__(self, engine: AsyncEngine, size: int, timeout: float) -> None:
        """Take an engine, the number of its connections, and the seconds to wait for one of them."""
        self.engine = engine
        self.timeout = timeout
        self.slots = asyncio.Semaphore(size)

    def is_exhausted(self) -> bool:
        """Return whether every connection is in use, so that others may be waiting."""
        return self.slots.locked()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[AsyncConnection]:
        """Borrow a connection; one that did not respond is not used again."""
        async with self.slot(), self.engine.connect() as connection:
            try:
                yield connection
            except OSError:
                await connection.invalidate()
                raise

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


def engine_url(settings: Settings) -> URL:
    """Return the URL with its asynchronous driver, and with asyncpg's `ssl` instead of libpq's `sslmode`."""
    url = parse_database_url(settings.database_url)
    if settings.is_sqlite:
        return url.set(drivername="sqlite+aiosqlite")
    if mode := url.query.get("sslmode"):
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    return url.set(drivername="postgresql+asyncpg")


def configure(settings: Settings, **engine: Any) -> SQLAlchemyAsyncConfig:  # noqa: ANN401 - SQLAlchemy's own options
    """Build advanced-alchemy's configuration of one engine."""
    return SQLAlchemyAsyncConfig(
        connection_string=engine_url(settings).render_as_string(hide_password=False),
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
    return configure(settings, pool_size=1, connect_args={"connection_class": PostgresqlConnection})


def postgresql_config(settings: Settings, *, pool_size: int) -> SQLAlchemyAsyncConfig:
    """Configure the pool of PostgreSQL, with a deadline for everything that can hang.

    A closed connection is noticed before it is used; a ping at each checkout would cost three round trips.
    """
    statement = settings.statement_timeout
    config = configure(
        settings,
        pool_size=pool_size,
        connect_args={
            "connection_class": PostgresqlConnection,
            "timeout": settings.pool_timeout,
            "command_timeout": statement + 1,
            "server_settings": {
                "application_name": APPLICATION_NAME,
                "statement_timeout": f"{statement * 1000:.0f}",
                "lock_timeout": f"{statement * 1000:.0f}",
                "idle_in_transaction_session_timeout": f"{(statement + 5) * 1000:.0f}",
            },
        },
    )

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
