"""The swarm's own transport: one connection, nothing sent twice, every failure told as httpx would tell it."""

import socket
import threading
from contextlib import suppress
from uuid import UUID

import httpx
import pytest

from netvision_cli.client import Client, Record
from netvision_cli.errors import NotFound
from netvision_cli.transport import DirectClient, Transport
from tests.cli.commands import http_answer, on_sqlite, raw_server

pytestmark = pytest.mark.anyio

TIMEOUT = 5.0
ONE = http_answer("200 OK", "[1]")


async def ask(url: str, method: str = "GET", *, timeout: float = TIMEOUT, times: int = 1) -> list[httpx.Response]:  # noqa: ASYNC109 - of the transport
    """Ask for the same several times over one connection."""
    async with httpx.AsyncClient(base_url=url, transport=Transport(timeout)) as client:
        return [await client.request(method, "/5") for _ in range(times)]


async def test_requests_go_over_one_kept_connection() -> None:
    with raw_server(ONE, keeps=True) as server:
        answers = await ask(server.url, times=3)
        assert [answer.json() for answer in answers] == [[1]] * 3
        assert len(server.connections) == 1


async def test_a_connection_that_the_server_closes_is_opened_again() -> None:
    with raw_server(http_answer("200 OK", "[1]", "Connection: close")) as server:
        answers = await ask(server.url, times=3)
        assert [answer.json() for answer in answers] == [[1]] * 3
        assert len(server.connections) == 3


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
async def test_no_request_is_sent_twice_when_a_kept_connection_dies(method: str) -> None:
    answers = iter([ONE])

    def answer_once(_request: bytes) -> bytes:
        if answer := next(answers, None):
            return answer
        raise ConnectionResetError

    with raw_server(answer_once, keeps=True) as server:
        async with httpx.AsyncClient(base_url=server.url, transport=Transport(TIMEOUT)) as client:
            await client.request(method, "/5")
            with pytest.raises(httpx.TransportError):
                await client.request(method, "/5")
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[1]",
    ],
    ids=["chunked", "until the end"],
)
async def test_every_way_to_delimit_an_answer_is_understood(answer: bytes) -> None:
    with raw_server(answer) as server:
        assert (await ask(server.url))[0].json() == [1]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", httpx.RemoteProtocolError),
        (ONE[:-1], httpx.RemoteProtocolError),
        (ONE[:10], httpx.RemoteProtocolError),
        (b"\x16\x03\x01 what is this", httpx.RemoteProtocolError),
    ],
    ids=["nothing", "a byte less", "half a line", "not HTTP"],
)
async def test_half_an_answer_is_no_answer(answer: bytes, error: type[Exception]) -> None:
    with raw_server(answer) as server:
        with pytest.raises(error):
            await ask(server.url)
        assert len(server.requests) == 1


async def test_silence_ends_with_the_timeout() -> None:
    with raw_server(lambda _request: None) as server, pytest.raises(httpx.ReadTimeout):
        await ask(server.url, timeout=0.2)


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
        with pytest.raises(httpx.ReadTimeout):
            await ask(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.5)
        ended.set()
        thread.join()


async def test_nobody_there_is_told_as_never_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(httpx.ConnectError):
        await ask(url)


@on_sqlite
async def test_the_service_is_understood(service: str) -> None:
    assert (await ask(service, times=2))[1].json() == []


async def test_a_direct_client_asks_as_the_plain_one_does() -> None:
    key = UUID(int=7)
    record = Record(key, "ä")
    answers = {b"GET": b"[]", b"POST": b"[]", b"DEL": b'{"uuid":"00000000-0000-0000-0000-000000000007","text":"a"}'}

    def answer(request: bytes) -> bytes:
        body = next(text for method, text in answers.items() if request.startswith(method))
        return http_answer("200 OK", body.decode())

    asked: list[list[tuple[bytes, set[bytes], bytes]]] = []
    for kind in (Client, DirectClient):
        with raw_server(answer, keeps=True) as server:
            async with kind(f"{server.url}/below", token="t" * 32, timeout=TIMEOUT) as client:
                await client.page(10)
                await client.page(10, key)
                await client.store([record])
                await client.remove(key)
            asked.append([parts(request, server.port) for request in server.requests])
    assert asked[0] == asked[1]


def parts(request: bytes, port: int) -> tuple[bytes, set[bytes], bytes]:
    """Take a request apart: its first line, the headers that mean something, and its body."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *headers = head.replace(str(port).encode(), b"PORT").lower().split(b"\r\n")
    ignored = (b"accept-encoding", b"connection")
    return first, {header for header in headers if not header.startswith(ignored)}, body


@on_sqlite
async def test_a_direct_client_is_understood(service: str) -> None:
    async with DirectClient(service, timeout=TIMEOUT) as client:
        stored = await client.store([Record(UUID(int=n), f"ä {n}") for n in range(1, 4)])
        assert await client.page(10) == stored
        assert await client.page(10, stored[0].uuid) == stored[1:]
        assert [await client.remove(record.uuid) for record in stored] == stored
        with pytest.raises(NotFound):
            await client.remove(stored[0].uuid)
