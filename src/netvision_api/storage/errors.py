"""What can go wrong in storage, and what a driver's error means: its scope, and the outcome of a write.

StorageError
├── ConflictError               uuids are stored with other texts
├── NoConnectionError           no database connection was free in time; nothing was saved
├── StandbyError                no server of the database is a primary
├── CommitOutcomeUnknownError   the database was lost during a commit, or gave a warning with it
├── DatabaseFileError           an SQLite file cannot be opened, or another process holds it
└── MigrationError              the schema cannot be read or changed

Any other failure is the driver's own exception. PostgreSQL's are classified by SQLSTATE (PostgreSQL 18 documentation,
appendix A), SQLite's by result code.
"""

import sqlite3
from uuid import UUID

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


class StorageError(Exception):
    """Storage could not do what it was called for."""


class ConflictError(StorageError):
    """Some uuids of a batch are stored with other texts."""

    def __init__(self, uuids: set[UUID]) -> None:
        super().__init__(f"{len(uuids)} uuids are stored with other texts")
        self.uuids = uuids


class NoConnectionError(StorageError):
    """No database connection was free in time; nothing was saved."""

    def __init__(self, timeout: float) -> None:
        """Take the timeout in seconds."""
        super().__init__(f"No database connection was free within {timeout:g} s")


class StandbyError(StorageError):
    """No server of the database is a primary, so that there was no connection to use."""

    def __init__(self) -> None:
        super().__init__("The database is a standby")


class CommitOutcomeUnknownError(StorageError):
    """The database was lost during a commit, or gave a warning with it: it may or may not have happened, or last."""

    def __init__(self, reason: str = "The database was lost during the commit") -> None:
        super().__init__(f"{reason}: whether it was saved is unknown")


class DatabaseFileError(StorageError):
    """An SQLite file cannot be opened, or another process holds it; the message names the next command."""


class MigrationError(StorageError):
    """The schema cannot be read or changed; the message has the reason."""


SYNTAX_OR_ACCESS_CLASS = "42"
"""A statement that is wrong in itself: a bug of the service."""

OPERATIONAL_SQLSTATES = frozenset({"42P01", "42501"})
"""SQLSTATEs of class 42 that are operational rather than bugs: undefined table, insufficient privilege."""

CONNECTION_CLASSES = frozenset({"08", "57"})
SYSTEM_WIDE_CLASSES = CONNECTION_CLASSES | {"25", "53", "58", "F0", "XX"}
"""Connection, intervention, read-only after a failover, resources, system: every request would fail."""

LOST_SERVER_SQLSTATES = frozenset({"25006", "57P01", "57P02", "57P03"})
"""Read-only, shut down, crashed, cannot connect now: the server of a connection is no longer the one to use."""

CANCELLED = "57014"
"""A statement that exceeded its timeout."""

UNIQUE_VIOLATION = "23505"
RETRYABLE_SQLSTATES = frozenset({"40001", "40P01", UNIQUE_VIOLATION})
"""Serialization failure, deadlock, a uuid that another transaction has just stored: a retry may succeed at once."""

SQLITE_UNIQUE_VIOLATIONS = frozenset({sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE})

BUSY, IO_ERROR, FULL, CONSTRAINT = 5, 10, 13, 19
SQLITE_OPERATIONAL = frozenset({BUSY, 6, 8, IO_ERROR, 11, FULL, 14, CONSTRAINT, 26})
"""Also locked, read-only, corrupt, cannot open, not a database; a constraint can only be that of a trigger."""

NO_TABLE = "no such table"

