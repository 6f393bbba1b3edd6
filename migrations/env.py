"""How Alembic runs the revisions: one transaction, one migrator at a time."""

import asyncio
from typing import TYPE_CHECKING, cast

from advanced_alchemy.base import metadata_registry
from alembic import context
from sqlalchemy import Connection, text

from netvision_api.storage import models  # noqa: F401 - registers the tables to compare with

if TYPE_CHECKING:
    from advanced_alchemy.alembic.commands import AlembicCommandConfig
    from sqlalchemy.ext.asyncio import AsyncEngine

MIGRATION_LOCK = 0x6E657476
"""The key of the advisory lock that makes concurrent migrators wait for each other."""

config = cast("AlembicCommandConfig", context.config)


def write_sql() -> None:
    """Print the statements instead of running them."""
    context.configure(
        dialect_name=config.engine.dialect.name,
        target_metadata=metadata_registry.get(),
        literal_binds=True,
        version_table=config.version_table_name,
    )
    with context.begin_transaction():
        context.run_migrations()


def run(connection: Connection) -> None:
    """Run the revisions on an open connection, all of them or none."""
    context.configure(
        connection=connection,
        target_metadata=metadata_registry.get(),
        version_table=config.version_table_name,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        else:
            connection.execute(text("BEGIN IMMEDIATE"))
        context.run_migrations()


async def connect_and_run() -> None:
    """Open a connection of the configured engine and run the revisions on it."""
    engine = cast("AsyncEngine", config.engine)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()


if context.is_offline_mode():
    write_sql()
else:
    asyncio.run(connect_and_run())
