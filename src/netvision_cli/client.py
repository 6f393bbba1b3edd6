"""NetVision over HTTP: the only module that knows URLs. One call is one request; nothing is sent twice.

A kept connection is dropped before the server would drop it, redirects are not followed, proxies are left alone for
servers on this machine, and certificates are loaded only where they are needed.
"""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from types import TracebackType
from typing import Self, TypeVar
from urllib.request import getproxies
from uuid import UUID

import httpx
import msgspec

from netvision_cli import __version__
from netvision_cli.errors import (
    ConnectionLost,
    NetvisionError,
    NotConnected,
    NotFound,
    Refused,
    ServerError,
    TimedOut,
    Unauthorized,
    UnexpectedAnswer,
    UsageError,
)
from netvision_cli.escaping import escape

MAX_PAGE = 1000
"""The most records that the server answers as one page."""

EVERYTHING = 10**18 - 1
"""The largest count."""

KEEP_ALIVE_SECONDS = 30
NOT_SAVED = "not-saved"
"""The outcome of a request that a NetVision failed to serve and will not serve later; a proxy knows of none."""

MAX_RETRY_AFTER = 60.0
MAX_PORT = 65_535

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


class ProblemDetails(msgspec.Struct):
    """What the client reads of an error answer."""

    type: str = ""
    title: str = ""
    detail: str = ""
    outcome: str = ""


record_decoder = msgspec.json.Decoder(Record)
list_decoder = msgspec.json.Decoder(list[Record])
readiness_decoder = msgspec.json.Decoder(Readiness)
problem_decoder = msgspec.json.Decoder(ProblemDetails)
encoder = msgspec.json.Encoder()


