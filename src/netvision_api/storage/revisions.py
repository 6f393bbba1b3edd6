"""The schema of a database: the revision it has, the one that this version needs, and how to migrate."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from io import StringIO
from typing import TypeVar

from advanced_alchemy.alembic.commands import AlembicCommands
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from netvision_api.database_url import mask_passwords
from netvision_api.settings import Settings
from netvision_api.storage.database import VERSION_TABLE, Database, alembic_config, migration_config
from netvision_api.storage.errors import MigrationError, StandbyError, first_line, origin
from netvision_api.storage.repository import RecordRepository

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1

T = TypeVar("T")

FIRST_REVISION = "0001"
"""The revision that creates the table of records."""


@cache
def scripts() -> ScriptDirectory:
    """Open the folder of revisions."""
    return ScriptDirectory(alembic_config().script_location)


@cache
def head() -> str:
    """Return the revision that this version needs."""
    return str(scripts().get_current_head())


@cache
def known_revisions() -> frozenset[str]:
    """Return every revision that this version knows."""
    return frozenset(revision.revision for revision in scripts().walk_revisions())


def revision_of(connection: Connection) -> str | None:
    """Return the revision that a database has, None if it has none."""
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def schema_mismatch(current: str | None) -> str | None:
    """Explain why a database of this revision cannot be served; None if it can."""
    if current == head():
        return None
    if current is None or current in known_revisions():
        return f"schema at {current or 'none'}, needs {head()}: run `netvision-api db upgrade`"
    return f"schema at {current} is newer than this version, which knows {head()}: install a newer netvision"


def commands(settings: Settings) -> AlembicCommands:
    """Return Alembic's commands for the database of these settings."""
    alembic = AlembicCommands(migration_config(settings))
    alembic.config.stdout = StringIO()
    return alembic


def upgrade(settings: Settings) -> None:
    """Upgrade a database; migrations that run at the same time wait for each other."""
    with as_migration_error(settings):
        commands(settings).upgrade()


def downgrade(settings: Settings, reverted: Sequence[str]) -> None:
    """Revert revisions, which `revisions_to_revert` has found."""
    with as_migration_error(settings):
        if reverted:
            commands(settings).downgrade(str(scripts().get_revision(reverted[-1]).down_revision or "base"))


def check_schema(settings: Settings) -> None:
    """Raise MigrationError unless a database has exactly the tables that this version needs."""
    if reason := schema_mismatch(revision(settings)):
        raise MigrationError(reason)
    with as_migration_error(settings):
        commands(settings).check()


def upgrade_sql(settings: Settings) -> str:
    """Return the statements that create the schema in an empty database."""
    alembic = commands(settings)
    alembic.config.output_buffer = StringIO()
    alembic.upgrade(sql=True)
    return alembic.config.output_buffer.getvalue()


def revision(settings: Settings) -> str | None:
    """Return the revision that a database has, None if it has none."""
    path = settings.sqlite_path
    if settings.is_sqlite and path and not path.exists():
        return None
    return query(settings, revision_in)


async def revision_in(session: AsyncSession) -> str | None:
    """Return the revision that a session's database has."""
    return await (await session.connection()).run_sync(revision_of)


def count(settings: Settings) -> int:
    """Count the records of a database."""
    return query(settings, lambda session: RecordRepository(session=session).count())


def query(settings: Settings, read: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """Read from a database in a session of its own."""

    async def in_session() -> T:
        database = Database(settings)
        try:
            async with database.read_session() as session:
                return await read(session)
        finally:
            await database.close()

    with as_migration_error(settings):
        return asyncio.run(in_session())


def revisions_to_revert(current: str | None, target: str) -> Sequence[str]:
    """Return the revisions between the current one and a target in any of Alembic's notations, the newest first.

    Raises MigrationError for a target that cannot be reached.
    """
    try:
        found = scripts().iterate_revisions(current, target, select_for_downgrade=True)
        return [script.revision for script in found]
    except (CommandError, RevisionError, AssertionError) as error:
        msg = f"cannot downgrade from {current or 'none'} to {target!r}; name a revision before it, or `base`"
        raise MigrationError(msg) from error


def drops_records(reverted: Sequence[str]) -> bool:
    """Return whether a downgrade that reverts these revisions drops the table of records."""
    return FIRST_REVISION in reverted


@contextmanager
def as_migration_error(settings: Settings) -> Iterator[None]:
    """Turn an error of the database or of Alembic into one sentence."""
    try:
        yield
    except (CommandError, SQLAlchemyError, StandbyError, OSError) as error:
        msg = f"cannot work on the database {mask_passwords(settings.database_url)}: {first_line(origin(error))}"
        raise MigrationError(msg) from error


@asynccontextmanager
async def migration_task(settings: Settings) -> AsyncIterator[None]:
    """Upgrade PostgreSQL in the background if the settings require it; SQLite is upgraded before the server starts."""
    wanted = settings.migrates and not settings.is_sqlite
    task = asyncio.create_task(upgrade_with_retries(settings)) if wanted else None
    yield
    if task:
        task.cancel()


async def upgrade_with_retries(settings: Settings) -> None:
    """Upgrade the schema as soon as the database can be reached."""
    while True:
        try:
            await asyncio.to_thread(upgrade, settings)
        except MigrationError as error:
            logger.warning("%s; trying again", error)
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return
