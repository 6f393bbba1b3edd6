"""SIGTERM under load: what is in flight is answered, nothing is answered by half, and the service ends with 0."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from uuid import UUID

import httpx
import psutil
import pytest

from netvision_api.settings import Settings
from netvision_api.storage.revisions import upgrade
from tests.databases import AnyDatabase, SqliteDatabase
from tests.faults.postgresql import ASLEEP, PostgresqlServer, WatchedDatabase
from tests.faults.stage import KEY, RECORD
from tests.faults.wire import UNANSWERED, Load, connected, delete, get, post
from tests.servers import ServerProcess, server_process, wait_until

GRACE = 5
CONNECTIONS = 16
HALF_A_HEAD = b"GET /5 HTTP/1.1\r\nHost: local"
HALF_A_BODY = post([RECORD])[:-5]
SERVERS = ["sqlite", "postgresql", "postgresql with 2 workers"]


@pytest.fixture(params=SERVERS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> AnyDatabase:
    """A database with the newest schema."""
    database: AnyDatabase
    if request.param == "sqlite":
        database = SqliteDatabase(tmp_path / "records.db")
    else:
        crashable: PostgresqlServer = request.getfixturevalue("crashable")
        database = crashable.database().sibling("netvision_stopping")
    upgrade(Settings(database_url=database.url))
    return database


@pytest.fixture
def server(request: pytest.FixtureRequest, database: AnyDatabase) -> Iterator[ServerProcess]:
    """A service on that database."""
    workers = "2" if "workers" in request.node.name else "1"
    arguments = ("--grace", f"{GRACE}s", "--workers", workers)
    with server_process(*arguments, NETVISION_DATABASE_URL=database.url) as process:
        process.url()
        yield process


@contextmanager
def loading(load: Load, connections: int) -> Iterator[None]:
    """Send requests while something happens; goes on until the server leaves."""
    thread = threading.Thread(target=lambda: asyncio.run(load.run(connections)))
    thread.start()
    try:
        yield
    finally:
        load.stop()
        thread.join()


class Requests:
    """Requests of every kind; each of those that store brings a record of its own."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.numbers = iter(range(1_000_000))

    def __call__(self) -> bytes:
        absent = f"/{UUID(int=2**100)}"
        own = {"uuid": str(UUID(int=next(self.numbers))), "text": "a"}
        return self.chance.choice([get("/10"), get("/5"), delete(absent), post([own])])


def test_a_stop_under_load_truncates_no_response_and_loses_nothing_acknowledged(
    server: ServerProcess, database: AnyDatabase, chance: Random
) -> None:
    load = Load(server.url(), Requests(chance))
    with connected(server.url()) as half, connected(server.url()) as idle, connected(server.url()) as other:
        half.sendall(HALF_A_HEAD)
        other.sendall(HALF_A_BODY)
        idle.sendall(get("/health/live"))
        idle.recv(1000)
        with loading(load, CONNECTIONS):
            wait_until(lambda: len(load.answers) > 200)
            began = time.monotonic()
            assert server.stop() == 0
            took = time.monotonic() - began
    endings = Counter(answer.status for answer in load.answers)
    print(f"stopped after {took:.2f} s: {endings}")
    assert took < GRACE + 1
    assert set(endings) <= {200, 201, 404, 503, UNANSWERED}
    assert 0 < endings[201] <= database.count() <= endings[201] + endings[UNANSWERED]
    assert "Traceback" not in server.said


@pytest.mark.parametrize("database", SERVERS[1:], indirect=True)
def test_a_request_in_flight_is_served_and_new_ones_are_not_accepted(
    server: ServerProcess, database: WatchedDatabase
) -> None:
    with database.at_commit("PERFORM pg_sleep(2)"), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(httpx.post, f"{server.url()}/new", json=[RECORD], timeout=30)
        database.wait_for_connection(ASLEEP)
        ending = pool.submit(server.stop)
        wait_until(lambda: not is_accepting(server))
        assert answer.result().status_code == 201
        assert ending.result() == 0
    assert database.run(f"SELECT text FROM records WHERE uuid = '{KEY}'") == RECORD["text"]


def is_accepting(server: ServerProcess) -> bool:
    """Tell whether a new request is served."""
    try:
        return httpx.get(f"{server.url()}/health/ready", timeout=30).is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("database", SERVERS[::2], indirect=True)
def test_with_a_drain_delay_requests_are_served_while_readiness_says_that_it_drains(
    request: pytest.FixtureRequest, database: AnyDatabase
) -> None:
    arguments = ("--drain-delay", "1h", "--workers", "2" if "workers" in request.node.name else "1")
    with server_process(*arguments, NETVISION_DATABASE_URL=database.url) as server:
        with httpx.Client(base_url=server.url(), timeout=30, trust_env=False, verify=False) as kept:
            assert kept.get("/health/ready").is_success
            server.process.terminate()
            wait_until(lambda: kept.get("/health/ready").json().get("reason") == "draining")
            assert httpx.post(f"{server.url()}/new", json=[RECORD]).status_code == 201
            assert kept.get(f"/{KEY}").json() == RECORD
        for worker in psutil.Process(server.process.pid).children() or [server.process]:
            worker.terminate()
        assert server.wait() == 0
    assert "Traceback" not in server.said


def test_after_the_drain_delay_it_stops(tmp_path: Path) -> None:
    with server_process("--drain-delay", "100ms", "--database-url", f"sqlite:///{tmp_path}/records.db") as server:
        server.url()
        assert server.stop() == 0
