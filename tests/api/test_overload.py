"""The bound on requests in flight: beyond it an answer at once, the probes always, and every place comes back."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import httpx
import pytest

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
HALF = POST + LENGTH + CLOSE + b"\r\n" + BODY[:3]
REST = BODY[3:]
LARGE = b"Content-Length: 10000000\r\n\r\n"


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with four places."""
    with service_on(tmp_path_factory.mktemp("narrow"), max_in_flight=PLACES, body_timeout=3) as service:
        yield service


@pytest.fixture
def url(narrow: Service) -> Iterator[str]:
    """Its URL; after each test all places must come back."""
    yield narrow.url
    wait_until(lambda: in_flight(narrow.url) == 1)
    assert can_take(narrow.url, PLACES)


def in_flight(url: str) -> int:
    """Read from the metrics how many requests are in flight, this one included."""
    text = httpx.get(f"{url}/metrics").text
    return int(float(text.partition("\nnetvision_requests_in_flight ")[2].partition("\n")[0]))


def can_take(url: str, places: int) -> bool:
    """Tell whether so many requests are served at a time."""
    with held(url, places) as connections:
        return [finish(connection) for connection in connections] == [[201]] * places


@contextmanager
def held(url: str, places: int) -> Iterator[list[socket.socket]]:
    """Hold places with requests that wait for the rest of their body."""
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(url)) for _ in range(places)]
        for connection in connections:
            connection.sendall(HALF)
        yield connections


def finish(connection: socket.socket) -> list[int]:
    """Send the rest, and return the statuses of what comes back."""
    with suppress(ConnectionError):
        connection.sendall(REST)
    return statuses(received(connection))


@contextmanager
def full(url: str) -> Iterator[list[socket.socket]]:
    """Hold every place."""
    with held(url, PLACES) as connections:
        wait_until(lambda: statuses(exchange(url, GET + CLOSE + b"\r\n")) == [503])
        yield connections


def check_overloaded(answer: bytes) -> None:
    told = problem(answer)
    assert statuses(answer) == [503]
    assert told["type"] == "urn:netvision:problem:overloaded"
    assert str(PLACES) in told["detail"]
    assert b"\r\nretry-after: " in answer.lower()
    assert b"\r\nx-content-type-options: nosniff\r\n" in answer.lower()


@pytest.mark.parametrize("path", [b"/5", b"/all", b"/abc", b"/metrics", b"/schema", b"/", b"/health/x"])
def test_beyond_the_limit_everything_gets_a_503(url: str, path: bytes) -> None:
    with full(url) as connections:
        check_overloaded(exchange(url, b"GET " + path + b" HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"))
        check_overloaded(exchange(url, POST + LENGTH + CLOSE + b"\r\n", BODY))
        assert [finish(connection) for connection in connections] == [[201]] * PLACES


def test_the_probes_get_a_response_at_any_load(url: str) -> None:
    with full(url):
        for _ in range(20):
            assert httpx.get(f"{url}/health/live").status_code == 200
            assert httpx.get(f"{url}/health/ready").json()["status"] == "ready"


def test_a_foreign_host_takes_no_place(url: str) -> None:
    head = POST.replace(b"localhost", b"evil.example") + LENGTH + b"\r\n"
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connect(url)).sendall(head)
        assert can_take(url, PLACES)


def test_clients_that_reset_give_their_places_back(url: str) -> None:
    with full(url) as connections:
        for connection in connections:
            leave(connection)
        wait_until(lambda: can_take(url, PLACES))


def test_clients_that_hang_up_give_their_places_back(url: str) -> None:
    with full(url) as connections:
        for connection in connections:
            connection.close()
        wait_until(lambda: can_take(url, PLACES))


def test_bodies_that_do_not_come_give_their_places_back(url: str) -> None:
    with full(url) as connections:
        assert [statuses(received(connection)) for connection in connections] == [[408]] * PLACES


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


def test_readers_that_leave_midway_give_their_places_back(url: str, narrow: Service) -> None:
    httpx.post(f"{url}/new", json=[{"text": "a" * 2**20}] * 9).raise_for_status()
    with ExitStack() as stack:
        readers = [stack.enter_context(connect(url)) for _ in range(PLACES)]
        for reader in readers:
            reader.sendall(b"GET /all HTTP/1.1\r\n" + HOST + b"\r\n")
            assert reader.recv(1000).startswith(b"HTTP/1.1 200 ")
        check_overloaded(exchange(url, GET + CLOSE + b"\r\n"))
    wait_until(lambda: can_take(url, PLACES))
    narrow.database.wipe()


@pytest.mark.parametrize("length", [LARGE, CHUNKED + b"\r\n"], ids=["announced", "unknown"])
def test_a_large_body_takes_the_place_of_several(url: str, length: bytes) -> None:
    with held(url, 1), connect(url) as large:
        wait_until(lambda: in_flight(url) == 2)
        large.sendall(POST + CLOSE + length)
        check_overloaded(large.recv(65536))
    wait_until(lambda: can_take(url, PLACES))
    with connect(url) as large:
        large.sendall(POST + CLOSE + length)
        wait_until(lambda: statuses(exchange(url, GET + CLOSE + b"\r\n")) == [503])


def test_a_body_larger_than_all_slots_is_served_when_all_are_free(url: str) -> None:
    body = BODY.ljust(10_000_000)
    answer = httpx.post(f"{url}/new", content=body, headers={"Content-Type": "application/json"}, timeout=30)
    assert answer.status_code == 201


def test_ten_times_the_load_gets_a_success_or_a_503(url: str) -> None:
    with ThreadPoolExecutor(10 * PLACES) as pool, httpx.Client(base_url=url, timeout=30) as client:
        answers = list(pool.map(lambda _: client.post("/new", json=[{"text": "a"}]).status_code, range(400)))
    assert set(answers) <= {201, 503}
    assert answers.count(201) > 0
