"""Connections to PostgreSQL: to a primary only, with what a pooler and a standby need on top of asyncpg."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import uuid4

import asyncpg
from asyncpg.exceptions import TargetServerAttributeNotMatched

from netvision_api.database_url import PostgresqlUrl
from netvision_api.storage.errors import CommitOutcomeUnknownError, StandbyError

WARNING = "01000"
"""The SQLSTATE of a warning, such as that of a commit whose wait for a standby was cancelled."""


class PostgresqlConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """A connection that notes the warnings of its server, and gives prepared statements names that no other has.

    asyncpg numbers them, so that processes that share a connection through a pooler would run each other's statements.
    """

    has_warned = False

    def _get_unique_id(self, prefix: str) -> str:
        """Name a prepared statement, a portal or a savepoint."""
        return f"__netvision_{prefix}_{uuid4().hex}__"

    async def write(self, statement: str, *parameters: object) -> list[asyncpg.Record]:
        """Run a statement that writes; raises CommitOutcomeUnknownError if a warning comes with its commit."""
        self.has_warned = False
        rows: list[asyncpg.Record] = await self.fetch(statement, *parameters)
        self.check_commit()
        return rows

    @asynccontextmanager
    async def write_transaction(self) -> AsyncIterator[None]:
        """Open a transaction that writes; raises CommitOutcomeUnknownError if a warning comes with its commit."""
        async with self.transaction():
            yield
        self.check_commit()

    def check_commit(self) -> None:
        """Raise CommitOutcomeUnknownError if the server has warned since the last statement that writes began."""
        if self.has_warned:
            reason = "The database gave a warning with the commit, which a standby may not have"
            raise CommitOutcomeUnknownError(reason)


def note_warning(connection: PostgresqlConnection, message: asyncpg.PostgresLogMessage) -> None:
    """Note a warning on its connection; asyncpg calls this before the statement returns."""
    connection.has_warned |= message.sqlstate == WARNING


async def connect_to_primary(url: PostgresqlUrl, **options: Any) -> PostgresqlConnection:  # noqa: ANN401 - asyncpg's own
    """Connect to the primary among the servers of a URL; raises StandbyError if none is, as their records may be old.

    All are tried at the same time, so that one that is away does not delay the others.
    """
    if not url.addresses:
        return await connect(url, **options)
    attempts = [asyncio.create_task(connect(url, host=host, port=port, **options)) for host, port in url.addresses]
    try:
        return await first_success(attempts)
    finally:
        for attempt in attempts:
            attempt.cancel()


async def first_success(attempts: Sequence[asyncio.Task[PostgresqlConnection]]) -> PostgresqlConnection:
    """Return the first connection and close any other; raises StandbyError if a server is one, else the last error."""
    pending: set[asyncio.Task[PostgresqlConnection]] = set(attempts)
    failed: list[BaseException] = []
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        failed += [error for attempt in done if (error := attempt.exception())]
        if connected := [attempt.result() for attempt in done if not attempt.exception()]:
            for other in connected[1:]:
                other.terminate()
            return connected[0]
    raise next((error for error in failed if isinstance(error, StandbyError)), failed[-1])


async def connect(url: PostgresqlUrl, **options: Any) -> PostgresqlConnection:  # noqa: ANN401 - asyncpg's own
    """Connect to one server; raises StandbyError if it is a standby."""
    try:
        connection = await asyncpg.connect(url.dsn, connection_class=PostgresqlConnection, **options)
    except TargetServerAttributeNotMatched as error:
        raise StandbyError from error
    connection.add_log_listener(note_warning)
    try:
        await check_primary(connection)
    except BaseException:
        connection.terminate()
        raise
    return cast("PostgresqlConnection", connection)


async def check_primary(connection: asyncpg.Connection) -> None:
    """Raise StandbyError if a server is in recovery; one that reports so is asked, as a pooler's report may be old."""
    if getattr(connection.get_settings(), "in_hot_standby", None) == "off":
        return
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        raise StandbyError
