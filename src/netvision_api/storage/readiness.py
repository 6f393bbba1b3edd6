"""Whether a database can serve, and if not why not and what to do."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from netvision_api.settings import Settings
from netvision_api.storage.database import VERSION_TABLE, Database
from netvision_api.storage.errors import (
    DatabaseError,
    StandbyError,
    describe,
    describe_cause,
    is_disconnection,
    is_server_lost,
    sqlstate,
)
from netvision_api.storage.models import Record
from netvision_api.storage.revisions import revision_of, schema_mismatch
from netvision_api.storage.sharing import Shared

logger = logging.getLogger(__name__)

ENCODING = "UTF8"
TABLE = Record.__tablename__

POSTGRESQL_STATE = text(
    f"""
    SELECT pg_is_in_recovery() AS is_standby,
           current_setting('transaction_read_only') = 'on' AS is_read_only,
           current_setting('server_encoding') AS encoding,
           current_user AS role,
           ARRAY(SELECT privilege FROM unnest(ARRAY['SELECT', 'INSERT', 'DELETE']) AS privilege
                 WHERE NOT has_table_privilege(to_regclass('{TABLE}'), privilege)) AS missing_privileges,
           ARRAY(SELECT name FROM unnest(ARRAY['fsync', 'synchronous_commit']) AS name
                 WHERE current_setting(name) = 'off') AS weak_settings,
           host(inet_server_addr()) AS address,
           inet_server_port() AS port
    """  # noqa: S608 - the name of our own table
)

POSTGRESQL_REPLICATION = text(
    """
    SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int AS timeline,
           current_setting('synchronous_standby_names') <> ''
               AND current_setting('synchronous_commit') NOT IN ('off', 'local') AS is_synchronous,
           count(*) AS standbys,
           count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')) AS synchronous_standbys,
           coalesce(bool_and(sync_state IS NOT NULL), true) AS is_visible
    FROM pg_stat_replication
    """
)
"""What a primary says about its standbys: their states are visible to roles that may monitor, their number to all."""

REMEDIES = {
    "28": "correct the user or the password in --database-url",
    "3D": "create the database, or name another one in --database-url",
    "53": "free some, or raise the limit of the database",
    "42501": f"GRANT SELECT ON {VERSION_TABLE} and SELECT, INSERT, DELETE ON {TABLE} to it",
}
UNREACHABLE_REMEDY = "start it, or correct --database-url"
STANDBY = "the database is a standby: name the primary in --database-url, or promote it"


@dataclass(frozen=True)
class ServerState:
    """What PostgreSQL says about itself and the role of the service; SQLite has none of these troubles."""

    is_standby: bool = False
    is_read_only: bool = False
    encoding: str = ENCODING
    role: str = ""
    missing_privileges: Sequence[str] = ()
    weak_settings: Sequence[str] = ()
    address: str | None = None
    port: int | None = None

    @property
    def server(self) -> str | None:
        """Return the address of the server; None over a socket of the file system."""
        if self.address is None:
            return None
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Replication:
    """The timeline of a primary, which each promotion increases, and how it replicates."""

    timeline: int | None = None
    kind: str | None = None


@dataclass(frozen=True)
class Readiness:
    """A database with its version, revision and server, as far as they are known, and why it cannot serve."""

    database: str
    schema: str | None = None
    reason: str | None = None
    server: str | None = None
    replication: Replication = Replication()


class ReadinessCheck(Shared[Readiness]):
    """Checks a database on a connection of its own: requests never wait for it, nor it for them."""

    def __init__(self, database: Database) -> None:
        super().__init__(lambda: query_readiness(database))


async def readiness_of(settings: Settings) -> Readiness:
    """Query the database of these settings once."""
    database = Database(settings)
    try:
        return await query_readiness(database)
    finally:
        await database.close()


async def query_readiness(database: Database) -> Readiness:
    """Query a database for its version, its schema, and what could keep it from serving.

    The connection of a database that cannot serve is closed, so that the next check may find another server.
    """
    try:
        async with database.probe_connection() as connection:
            readiness = await readiness_on(connection)
            if readiness.reason:
                await connection.invalidate()
            return readiness
    except Exception as error:
        if not isinstance(error, DatabaseError | SQLAlchemyError | OSError | StandbyError):
            raise
        logger.warning("not ready: %s", describe_cause(error))
        return Readiness(database.kind, reason=with_remedy(error))


async def readiness_on(connection: AsyncConnection) -> Readiness:
    """Query the database of a connection."""
    state = await server_state(connection)
    schema = await connection.run_sync(revision_of)
    reason = (
        unable_to_write(state)
        or schema_mismatch(schema)
        or await connection.run_sync(missing_table)
        or missing_privileges(state)
        or weakness(state)
    )
    replication = await replication_of(connection, state)
    return Readiness(product_of(connection), schema, reason, state.server, replication)


async def server_state(connection: AsyncConnection) -> ServerState:
    """Query the state of the server of a connection."""
    if connection.dialect.name != "postgresql":
        return ServerState()
    return ServerState(**(await connection.execute(POSTGRESQL_STATE)).mappings().one())


async def replication_of(connection: AsyncConnection, state: ServerState) -> Replication:
    """Query how a primary replicates, as far as the role may know."""
    if connection.dialect.name != "postgresql" or state.is_standby:
        return Replication()
    try:
        row = (await connection.execute(POSTGRESQL_REPLICATION)).one()
    except DBAPIError as error:
        if is_server_lost(error):
            raise
        return Replication()
    if not row.is_synchronous:
        return Replication(row.timeline, "asynchronous" if row.standbys else "none")
    return Replication(row.timeline, f"synchronous ({row.synchronous_standbys})" if row.is_visible else "synchronous")


def product_of(connection: AsyncConnection) -> str:
    """Return the name and version of the database."""
    version = connection.dialect.server_version_info or ()
    return f"{connection.dialect.name} {'.'.join(map(str, version))}"


def unable_to_write(state: ServerState) -> str | None:
    """Explain why a server takes no writes, or not every text."""
    if state.is_standby:
        return STANDBY
    if state.is_read_only:
        return "the database is read-only: ALTER SYSTEM SET default_transaction_read_only = off, or that of its role"
    if state.encoding != ENCODING:
        return f"the encoding of the database is {state.encoding}, which cannot hold every text: use one in {ENCODING}"
    return None


def missing_table(connection: Connection) -> str | None:
    """Explain that there is no table of records, though the schema is the right one."""
    if inspect(connection).has_table(TABLE):
        return None
    return f"the table {TABLE} is missing, or in a schema that the role may not use: restore it from a backup"


def missing_privileges(state: ServerState) -> str | None:
    """Name the privileges that the role lacks."""
    if not state.missing_privileges:
        return None
    names = ", ".join(state.missing_privileges)
    return f'the role "{state.role}" lacks privileges: GRANT {names} ON {TABLE} TO "{state.role}"'


def weakness(state: ServerState) -> str | None:
    """Describe the settings under which the database can lose what it has acknowledged."""
    settings = state.weak_settings
    if not settings:
        return None
    return f"{' and '.join(settings)} off: an acknowledged record could be lost; ALTER SYSTEM SET {settings[0]} = on"


def with_remedy(error: Exception) -> str:
    """Describe an error of the database, and what to do."""
    if isinstance(error, StandbyError):
        return STANDBY
    state = sqlstate(error)
    remedy = REMEDIES.get(state) or REMEDIES.get(state[:2]) or (UNREACHABLE_REMEDY if is_disconnection(error) else "")
    return f"{describe(error)}: {remedy}" if remedy else describe(error)
