"""Requests through httpx, which streams, uses proxies, and sends the user and password of a URL.

An idle connection is closed before the server would close it, redirects are not followed, proxies are ignored for
servers on this machine, and certificates are loaded only for TLS.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager

import httpx

from netvision_cli.errors import UsageError
from netvision_cli.transport.address import Address
from netvision_cli.transport.certificates import certificates
from netvision_cli.transport.direct import KEEP_ALIVE_SECONDS
from netvision_cli.transport.responses import (
    Response,
    connection_lost,
    error_for_response,
    not_connected,
    timed_out,
)

JSON = {"Content-Type": "application/json"}
NDJSON = {"Accept": "application/x-ndjson"}


class HttpxTransport:
    """A client of httpx whose exceptions are those of every transport."""

    def __init__(self, address: Address, headers: Mapping[str, str], timeout: float) -> None:
        """Take the timeout of each step of a call, in seconds."""
        self.address = address
        self.timeout = timeout
        try:
            self.http = httpx.AsyncClient(
                base_url=address.url,
                headers=headers,
                timeout=timeout,
                limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE_SECONDS),
                verify=certificates() if address.scheme == "https" else False,
                trust_env=not address.is_local,
                follow_redirects=False,
            )
        except (httpx.InvalidURL, ImportError, ValueError) as error:
            msg = f"{address.shown} cannot be called ({error}); check --url and the proxies that the environment names"
            raise UsageError(msg) from error

    async def call(self, method: str, target: str, content: bytes = b"") -> Response:
        """Send one request, with a body of JSON if any, and return the whole response; raises Unreachable."""
        with self.map_httpx_exceptions():
            response = await self.http.request(
                method, target, content=content or None, headers=JSON if content else None
            )
        return to_response(response)

    async def stream(self, target: str) -> AsyncGenerator[bytes, None]:
        """Request NDJSON and yield it as it arrives; raises the error for a status, or Unreachable."""
        with self.map_httpx_exceptions():
            async with self.http.stream("GET", target, headers=NDJSON) as response:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    raise error_for_response(self.address.shown, to_response(response))
                async for chunk in response.aiter_bytes():
                    yield chunk

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    @contextmanager
    def map_httpx_exceptions(self) -> Iterator[None]:
        """Map the exceptions of httpx to those of every transport."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, UnicodeError) as error:
            raise not_connected(self.address, error) from error
        except httpx.TimeoutException as error:
            raise timed_out(self.address, self.timeout) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise connection_lost(self.address, error) from error


def to_response(response: httpx.Response) -> Response:
    """Convert a response of httpx that is read to its end."""
    return Response(response.status_code, response.content, response.headers.get("Retry-After", ""))
