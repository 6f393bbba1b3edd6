"""Another server becomes the primary: the service finds it by itself, and what it acknowledged is there."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from netvision_api.settings import Settings
from netvision_api.storage.errors import MigrationError
from netvision_api.storage.revisions import upgrade
from tests.faults.conftest import POOL_SIZE
from tests.faults.postgresql import WAITING_FOR_A_STANDBY, PostgresqlServer, WatchedDatabase, crashable_postgresql
from tests.faults.proxy import Proxy
from tests.faults.stage import WRITES, Stage, check_unavailable, prepare, write
from tests.servers import server_process, wait_until


@pytest.fixture
def pair(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PostgresqlServer, ...]]:
    """A primary with the newest schema, and a standby that receives what is written to it."""
    folder = shared_folder / tmp_path_factory.mktemp("pair").name
    folder.mkdir()
    with crashable_postgresql(folder) as primary:
        upgrade(Settings(database_url=primary.database().url))
        standby = primary.standby(folder / "standby")
        standby.start()
        try:
            yield primary, standby
        finally:
            standby.stop("immediate")


@pytest.fixture
def absent_standby(stage: Stage) -> Iterator[None]:
    """Have every commit wait for a standby that is not there."""
    stage.database.admin.run("ALTER SYSTEM SET synchronous_standby_names = 'absent'")
    stage.database.run("SELECT pg_reload_conf()")
    wait_until(stage.database.commits_wait)
    yield
    stage.database.admin.run("ALTER SYSTEM RESET synchronous_standby_names")
    stage.database.run("SELECT pg_reload_conf()")
    wait_until(lambda: not stage.database.commits_wait())


def store(http: httpx.Client) -> httpx.Response:
    return http.post("/new", json=[{"uuid": str(uuid4()), "text": "a"}])


def readiness(http: httpx.Client, name: str) -> object:
    return http.get("/health/ready").json().get(name)


def test_behind_one_address_the_new_primary_is_found_at_once(pair: tuple[PostgresqlServer, ...]) -> None:
    old, new = pair
    with Proxy("127.0.0.1", old.port) as wire:
        url = old.database().through(wire.port)
        with (
            server_process(NETVISION_DATABASE_URL=url) as process,
            httpx.Client(base_url=process.url(), timeout=30, trust_env=False, verify=False) as http,
        ):
            assert store(http).status_code == 201
            stored = http.get("/10").json()
            assert [readiness(http, name) for name in ("server", "timeline")] == [f"127.0.0.1:{old.port}", 1]
            assert readiness(http, "replication") == "asynchronous"
            old.demote()
            wait_until(lambda: "is a standby" in str(readiness(http, "reason")))
            check_unavailable(store(http), "not-saved")
            check_unavailable(http.get("/10"), "not-saved")
            with pytest.raises(MigrationError, match="is a standby"):
                upgrade(Settings(database_url=url))
            new.control("promote", "-w")
            wire.target = wire.target[0], new.port
            assert store(http).status_code == 201
            assert stored[0] in http.get("/10").json()
            wait_until(lambda: http.get("/health/ready").is_success)
            assert [readiness(http, name) for name in ("server", "timeline")] == [f"127.0.0.1:{new.port}", 2]
            assert readiness(http, "replication") == "none"
            new.database().run("ALTER SYSTEM SET synchronous_standby_names = 'absent'")
            new.database().run("SELECT pg_reload_conf()")
            wait_until(lambda: readiness(http, "replication") == "synchronous (0)")


def test_of_several_hosts_the_primary_is_used_while_another_is_silent(pair: tuple[PostgresqlServer, ...]) -> None:
    primary, standby = pair
    with Proxy("127.0.0.1", primary.port) as wire:
        wire.stall()
        hosts = ",".join(f"127.0.0.1:{port}" for port in (wire.port, standby.port, primary.port))
        url = f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"
        with (
            server_process(NETVISION_DATABASE_URL=url) as process,
            httpx.Client(base_url=process.url(), timeout=30, trust_env=False, verify=False) as http,
        ):
            assert store(http).status_code == 201
            primary.stop("immediate")
            standby.control("promote", "-w")
            wait_until(lambda: store(http).is_success)
            wait_until(lambda: readiness(http, "server") == f"127.0.0.1:{standby.port}")
            primary.start()


def test_connections_that_take_no_writes_are_all_replaced_after_the_first_that_says_so(
    stage: Stage, http: httpx.Client
) -> None:
    with stage.database.default("default_transaction_read_only", "on"):
        with ThreadPoolExecutor(POOL_SIZE) as pool:
            list(pool.map(lambda _: http.get("/10"), range(POOL_SIZE * 5)))
        stage.database.admin.run(f"ALTER DATABASE {stage.database.name} RESET default_transaction_read_only")
        check_unavailable(store(http), "not-saved")
        assert [store(http).status_code for _ in range(POOL_SIZE * 2)] == [201] * POOL_SIZE * 2


def with_cancelled_wait(database: WatchedDatabase, request: Callable[[], httpx.Response]) -> httpx.Response:
    """Send a request, and cancel what waits for the standby."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(request)
        database.wait_for_connection(WAITING_FOR_A_STANDBY)
        database.run(f"SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE {WAITING_FOR_A_STANDBY}")
        return answer.result()


@pytest.mark.parametrize("method", WRITES)
def test_neither_a_write_nor_its_repetition_succeeds_unless_the_standby_has_it(
    http: httpx.Client, database: WatchedDatabase, method: str, request: pytest.FixtureRequest
) -> None:
    before = prepare(http, method)
    request.getfixturevalue("absent_standby")
    for _ in ("the write", "its repetition, which finds nothing to do"):
        check_unavailable(with_cancelled_wait(database, lambda: write(http, method)), "unknown")
        assert database.count() == 1 - before


def test_without_replication_a_repetition_waits_for_nothing(http: httpx.Client) -> None:
    answers = [write(http, method).status_code for method in ("POST", "POST", "DELETE", "DELETE")]
    assert answers == [201, 200, 200, 404]
