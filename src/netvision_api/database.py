"""From settings to engines, transactions and Alembic: what differs between PostgreSQL and SQLite stands here."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from advanced_alchemy.config import AlembicAsyncConfig, EngineConfig, SQLAlchemyAsyncConfig
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from netvision_api.problems import DATABASE_UNAVAILABLE, Problem
from netvision_api.repository import RecordRepository
from netvision_api.settings import Settings

APPLICATION_NAME = "netvision-api"
VERSION_TABLE = "alembic_version"
DURABLE = "synchronous=FULL"
BEGIN_IMMEDIATE = text("BEGIN IMMEDIATE")


class Database:
    """The engines of one database, and short pieces of work on them.

    SQLite has one writing connection and readers apart; PostgreSQL serves both from one pool.
    """

    def __init__(self, settings: Settings) -> None:
        """Prepare the engines; nothing is connected before the first statement."""
        self.kind = "sqlite" if settings.is_sqlite else "postgresql"
        if settings.is_sqlite:
            self.config = sqlite_config(settings, pool_size=1, pragma=DURABLE)
            reader = sqlite_config(settings, pool_size=settings.pool_size, pragma="query_only=1").get_engine()
        else:
            self.config = postgresql_config(settings)
            reader = self.config.get_engine()
        self.engines = {self.config.get_engine(), reader}
        self.transactions = async_sessionmaker(self.config.get_engine())
        self.statements = async_sessionmaker(autocommitted(self.config.get_engine()))
        self.reads = async_sessionmaker(autocommitted(reader))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[RecordRepository]:
        """Open the records for a read of one statement."""
        async with self.reads() as session:
            yield RecordRepository(session=session)

    @asynccontextmanager
    async def writing_once(self) -> AsyncIterator[RecordRepository]:
        """Open the records for a write of one statement, which is committed with it."""
        async with self.statements() as session:
            await session.connection()
            with committing():
                yield RecordRepository(session=session)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[RecordRepository]:
        """Open the records for one transaction: committed when the block ends, rolled back when it raises."""
        async with self.transactions() as session:
            if self.kind == "sqlite":
                await session.execute(BEGIN_IMMEDIATE)
            yield RecordRepository(session=session)
            with committing():
                await session.commit()

    async def close(self) -> None:
        """Close every connection."""
        for engine in self.engines:
            await engine.dispose()


@contextmanager
def committing() -> Iterator[None]:
    """Say that the outcome is unknown where the connection is lost while a commit may be under way."""
    try:
        yield
    except (DBAPIError, OSError) as error:
        if isinstance(error, DBAPIError) and not error.connection_invalidated:
            raise
        detail = "The database was lost during the commit: whether it was saved is unknown."
        raise Problem(DATABASE_UNAVAILABLE, detail, outcome="unknown") from error


def autocommitted(engine: AsyncEngine) -> AsyncEngine:
    """Let an engine's statements commit themselves."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


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
    """Configure the pool of PostgreSQL, with a deadline for everything that can hang."""
    statement = settings.statement_timeout
    return configure(
        settings,
        pool_size=settings.pool_size,
        pool_pre_ping=True,
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


def sqlite_config(settings: Settings, *, pool_size: int, pragma: str) -> SQLAlchemyAsyncConfig:
    """Configure connections to the SQLite file that begin no transaction by themselves.

    The driver would defer BEGIN until the first write, which then finds the file busy at once, whatever the timeout.
    """
    config = configure(
        settings, pool_size=pool_size, isolation_level="AUTOCOMMIT", connect_args={"timeout": settings.pool_timeout}
    )

    @event.listens_for(config.get_engine().sync_engine, "connect")
    def connected(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own type
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return config
