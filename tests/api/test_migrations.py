"""Migrations are all or nothing, on both databases."""

import asyncio

import pytest
from sqlalchemy import Connection, inspect, text

from netvision_api.settings import Settings
from netvision_api.storage.database import Database
from netvision_api.storage.errors import MigrationError
from netvision_api.storage.revisions import upgrade
from tests.databases import AnyDatabase


def tables(settings: Settings, *statements: str) -> set[str]:
    """Run some statements on a database, and return the tables that it has then."""

    async def look() -> set[str]:
        database = Database(settings)
        try:
            async with database.writer.engine.connect() as connection:
                for statement in statements:
                    await connection.execute(text(statement))
                await connection.commit()
                return set(await connection.run_sync(table_names))
        finally:
            await database.close()

    return asyncio.run(look())


def table_names(connection: Connection) -> list[str]:
    return inspect(connection).get_table_names()


def test_a_migration_that_fails_changes_nothing(empty_database: AnyDatabase) -> None:
    settings = Settings(database_url=empty_database.url)
    assert tables(settings, "CREATE TABLE records (other INTEGER)") == {"records"}
    with pytest.raises(MigrationError, match="records"):
        upgrade(settings)
    assert tables(settings, "DROP TABLE records") == set()
    upgrade(settings)
    assert tables(settings) == {"records", "alembic_version"}
