"""What the tests of faults can ask for: a service whose PostgreSQL can crash, and whose connections to it can fail."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from netvision_api.settings import Settings
from netvision_api.storage.revisions import upgrade
from tests.databases import WORKER
from tests.faults.postgresql import PostgresqlServer, WatchedDatabase, crashable_postgresql
from tests.faults.proxy import Proxy
from tests.faults.stage import Stage
from tests.servers import server_process, wait_until

POOL_SIZE = 4


@pytest.fixture(scope="session")
def crashable(shared_folder: Path) -> Iterator[PostgresqlServer]:
    """A PostgreSQL server that may be crashed, of this test process alone."""
    folder = shared_folder / f"crashable{WORKER}"
    folder.mkdir()
    with crashable_postgresql(folder) as server:
        yield server


@pytest.fixture(scope="session")
def shared_stage(crashable: PostgresqlServer) -> Iterator[Stage]:
    """A service that all tests of faults share, and that must survive each of them."""
    database = crashable.database().sibling("netvision_faults")
    upgrade(Settings(database_url=database.url))
    with (
        Proxy("127.0.0.1", crashable.port) as wire,
        server_process("--pool-size", str(POOL_SIZE), NETVISION_DATABASE_URL=database.through(wire.port)) as process,
    ):
        yield Stage(crashable, database, wire, process)


@pytest.fixture
def stage(shared_stage: Stage) -> Iterator[Stage]:
    """A service without records, and without a fault yet."""
    shared_stage.database.wipe()
    wait_until(shared_stage.is_ready)
    yield shared_stage
    shared_stage.wire.heal()
    assert "Traceback" not in shared_stage.process.said


@pytest.fixture
def database(stage: Stage) -> WatchedDatabase:
    """The database of that service."""
    return stage.database


@pytest.fixture
def wire(stage: Stage) -> Proxy:
    """What stands between that service and its database."""
    return stage.wire


@pytest.fixture
def http(stage: Stage) -> Iterator[httpx.Client]:
    """A plain HTTP client of that service."""
    with httpx.Client(base_url=stage.url, timeout=30, trust_env=False, verify=False) as client:
        yield client


@pytest.fixture
def chance() -> random.Random:
    """Chance that can be had again by its seed, which is printed."""
    seed = int(os.environ.get("NETVISION_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"seed {seed}; NETVISION_TEST_SEED={seed} repeats this")
    return random.Random(seed)
