"""Raw bytes to a service, and what comes back."""

import json
import re
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

SECONDS = 30

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
CLOSE = b"Connection: close\r\n"
BODY = b'[{"text":"a"}]'
LENGTH = b"Content-Length: 14\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

GET = b"GET /5 HTTP/1.1\r\n" + HOST
POST = b"POST /new HTTP/1.1\r\n" + HOST + JSON


def connect(url: str) -> socket.socket:
    """Open a connection to a service."""
    where = urlsplit(url)
    return socket.create_connection((where.hostname, where.port or 0), timeout=SECONDS)


def received(connection: socket.socket) -> bytes:
    """Return all that comes until the other side closes, however it does that."""
    answer = bytearray()
    with suppress(ConnectionError):
        while data := connection.recv(65536):
            answer += data
    return bytes(answer)


def exchange(url: str, *parts: bytes) -> bytes:
    """Send bytes, and return all that comes back until the service closes."""
    with connect(url) as connection:
        with suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
        return received(connection)


def statuses(answer: bytes) -> list[int]:
    """List the statuses of the answers in what was received."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def problem(answer: bytes) -> dict[str, Any]:
    """Take the problem out of the one answer that was received."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert re.search(rb"(?im)^content-type: application/problem\+json\r?$", head), answer
    found: dict[str, Any] = json.loads(body)
    return found
