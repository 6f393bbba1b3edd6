"""Connections to PostgreSQL: to a primary only, with names of their own for prepared statements."""

from typing import Any
from uuid import uuid4

import asyncpg

from netvision_api.storage.errors import StandbyError


class PostgresqlConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """A connection whose prepared statements have names that no other process has.

    asyncpg numbers them, so that processes that share a connection through a pooler would run each other's statements.
    """

    def _get_unique_id(self, prefix: str) -> str:
        """Name a prepared statement, a portal or a savepoint."""
        return f"__netvision_{prefix}_{uuid4().hex}__"


async def connect_to_primary(*arguments: Any, **options: Any) -> asyncpg.Connection:  # noqa: ANN401 - asyncpg's own
    """Connect as asyncpg does; raises StandbyError if the server is a standby, whose records may be old."""
    connection = await asyncpg.connect(*arguments, **options)
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
