"""Readiness: what keeps a database from serving is found and named, and asking often costs little."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from netvision_api.settings import Settings
from netvision_api.storage.database import Database
from netvision_api.storage.readiness import Readiness, ReadinessCheck, Replication, readiness_of
from netvision_api.storage.revisions import head, upgrade
from tests.databases import AnyDatabase, PostgresqlDatabase, SqliteDatabase

ROLE = "netvision_reader"


def check(url: str) -> Readiness:
    """Check a database once."""
    return asyncio.run(readiness_of(Settings(database_url=url)))


@pytest.fixture
def limited_role(postgresql: PostgresqlDatabase) -> Iterator[str]:
    """A role that may do nothing yet."""
    postgresql.execute(f"CREATE ROLE {ROLE} LOGIN")
    yield ROLE
    postgresql.execute(f"DROP OWNED BY {ROLE}")
    postgresql.execute(f"DROP ROLE {ROLE}")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ('ALTER DATABASE "{name}" SET default_transaction_read_only = on', ["is read-only"]),
        ('ALTER DATABASE "{name}" SET synchronous_commit = off', ["synchronous_commit off", "could be lost"]),
        ("DROP TABLE records", ["table records is missing"]),
        ("UPDATE alembic_version SET version_num = '0001'", ["schema at 0001", f"needs {head()}", "db upgrade"]),
    ],
    ids=["read-only", "asynchronous", "no table", "old schema"],
)
def test_what_keeps_postgresql_from_serving_is_named(
    postgresql: PostgresqlDatabase, spoil: str, words: list[str]
) -> None:
    database = postgresql.sibling("netvision_unready")
    upgrade(Settings(database_url=database.url))
    assert check(database.url).reason is None
    database.execute(spoil.format(name=make_url(database.url).database))
    reason = check(database.url).reason or ""
    assert all(word in reason for word in words), reason


def test_an_encoding_that_cannot_hold_every_text_is_not_ready(postgresql: PostgresqlDatabase) -> None:
    database = postgresql.sibling("netvision_ascii")
    name = make_url(database.url).database
    postgresql.execute(f'DROP DATABASE "{name}"')
    postgresql.execute(f"CREATE DATABASE \"{name}\" ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    assert "SQL_ASCII" in (check(database.url).reason or "")


def test_a_role_learns_which_privileges_it_lacks(postgresql: PostgresqlDatabase, limited_role: str) -> None:
    database = postgresql.sibling("netvision_limited")
    upgrade(Settings(database_url=database.url))
    url = make_url(database.url).set(username=limited_role).render_as_string(hide_password=False)
    assert "GRANT SELECT ON alembic_version" in (check(url).reason or "")
    database.execute(f"GRANT SELECT ON alembic_version, records TO {limited_role}")
    assert f'GRANT INSERT, DELETE ON records TO "{limited_role}"' in (check(url).reason or "")
    database.execute(f"GRANT INSERT, DELETE ON records TO {limited_role}")
    assert check(url).reason is None
    assert check(url).replication == Replication(1, "none")
    database.execute(f"DROP OWNED BY {limited_role}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"database": "no_such_database"}, ["does not exist", "create the database"]),
        ({"username": "nobody_at_all"}, ["refused the role", "correct the user"]),
    ],
    ids=["database", "role"],
)
def test_a_refusal_to_connect_comes_with_its_remedy(
    postgresql: PostgresqlDatabase, change: dict[str, str], words: list[str]
) -> None:
    url = make_url(postgresql.url).set(**change).render_as_string(hide_password=False)  # type: ignore[arg-type]
    reason = check(url).reason or ""
    assert all(word in reason for word in words), reason


def test_a_table_that_is_missing_is_named_on_sqlite_too(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "records.db")
    upgrade(Settings(database_url=database.url))
    assert check(database.url).reason is None
    database.execute("DROP TABLE records")
    assert "table records is missing" in (check(database.url).reason or "")


@pytest.mark.anyio
async def test_simultaneous_checks_are_one_and_a_fresh_result_is_reused(
    empty_database: AnyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(Settings(database_url=empty_database.url))
    check = ReadinessCheck(database)
    results = await asyncio.gather(*(check() for _ in range(100)))
    results.append(await check())
    assert len({id(result) for result in results}) == 1
    monkeypatch.setattr("netvision_api.storage.sharing.FRESH_SECONDS", 0)
    assert await check() is not results[0]
    await database.close()


@pytest.mark.anyio
async def test_a_caller_that_leaves_does_not_end_the_check_of_the_others(empty_database: AnyDatabase) -> None:
    database = Database(Settings(database_url=empty_database.url))
    check = ReadinessCheck(database)
    leaving, staying = asyncio.ensure_future(check()), asyncio.ensure_future(check())
    await asyncio.sleep(0)
    leaving.cancel()
    assert "schema at none" in ((await staying).reason or "")
    await database.close()


@pytest.mark.anyio
async def test_readiness_takes_no_connection_of_the_requests(empty_database: AnyDatabase) -> None:
    settings = Settings(database_url=empty_database.url, pool_size=1, pool_timeout=0.1)
    await asyncio.to_thread(upgrade, settings)
    database = Database(settings)
    async with database.read_connection():
        assert database.reader.is_exhausted()
        assert (await ReadinessCheck(database)()).reason is None
    await database.close()
