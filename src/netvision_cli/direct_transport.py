"""Calls over one kept connection, without a library in between: httpx takes longer than the server to make a request.

One request at a time, and none is sent twice. A connection on which anything else came than one whole answer to each
request is not used again.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import cast

import httptools

from netvision_cli.addresses import Address
from netvision_cli.answers import Answer
from netvision_cli.certificates import certificates
from netvision_cli.unreachable import connection_lost, not_connected, timed_out

KEEP_ALIVE_SECONDS = 30
"""How long an idle connection is kept: the server drops it later."""


class DirectTransport:
    """A connection, opened when it is needed."""

    def __init__(self, address: Address, headers: Mapping[str, str], timeout: float) -> None:
        """Prepare to call a server; `timeout` is in seconds, and holds for connecting, then for a whole answer."""
        self.address = address
        self.timeout = timeout
        own = {"Host": address.authority, "Accept-Encoding": "identity", **headers}
        self.head = "".join(f"{name}: {value}\r\n" for name, value in own.items()).encode()
        self.exchange: Exchange | None = None
        self.used = 0.0

    async def call(self, method: str, target: str, content: bytes = b"") -> Answer:
        """Send one request, with a body of JSON if any, and return its whole answer; raises Unreachable."""
        exchange = await self.connected()
        try:
            async with asyncio.timeout(self.timeout):
                return await exchange.ask(self.request(method, target, content))
        except TimeoutError as error:
            raise timed_out(self.address, self.timeout) from error
        except OSError as error:
            raise connection_lost(self.address, error) from error
        finally:
            self.used = asyncio.get_running_loop().time()
            if not exchange.is_reusable:
                await self.aclose()

    def request(self, method: str, target: str, content: bytes) -> bytes:
        """Write a request."""
        lines = [f"{method} {self.address.path}{target} HTTP/1.1\r\n".encode(), self.head]
        if content:
            lines.append(b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(content))
        return b"".join([*lines, b"\r\n", content])

    async def connected(self) -> "Exchange":
        """Return the kept connection, or a new one where there is none or it has been idle for long."""
        loop = asyncio.get_running_loop()
        if self.exchange and self.exchange.is_reusable and loop.time() - self.used < KEEP_ALIVE_SECONDS:
            return self.exchange
        await self.aclose()
        host, port = self.address.host, self.address.port
        secure = certificates() if self.address.scheme == "https" else None
        try:
            async with asyncio.timeout(self.timeout):
                _, self.exchange = await loop.create_connection(Exchange, host, port, ssl=secure)
        except OSError as error:
            raise not_connected(self.address, error) from error
        return self.exchange

    async def aclose(self) -> None:
        """Close the connection, if there is one."""
        if self.exchange:
            self.exchange.transport.abort()
            self.exchange = None


class Exchange(asyncio.Protocol):
    """Requests and answers in turn on one connection, parsed by httptools."""

    def __init__(self) -> None:
        """Wait for the connection."""
        self.transport: asyncio.Transport
        self.answer: asyncio.Future[Answer] | None = None
        self.is_reusable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self.transport = cast("asyncio.Transport", transport)

    async def ask(self, request: bytes) -> Answer:
        """Send a request and wait for its answer; raises OSError, and then the connection is not to be used again."""
        self.parser = httptools.HttpResponseParser(self)
        self.on_message_begin()
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.answer

    def data_received(self, data: bytes) -> None:
        """Read on in the answer; bytes that nobody has asked for end the connection."""
        if self.answer is None or self.answer.done():
            self.is_reusable = False
            self.transport.abort()
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fail(ConnectionError("it goes on in another protocol"))
        except httptools.HttpParserError as error:
            self.fail(ConnectionError(f"not HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Be done: an answer without a length ends here, any other has broken off."""
        self.is_reusable = False
        if self.answer and not self.answer.done():
            if self.is_delimited_by_end():
                self.on_message_complete()
                self.is_reusable = False
            else:
                self.fail(exc or ConnectionError("connection closed"))

    def is_delimited_by_end(self) -> bool:
        """Tell whether the answer's head is whole and says nothing of its length."""
        return self.has_head and not {b"content-length", b"transfer-encoding"} & self.headers.keys()

    def fail(self, error: Exception) -> None:
        """Give the error to whoever waits for the answer."""
        self.is_reusable = False
        if self.answer and not self.answer.done():
            self.answer.set_exception(error)

    def on_message_begin(self) -> None:
        """Forget the message before; until this one is whole, the connection is not for another request."""
        self.is_reusable, self.has_head = False, False
        self.headers: dict[bytes, bytes] = {}
        self.body: list[bytes] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header."""
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Note that the head is whole, unless it is one that only announces the answer."""
        self.has_head = self.parser.get_status_code() >= HTTPStatus.OK

    def on_body(self, body: bytes) -> None:
        """Note a piece of the body."""
        self.body.append(body)

    def on_message_complete(self) -> None:
        """Give the answer to whoever waits for it, unless it only announces the one that counts."""
        if self.answer and not self.answer.done() and self.has_head:
            self.is_reusable = self.parser.should_keep_alive()
            retry_after = self.headers.get(b"retry-after", b"").decode("latin-1")
            self.answer.set_result(Answer(self.parser.get_status_code(), b"".join(self.body), retry_after))
