"""One kept connection under httpx, for whoever calls a server thousands of times a second.

httpx's own transport serves everything HTTP can be, and its pool looks at every connection for every call. This one
sends one request at a time and never sends one twice, so that whatever an answer says, it says of that one request.
"""

import asyncio
import ssl
from typing import cast
from urllib.parse import urlencode

import httptools
import httpx

from netvision_cli.client import KEEP_ALIVE_SECONDS, Client

NOT_ASKED_FOR = frozenset({b"Accept-Encoding", b"Connection"})
"""Headers of httpx that a plain answer on a kept connection needs no word about."""


class Transport(httpx.AsyncBaseTransport):
    """A transport of httpx on one connection, opened when it is needed; a whole call must end within a timeout."""

    def __init__(self, timeout: float) -> None:
        """Take the seconds that a call may take."""
        self.timeout = timeout
        self.exchange: Exchange | None = None
        self.used = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer, read to the end."""
        return await self.call(request.url, head(request) + await request.aread())

    async def call(self, url: httpx.URL, request: bytes) -> httpx.Response:
        """Send the bytes of a request to the server of a URL, and return its answer, read to the end."""
        exchange = await self.connected(url)
        try:
            async with asyncio.timeout(self.timeout):
                return await exchange.ask(request)
        except TimeoutError as error:
            msg = f"no whole answer within {self.timeout:g} s"
            raise httpx.ReadTimeout(msg) from error
        finally:
            self.used = asyncio.get_running_loop().time()
            if not exchange.is_reusable:
                await self.aclose()

    async def connected(self, url: httpx.URL) -> "Exchange":
        """Return the kept connection, or a new one where there is none or it has been idle for long."""
        loop = asyncio.get_running_loop()
        if self.exchange and self.exchange.is_reusable and loop.time() - self.used < KEEP_ALIVE_SECONDS:
            return self.exchange
        await self.aclose()
        secure = httpx.create_ssl_context() if url.scheme == "https" else None
        port = url.port or (443 if secure else 80)
        try:
            async with asyncio.timeout(self.timeout):
                _, self.exchange = await loop.create_connection(Exchange, url.host, port, ssl=secure)
        except TimeoutError as error:
            msg = f"no connection within {self.timeout:g} s"
            raise httpx.ConnectTimeout(msg) from error
        except (OSError, ssl.SSLError) as error:
            raise httpx.ConnectError(str(error)) from error
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
        self.answer: asyncio.Future[httpx.Response] | None = None
        self.is_reusable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self.transport = cast("asyncio.Transport", transport)

    async def ask(self, request: bytes) -> httpx.Response:
        """Send a request and wait for its answer; a connection on which that failed is not used again."""
        self.parser = httptools.HttpResponseParser(self)
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self.answer = asyncio.get_running_loop().create_future()
        self.is_reusable = False
        self.transport.write(request)
        return await self.answer

    def data_received(self, data: bytes) -> None:
        """Read on in the answer; bytes that nobody has asked for end the connection."""
        if self.answer is None or self.answer.done():
            self.transport.abort()
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.fail(httpx.RemoteProtocolError(f"not HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Be done: an answer without a length ends here, any other has broken off."""
        self.is_reusable = False
        if self.answer and not self.answer.done():
            if self.is_delimited_by_end():
                self.on_message_complete()
                self.is_reusable = False
            else:
                error = httpx.ReadError(str(exc)) if exc else httpx.RemoteProtocolError("connection closed")
                error.__cause__ = exc
                self.fail(error)

    def is_delimited_by_end(self) -> bool:
        """Tell whether the answer has begun and says nothing of its length."""
        return bool(self.headers) and not {b"content-length", b"transfer-encoding"} & {name for name, _ in self.headers}

    def fail(self, error: httpx.TransportError) -> None:
        """Give the error to whoever waits for the answer."""
        if self.answer and not self.answer.done():
            self.answer.set_exception(error)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header."""
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        """Note a piece of the body."""
        self.body.append(body)

    def on_message_complete(self) -> None:
        """Give the answer to whoever waits for it."""
        if self.answer and not self.answer.done():
            self.is_reusable = self.parser.should_keep_alive()
            status = self.parser.get_status_code()
            self.answer.set_result(httpx.Response(status, headers=self.headers, content=b"".join(self.body)))


def head(request: httpx.Request) -> bytes:
    """Write the request line and the headers."""
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s" % pair for pair in request.headers.raw]
    return b"\r\n".join(lines) + b"\r\n\r\n"


class DirectClient(Client):
    """A client that writes its requests itself: httpx takes longer to build one than the server to answer it."""

    def __init__(self, url: str, *, token: str | None = None, timeout: float = 10.0) -> None:
        """Prepare to call a server; `timeout` is in seconds, and holds for a whole call."""
        self.transport = Transport(timeout)
        super().__init__(url, token=token, timeout=timeout, transport=self.transport)
        base = self.http.base_url
        self.server = base
        self.prefix = base.raw_path.rstrip(b"/")
        own = [(b"Host", base.netloc), *self.http.headers.raw]
        self.head = b"".join(b"%s: %s\r\n" % pair for pair in own if pair[0] not in NOT_ASKED_FOR)

    async def request(
        self, method: str, path: str, *, query: dict[str, str] | None = None, content: bytes = b""
    ) -> httpx.Response:
        """Send one request and return its answer."""
        target = f"{path}?{urlencode(query)}" if query else path
        lines = [b"%s %s%s HTTP/1.1\r\n" % (method.encode(), self.prefix, target.encode()), self.head]
        if content:
            lines.append(b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(content))
        return await self.transport.call(self.server, b"".join([*lines, b"\r\n", content]))
