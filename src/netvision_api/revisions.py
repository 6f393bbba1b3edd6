"""The schema of a database: which revision it has, which one this version needs, and the way between them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from io import StringIO
from typing import TypeVar

from advanced_alchemy.alembic.commands import AlembicCommands
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import SQLAlchemyError

from netvision_api.database import VERSION_TABLE, Database, alembic_config, migration_config
from netvision_api.repository import RecordRepository
from netvision_api.settings import Settings

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1

T = TypeVar("T")

FIRST_REVISION = "0001"
"""The revision that makes the records' table."""


@cache
def scripts() -> ScriptDirectory:
    """Open the folder of revisions."""
    return ScriptDirectory(alembic_config().script_location)


@cache
def head() -> str:
    """Return the revision that this version needs."""
    return str(scripts().get_current_head())


@cache
def known() -> frozenset[str]:
    """Return every revision that this version knows."""
    return frozenset(revision.revision for revision in scripts().walk_revisions())


def revision_of(connection: Connection) -> str | None:
    """Read the revision that a database has, None where it has none."""
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def shortcoming(current: str | None) -> str | None:
    """Say in words why a database of this revision cannot be served, None where it can."""
    if current == head():
        return None
    if current is None or current in known():
        return f"schema at {current or 'none'}, needs {head()}: run `netvision-api db upgrade`"
    return f"schema at {current} is newer than this version, which knows {head()}: install a newer netvision"


class MigrationError(Exception):
    """The schema cannot be changed; the message says why."""


def commands(settings: Settings) -> AlembicCommands:
    """Return Alembic's commands for the database of these settings."""
    alembic = AlembicCommands(migration_config(settings))
    alembic.config.stdout = StringIO()
    return alembic


def upgrade(settings: Settings) -> None:
    """Bring a database up to date; migrators that run at the same time wait for each other."""
    with explained(settings):
        commands(settings).upgrade()


def downgrade(settings: Settings, target: str) -> None:
    """Take revisions back, down to a revision or to `base`."""
    with explained(settings):
        commands(settings).downgrade(target)


def check(settings: Settings) -> None:
    """Raise MigrationError unless a database has just the tables that this version needs."""
    if reason := shortcoming(revision(settings)):
        raise MigrationError(reason)
    with explained(settings):
        commands(settings).check()


def upgrade_sql(settings: Settings) -> str:
    """Write the statements that bring an empty database up to date."""
    alembic = commands(settings)
    alembic.config.output_buffer = StringIO()
    alembic.upgrade(sql=True)
    return alembic.config.output_buffer.getvalue()


def revision(settings: Settings) -> str | None:
    """Read the revision that a database has, None where it has none."""
    path = settings.sqlite_path
    if settings.is_sqlite and path and not path.exists():
        return None
    return look(settings, revision_in)


def count(settings: Settings) -> int:
    """Count the records of a database."""
    return look(settings, RecordRepository.size)


async def revision_in(records: RecordRepository) -> str | None:
    """Read the revision under an open repository."""
    return await (await records.session.connection()).run_sync(revision_of)


def look(settings: Settings, at: Callable[[RecordRepository], Awaitable[T]]) -> T:
    """Look at a database without changing it."""

    async def looking() -> T:
        database = Database(settings)
        try:
            async with database.looking() as records:
                return await at(records)
        finally:
            await database.close()

    with explained(settings):
        return asyncio.run(looking())


def previous(current: str | None) -> str:
    """Name the revision before a revision."""
    script = scripts().get_revision(current) if current in known() else None
    return str(script.down_revision) if script and script.down_revision else "base"


def drops_records(current: str | None, target: str) -> bool:
    """Tell whether the way from a revision back to a target takes the records' table away."""
    if current not in known() or target not in {*known(), "base"}:
        return False
    return FIRST_REVISION in {script.revision for script in scripts().iterate_revisions(current, target)}


@contextmanager
def explained(settings: Settings) -> Iterator[None]:
    """Turn what a database or Alembic says into one sentence."""
    try:
        yield
    except (CommandError, SQLAlchemyError, OSError) as error:
        where = make_url(settings.database_url).render_as_string(hide_password=True)
        msg = f"cannot work on the database {where}: {first_line(error)}"
        raise MigrationError(msg) from error


def first_line(error: Exception) -> str:
    """Take what is worth reading from a driver's error."""
    origin = getattr(error, "orig", None) or error
    return str(origin).partition("\n")[0] or type(origin).__name__


@asynccontextmanager
async def migrating(settings: Settings) -> AsyncIterator[None]:
    """Bring PostgreSQL's schema up to date meanwhile, if the settings say so; SQLite's is before the server starts."""
    wanted = settings.migrates and not settings.is_sqlite
    task = asyncio.create_task(upgrade_when_there(settings)) if wanted else None
    yield
    if task:
        task.cancel()


async def upgrade_when_there(settings: Settings) -> None:
    """Bring the schema up to date as soon as the database is there."""
    while True:
        try:
            await asyncio.to_thread(upgrade, settings)
        except MigrationError as error:
            logger.warning("%s; trying again", error)
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return
