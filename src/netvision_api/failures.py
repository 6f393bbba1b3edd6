"""What a database's failure means: whose trouble it is, whom it concerns, and what became of a write.

PostgreSQL tells by its SQLSTATE (PostgreSQL 18 documentation, appendix A), SQLite by its result code.
"""

import sqlite3

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

STATEMENT_CLASS = "42"
"""A statement that is wrong in itself, which is nobody's fault but ours."""

FOREIGN_CLASSES = frozenset({"42P01", "42501"})
"""Of those, what the service is not to blame for: a schema that is missing, a privilege that was taken away."""

CONNECTION_CLASSES = frozenset({"08", "57"})
SHARED_CLASSES = CONNECTION_CLASSES | {"25", "53", "58", "F0", "XX"}
"""Connection, intervention, read-only after a failover, resources, system: trouble that every request would have."""

CANCELLED = "57014"
"""A statement that took too long."""

CONFLICTS = frozenset({"40001", "40P01", "23505"})
"""Serialization failure, deadlock, a uuid stored meanwhile by another transaction: the same may succeed at once."""

BUSY, IO_ERROR, FULL, CONSTRAINT = 5, 10, 13, 19
SQLITE_TROUBLE = frozenset({BUSY, 6, 8, IO_ERROR, 11, FULL, 14, CONSTRAINT, 26})
"""Also locked, read-only, corrupt, cannot open, not a database; a constraint is that of somebody's trigger."""

NO_TABLE = "no such table"

MEANINGS = {
    "23": "A constraint or trigger in the database refused it",
    "40": "Other transactions were in its way",
    "53": "The database is short of resources",
    "55": "Somebody else holds a lock on it for too long",
    "25": "The database is read-only",
    CANCELLED: "The statement took too long",
    "42P01": "The schema is missing",
    BUSY: "The database is locked by somebody else",
    IO_ERROR: "The database cannot use its disk",
    FULL: "The disk of the database is full",
    CONSTRAINT: "A constraint or trigger in the database refused it",
}


DatabaseError = (
    DBAPIError | asyncpg.PostgresError | asyncpg.InterfaceError | asyncpg.InternalClientError | sqlite3.Error
)
"""What SQLAlchemy raises, and what the drivers raise where a statement runs on theirs."""


def origin(error: BaseException) -> BaseException:
    """Return the driver's error under one of SQLAlchemy's."""
    return getattr(error, "orig", None) or error


def sqlstate(error: BaseException) -> str:
    """Return PostgreSQL's code for an error, empty where it gave none."""
    return getattr(origin(error), "sqlstate", None) or ""


def sqlite_code(error: BaseException) -> int | None:
    """Return SQLite's primary result code for an error, None where it gave none."""
    code = getattr(origin(error), "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


def is_unavailability(error: BaseException) -> bool:
    """Tell whether the database could not do its work, though the statement was right."""
    if isinstance(error, OSError | PoolTimeoutError):
        return True
    if not isinstance(error, DatabaseError):
        return False
    if state := sqlstate(error):
        return state[:2] != STATEMENT_CLASS or state in FOREIGN_CLASSES
    if (code := sqlite_code(error)) is not None:
        return code in SQLITE_TROUBLE or NO_TABLE in str(origin(error))
    return True


def is_disconnection(error: BaseException) -> bool:
    """Tell whether no answer came, so that a commit under way may or may not have happened."""
    if isinstance(error, OSError):
        return True
    if not isinstance(error, DatabaseError):
        return False
    state = sqlstate(error)
    was_closed = state[:2] in CONNECTION_CLASSES and state != CANCELLED
    is_mute = not state and sqlite_code(error) is None
    return getattr(error, "connection_invalidated", False) or was_closed or is_mute or may_be_written(error)


def may_be_written(error: BaseException) -> bool:
    """Tell whether SQLite may have written a commit that it reports as failed; where writing failed, it has not."""
    code = getattr(origin(error), "sqlite_errorcode", None)
    return sqlite_code(error) == IO_ERROR and code != sqlite3.SQLITE_IOERR_WRITE


def is_conflict(error: BaseException) -> bool:
    """Tell whether other transactions were in the way, so that the same work may succeed at once."""
    return sqlstate(error) in CONFLICTS


def concerns_everyone(error: BaseException) -> bool:
    """Tell trouble of the whole database from trouble with one request's records."""
    if is_disconnection(error) or not isinstance(error, DatabaseError):
        return True
    state, code = sqlstate(error), sqlite_code(error)
    return (state[:2] in SHARED_CLASSES and state != CANCELLED) or (code is not None and code not in {FULL, CONSTRAINT})


def describe(error: BaseException) -> str:
    """Say in words what kept the database from its work."""
    state = sqlstate(error)
    for key in (state, state[:2], sqlite_code(error)):
        if key in MEANINGS:
            return MEANINGS[key]
    return "The database is unreachable" if is_disconnection(error) else "The database did not do its work"
