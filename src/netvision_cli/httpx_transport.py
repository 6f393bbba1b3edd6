"""Calls by httpx: it streams, goes through proxies, and sends the user and the password of a URL.

A kept connection is dropped before the server would drop it, redirects are not followed, proxies are left alone for
servers on this machine, and certificates are loaded only where they are needed.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager

import httpx

from netvision_cli.addresses import Address
from netvision_cli.answers import Answer, failure
from netvision_cli.certificates import certificates
from netvision_cli.direct_transport import KEEP_ALIVE_SECONDS
from netvision_cli.errors import UsageError
from netvision_cli.unreachable import connection_lost, not_connected, timed_out

JSON = {"Content-Type": "application/json"}
NDJSON = {"Accept": "application/x-ndjson"}


class HttpxTransport:
    """A client of httpx that fails as all transports do."""

    def __init__(self, address: Address, headers: Mapping[str, str], timeout: float) -> None:
        """Prepare to call a server; `timeout` is in seconds, and holds for each step of a call."""
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

    async def call(self, method: str, target: str, content: bytes = b"") -> Answer:
        """Send one request, with a body of JSON if any, and return its whole answer; raises Unreachable."""
        with self.translated():
            answer = await self.http.request(method, target, content=content or None, headers=JSON if content else None)
        return whole(answer)

    async def stream(self, target: str) -> AsyncGenerator[bytes, None]:
        """Ask for NDJSON and pass it on as it comes; raises the error that a status stands for, or Unreachable."""
        with self.translated():
            async with self.http.stream("GET", target, headers=NDJSON) as answer:
                if answer.status_code != httpx.codes.OK:
                    await answer.aread()
                    raise failure(self.address.shown, whole(answer))
                async for chunk in answer.aiter_bytes():
                    yield chunk

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what httpx raises into our own errors."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, UnicodeError) as error:
            raise not_connected(self.address, error) from error
        except httpx.TimeoutException as error:
            raise timed_out(self.address, self.timeout) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise connection_lost(self.address, error) from error


def whole(answer: httpx.Response) -> Answer:
    """Take what counts of an answer that is read to its end."""
    return Answer(answer.status_code, answer.content, answer.headers.get("Retry-After", ""))
