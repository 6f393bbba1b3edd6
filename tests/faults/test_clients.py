"""Clients that leave midway or do not read cost the service nothing that it needs for others."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from random import Random

import httpx
import pytest

from tests.faults.conftest import POOL_SIZE
from tests.faults.postgresql import PostgresqlServer, WatchedDatabase
from tests.faults.stage import PATIENTLY, Stage
from tests.faults.wire import TINY_WINDOW, connected, get, leave, post
from tests.servers import server_process, wait_until

LEAVERS, BURST = 40, 60
LARGE = "x" * 500_000


@pytest.fixture
def narrow(crashable: PostgresqlServer) -> Iterator[tuple[httpx.Client, WatchedDatabase]]:
    """A client of a service with one connection to its database, which holds 20 MB of records."""
    database = crashable.database().sibling("netvision_narrow")
    with server_process("--pool-size", "1", "--migrate", NETVISION_DATABASE_URL=database.url) as server:
        with httpx.Client(base_url=server.url(), timeout=PATIENTLY, trust_env=False, verify=False) as client:
            wait_until(lambda: client.get("/health/ready").is_success)
            for _ in range(40):
                client.post("/new", json=[{"text": LARGE}]).raise_for_status()
            yield client, database
        assert "Traceback" not in server.said


def test_clients_that_leave_in_the_middle_of_their_request_leak_nothing(
    stage: Stage, http: httpx.Client, chance: Random
) -> None:
    request = post([{"text": "never whole"}] * 500)
    for _ in range(LEAVERS):
        with connected(stage.url) as connection:
            connection.sendall(request[: chance.randrange(len(request))])
            leave(connection)
    check_that_nothing_leaked(stage, http)
    assert stage.database.count() == BURST


def test_clients_that_leave_early_leak_nothing(stage: Stage, http: httpx.Client, chance: Random) -> None:
    http.post("/new", json=[{"text": "x" * 1000}] * 3000).raise_for_status()
    for _ in range(LEAVERS):
        with connected(stage.url) as connection:
            connection.sendall(chance.choice([get("/all"), get("/5000"), get("/1000"), post([{"text": "a"}])]))
            if size := chance.choice([0, 0, 1, 10_000, 1_000_000]):
                connection.recv(size)
            leave(connection)
    check_that_nothing_leaked(stage, http)


def check_that_nothing_leaked(stage: Stage, http: httpx.Client) -> None:
    wait_until(lambda: not stage.database.connections("state <> 'idle'"))
    with ThreadPoolExecutor(2 * POOL_SIZE) as pool:
        assert all(
            answer.is_success for answer in pool.map(lambda _: http.post("/new", json={"text": "a"}), range(BURST))
        )
    assert stage.database.connections() <= POOL_SIZE + 1


def test_slow_readers_hold_no_connection(narrow: tuple[httpx.Client, WatchedDatabase]) -> None:
    client, database = narrow
    with ExitStack() as readers:
        for path in ("/all", "/5000", "/all"):
            connection = readers.enter_context(connected(str(client.base_url), window=TINY_WINDOW))
            connection.sendall(get(path))
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        wait_until(lambda: not database.connections("state <> 'idle'"))
        for _ in range(20):
            assert client.post("/new", json=[{"text": "a"}]).status_code == 201
            assert client.get("/1").status_code == 200
    assert len(client.get("/all").json()) == 60
