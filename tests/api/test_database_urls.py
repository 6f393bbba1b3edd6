"""Database URLs: which file one means, which are refused, and that none shows its password."""

from pathlib import Path

import pytest
from sqlalchemy import text

from netvision_api.database_url import Address, mask_passwords, parse_postgresql_url
from netvision_api.settings import ConfigurationError, Settings
from netvision_api.storage.database import Database
from netvision_api.storage.errors import MigrationError
from netvision_api.storage.revisions import upgrade
from tests.databases import PostgresqlDatabase

PARAMETERS = "options=-c%20search_path%3Da,%5C%20b&application_name=mine&connect_timeout=5&keepalives=1&sslmode=prefer"
"""Parameters of libpq: some for the server, some for the driver."""

SPELLINGS = {
    "postgresql://u:s3cret@h:5432/db": "postgresql://u:***@h:5432/db",
    "postgres://:s3cret@h/db": "postgres://:***@h/db",
    "postgresql+asyncpg://u:s3@cr@et@h/db": "postgresql+asyncpg://u:***@h/db",
    "postgresql://u:s3/cr?et#@h/db": "postgresql://u:***@h/db",
    "postgresql:///db?host=h&user=u&password=s3cret": "postgresql:///db?host=h&user=u&password=***",
    "postgresql://u@h:5432/db?sslpassword=s3@cret&sslmode=require": (
        "postgresql://u@h:5432/db?sslpassword=***&sslmode=require"
    ),
    "postgresql://h/db?p%61ssword=s3cret": "postgresql://h/db?p%61ssword=***",
    "postgresql://u:s3cret@h/db?PASSWORD=s3@cret": "postgresql://u:***@h/db?PASSWORD=***",
    "postgresql://u:s3&password=cret@h/db": "postgresql://u:***",
    "postgresql://u:s3cret@h1:1,h2:2/db": "postgresql://u:***@h1:1,h2:2/db",
    "postgresql://u@h/db": "postgresql://u@h/db",
    "sqlite:////home/a:b@c/records.db": "sqlite:////home/a:b@c/records.db",
}


@pytest.mark.parametrize(("url", "shown"), SPELLINGS.items())
def test_a_password_is_masked_however_it_is_written(url: str, shown: str) -> None:
    assert mask_passwords(url) == shown
    assert mask_passwords(shown) == shown


def test_a_password_with_a_raw_at_sign_reaches_the_database_and_no_message() -> None:
    url = "postgresql://u:s3@cr@et@127.0.0.1:1/records"
    assert "u:s3%40cr%40et@/records" in parse_postgresql_url(url).dsn
    with pytest.raises(MigrationError, match=r"u:\*\*\*@127\.0\.0\.1:1/records: .*[Cc]onnect") as told:
        upgrade(Settings(database_url=url))
    assert "et@" not in str(told.value)


ADDRESSES: dict[str, list[Address]] = {
    "postgresql://u@h/db": [("h", None)],
    "postgres://h1:1,h2,[::1]:3/db?target_session_attrs=read-write": [("h1", 1), ("h2", None), ("::1", 3)],
    "postgresql:///db?host=h1,h2&port=1,2": [("h1", 1), ("h2", 2)],
    "postgresql:///db?host=h1,h2&port=1": [("h1", 1), ("h2", 1)],
    "postgresql+asyncpg://u@/db?host=h1:1&host=h2:2": [("h1", 1), ("h2", 2)],
    "postgresql://%2Fvar%2Frun:5433/db": [("/var/run", 5433)],
    "postgresql:///db?host=/var/run&port=5433": [("/var/run", 5433)],
    "postgresql:///db?service=records": [],
    "postgresql://": [],
}


@pytest.mark.parametrize(("url", "addresses"), ADDRESSES.items())
def test_addresses_are_read_in_each_spelling_of_libpq_and_sqlalchemy(url: str, addresses: list[Address]) -> None:
    assert parse_postgresql_url(url).addresses == addresses
    assert Settings(database_url=url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:s3cret@h/db?sslmod=require&sslmode=require", r"u:\*\*\*@h/db.* not known: sslmod$"),
        ("postgresql://u:53?cret=1@h/db", r"u:\*\*\*@h/db has a parameter that is not known$"),
        ("postgresql://u:s3cret/@h/db", r"u:\*\*\*@h/db cannot be parsed: a port"),
        ("postgresql://h:0/db", "from 1 to 65535"),
        ("postgresql://h1,h2,h3/db?port=1,2", "not as many ports as hosts"),
        ("postgresql://h/db?sslmode", "no value"),
        ("postgresql://h/db?connect_timeout=soon", "cannot be parsed"),
        ("mysql://h/db", "must look like"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_before_anything_starts(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as told:
        Settings(database_url=url)
    assert "cret" not in str(told.value)


@pytest.mark.anyio
async def test_what_a_url_sets_reaches_the_server(postgresql: PostgresqlDatabase) -> None:
    database = Database(Settings(database_url=f"{postgresql.url}{'&' if '?' in postgresql.url else '?'}{PARAMETERS}"))
    async with database.read_session() as session:
        names = ("search_path", "application_name", "statement_timeout")
        values = [await session.scalar(text(f"SELECT current_setting('{name}')")) for name in names]
    await database.close()
    assert values == ["a, b", "mine", "10s"]


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["a b.db", "a%20b.db", "a%25b.db", "ä.db"])
async def test_the_file_that_is_locked_is_the_one_that_is_opened(tmp_path: Path, name: str) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path}/{name}")
    database = Database(settings)
    async with database.write_connection() as connection:
        assert connection
    await database.close()
    assert settings.sqlite_path
    assert settings.sqlite_path.exists()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///file:/tmp/x.db",
        "sqlite:///file:/tmp/x.db?uri=true",
        "sqlite:////tmp/x.db?uri=true",
        "sqlite:///fil%65:/tmp/x.db",
        "sqlite:////tmp/x.db?timeout=5",
        "sqlite:////tmp/x%00.db",
        "sqlite://host/x.db",
        "sqlite:///:memory:",
        "sqlite://",
    ],
)
def test_an_sqlite_url_is_a_path_and_nothing_else(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"SQLite.* sqlite:///path/to/netvision\.db"):
        Settings(database_url=url)
