"""A service with settings of a test's own, on an SQLite file of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from netvision_api.settings import Settings
from netvision_api.storage.revisions import upgrade
from tests.databases import SqliteDatabase
from tests.servers import served

TOKEN, READ_TOKEN = "t" * 32, "r" * 32
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@dataclass(frozen=True)
class Service:
    """A running service: its URL, and its database."""

    url: str
    database: SqliteDatabase

    def request(self, method: str, path: str, **details: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """Send one request on a connection of its own."""
        return httpx.request(method, f"{self.url}{path}", timeout=30, trust_env=False, **details)


@contextmanager
def service_on(folder: Path, **chosen: Any) -> Iterator[Service]:  # noqa: ANN401 - any setting
    """Serve an SQLite file in a folder."""
    database = SqliteDatabase(folder / "records.db")
    settings = Settings(database_url=database.url, port=0, **chosen)
    upgrade(settings)
    with served(settings) as url:
        yield Service(url, database)
