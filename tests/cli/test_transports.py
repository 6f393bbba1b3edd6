"""What sends the client's requests: nothing twice, and every failure told alike, by whichever transport."""

import asyncio
import os
import socket
import threading
import time
from contextlib import aclosing, suppress

import pytest

from netvision_cli.client import headers
from netvision_cli.errors import ConnectionLost, NotConnected, TimedOut
from netvision_cli.transport.address import Address
from netvision_cli.transport.direct import DirectTransport
from netvision_cli.transport.httpx import HttpxTransport
from netvision_cli.transport.responses import Response, describe_cause
from tests.cli.commands import http_answer, raw_server
from tests.databases import on_sqlite

pytestmark = pytest.mark.anyio

TIMEOUT = 5.0
ONE = http_answer("200 OK", "[1]")

AnyTransport = type[DirectTransport] | type[HttpxTransport]

any_transport = pytest.mark.parametrize("kind", [DirectTransport, HttpxTransport])


def transport(kind: AnyTransport, url: str, timeout: float = TIMEOUT) -> DirectTransport | HttpxTransport:
    """Make a transport to a server."""
    return kind(Address.parse(url), headers("t" * 32), timeout)


async def ask(kind: AnyTransport, url: str, *, timeout: float = TIMEOUT, times: int = 1) -> list[Response]:  # noqa: ASYNC109 - of the transport
    """Ask for the same several times over one connection."""
    async with aclosing(transport(kind, url, timeout)) as one:
        return [await one.call("GET", "/5") for _ in range(times)]


@any_transport
async def test_requests_go_over_one_kept_connection(kind: AnyTransport) -> None:
    with raw_server(ONE, keeps=True) as server:
        assert [answer.content for answer in await ask(kind, server.url, times=3)] == [b"[1]"] * 3
        assert len(server.connections) == 1


@any_transport
async def test_a_connection_that_the_server_closes_is_opened_again(kind: AnyTransport) -> None:
    with raw_server(http_answer("200 OK", "[1]", "Connection: close")) as server:
        assert [answer.content for answer in await ask(kind, server.url, times=3)] == [b"[1]"] * 3
        assert len(server.connections) == 3


@any_transport
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
async def test_no_request_is_sent_twice_when_a_kept_connection_dies(kind: AnyTransport, method: str) -> None:
    answers = iter([ONE])

    def answer_once(_request: bytes) -> bytes:
        if answer := next(answers, None):
            return answer
        raise ConnectionResetError

    with raw_server(answer_once, keeps=True) as server:
        async with aclosing(transport(kind, server.url)) as one:
            await one.call(method, "/5")
            with pytest.raises(ConnectionLost):
                await one.call(method, "/5")
        assert len(server.requests) == 2


@any_transport
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[1]",
        b"HTTP/1.1 200 OK\r\n\r\n[1]",
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n" + ONE,
    ],
    ids=["chunked", "until the end", "no header", "behind hints"],
)
async def test_every_framing_of_a_response_is_understood(kind: AnyTransport, answer: bytes) -> None:
    with raw_server(answer) as server:
        assert await ask(kind, server.url) == [Response(200, b"[1]")]


@any_transport
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        ONE[:-1],
        ONE[:10],
        b"HTTP/1.1 404 Not Found\r\nServer: x\r\nConte",
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"\x16\x03\x01 what is this",
    ],
    ids=["nothing", "a byte less", "half a line", "half a head", "only hints", "another protocol", "not HTTP"],
)
async def test_half_a_response_is_no_response(kind: AnyTransport, answer: bytes) -> None:
    with raw_server(answer) as server:
        with pytest.raises(ConnectionLost):
            await ask(kind, server.url)
        assert len(server.requests) == 1


async def test_a_late_response_goes_to_no_other_request() -> None:
    def answer(request: bytes) -> bytes:
        target = request.split(b" ")[1].decode()
        if target == "/late":
            time.sleep(0.4)
        return http_answer("200 OK", f'"{target}"')

    with raw_server(answer, keeps=True) as server:
        async with aclosing(transport(DirectTransport, server.url, 0.3)) as one:
            with pytest.raises(TimedOut):
                await one.call("GET", "/late")
            await asyncio.sleep(0.2)
            assert (await one.call("GET", "/next")).content == b'"/next"'
        assert len(server.connections) == 2


async def test_a_response_to_a_cancelled_request_goes_to_no_other_request() -> None:
    asked = threading.Event()

    def answer(request: bytes) -> bytes:
        asked.set()
        return http_answer("200 OK", f'"{request.split(b" ")[1].decode()}"')

    with raw_server(answer, keeps=True) as server:
        async with aclosing(transport(DirectTransport, server.url)) as one:
            call = asyncio.create_task(one.call("GET", "/cancelled"))
            await asyncio.to_thread(asked.wait)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert (await one.call("GET", "/next")).content == b'"/next"'


@pytest.mark.parametrize("surplus", [b"X", ONE], ids=["a byte", "an answer"])
async def test_a_connection_with_unrequested_bytes_is_not_used_again(surplus: bytes) -> None:
    with raw_server(ONE + surplus, keeps=True) as server:
        await ask(DirectTransport, server.url, times=2)
        assert len(server.connections) == 2


async def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netvision_cli.transport.direct.KEEP_ALIVE_SECONDS", 0)
    with raw_server(ONE, keeps=True) as server:
        await ask(DirectTransport, server.url, times=2)
        assert len(server.connections) == 2


@any_transport
async def test_silence_ends_with_the_timeout(kind: AnyTransport) -> None:
    with raw_server(lambda _request: None) as server, pytest.raises(TimedOut):
        await ask(kind, server.url, timeout=0.2)


async def test_dripping_bytes_do_not_outlast_the_timeout() -> None:
    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not ended.wait(0.05):
                connection.sendall(b" ")

    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        with pytest.raises(TimedOut):
            await ask(DirectTransport, f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.5)
        ended.set()
        thread.join()


@any_transport
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_missing_server_is_reported_as_never_sent(kind: AnyTransport, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://{host}:{free.getsockname()[1]}"
    with pytest.raises(NotConnected, match=r"\(connection refused\)"):
        await ask(kind, url)


def test_several_addresses_of_a_name_are_reported_as_one() -> None:
    told = "Multiple exceptions: [Errno 111] Connect call failed (…), [Errno 111] Connect call failed (…)"
    assert describe_cause(OSError(told)) == os.strerror(111).lower()


@any_transport
@on_sqlite
async def test_the_service_is_understood(kind: AnyTransport, service: str) -> None:
    assert (await ask(kind, service, times=2))[1] == Response(200, b"[]")


async def test_both_ask_for_the_same_in_the_same_words() -> None:
    asked: list[list[tuple[bytes, set[bytes], bytes]]] = []
    for kind in (DirectTransport, HttpxTransport):
        with raw_server(ONE, keeps=True) as server:
            async with aclosing(transport(kind, f"{server.url}/below/")) as one:
                await one.call("GET", "/10?after=00000000-0000-0000-0000-000000000007")
                await one.call("POST", "/new", b'[{"text":"\xc3\xa4"}]')
                await one.call("DELETE", "/00000000-0000-0000-0000-000000000007")
            asked.append([parts(request, server.port) for request in server.requests])
    assert asked[0] == asked[1]


def parts(request: bytes, port: int) -> tuple[bytes, set[bytes], bytes]:
    """Take a request apart: its first line, the headers that mean something, and its body."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.replace(str(port).encode(), b"PORT").lower().split(b"\r\n")
    ignored = (b"accept-encoding", b"connection")
    return first, {line for line in lines if not line.startswith(ignored)}, body
