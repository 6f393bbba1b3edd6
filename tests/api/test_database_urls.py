"""Database URLs: which file one means, which are refused, and that none shows its password."""

from pathlib import Path

import pytest

from netvision_api.database_url import mask_passwords, parse_database_url
from netvision_api.settings import ConfigurationError, Settings
from netvision_api.storage.database import Database
from netvision_api.storage.errors import MigrationError
from netvision_api.storage.revisions import upgrade

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
    assert parse_database_url(url).password == "s3@cr@et"
    with pytest.raises(MigrationError, match=r"u:\*\*\*@127\.0\.0\.1:1/records: .*[Cc]onnect") as told:
        upgrade(Settings(database_url=url))
    assert "et@" not in str(told.value)


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
