"""Connections to PostgreSQL: to a primary only, with what a pooler and a standby need on top of asyncpg."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg

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


async def connect_to_primary(*arguments: Any, **options: Any) -> asyncpg.Connection:  # noqa: ANN401 - asyncpg's own
    """Connect as asyncpg does; raises StandbyError if the server is a standby, whose records may be old."""
    connection = await asyncpg.connect(*arguments, **options)
    connection.add_log_listener(note_warning)
    try:
        await check_primary(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def check_primary(connection: asyncpg.Connection) -> None:
    """Raise StandbyError if a server is in recovery; one that reports so is asked, as a pooler's report may be old."""
    if getattr(connection.get_settings(), "in_hot_standby", None) == "off":
        return
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        raise StandbyError
