"""The service as its client calls it: one call is one request, and nothing is sent twice.

Calls go straight to the server, over as many kept connections as there are calls at the same time. Streams, and calls
through a proxy, go by httpx, which can do all that HTTP can and takes a while to import.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Protocol, Self, TypeVar
from uuid import UUID

import msgspec

from netvision_cli import __version__
from netvision_cli.addresses import Address
from netvision_cli.answers import Answer, failure
from netvision_cli.direct_transport import DirectTransport
from netvision_cli.errors import UnexpectedAnswer

MAX_PAGE = 1000
"""The most records that the server answers as one page."""

EVERYTHING = 10**18 - 1
"""The largest count."""

OK, UNAVAILABLE = 200, 503

T = TypeVar("T")


class Record(msgspec.Struct, frozen=True):
    """A record as the service answers it."""

    uuid: UUID
    text: str


class Readiness(msgspec.Struct):
    """What the service says of itself."""

    status: str
    version: str = ""
    database: str = ""
    schema: str | None = None
    reason: str | None = None


record_decoder = msgspec.json.Decoder(Record)
list_decoder = msgspec.json.Decoder(list[Record])
readiness_decoder = msgspec.json.Decoder(Readiness)
encoder = msgspec.json.Encoder()


class Transport(Protocol):
    """What sends one call at a time to a server, and keeps its connection for the next."""

    async def call(self, method: str, target: str, content: bytes = b"") -> Answer:
        """Send one request, with a body of JSON if any, and return its whole answer; raises Unreachable."""

    async def aclose(self) -> None:
        """Close the connection."""


class Client:
    """Calls to one server; use it as an asynchronous context manager."""

    def __init__(self, url: str, *, token: str | None = None, timeout: float = 10.0) -> None:
        """Prepare to call a server.

        `timeout` is in seconds. It holds for connecting and then for a whole answer; by httpx, for each step.
        """
        self.address = Address.parse(url)
        self.url = self.address.shown
        self.timeout = timeout
        self.headers = headers(token)
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
        """Return the first `count` records behind `after`; up to `MAX_PAGE` of them are one page, read at once."""
        return await self.call("GET", page_target(count, after), list_decoder)

    async def find(self, key: UUID) -> Record:
        """Return one record; raises NotFound."""
        return await self.call("GET", f"/{key}", record_decoder)

    async def remove(self, key: UUID) -> Record:
        """Delete one record and return it; raises NotFound."""
        return await self.call("DELETE", f"/{key}", record_decoder)

    async def readiness(self) -> Readiness:
        """Ask the server how it is; one that is not ready answers too."""
        answer = await self.ask("GET", "/health/ready")
        if answer.status not in {OK, UNAVAILABLE}:
            raise failure(self.url, answer)
        return self.parsed(answer.content, readiness_decoder)

    async def stream(self, count: int = EVERYTHING, after: UUID | None = None) -> AsyncGenerator[Record, None]:
        """Read records one after another, with no more of them in memory than a chunk of the answer holds."""
        from netvision_cli.httpx_transport import HttpxTransport

        transport = HttpxTransport(self.address, self.headers, self.timeout)
        async with aclosing(transport), aclosing(transport.stream(page_target(count, after))) as chunks:
            rest = b""
            async for chunk in chunks:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield self.parsed(line, record_decoder)
            if rest:
                yield self.parsed(rest, record_decoder)

    async def call(self, method: str, target: str, decoder: "msgspec.json.Decoder[T]", content: bytes = b"") -> T:
        """Send one request and decode its answer; raises the error that its status stands for."""
        answer = await self.ask(method, target, content)
        if not OK <= answer.status < 300:  # noqa: PLR2004 - every success
            raise failure(self.url, answer)
        return self.parsed(answer.content, decoder)

    async def ask(self, method: str, target: str, content: bytes = b"") -> Answer:
        """Send one request, over the free connection that was used last or over one more."""
        transport = self.free.pop() if self.free else self.connect()
        try:
            return await transport.call(method, target, content)
        finally:
            self.free.append(transport)

    def connect(self) -> Transport:
        """Make one more transport, which connects when it is called."""
        transport: Transport
        if self.address.is_direct:
            transport = DirectTransport(self.address, self.headers, self.timeout)
        else:
            from netvision_cli.httpx_transport import HttpxTransport

            transport = HttpxTransport(self.address, self.headers, self.timeout)
        self.transports.append(transport)
        return transport

    def parsed(self, content: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
        """Decode bytes, and say so where they are not what a NetVision sends."""
        try:
            return decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            msg = f"{self.url} does not answer as a NetVision does ({error}); check --url"
            raise UnexpectedAnswer(msg) from error


def headers(token: str | None) -> Mapping[str, str]:
    """Write what every request says of its sender."""
    own = {"User-Agent": f"netvision/{__version__}", "Accept": "application/json"}
    return own | {"Authorization": f"Bearer {token}"} if token else own


def page_target(count: int, after: UUID | None) -> str:
    """Write the path of a page, and where it starts."""
    return f"/{count}?after={after}" if after else f"/{count}"
