"""Bytes that no client sends: never a failure of the service, never a hang, and nothing stored that was refused."""

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import httpx
import pytest

from netvision_api import server
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
from tests.servers import wait_until

CHUNK = b"e\r\n" + BODY + b"\r\n0\r\n\r\n"
STORE = POST + LENGTH + CLOSE + b"\r\n" + BODY
HTTP_1_0 = b"POST /new HTTP/1.0\r\n" + HOST + JSON
UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"

NOT_HTTP = {
    "TLS hello": bytes.fromhex("16030100c8010000c40303") + b"x" * 190,
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2.0": b"GET /5 HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/1.2": b"GET /5 HTTP/1.2\r\n" + HOST + b"\r\n",
    "HTTP/0.9": b"GET /5\r\n\r\n",
    "garbage": b"\0\1\2garbage\r\n\r\n",
    "unknown method": b"BREW /5 HTTP/1.1\r\n" + HOST + b"\r\n",
    "method in small letters": b"get /5 HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT": b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "space in the path": b"GET /5 x HTTP/1.1\r\n" + HOST + b"\r\n",
    "no slash": b"GET 5 HTTP/1.1\r\n" + HOST + b"\r\n",
    "raw bytes in the path": b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "line feeds alone": b"GET /5 HTTP/1.1\nHost: localhost\n\n",
    "no Host": b"GET /5 HTTP/1.1\r\n\r\n",
    "two Hosts": GET + HOST + b"\r\n",
    "folded header": GET + b"X: a\r\n b\r\n\r\n",
    "CR in a header": GET + b"X: a\rb\r\n\r\n",
    "NUL in a header": GET + b"X: a\0b\r\n\r\n",
    "NUL in a header's name": GET + b"X\0: a\r\n\r\n",
    "header without a name": GET + b": a\r\n\r\n",
    "header without a colon": GET + b"abc\r\n\r\n",
    "the same length twice": POST + LENGTH + LENGTH + b"\r\n" + BODY,
    "two lengths": POST + LENGTH + b"Content-Length: 5\r\n\r\n" + BODY,
    "two lengths in one": POST + b"Content-Length: 14, 14\r\n\r\n" + BODY,
    "negative length": POST + b"Content-Length: -1\r\n\r\n" + BODY,
    "length with a sign": POST + b"Content-Length: +14\r\n\r\n" + BODY,
    "hexadecimal length": POST + b"Content-Length: 0xe\r\n\r\n" + BODY,
    "length with a space": POST + b"Content-Length: 1 4\r\n\r\n" + BODY,
    "empty length": POST + b"Content-Length: \r\n\r\n" + BODY,
    "huge length": POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n" + BODY,
    "length and chunks": POST + LENGTH + CHUNKED + b"\r\n" + CHUNK,
    "chunks and length": POST + CHUNKED + LENGTH + b"\r\n" + CHUNK,
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNK,
    "chunks within another coding": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNK,
    "another coding within chunks": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNK,
    "chunks in HTTP/1.0": HTTP_1_0 + CHUNKED + b"\r\n" + CHUNK,
    "unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNK,
    "two codings": POST + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + CHUNK,
    "a body behind an Upgrade": POST + LENGTH + UPGRADE + b"\r\n" + BODY,
    "chunks behind an Upgrade": POST + CHUNKED + UPGRADE + b"\r\n" + CHUNK,
}

