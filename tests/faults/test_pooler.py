"""Two services whose pooler gives them the same server connection: each runs its own statements and no other's."""

from collections.abc import Iterator
from contextlib import ExitStack
from uuid import UUID

import httpx
import pytest

from netvision_api.settings import Settings
from netvision_api.storage.revisions import upgrade
from tests.faults.pooler import Pooler
from tests.faults.postgresql import PostgresqlServer, WatchedDatabase
from tests.servers import server_process


@pytest.fixture
def pooled(crashable: PostgresqlServer) -> WatchedDatabase:
    """A database with the newest schema."""
    database = crashable.database().sibling("netvision_pooled")
    upgrade(Settings(database_url=database.url))
    return WatchedDatabase(database.url)


@pytest.fixture
def clients(pooled: WatchedDatabase) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """A client of each of two services behind one pooler."""
    with ExitStack() as stack:
        url = stack.enter_context(Pooler(pooled.url)).url
        services = [stack.enter_context(server_process(NETVISION_DATABASE_URL=url)) for _ in range(2)]
        first, second = (
            stack.enter_context(httpx.Client(base_url=service.url(), timeout=30, trust_env=False, verify=False))
            for service in services
        )
        yield first, second


def test_a_read_of_one_service_never_runs_a_statement_of_another(
    clients: tuple[httpx.Client, httpx.Client], pooled: WatchedDatabase
) -> None:
    first, second = clients
    records = [{"uuid": str(UUID(int=number)), "text": "a"} for number in range(1, 9)]
    assert [service.get("/health/ready").status_code for service in clients] == [200, 200]
    assert first.post("/new", json=records).status_code == 201
    assert first.delete(f"/{records[0]['uuid']}").json() == records[0]
    for record in records[1:]:
        assert second.get(f"/{record['uuid']}").json() == record
        assert first.post("/new", json=[{**record, "text": "b"}]).status_code == 409
        assert second.get("/100").json() == records[1:]
    assert second.post("/new", json=records).status_code == 201
    assert pooled.count() == len(records)
