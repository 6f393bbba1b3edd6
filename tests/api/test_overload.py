"""The bound on requests in flight: beyond it an answer at once, the probes always, and every place comes back."""

import socket
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress

import httpx
import pytest

from netvision_api.http import admission
from tests.api.services import Service, service_on
from tests.api.wire import (
    BODY,
    CHUNKED,
    CLOSE,
    GET,
    HOST,
    JSON,
    LENGTH,
    POST,
    connect,
    exchange,
    problem,
    received,
    statuses,
)
from tests.faults.wire import leave
from tests.servers import wait_until

PLACES = 4
STORE = POST + LENGTH + CLOSE + b"\r\n" + BODY
LARGE = b"Content-Length: 10000000\r\n\r\n"
WAIT = {"pool_timeout": 30, "statement_timeout": 30}


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with four places, whose requests wait for the database as long as a test needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission, "RESPONSE_BYTES_PER_REQUEST", 2**21)
        with service_on(tmp_path_factory.mktemp("narrow"), max_in_flight=PLACES, body_timeout=3, **WAIT) as service:
            yield service


@pytest.fixture
def url(narrow: Service) -> Iterator[str]:
    """Its URL; after each test all places must come back."""
    yield narrow.url
    wait_until(lambda: in_flight(narrow.url) == 1)
    check_places(narrow)
    narrow.database.wipe()


def in_flight(url: str) -> int:
    """Read from the metrics how many requests are in flight, this one included."""
    text = httpx.get(f"{url}/metrics").text
    return int(float(text.partition("\nnetvision_requests_in_flight ")[2].partition("\n")[0]))


def check_places(service: Service) -> None:
    """Check that as many requests as there are places are served at a time, and no more."""
    with full(service) as connections:
        pass
    assert read(connections) == [[201]] * PLACES


@contextmanager
def full(service: Service) -> Iterator[list[socket.socket]]:
    """Hold every place with requests that wait for the database until the end."""
    connections = [connect(service.url) for _ in range(PLACES)]
    with closing(sqlite3.connect(service.database.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        for connection in connections:
            connection.sendall(STORE)
        wait_until(lambda: statuses(exchange(service.url, GET + CLOSE + b"\r\n")) == [503])
        yield connections


def read(connections: list[socket.socket]) -> list[list[int]]:
    """Return the statuses that come on each connection."""
    answers = []
    for connection in connections:
        with connection:
            answers.append(statuses(received(connection)))
    return answers


def check_overloaded(answer: bytes) -> None:
    told = problem(answer)
    assert statuses(answer) == [503]
    assert told["type"] == "urn:netvision:problem:overloaded"
    assert str(PLACES) in told["detail"]
    assert b"\r\nretry-after: " in answer.lower()
    assert b"\r\nx-content-type-options: nosniff\r\n" in answer.lower()


@pytest.mark.parametrize("path", [b"/5", b"/all", b"/abc", b"/metrics", b"/schema", b"/", b"/health/x"])
def test_beyond_the_limit_everything_gets_a_503(url: str, narrow: Service, path: bytes) -> None:
    with full(narrow) as connections:
        check_overloaded(exchange(url, b"GET " + path + b" HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"))
        check_overloaded(exchange(url, POST + LENGTH + CLOSE + b"\r\n", BODY))
    assert read(connections) == [[201]] * PLACES


def test_the_probes_get_a_response_at_any_load(url: str, narrow: Service) -> None:
    with full(narrow) as connections:
        for _ in range(20):
            assert httpx.get(f"{url}/health/live").status_code == 200
            assert httpx.get(f"{url}/health/ready").json()["status"] == "ready"
    read(connections)


def test_a_foreign_host_takes_no_place(url: str, narrow: Service) -> None:
    head = POST.replace(b"localhost", b"evil.example") + LENGTH + b"\r\n"
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connect(url)).sendall(head)
        check_places(narrow)


@pytest.mark.parametrize("end", [leave, socket.socket.close], ids=["reset", "hang up"])
def test_clients_that_leave_give_their_places_back(
    url: str, narrow: Service, end: Callable[[socket.socket], None]
) -> None:
    with full(narrow) as connections:
        for connection in connections:
            end(connection)
    wait_until(lambda: in_flight(url) == 1)


@pytest.mark.parametrize("length", [LENGTH + b"\r\n", LARGE, CHUNKED + b"\r\n"], ids=["short", "long", "unknown"])
def test_bodies_that_do_not_come_take_no_place(url: str, narrow: Service, length: bytes) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(url)) for _ in range(5 * PLACES)]
        for connection in connections:
            connection.sendall(POST + CLOSE + length)
        wait_until(lambda: in_flight(url) == len(connections) + 1)
        check_places(narrow)
        assert [statuses(received(connection)) for connection in connections] == [[408]] * len(connections)


@pytest.mark.parametrize(
    "request_",
    [
        POST.replace(JSON, b"") + LENGTH + CLOSE + b"\r\n" + BODY,
        POST + LENGTH + CLOSE + b"\r\n" + b"x" * 14,
        POST + CHUNKED + CLOSE + b"\r\nzz\r\n",
        POST + b"Content-Length: 10485761\r\n\r\n",
        GET.replace(b"5", b"abc") + CLOSE + b"\r\n",
        GET.replace(b"5", b"9" * 30) + CLOSE + b"\r\n",
        b"PUT /5 HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n",
        b"GET /all HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n",
    ],
)
def test_requests_that_fail_give_their_places_back(url: str, request_: bytes) -> None:
    for _ in range(3 * PLACES):
        assert 503 not in statuses(exchange(url, request_))


def test_readers_that_leave_midway_give_their_places_back(url: str) -> None:
    httpx.post(f"{url}/new", json=[{"text": "a" * 2**18}] * 36).raise_for_status()
    with ExitStack() as stack:
        readers = [stack.enter_context(connect(url)) for _ in range(PLACES)]
        for reader in readers:
            reader.sendall(b"GET /all HTTP/1.1\r\n" + HOST + b"\r\n")
            assert reader.recv(1000).startswith(b"HTTP/1.1 200 ")
        check_overloaded(exchange(url, GET + CLOSE + b"\r\n"))
    wait_until(lambda: in_flight(url) == 1)


def test_bodies_in_memory_are_bounded_by_what_has_come(url: str) -> None:
    """All may be announced, and the one whose bytes are too many is refused."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(connect(url)) for _ in range(2))
        for connection in (first, second):
            connection.sendall(POST + CLOSE + LARGE)
        first.sendall(b" " * 8_000_000)
        with suppress(ConnectionError):
            second.sendall(b" " * 8_000_000)
        answers = [connection.recv(65536) for connection in (first, second)]
    assert sorted(statuses(answer)[0] for answer in answers) == [408, 503]


def test_the_largest_body_is_served_when_nothing_else_is(url: str) -> None:
    body = BODY.ljust(10_000_000)
    answer = httpx.post(f"{url}/new", content=body, headers={"Content-Type": "application/json"}, timeout=30)
    assert answer.status_code == 201


def test_ten_times_the_load_gets_a_success_or_a_503(url: str) -> None:
    with ThreadPoolExecutor(10 * PLACES) as pool, httpx.Client(base_url=url, timeout=30) as client:
        answers = list(pool.map(lambda _: client.post("/new", json=[{"text": "a"}]).status_code, range(400)))
    assert set(answers) <= {201, 503}
    assert answers.count(201) > 0
