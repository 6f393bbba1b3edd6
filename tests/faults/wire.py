"""HTTP on bare sockets: requests that break off, answers that nobody reads, and load from many connections."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

HOST_LINE = b"Host: localhost\r\n"
JSON_LINE = b"Content-Type: application/json\r\n"
TINY_WINDOW = 4096
OVERLOADED = 503
UNANSWERED, BROKEN_OFF = 0, -1
"""What stands for a status where no byte of an answer came, and where not all of them did."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def get(path: str) -> bytes:
    """Write a request that reads."""
    return f"GET {path} HTTP/1.1\r\n".encode() + HOST_LINE + b"\r\n"


def delete(path: str) -> bytes:
    """Write a request that deletes."""
    return f"DELETE {path} HTTP/1.1\r\n".encode() + HOST_LINE + b"\r\n"


def post(body: object) -> bytes:
    """Write a request that stores."""
    content = json.dumps(body).encode()
    return (
        b"POST /new HTTP/1.1\r\n" + HOST_LINE + JSON_LINE + f"Content-Length: {len(content)}\r\n\r\n".encode() + content
    )


@contextmanager
def connected(url: str, *, window: int = 0) -> Iterator[socket.socket]:
    """Open a connection, with a small receive window if one is named."""
    where = urlsplit(url)
    with socket.socket() as connection:
        if window:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        connection.settimeout(30)
        connection.connect((where.hostname, where.port))
        yield connection


def leave(connection: socket.socket) -> None:
    """Leave without a goodbye: the other side gets a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@dataclass(frozen=True)
class Answer:
    """What became of one request."""

    request: bytes
    status: int
    seconds: float


@dataclass
class Load:
    """Connections that send one request after another until they are told to stop, or the server leaves."""

    url: str
    next_request: Callable[[], bytes]
    rest: float = 0.0
    """Seconds that a connection rests after it was told that the server is overloaded."""

    answers: list[Answer] = field(default_factory=list)
    is_over: bool = False

    async def run(self, connections: int, seconds: float | None = None) -> None:
        """Send from several connections at the same time, which are all there before the first request goes."""
        opened = await asyncio.gather(*(self.connect() for _ in range(connections)))
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, self.stop)
        await asyncio.gather(*map(self.use, opened))

    def stop(self) -> None:
        """Send no further request."""
        self.is_over = True

    async def connect(self) -> Streams | None:
        """Open a connection; None where the server accepts no more."""
        where = urlsplit(self.url)
        try:
            return await asyncio.open_connection(where.hostname, where.port)
        except OSError:
            return None

    async def use(self, streams: Streams | None) -> None:
        """Send from a connection, and from new ones when it ends, until the server accepts no more."""
        while streams:
            reader, writer = streams
            while not self.is_over and await self.ask(reader, writer):
                if self.rest and self.answers[-1].status == OVERLOADED:
                    await asyncio.sleep(self.rest)
            writer.close()
            streams = None if self.is_over else await self.connect()

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Send one request and take its answer; return whether the connection can be used again."""
        request, began = self.next_request(), time.monotonic()
        writer.write(request)
        status, is_kept = await read_answer(reader)
        self.answers.append(Answer(request, status, time.monotonic() - began))
        return is_kept


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Read one answer; return its status, and whether the connection is kept."""
    head = b""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        await reader.readexactly(int(fields[b"content-length"]))
    except asyncio.IncompleteReadError as error:
        return (BROKEN_OFF if head or error.partial else UNANSWERED), False
    except OSError:
        return (BROKEN_OFF if head else UNANSWERED), False
    return int(head.split()[1]), fields.get(b"connection") != b"close"
