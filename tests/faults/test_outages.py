"""A database that is away, silent or busy: the service says so at once, stands, and serves as soon as it is back."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal
from uuid import uuid4

import httpx
import pytest

from tests.faults.conftest import POOL_SIZE
from tests.faults.postgresql import WAITING_FOR_A_LOCK, PostgresqlServer, WatchedDatabase
from tests.faults.proxy import Proxy
from tests.faults.stage import KEY, PATIENTLY, PROMPTLY, RECORD, WRITES, Stage, check_unavailable, write
from tests.servers import server_process, wait_until

READS = ("/1", "/all", f"/{KEY}", "/5000")
NEEDS_NO_DATABASE = [
    ("GET", "/health/live", None, 200),
    ("GET", "/abc", None, 404),
    ("GET", "/-1", None, 404),
    ("GET", "/1?after=x", None, 400),
    ("GET", "/9999999999999999999", None, 400),
    ("DELETE", "/abc", None, 404),
    ("PUT", "/all", None, 405),
    ("POST", "/new", "[", 400),
    ("POST", "/new", '[{"text": 1}]', 400),
    ("POST", "/new", "[]", 200),
]
AFTERWARDS = 60
SILENTLY = 10.0
"""Seconds for a queue of 2, a statement of 1 with the driver's own deadline behind it, and a connection to end."""


@pytest.fixture
def locked(crashable: PostgresqlServer) -> Iterator[httpx.Client]:
    """A client of a service whose only connection waits for a lock that somebody else holds."""
    database = crashable.database().sibling("netvision_locked")
    arguments = ("--pool-size", "1", "--statement-timeout", "60s", "--migrate")
    with server_process(*arguments, NETVISION_DATABASE_URL=database.url) as server:
        url = server.url()
        wait_until(lambda: httpx.get(f"{url}/health/ready").status_code == 200)
        with ThreadPoolExecutor(1) as pool, database.session() as other:
            other.run("LOCK TABLE records IN ACCESS EXCLUSIVE MODE")
            waiting = pool.submit(httpx.get, f"{url}/1", timeout=30)
            database.wait_for_connection(WAITING_FOR_A_LOCK)
            with httpx.Client(base_url=url, trust_env=False, verify=False) as client:
                yield client
            other.run("ROLLBACK")
            assert waiting.result().status_code in {200, 503}
        with httpx.Client(base_url=url, trust_env=False, verify=False) as client:
            wait_until(lambda: client.get("/1").status_code == 200)


def check_prompt_answers(client: httpx.Client) -> None:
    for method, path, body, status in NEEDS_NO_DATABASE:
        headers = {"Content-Type": "application/json"} if body else None
        answer = client.request(method, path, content=body, headers=headers, timeout=PROMPTLY)
        assert answer.status_code == status, (method, path, answer.text)


def check_reads_are_refused(client: httpx.Client) -> None:
    with ThreadPoolExecutor(len(READS)) as pool:
        for answer in pool.map(lambda path: client.get(path, timeout=PATIENTLY), READS):
            check_unavailable(answer, "not-saved")


# --- away


@pytest.mark.parametrize("end", ["crash", "immediate", "fast"])
def test_a_database_that_comes_back_is_served_from_at_once_and_no_error_follows(
    http: httpx.Client,
    crashable: PostgresqlServer,
    database: WatchedDatabase,
    end: Literal["crash", "immediate", "fast"],
) -> None:
    kept = [str(uuid4()) for _ in range(20)]
    with ThreadPoolExecutor(POOL_SIZE * 2) as pool:
        assert all(pool.map(lambda key: store(http, key).is_success, kept))
        if end == "crash":
            crashable.crash()
        else:
            crashable.stop(end)
        check_outage(http)
        crashable.start()
        print(f"{end}: first success after {seconds_to_success(http):.2f} s")
        answers = list(pool.map(lambda _: use(http), range(AFTERWARDS)))
    assert all(answers)
    assert {record["uuid"] for record in http.get("/all").json()} == set(kept)
    assert database.connections() <= POOL_SIZE + 1


def check_outage(http: httpx.Client) -> None:
    check_prompt_answers(http)
    check_reads_are_refused(http)
    for method in WRITES:
        check_unavailable(write(http, method), "not-saved")
    wait_until(lambda: "unreachable" in http.get("/health/ready").json().get("reason", ""))


def seconds_to_success(http: httpx.Client) -> float:
    began = time.monotonic()
    wait_until(lambda: http.get("/1").status_code == 200, seconds=10)
    return time.monotonic() - began


def store(http: httpx.Client, key: str) -> httpx.Response:
    return http.post("/new", json=[{"uuid": key, "text": "a"}])


def use(http: httpx.Client) -> bool:
    key = str(uuid4())
    return [answer.status_code for answer in (store(http, key), http.get(f"/{key}"), http.delete(f"/{key}"))] == [
        201,
        200,
        200,
    ]


# --- silent


@pytest.fixture
def hasty(stage: Stage) -> Iterator[httpx.Client]:
    """A client of a service that gives a statement one second."""
    url = stage.database.through(stage.wire.port)
    with (
        server_process("--statement-timeout", "1s", NETVISION_DATABASE_URL=url) as server,
        httpx.Client(base_url=server.url(), timeout=30, trust_env=False, verify=False) as client,
    ):
        yield client


def test_a_silent_database_is_unavailable_within_seconds(hasty: httpx.Client, wire: Proxy) -> None:
    write(hasty, "POST").raise_for_status()
    wire.stall()
    with ThreadPoolExecutor(2 * POOL_SIZE) as pool:
        reads = [pool.submit(hasty.get, path, timeout=SILENTLY) for path in READS * 2]
        try:
            check_prompt_answers(hasty)
            for answer in reads:
                check_unavailable(answer.result(), "not-saved")
        finally:
            wire.heal()
    assert seconds_to_success(hasty) < 10
    assert hasty.get("/all").json() == [RECORD]


# --- busy


def test_requests_without_a_database_get_a_response_at_once_while_the_pool_is_exhausted(locked: httpx.Client) -> None:
    check_prompt_answers(locked)


def test_reads_and_writes_get_a_503_while_the_pool_is_exhausted(locked: httpx.Client) -> None:
    check_reads_are_refused(locked)
    for method in WRITES:
        check_unavailable(write(locked, method), "not-saved")


def test_many_requests_that_find_the_pool_exhausted_all_get_a_503_in_time(locked: httpx.Client) -> None:
    with ThreadPoolExecutor(20) as pool:
        for answer in pool.map(lambda _: locked.get("/1", timeout=PATIENTLY), range(20)):
            check_unavailable(answer, "not-saved")


def test_a_server_that_became_a_standby_is_not_ready_until_it_is_a_primary_again(stage: Stage) -> None:
    signal_file = stage.server.installed.pgdata / "standby.signal"
    stage.server.stop()
    signal_file.touch()
    try:
        stage.server.start()
        wait_until(lambda: "is a standby" in httpx.get(f"{stage.url}/health/ready", timeout=30).text)
    finally:
        stage.server.stop()
        signal_file.unlink()
        stage.server.start()
    wait_until(stage.is_ready)