TOO_LARGE = {
    "a URL of 9 KB": (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "a URL of 100 KB": (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "a header of 100 KB": (GET + b"X: " + b"a" * 100_000 + b"\r\n\r\n", 431),
    "a header of 1 MB": (GET + b"X: " + b"a" * 2**20 + b"\r\n\r\n", 431),
    "a header's name of 100 KB": (GET + b"a" * 100_000 + b": x\r\n\r\n", 431),
    "50 000 headers": (GET + b"X: a\r\n" * 50_000 + b"\r\n", 431),
}

BROKEN_BODIES = {
    "no size": b"\r\n" + CHUNK,
    "a word for a size": b"zz\r\n" + BODY,
    "negative size": b"-1\r\n" + BODY,
    "size with a prefix": b"0xe\r\n" + BODY + b"\r\n0\r\n\r\n",
    "huge size": b"f" * 30 + b"\r\n" + BODY,
    "size too small": b"5\r\n" + BODY + b"\r\n0\r\n\r\n",
    "line feeds alone": CHUNK.replace(b"\r\n", b"\n"),
    "endless extension": b"e;x=" + b"a" * 2**20,
    "endless trailer": b"e\r\n" + BODY + b"\r\n0\r\nX: " + b"a" * 2**20,
    "endless trailers": b"e\r\n" + BODY + b"\r\n0\r\n" + b"X: a\r\n" * 200_000,
}

HALF_SENT = {
    "body": POST + LENGTH + b"\r\n[{",
    "chunk": POST + CHUNKED + b"\r\ne\r\n[{",
    "last chunk": POST + CHUNKED + b"\r\n" + CHUNK[:-4],
    "no byte of the body": POST + LENGTH + b"\r\n",
}

SERVED = {
    "HTTP/1.0": (HTTP_1_0 + LENGTH + b"\r\n" + BODY, [201]),
    "the whole URL": (STORE.replace(b"/new", b"http://evil.example/new"), [201]),
    "a length with zeros": (STORE.replace(b": 14", b": 0014"), [201]),
    "chunks": (POST + CHUNKED + CLOSE + b"\r\n" + CHUNK, [201]),
    "chunks with an extension": (POST + CHUNKED + CLOSE + b"\r\n" + CHUNK.replace(b"e\r", b"e;x=y\r", 1), [201]),
    "empty lines before": (b"\r\n\r\n" + STORE, [201]),
    "an Upgrade": (GET + b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n", [200]),
    "Expect: 100-continue": (POST + LENGTH + CLOSE + b"Expect: 100-continue\r\n\r\n" + BODY, [100, 201]),
    "one after the other": ((POST + LENGTH + b"\r\n" + BODY) * 3 + STORE, [201] * 4),
    "garbage after a request": (STORE.replace(CLOSE, b"") + b"\0garbage\r\n\r\n", [201]),
    "a bad request after a good one": (STORE.replace(CLOSE, b"") + GET + HOST + b"\r\n", [201]),
}


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with short deadlines."""
    with service_on(tmp_path_factory.mktemp("hasty"), header_timeout=0.5, body_timeout=0.5) as service:
        yield service


@pytest.fixture
def url(hasty: Service) -> Iterator[str]:
    """Its URL; after each test it must still serve."""
    hasty.database.wipe()
    yield hasty.url
    assert statuses(exchange(hasty.url, STORE)) == [201]


@pytest.mark.parametrize("request_", NOT_HTTP.values(), ids=NOT_HTTP)
def test_what_is_no_http_is_refused_at_once_and_stores_nothing(url: str, hasty: Service, request_: bytes) -> None:
    answer = exchange(url, request_)
    assert statuses(answer) == [400], answer
    assert b"text/plain" in answer
    assert hasty.database.count() == 0


@pytest.mark.parametrize(("request_", "status"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_head_has_its_bounds(url: str, request_: bytes, status: int) -> None:
    """A client that still sends when it is refused may find the connection reset before it reads."""
    assert statuses(exchange(url, request_)) in ([status], [])


@pytest.mark.parametrize("body", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
def test_a_broken_body_ends_the_connection_and_stores_nothing(url: str, hasty: Service, body: bytes) -> None:
    assert statuses(exchange(url, POST + CHUNKED + b"\r\n", body)) in ([], [400])
    assert hasty.database.count() == 0


@pytest.mark.parametrize(("request_", "expected"), SERVED.values(), ids=SERVED)
def test_what_is_unusual_but_right_is_served(url: str, request_: bytes, expected: list[int]) -> None:
    assert statuses(exchange(url, request_)) == expected


def test_a_head_after_a_large_body_is_no_large_head(url: str) -> None:
    body = BODY.ljust(100_000)
    first = POST + b"Content-Length: 100000\r\n\r\n" + body
    assert statuses(exchange(url, first + STORE[:10], STORE[10:])) == [201, 201]


def test_a_trailer_is_no_header(url: str, hasty: Service) -> None:
    head = b"POST /new HTTP/1.1\r\n" + HOST + CHUNKED + CLOSE
    answer = exchange(url, head + b"\r\n" + CHUNK[:-2] + JSON + b"\r\n")
    assert (statuses(answer), hasty.database.count()) == ([415], 0)


@pytest.mark.parametrize("part", [b"", b"G", b"GET /5 HT", GET, GET + b"X-Half: "])
def test_a_head_that_is_not_complete_in_time_is_closed_without_a_response(url: str, part: bytes) -> None:
    assert exchange(url, part) == b""


def test_a_second_head_that_is_not_complete_in_time_is_closed_after_the_first_response(url: str) -> None:
    assert statuses(exchange(url, GET + b"\r\n" + GET)) == [200]


@pytest.mark.parametrize("part", HALF_SENT.values(), ids=HALF_SENT)
def test_a_body_that_is_not_complete_in_time_gets_a_408_and_stores_nothing(
    url: str, hasty: Service, part: bytes
) -> None:
    check_timed_out(exchange(url, part))
    assert hasty.database.count() == 0


def check_timed_out(answer: bytes) -> None:
    assert statuses(answer) == [408]
    told = problem(answer)
    assert told["type"] == "urn:netvision:problem:request-timeout"
    assert "0.5 s" in told["detail"]
    assert b"connection: close" in answer.lower()


def drip(url: str, head: bytes, drop: bytes) -> bytes:
    """Send one drop after another until the service has had enough, and return its answer."""
    with connect(url) as connection:
        connection.sendall(head)
        with suppress(ConnectionError):
            for _ in range(100):
                time.sleep(0.05)
                connection.sendall(drop)
        return received(connection)


def test_a_head_that_drips_is_closed_all_the_same(url: str) -> None:
    assert drip(url, GET + b"X: ", b"a") == b""


@pytest.mark.parametrize("head", [POST + b"Content-Length: 1000\r\n\r\n", POST + CHUNKED + b"\r\n3e8\r\n"])
def test_a_body_that_drips_is_given_up_all_the_same(url: str, hasty: Service, head: bytes) -> None:
    """The answer may be lost with the connection, if a drop was still under way."""
    answer = drip(url, head, b" ")
    if answer:
        check_timed_out(answer)
    assert hasty.database.count() == 0


def test_a_request_in_pieces_is_served_if_it_is_in_time(url: str) -> None:
    assert statuses(exchange(url, *(bytes([byte]) for byte in STORE))) == [201]


@pytest.mark.parametrize("head", [GET, POST.replace(JSON, b"")])
def test_a_request_served_before_its_body_is_closed_at_the_timeout(url: str, head: bytes) -> None:
    (status,) = statuses(exchange(url, head + b"Content-Length: 100\r\n\r\n[{"))
    assert status in {200, 415}


@pytest.mark.parametrize(
    "last", [b"", b"\r\n", POST.replace(JSON, b"") + LENGTH + b"\r\n"], ids=["nothing", "an empty line", "late body"]
)
def test_an_idle_connection_is_closed_after_any_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: bytes
) -> None:
    monkeypatch.setattr(server, "KEEP_ALIVE_SECONDS", 1)
    with service_on(tmp_path) as idle, connect(idle.url) as connection:
        connection.sendall(GET + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(last)
        if last.startswith(b"POST"):
            assert connection.recv(65536).startswith(b"HTTP/1.1 415 ")
            connection.sendall(BODY)
        assert received(connection) == b""


def test_a_client_that_abandons_two_requests_is_no_error(
    url: str, hasty: Service, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(hasty.database.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with connect(url) as connection:
            connection.sendall(POST + LENGTH + b"\r\n" + BODY + GET + b"\r\n")
            assert httpx.get(f"{url}/health/ready").status_code == 200
        other.rollback()
        wait_until(lambda: hasty.database.count() == 1)
    assert statuses(exchange(url, STORE)) == [201]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_clients_that_hang_do_not_disturb_others(url: str) -> None:
    with ExitStack() as stack:
        hanging = [stack.enter_context(connect(url)) for _ in range(50)]
        for connection in hanging:
            connection.sendall(GET)
        assert httpx.get(f"{url}/health/ready").status_code == 200
        assert [received(connection) for connection in hanging] == [b""] * 50