class Client:
    """A connection to one server; use it as an asynchronous context manager."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float = 10.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare to call a server; `timeout` is in seconds, and holds for each step of a call on httpx's transport."""
        self.url = url.rstrip("/")
        self.timeout = timeout
        headers = {"User-Agent": f"netvision/{__version__}", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if not is_server_url(url):
            msg = f"{url!r} is not the URL of a server; write it as http://127.0.0.1:8000"
            raise UsageError(msg)
        self.http = httpx.AsyncClient(
            base_url=self.url,
            headers=headers,
            timeout=timeout,
            limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE_SECONDS),
            verify=url.startswith("https:"),
            trust_env=not is_local(url),
            follow_redirects=False,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        """Open the pool of connections."""
        await self.http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close every connection."""
        await self.http.__aexit__(kind, error, traceback)

    async def store(self, records: Sequence[Record]) -> list[Record]:
        """Store a batch, all of it or none, and return it as it is stored."""
        return await self.call("POST", "/new", list_decoder, content=encoder.encode(records))

    async def page(self, count: int, after: UUID | None = None) -> list[Record]:
        """Return the first `count` records behind `after`; up to `MAX_PAGE` of them are one page, read at once."""
        return await self.call("GET", f"/{count}", list_decoder, query=params(after))

    async def find(self, key: UUID) -> Record:
        """Return one record; raises NotFound."""
        return await self.call("GET", f"/{key}", record_decoder)

    async def remove(self, key: UUID) -> Record:
        """Delete one record and return it; raises NotFound."""
        return await self.call("DELETE", f"/{key}", record_decoder)

    async def readiness(self) -> Readiness:
        """Ask the server how it is; one that is not ready answers too."""
        with self.translated():
            response = await self.http.get("/health/ready")
        if response.status_code not in {200, 503}:
            self.refuse(response)
        return self.decoded(response, readiness_decoder)

    async def stream(self, count: int = EVERYTHING, after: UUID | None = None) -> AsyncGenerator[Record, None]:
        """Read records one after another, with no more of them in memory than a chunk of the answer holds."""
        async with self.streaming(f"/{count}", params(after)) as response:
            rest = b""
            async for chunk in response.aiter_bytes():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield self.parsed(line, record_decoder)
            if rest:
                yield self.parsed(rest, record_decoder)

    @asynccontextmanager
    async def streaming(self, path: str, query: dict[str, str]) -> AsyncIterator[httpx.Response]:
        """Open an answer in NDJSON."""
        headers = {"Accept": "application/x-ndjson"}
        with self.translated():
            async with self.http.stream("GET", path, params=query, headers=headers) as response:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    self.refuse(response)
                yield response

    async def call(
        self,
        method: str,
        path: str,
        decoder: "msgspec.json.Decoder[T]",
        *,
        query: dict[str, str] | None = None,
        content: bytes = b"",
    ) -> T:
        """Send one request and decode its answer."""
        with self.translated():
            response = await self.request(method, path, query=query, content=content)
        if not response.is_success:
            self.refuse(response)
        return self.decoded(response, decoder)

    async def request(
        self, method: str, path: str, *, query: dict[str, str] | None = None, content: bytes = b""
    ) -> httpx.Response:
        """Send one request and return its answer."""
        headers = {"Content-Type": "application/json"} if content else None
        return await self.http.request(method, path, params=query, content=content or None, headers=headers)

    def decoded(self, response: httpx.Response, decoder: "msgspec.json.Decoder[T]") -> T:
        """Decode a whole answer."""
        return self.parsed(response.content, decoder)

    def parsed(self, content: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
        """Decode bytes, and say so where they are not what a NetVision sends."""
        try:
            return decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            msg = f"{self.url} does not answer as a NetVision does ({error}); check --url"
            raise UnexpectedAnswer(msg) from error

    def refuse(self, response: httpx.Response) -> None:
        """Raise the error that a status stands for."""
        status = response.status_code
        try:
            problem = problem_decoder.decode(response.content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            problem = ProblemDetails()
        reason = escape(problem.detail or problem.title or response.reason_phrase)
        error = self.error_of(status, reason, problem.type.rpartition(":")[2], problem.outcome)
        error.retry_after = seconds(response.headers.get("Retry-After"))
        raise error

    def error_of(self, status: int, reason: str, problem: str, outcome: str) -> NetvisionError:
        """Choose the error for a status."""
        message = f"{self.url} answered {status}: {reason}"
        error: NetvisionError
        match status:
            case 404:
                return NotFound(message, problem)
            case 401 | 403:
                return Unauthorized(f"{message}; give its token with --token-file or NETVISION_TOKEN", problem)
            case 408:
                error = TimedOut(message)
            case status if status >= httpx.codes.INTERNAL_SERVER_ERROR:
                error = ServerError(message)
                error.may_land_late = outcome != NOT_SAVED
            case 429:
                error = ServerError(message)
                error.exit_code = Refused.exit_code
            case status if status >= httpx.codes.BAD_REQUEST:
                return Refused(message, problem)
            case _:
                return UnexpectedAnswer(f"{message}; that is not what a NetVision answers, check --url")
        return error

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what httpx raises into our own errors."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self.not_connected(error) from error
        except httpx.TimeoutException as error:
            msg = f"{self.url} did not answer within {self.timeout:g} s; wait longer with --timeout"
            raise TimedOut(msg) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            msg = f"{self.url} ended the connection before its answer was whole ({reason_of(error)})"
            raise ConnectionLost(msg) from error

    def not_connected(self, error: httpx.TransportError) -> NetvisionError:
        """Say that there is no server, and what to do."""
        step = "Start one: netvision-api serve" if is_local(self.url) else "Name another with --url"
        return NotConnected(f"no server at {self.url} ({reason_of(error)}). {step}")


def params(after: UUID | None) -> dict[str, str]:
    """Write the parameter that says where a page starts."""
    return {"after": str(after)} if after else {}


def seconds(retry_after: str | None) -> float | None:
    """Read a Retry-After in seconds; a date is left alone."""
    is_number = retry_after and retry_after.isascii() and retry_after.isdecimal()
    return min(float(retry_after), MAX_RETRY_AFTER) if retry_after and is_number else None


def is_server_url(url: str) -> bool:
    """Tell whether a URL names a host and, if any, a port that can be."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    is_port = parsed.port is None or 0 < parsed.port <= MAX_PORT
    return parsed.scheme in {"http", "https"} and bool(parsed.host) and is_port


def is_local(url: str) -> bool:
    """Tell whether a URL names this machine."""
    host = httpx.URL(url).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_behind_proxy(url: str) -> bool:
    """Tell whether the environment names a proxy that httpx would take for a URL."""
    return not is_local(url) and bool(getproxies())


def reason_of(error: BaseException) -> str:
    """Find the operating system's word at the bottom of an error, else the error's own."""
    if isinstance(error, httpx.ConnectTimeout):
        return "no answer"
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.errno:
            return (os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)).lower()
    return str(error) or type(error).__name__


def causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error down to what caused it."""
    below: BaseException | None = error
    while below is not None:
        yield below
        if isinstance(below, BaseExceptionGroup):
            yield from causes(below.exceptions[0])
        below = below.__cause__ or below.__context__