DESCRIPTIONS = {
    "28": "The database refused the role or its password",
    "3D": "The database does not exist",
    "42501": "The role of the service lacks a privilege",
    UNIQUE_VIOLATION: "Other transactions were storing the same uuids",
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
"""What SQLAlchemy raises, and what the drivers raise for a statement that runs on their own connection."""


def origin(error: BaseException) -> BaseException:
    """Return the driver's error under one of SQLAlchemy's."""
    return getattr(error, "orig", None) or error


def sqlstate(error: BaseException) -> str:
    """Return PostgreSQL's code for an error, empty if it has none."""
    return getattr(origin(error), "sqlstate", None) or ""


def sqlite_code(error: BaseException) -> int | None:
    """Return SQLite's primary result code for an error, None if it has none."""
    code = getattr(origin(error), "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


def is_operational(error: BaseException) -> bool:
    """Return whether the database could not do its work, though the statement was right."""
    if isinstance(error, OSError | PoolTimeoutError | StandbyError):
        return True
    if not isinstance(error, DatabaseError):
        return False
    if state := sqlstate(error):
        return state[:2] != SYNTAX_OR_ACCESS_CLASS or state in OPERATIONAL_SQLSTATES
    if (code := sqlite_code(error)) is not None:
        return code in SQLITE_OPERATIONAL or NO_TABLE in str(origin(error))
    return True


def is_disconnection(error: BaseException) -> bool:
    """Return whether no response came, so that a commit in progress may or may not have happened."""
    if isinstance(error, OSError):
        return True
    if not isinstance(error, DatabaseError):
        return False
    state = sqlstate(error)
    was_closed = state[:2] in CONNECTION_CLASSES and state != CANCELLED
    has_no_code = not state and sqlite_code(error) is None
    return (
        getattr(error, "connection_invalidated", False) or was_closed or has_no_code or is_sqlite_commit_in_doubt(error)
    )


def is_server_lost(error: BaseException) -> bool:
    """Return whether a connection leads to a server that is gone, silent, or takes no writes."""
    if isinstance(error, CommitOutcomeUnknownError):
        error = error.__cause__ or error
    return isinstance(error, OSError) or sqlstate(error) in LOST_SERVER_SQLSTATES or sqlstate(error)[:2] == "08"


def is_sqlite_commit_in_doubt(error: BaseException) -> bool:
    """Return whether SQLite may have written a commit that it reports as failed; after a failed write it has not."""
    code = getattr(origin(error), "sqlite_errorcode", None)
    return sqlite_code(error) == IO_ERROR and code != sqlite3.SQLITE_IOERR_WRITE


def is_duplicate(error: BaseException) -> bool:
    """Return whether a uuid is stored already."""
    code = getattr(origin(error), "sqlite_errorcode", None)
    return sqlstate(error) == UNIQUE_VIOLATION or code in SQLITE_UNIQUE_VIOLATIONS


def is_retryable(error: BaseException) -> bool:
    """Return whether other transactions were in the way, so that the same work may succeed at once."""
    return sqlstate(error) in RETRYABLE_SQLSTATES


def affects_whole_batch(error: BaseException) -> bool:
    """Return whether an error would meet every request of a batch, rather than come from the records of one."""
    if is_disconnection(error) or not isinstance(error, DatabaseError):
        return True
    state, code = sqlstate(error), sqlite_code(error)
    is_system_wide = state[:2] in SYSTEM_WIDE_CLASSES and state != CANCELLED
    return is_system_wide or (code is not None and code not in {FULL, CONSTRAINT})


def describe(error: BaseException) -> str:
    """Describe in a sentence without its full stop what kept the database from its work."""
    if isinstance(error, StandbyError):
        return str(error)
    state = sqlstate(error)
    for key in (state, state[:2], sqlite_code(error)):
        if key in DESCRIPTIONS:
            return DESCRIPTIONS[key]
    return "The database is unreachable" if is_disconnection(error) else "The database did not do its work"


def describe_cause(error: BaseException) -> str:
    """Name the cause of an error for the log: its class and first line, no statement and no parameter."""
    cause = error.__cause__ or error
    if isinstance(cause, SQLAlchemyError):
        cause = origin(cause)
    return f"{type(cause).__name__}: {first_line(cause)}"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, else the name of its class."""
    return str(error).partition("\n")[0] or type(error).__name__
