"""Requests over one kept connection, without an HTTP client library: httpx takes longer per request than the server.

There is one request at a time, and none is sent twice. A connection that has received anything but one complete
response to each request is not used again.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import cast

import httptools

from netvision_cli.transport.address import Address
from netvision_cli.transport.certificates import certificates
from netvision_cli.transport.responses import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    Response,
    TooLargeError,
    connection_lost,
    not_connected,
    timed_out,
    too_large,
)

KEEP_ALIVE_SECONDS = 30
"""How long an idle connection is kept; the server keeps it longer."""


class DirectTransport:
    """A connection, opened when it is needed."""

    def __init__(self, address: Address, headers: Mapping[str, str], timeout: float) -> None:
        """Take the timeout in seconds, which holds for connecting and then for a complete response."""
        self.address = address
        self.timeout = timeout
        own = {"Host": address.authority, "Accept-Encoding": "identity", **headers}
        self.head = "".join(f"{name}: {value}\r\n" for name, value in own.items()).encode()
        self.connection: ClientProtocol | None = None
        self.last_used = 0.0

    async def call(self, method: str, target: str, content: bytes = b"") -> Response:
        """Send one request, with a body of JSON if any, and return the whole response.

        Raises Unreachable, or UnexpectedResponse for a response that is too large.
        """
        connection = await self.connected()
        try:
            async with asyncio.timeout(self.timeout):
                return await connection.send(self.request(method, target, content))
        except TimeoutError as error:
            raise timed_out(self.address, self.timeout) from error
        except OSError as error:
            raise connection_lost(self.address, error) from error
        except TooLargeError as error:
            raise too_large(self.address) from error
        finally:
            self.last_used = asyncio.get_running_loop().time()
            if not connection.is_reusable:
                await self.aclose()

    def request(self, method: str, target: str, content: bytes) -> bytes:
        """Return the bytes of a request."""
        lines = [f"{method} {self.address.path}{target} HTTP/1.1\r\n".encode(), self.head]
        if content:
            lines.append(b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(content))
        return b"".join([*lines, b"\r\n", content])

    async def connected(self) -> "ClientProtocol":
        """Return the kept connection, or a new one if there is none or it has been idle for long."""
        loop = asyncio.get_running_loop()
        if self.connection and self.connection.is_reusable and loop.time() - self.last_used < KEEP_ALIVE_SECONDS:
            return self.connection
        await self.aclose()
        host, port = self.address.host, self.address.port
        secure = certificates() if self.address.scheme == "https" else None
        try:
            async with asyncio.timeout(self.timeout):
                _, self.connection = await loop.create_connection(ClientProtocol, host, port, ssl=secure)
        except OSError as error:
            raise not_connected(self.address, error) from error
        return self.connection

    async def aclose(self) -> None:
        """Close the connection, if there is one."""
        if self.connection:
            self.connection.transport.abort()
            self.connection = None


class ClientProtocol(asyncio.Protocol):
    """Requests and responses in turn on one connection, parsed by httptools."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.response: asyncio.Future[Response] | None = None
        self.is_reusable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self.transport = cast("asyncio.Transport", transport)

    async def send(self, request: bytes) -> Response:
        """Send a request and return its response; after an OSError the connection must not be used again."""
        self.parser = httptools.HttpResponseParser(self)
        self.received = 0
        self.on_message_begin()
        self.response = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.response

    def data_received(self, data: bytes) -> None:
        """Feed the parser; bytes that belong to no request end the connection."""
        if self.response is None or self.response.done():
            self.is_reusable = False
            self.transport.abort()
            return
        self.received += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fail(ConnectionError("the server switched to another protocol"))
        except httptools.HttpParserError as error:
            self.fail(ConnectionError(f"not HTTP: {error}"))
        if self.received > (MAX_BODY_BYTES if self.has_head else MAX_HEAD_BYTES):
            self.fail(TooLargeError())

    def connection_lost(self, exc: Exception | None) -> None:
        """End a response that the connection delimits; any other is incomplete."""
        self.is_reusable = False
        if self.response and not self.response.done():
            if self.is_close_delimited():
                self.on_message_complete()
                self.is_reusable = False
            else:
                self.fail(exc or ConnectionError("connection closed"))

    def is_close_delimited(self) -> bool:
        """Return whether the response has a complete head without a length, so that it ends with the connection."""
        return self.has_head and not {b"content-length", b"transfer-encoding"} & self.headers.keys()

    def fail(self, error: Exception) -> None:
        """Fail the request that waits, and do not use the connection again."""
        self.is_reusable = False
        if self.response and not self.response.done():
            self.response.set_exception(error)

    def on_message_begin(self) -> None:
        """Start a message; until it is complete, the connection is not for another request."""
        self.is_reusable, self.has_head = False, False
        self.headers: dict[bytes, bytes] = {}
        self.body = bytearray()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header of the head; trailers are ignored."""
        if not self.has_head:
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Mark the head as complete, unless it is that of an interim response (1xx)."""
        self.has_head = self.parser.get_status_code() >= HTTPStatus.OK

    def on_body(self, body: bytes) -> None:
        """Store a chunk of the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """Resolve the request that waits, unless this is an interim response."""
        if self.response and not self.response.done() and self.has_head:
            self.is_reusable = self.parser.should_keep_alive()
            retry_after = self.headers.get(b"retry-after", b"").decode("latin-1")
            self.response.set_result(Response(self.parser.get_status_code(), bytes(self.body), retry_after))
