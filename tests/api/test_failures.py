"""What each code of a database means: for whom, for a write that was under way, and in words."""

import sqlite3

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from netvision_api.storage.errors import (
    affects_whole_batch,
    describe,
    is_disconnection,
    is_operational,
    is_retryable,
)

OURS = {"syntax error": "42601", "unknown column": "42703", "unknown function": "42883", "wrong type": "42804"}

CONFLICTS = {"serialization failure": "40001", "deadlock": "40P01", "uuid stored meanwhile": "23505"}

LOST = {
    "connection failure": "08006",
    "connection refused by the server": "08004",
    "protocol violation": "08P01",
    "terminated by an administrator": "57P01",
    "crashed": "57P02",
    "starting up": "57P03",
    "database dropped": "57P04",
    "idle session timeout": "57P05",
}

EVERYONES = {
    "read-only after a failover": "25006",
    "too many connections": "53300",
    "disk full": "53100",
    "out of memory": "53200",
    "I/O error": "58030",
    "configuration file": "F0000",
    "internal error": "XX000",
    "data corrupted": "XX001",
}

ONE_REQUESTS = {
    "statement timeout": "57014",
    "lock timeout": "55P03",
    "a trigger's refusal": "P0001",
    "check constraint": "23514",
    "value too long": "22001",
    "schema missing": "42P01",
    "privilege taken away": "42501",
}

SQLITE = {
    "busy": (sqlite3.SQLITE_BUSY, True, False),
    "busy, extended": (sqlite3.SQLITE_BUSY_SNAPSHOT, True, False),
    "locked": (sqlite3.SQLITE_LOCKED, True, False),
    "read-only": (sqlite3.SQLITE_READONLY, True, False),
    "I/O error": (sqlite3.SQLITE_IOERR, True, True),
    "I/O error, extended": (sqlite3.SQLITE_IOERR_FSYNC, True, True),
    "I/O error while writing": (sqlite3.SQLITE_IOERR_WRITE, True, False),
    "corrupt": (sqlite3.SQLITE_CORRUPT, True, False),
    "cannot open": (sqlite3.SQLITE_CANTOPEN, True, False),
    "not a database": (sqlite3.SQLITE_NOTADB, True, False),
    "disk full": (sqlite3.SQLITE_FULL, False, False),
    "a trigger's refusal": (sqlite3.SQLITE_CONSTRAINT_TRIGGER, False, False),
}


def postgresql(code: str) -> list[BaseException]:
    """Make an error of PostgreSQL, as the driver raises it and as SQLAlchemy does."""
    error = asyncpg.PostgresError.new({"C": code, "M": "it failed", "S": "ERROR"})
    assert error.sqlstate == code
    return [error, DBAPIError("INSERT", {}, error)]


def sqlite(code: int, message: str = "it failed") -> list[BaseException]:
    """Make an error of SQLite, as the driver raises it and as SQLAlchemy does."""
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return [error, DBAPIError("INSERT", {}, error)]


@pytest.mark.parametrize("code", OURS.values(), ids=OURS)
def test_a_statement_that_is_wrong_is_our_own_failure(code: str) -> None:
    for error in postgresql(code):
        assert not is_operational(error)


@pytest.mark.parametrize("code", CONFLICTS.values(), ids=CONFLICTS)
def test_transactions_in_the_way_are_worth_another_try(code: str) -> None:
    for error in postgresql(code):
        assert (is_retryable(error), is_operational(error)) == (True, True)
        assert (is_disconnection(error), affects_whole_batch(error)) == (False, False)


@pytest.mark.parametrize("code", LOST.values(), ids=LOST)
def test_a_connection_that_was_ended_leaves_a_commit_unknown(code: str) -> None:
    for error in postgresql(code):
        assert (is_disconnection(error), is_operational(error), affects_whole_batch(error)) == (True, True, True)
        assert not is_retryable(error)


@pytest.mark.parametrize("code", EVERYONES.values(), ids=EVERYONES)
def test_a_database_in_trouble_affects_the_whole_batch_and_has_responded(code: str) -> None:
    for error in postgresql(code):
        assert (is_operational(error), affects_whole_batch(error)) == (True, True)
        assert (is_disconnection(error), is_retryable(error)) == (False, False)


@pytest.mark.parametrize("code", ONE_REQUESTS.values(), ids=ONE_REQUESTS)
def test_what_one_request_has_met_spares_the_others_of_its_batch(code: str) -> None:
    for error in postgresql(code):
        assert (is_operational(error), affects_whole_batch(error)) == (True, False)
        assert (is_disconnection(error), is_retryable(error)) == (False, False)


@pytest.mark.parametrize(("code", "is_everyones", "is_lost"), SQLITE.values(), ids=SQLITE)
def test_each_code_of_sqlite_has_its_meaning(code: int, is_everyones: bool, is_lost: bool) -> None:  # noqa: FBT001
    for error in sqlite(code):
        assert is_operational(error)
        assert (affects_whole_batch(error), is_disconnection(error)) == (is_everyones, is_lost)
        assert not is_retryable(error)


def test_a_wrong_statement_of_sqlite_is_our_own_failure_but_a_missing_table_is_not() -> None:
    wrong = zip(
        sqlite(sqlite3.SQLITE_ERROR, "no such column: x"), sqlite(sqlite3.SQLITE_ERROR, "no such table: x"), strict=True
    )
    for column, table in wrong:
        assert (is_operational(column), is_operational(table)) == (False, True)


@pytest.mark.parametrize(
    "error",
    [
        OSError("reset"),
        ConnectionResetError(),
        TimeoutError(),
        asyncpg.InterfaceError("closed"),
        asyncpg.InternalClientError("x"),
    ],
)
def test_a_missing_response_leaves_a_commit_unknown(error: BaseException) -> None:
    assert (is_disconnection(error), is_operational(error), affects_whole_batch(error)) == (True, True, True)


@pytest.mark.parametrize("error", [ValueError(), KeyError("x"), AssertionError()])
def test_a_mistake_of_the_program_is_no_unavailability(error: BaseException) -> None:
    assert (is_operational(error), is_disconnection(error), is_retryable(error)) == (False, False, False)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (postgresql("53100")[0], "short of resources"),
        (postgresql("25006")[0], "read-only"),
        (postgresql("57014")[1], "took too long"),
        (postgresql("42P01")[1], "schema is missing"),
        (postgresql("57P01")[0], "unreachable"),
        (postgresql("23514")[0], "constraint or trigger"),
        (sqlite(sqlite3.SQLITE_FULL)[0], "full"),
        (sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT)[1], "locked"),
        (OSError(), "unreachable"),
    ],
)
def test_a_failure_is_described_without_its_message(error: BaseException, words: str) -> None:
    assert words in describe(error)
    assert "it failed" not in describe(error)
