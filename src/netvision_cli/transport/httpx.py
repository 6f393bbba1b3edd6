"""Requests through httpx, which streams and uses proxies.

An idle connection is closed before the server would close it, redirects are not followed, proxies are ignored for
servers on this machine, and certificates are loaded only for TLS.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

import httpx

from netvision_cli.errors import UsageError
from netvision_cli.transport.address import Address
from netvision_cli.transport.certificates import certificates
from netvision_cli.transport.direct import KEEP_ALIVE_SECONDS
from netvision_cli.transport.responses import (
    MAX_BODY_BYTES,
    Response,
    TooLargeError,
    connection_lost,
    error_for_response,
    not_connected,
    timed_out,
    too_large,
)

JSON = {"Content-Type": "application/json"}
NDJSON = {"Accept": "application/x-ndjson"}


class HttpxTransport:
    """A client of httpx whose exceptions are those of every transport."""

    def __init__(self, address: Address, headers: Mapping[str, str], timeout: float) -> None:
        """Take the timeout in seconds, which holds for connecting and then for a whole response or a line of one."""
        self.address = address
        self.headers = {"Accept-Encoding": "identity", **headers}
        self.timeout = timeout
        self.http = self.connect()

    def connect(self) -> httpx.AsyncClient:
        """Return a client, which connects when it is called."""
        try:
            return httpx.AsyncClient(
                base_url=self.address.url,
                headers=self.headers,
                timeout=self.timeout,
                limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE_SECONDS),
                verify=certificates() if self.address.scheme == "https" else False,
                trust_env=not self.address.is_local,
                follow_redirects=False,
            )
        except (httpx.InvalidURL, ImportError, ValueError) as error:
            # Other messages may quote a part of a proxy's password.
            reason = f" ({error})" if isinstance(error, ImportError) else ""
            msg = f"{self.address.url} cannot be called{reason}; check --url and the proxies that the environment names"
            raise UsageError(msg) from error

    async def call(self, method: str, target: str, content: bytes = b"") -> Response:
        """Send one request, with a body of JSON if any, and return the whole response.

        Raises Unreachable, or UnexpectedResponse for a response that is too large.
        """
        async with self.send(method, target, content, JSON if content else {}) as response:
            return await self.read(response)

    async def lines(self, target: str) -> AsyncGenerator[bytes, None]:
        """Request NDJSON and yield its lines as they arrive; the timeout holds for each of them.

        Raises the error for a status, Unreachable, or UnexpectedResponse for a line that is too large.
        """
        async with self.send("GET", target, b"", NDJSON) as response:
            if response.status_code != httpx.codes.OK:
                raise error_for_response(self.address.url, await self.read(response), self.headers)
            async with aclosing(split_lines(response.aiter_raw(), self.timeout)) as lines:
                async for line in lines:
                    yield line

    @asynccontextmanager
    async def send(
        self, method: str, target: str, content: bytes, headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """Send a request, and yield its response before its body; map exceptions to those of every transport."""
        try:
            async with asyncio.timeout(2 * self.timeout):
                request = self.http.build_request(method, target, content=content or None, headers=headers)
                response = await self.http.send(request, stream=True)
            try:
                yield response
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, UnicodeError) as error:
            raise not_connected(self.address, error) from error
        except (httpx.TimeoutException, TimeoutError) as error:
            await self.reconnect()
            raise timed_out(self.address, self.timeout) from error
        except httpx.TransportError as error:
            raise connection_lost(self.address, error) from error
        except TooLargeError as error:
            raise too_large(self.address) from error

    async def read(self, response: httpx.Response) -> Response:
        """Read a response to its end."""
        content = bytearray()
        async with asyncio.timeout(self.timeout):
            async for chunk in response.aiter_raw():
                content += chunk
                check_size(content)
        return Response(response.status_code, bytes(content), response.headers.get("Retry-After", ""))

    async def reconnect(self) -> None:
        """Replace the client of httpx: a call that was cancelled leaves its pool unusable."""
        await self.http.aclose()
        self.http = self.connect()

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()


async def split_lines(chunks: AsyncIterator[bytes], timeout: float) -> AsyncGenerator[bytes, None]:  # noqa: ASYNC109 - of each line
    """Yield lines as they become complete; raises TimeoutError for one that takes too long."""
    loop = asyncio.get_running_loop()
    line, deadline = bytearray(), loop.time() + timeout
    while chunk := await next_chunk(chunks, deadline):
        *ends, start = chunk.split(b"\n")
        for end in ends:
            yield bytes(line + end)
            line.clear()
            deadline = loop.time() + timeout
        line += start
        check_size(line)
    if line:
        yield bytes(line)


async def next_chunk(chunks: AsyncIterator[bytes], deadline: float) -> bytes:
    """Return the next chunk, empty at the end; raises TimeoutError after a point in time of the event loop."""
    async with asyncio.timeout_at(deadline):
        return await anext(chunks, b"")


def check_size(content: bytearray) -> None:
    """Raise TooLargeError for more bytes than a response may have."""
    if len(content) > MAX_BODY_BYTES:
        raise TooLargeError
