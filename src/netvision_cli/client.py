"""The service as its client sees it: one call is one request, and nothing is sent twice.

Requests are sent directly, over as many kept connections as there are calls at the same time. Streams, and requests
through a proxy, use httpx, which takes longer to import.
"""

from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Annotated, Protocol, Self, TypeVar
from uuid import UUID

import msgspec

from netvision_cli import __version__
from netvision_cli.errors import ConnectionLost, UnexpectedResponse
from netvision_cli.transport.address import Address
from netvision_cli.transport.direct import DirectTransport
from netvision_cli.transport.responses import MALFORMED, MAX_REASON, Response, error_for_response

MAX_PAGE = 1000
"""The most records of one page."""

MAX_COUNT = 10**18 - 1
"""The largest count."""

OK, UNAVAILABLE = 200, 503

OUT_OF_ORDER = "a record that is not the next one"

T = TypeVar("T")


class Record(msgspec.Struct, frozen=True):
    """A record as the service returns it."""

    uuid: UUID
    text: str


Word = Annotated[str, msgspec.Meta(max_length=MAX_REASON)]


class Readiness(msgspec.Struct):
    """The state of the service."""

    status: Word
    version: Word = ""
    database: Word = ""
    schema: Word | None = None
    reason: str | None = None


record_decoder = msgspec.json.Decoder(Record)
list_decoder = msgspec.json.Decoder(list[Record])
readiness_decoder = msgspec.json.Decoder(Readiness)
encoder = msgspec.json.Encoder()


class Transport(Protocol):
    """Sends one request at a time to a server, and keeps its connection for the next."""

    async def call(self, method: str, target: str, content: bytes = b"") -> Response:
        """Send one request, with a body of JSON if any, and return the whole response; raises Unreachable."""

    async def aclose(self) -> None:
        """Close the connection."""


class Client:
    """Calls to one server; use it as an asynchronous context manager."""

    def __init__(self, url: str, *, token: str | None = None, timeout: float = 10.0) -> None:
        """Take the URL of a server.

        `timeout` is in seconds. It holds for connecting and then for a complete response; with httpx, for each step.
        """
        self.address = Address.parse(url)
        self.url = self.address.url
        self.timeout = timeout
        self.headers = headers(token, self.address.credentials)
        self.transports: list[Transport] = []
        self.free: list[Transport] = []

    async def __aenter__(self) -> Self:
        """Open nothing yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close every connection."""
        for transport in self.transports:
            await transport.aclose()

    async def store(self, records: Sequence[Record]) -> list[Record]:
        """Store a batch, all of it or none, and return it as it is stored."""
        return await self.call("POST", "/new", list_decoder, encoder.encode(records))

    async def page(self, count: int, after: UUID | None = None) -> list[Record]:
        """Return the first `count` records after a uuid, or of all; up to `MAX_PAGE` of them are one page."""
        return await self.call("GET", page_target(count, after), list_decoder)

    async def find(self, key: UUID) -> Record:
        """Return one record; raises NotFound."""
        return await self.call("GET", f"/{key}", record_decoder)

    async def remove(self, key: UUID) -> Record:
        """Delete one record and return it; raises NotFound."""
        return await self.call("DELETE", f"/{key}", record_decoder)

    async def readiness(self) -> Readiness:
        """Return the state of the server, also if it is not ready."""
        response = await self.send("GET", "/health/ready")
        if response.status not in {OK, UNAVAILABLE}:
            raise error_for_response(self.url, response, self.headers)
        return self.decode(response.content, readiness_decoder)

    async def stream(self, count: int = MAX_COUNT, after: UUID | None = None) -> AsyncGenerator[Record, None]:
        """Yield records one after another, with no more of them in memory than a chunk of the response has.

        A stream that breaks is continued after its last record: the server ends one whose reader pauses for long.
        """
        from netvision_cli.transport.httpx import HttpxTransport

        async with aclosing(HttpxTransport(self.address, self.headers, self.timeout)) as transport:
            while True:
                start = after
                try:
                    async with aclosing(transport.lines(page_target(count, start))) as lines:
                        async for line in lines:
                            record = self.decode(line, record_decoder)
                            if not count or (after and record.uuid <= after):
                                raise self.unexpected(OUT_OF_ORDER)
                            yield record
                            after, count = record.uuid, count - 1
                except ConnectionLost:
                    if after == start:
                        raise
                else:
                    return

    async def call(self, method: str, target: str, decoder: "msgspec.json.Decoder[T]", content: bytes = b"") -> T:
        """Send one request and decode its response; raises the error for its status."""
        response = await self.send(method, target, content)
        if not OK <= response.status < 300:  # noqa: PLR2004 - every success
            raise error_for_response(self.url, response, self.headers)
        return self.decode(response.content, decoder)

    async def send(self, method: str, target: str, content: bytes = b"") -> Response:
        """Send one request, over the free connection that was used last or over a new one."""
        transport = self.free.pop() if self.free else self.connect()
        try:
            return await transport.call(method, target, content)
        finally:
            self.free.append(transport)

    def connect(self) -> Transport:
        """Return a new transport, which connects when it is called."""
        transport: Transport
        if self.address.is_direct:
            transport = DirectTransport(self.address, self.headers, self.timeout)
        else:
            from netvision_cli.transport.httpx import HttpxTransport

            transport = HttpxTransport(self.address, self.headers, self.timeout)
        self.transports.append(transport)
        return transport

    def decode(self, content: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
        """Decode bytes; raises UnexpectedResponse if they are not what a NetVision sends."""
        try:
            return decoder.decode(content)
        except MALFORMED as error:
            raise self.unexpected(str(error)) from error

    def unexpected(self, reason: str) -> UnexpectedResponse:
        """Return the error that a response is not one of a NetVision."""
        return UnexpectedResponse(f"{self.url} does not respond as a NetVision does ({reason}); check --url")


def headers(token: str | None, credentials: str | None = None) -> Mapping[str, str]:
    """Return the headers of every request; the user and password of a URL win over a token."""
    own = {"User-Agent": f"netvision/{__version__}", "Accept": "application/json"}
    if credentials:
        return own | {"Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}
    return own | {"Authorization": f"Bearer {token}"} if token else own


def page_target(count: int, after: UUID | None) -> str:
    """Return the path of a page."""
    return f"/{count}?after={after}" if after else f"/{count}"
