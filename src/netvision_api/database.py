"""From settings to engines, transactions and Alembic: what differs between PostgreSQL and SQLite stands here."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from advanced_alchemy.config import AlembicAsyncConfig, EngineConfig, SQLAlchemyAsyncConfig
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from netvision_api.failures import is_disconnection
from netvision_api.problems import DATABASE_UNAVAILABLE, UNKNOWN, Problem, no_connection
from netvision_api.repository import RecordRepository
from netvision_api.settings import Settings
from netvision_api.statements import POSTGRESQL, SQLITE, Statements

APPLICATION_NAME = "netvision-api"
VERSION_TABLE = "alembic_version"
DURABLE = "synchronous=FULL"
BEGIN_IMMEDIATE = text("BEGIN IMMEDIATE")


class Connections:
    """A pool of connections, had in the order of asking."""

    def __init__(self, engine: AsyncEngine, size: int, patience: float) -> None:
        """Take an engine, how many connections it may have, and the seconds to wait for one of them."""
        self.engine = engine
        self.patience = patience
        self.turns = asyncio.Semaphore(size)

    def are_wanted(self) -> bool:
        """Tell whether every connection is in use, so that others may be waiting."""
        return self.turns.locked()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection; one that gave no answer is not used again."""
        async with self.turn(), self.engine.connect() as connection:
            try:
                yield connection
            except OSError:
                await connection.invalidate()
                raise

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a connection to be free; raises Problem where that takes too long."""
        try:
            async with asyncio.timeout(self.patience):
                await self.turns.acquire()
        except TimeoutError as error:
            raise no_connection(self.patience) from error
        try:
            yield
        finally:
            self.turns.release()


class Database:
    """The connections of one database, and short pieces of work on them.

    SQLite has one writing connection and readers apart; PostgreSQL serves both from one pool.
    """

    def __init__(self, settings: Settings) -> None:
        """Prepare the engines; nothing is connected before the first statement."""
        self.kind = "sqlite" if settings.is_sqlite else "postgresql"
        size, patience = settings.pool_size, settings.pool_timeout
        if settings.is_sqlite:
            writer = sqlite_config(settings, pool_size=1, pragma=DURABLE)
            reader = sqlite_config(settings, pool_size=size, pragma="query_only=1")
            self.writer = Connections(writer.get_engine(), 1, patience)
            self.reader = Connections(reader.get_engine(), size, patience)
        else:
            self.writer = self.reader = Connections(postgresql_config(settings).get_engine(), size, patience)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Statements]:
        """Lend the statements that read."""
        async with self.reader.lent() as connection:
            yield await self.statements(connection)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Statements]:
        """Lend the statements that write; each is committed with its end."""
        async with self.writer.lent() as connection:
            with committing():
                yield await self.statements(connection)

    async def statements(self, connection: AsyncConnection) -> Statements:
        """Take the driver's connection out of SQLAlchemy's."""
        lent = await connection.get_raw_connection()
        return Statements(lent.driver_connection, SQLITE if self.kind == "sqlite" else POSTGRESQL)

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[RecordRepository]:
        """Open the records for statements that read, each for itself."""
        async with self.reader.lent() as connection:
            bind = await connection.execution_options(isolation_level="AUTOCOMMIT")
            async with AsyncSession(bind) as session:
                yield RecordRepository(session=session)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[RecordRepository]:
        """Open the records for one transaction: committed when the block ends, rolled back when it raises."""
        async with self.writer.lent() as connection, AsyncSession(connection) as session:
            if self.kind == "sqlite":
                await session.execute(BEGIN_IMMEDIATE)
            yield RecordRepository(session=session)
            with committing():
                await session.commit()

    async def close(self) -> None:
        """Close every connection."""
        for connections in {self.writer, self.reader}:
            await connections.engine.dispose()


@contextmanager
def committing() -> Iterator[None]:
    """Say that the outcome is unknown where no answer came while a commit may have been under way."""
    try:
        yield
    except Exception as error:
        if not is_disconnection(error):
            raise
        detail = "The database was lost during the commit: whether it was saved is unknown."
        raise Problem(DATABASE_UNAVAILABLE, detail, outcome=UNKNOWN) from error


def alembic_config() -> AlembicAsyncConfig:
    """Find the migrations: in the installed package, else in the checkout."""
    package = Path(__file__).parent
    location = package / "migrations"
    if not location.is_dir():
        location = package.parents[1] / "migrations"
    return AlembicAsyncConfig(
        script_location=str(location), version_table_name=VERSION_TABLE, render_as_batch=False, script_config=""
    )


def engine_url(settings: Settings) -> URL:
    """Name the asynchronous driver in a URL that may not name it, and asyncpg's `ssl` for libpq's `sslmode`."""
    url = make_url(settings.database_url)
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
    """Configure a connection to migrate on: others may take their time with the lock, and statements with the data."""
    if settings.is_sqlite:
        return sqlite_config(settings, pool_size=1, pragma=DURABLE)
    return configure(settings, pool_size=1)


def postgresql_config(settings: Settings) -> SQLAlchemyAsyncConfig:
    """Configure the pool of PostgreSQL, with a deadline for everything that can hang.

    A connection that has ended is noticed before it is used; asking the server each time would cost three round trips.
    """
    statement = settings.statement_timeout
    config = configure(
        settings,
        pool_size=settings.pool_size,
        connect_args={
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
    def check(connection: Any, _record: object, _proxy: object) -> None:  # noqa: ANN401 - the driver's own type
        if connection.driver_connection.is_closed():
            raise DisconnectionError

    return config


def sqlite_config(settings: Settings, *, pool_size: int, pragma: str) -> SQLAlchemyAsyncConfig:
    """Configure connections to the SQLite file that begin no transaction by themselves.

    The driver would defer BEGIN until the first write, which then finds the file busy at once, whatever the timeout.
    """
    config = configure(
        settings,
        pool_size=pool_size,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        connect_args={"timeout": settings.pool_timeout / 2},
    )

    @event.listens_for(config.get_engine().sync_engine, "connect")
    def connected(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own type
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return config
