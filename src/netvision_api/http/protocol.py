"""What uvicorn's HTTP protocol lacks: timeouts for reading and writing, limits of what waits, and exactly one Host."""

from asyncio import CancelledError, TimerHandle, Transport
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, cast

from litestar.exceptions import LitestarException
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from netvision_api.http.connections import ConnectionLimit, max_connections
from netvision_api.http.headers import DEFAULT_HEADERS, REQUEST_ID, request_id
from netvision_api.http.problems import MEDIA_TYPE, REQUEST_TIMEOUT, Problem, encode, log_cut_off
from netvision_api.http.write_deadline import WriteDeadline
from netvision_api.settings import Settings

MAX_URL = 2**13
MAX_HEAD = 2**16
"""The limits in bytes of a URL, and of a URL with all headers; the second also holds for trailers."""

MAX_PIPELINED = 64
"""How many requests may wait on one connection behind the one that is served."""

MIN_BODY_RATE = 1024
BODY_RATE_AFTER = 5.0
"""The least bytes per second of a body, and after how many seconds they are demanded."""

VERSIONS = frozenset({"1.0", "1.1"})

TIMER_PRECISION = 0.01
"""By how many seconds a timer may come early: the event loop's clock counts milliseconds."""

INCOMPLETE_SECONDS = 0.5
"""How long after a signal to stop the rest of an incomplete request may take."""

LINGER_SECONDS = 1.0
"""How long input is discarded after a rejection: closing at once would reset the connection, and lose the response."""


class RejectedRequestError(Exception):
    """A request that is rejected while its headers are parsed."""


class Protocol(HttpToolsProtocol):
    """One connection; a timer runs while its request is incomplete."""

    def __init__(self, *arguments: Any, settings: Settings, limit: ConnectionLimit, **others: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """Take uvicorn's own arguments, the settings for their timeouts, and the limit shared by all connections."""
        super().__init__(*arguments, **others)
        self.settings = settings
        self.limit = limit
        self.timer: TimerHandle | None = None
        self.current: RequestResponseCycle | None = None
        self.is_head, self.is_body = True, False
        self.is_discarding = False
        self.bytes_since_progress = 0
        self.body_began, self.body_bytes = 0.0, 0
        self.rejection = HTTPStatus.BAD_REQUEST

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """Start to wait for the first request."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)
        self.write_deadline = WriteDeadline(transport, self.loop, self.settings.write_timeout)
        self.limit.opened(self)
        self.start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer, and notify the request in progress; uvicorn would notify the one that arrived last."""
        self.cancel_timer()
        self.write_deadline.stop()
        self.limit.closed(self)
        if self.current and not self.current.response_complete:
            self.current.disconnected = True
            self.current.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """Start to serve a request, and remember it: of several pipelined ones it is not the last."""
        self.current = cycle
        super()._start_asgi_task(cycle, partial(self.run, app, cycle))

    async def run(self, app: ASGIApp, cycle: RequestResponseCycle, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, and abort the connection if it cannot complete a response.

        What is sent counts as memory of its request until the client has taken it.
        """
        head: Message | None = None

        async def send_and_drain(message: Message) -> None:
            nonlocal head
            if message["type"] == "http.response.start":
                head = message
                return
            if head is None:
                await send(message)
            else:
                with joined_writes(cycle):
                    await send(head)
                    await send(message)
                head = None
            if self.flow.write_paused:
                await self.flow.drain()

        try:
            await app(scope, receive, send_and_drain)
        except (LitestarException, CancelledError) as error:
            if isinstance(error, LitestarException) and not (cycle.response_started or head):
                raise
            log_cut_off(error, request_id(scope))
            cycle.disconnected = True
            self.transport.abort()

    def on_response_complete(self) -> None:
        """Go on to the next request; nothing more is read while others wait."""
        super().on_response_complete()
        if self.pipeline:
            self.flow.pause_reading()
        elif self.cycle.response_complete and not self.is_body:
            self.limit.waits(self)

    def pause_writing(self) -> None:
        """Start the deadline: the client takes bytes more slowly than they are written."""
        super().pause_writing()
        self.write_deadline.start()

    def resume_writing(self) -> None:
        """Stop the deadline: the client has taken everything."""
        super().resume_writing()
        self.write_deadline.stop()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and bound the bytes received without completing a header block or body chunk."""
        if self.is_discarding:
            return
        self.bytes_since_progress += len(data)
        super().data_received(data)
        if self.bytes_since_progress > MAX_HEAD and not self.transport.is_closing():
            in_body, in_head = HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            self.respond_and_close(in_body if self.is_body else in_head)
        self.start_timer()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Reject what is incomplete when the client sends no more; return whether a response is still to be sent."""
        if not self.is_discarding and (self.is_body or (self.is_head and self.scope is not None)):
            self.respond_and_close(HTTPStatus.BAD_REQUEST)
        if self.cycle is None or self.cycle.response_complete or self.cycle.disconnected:
            return False
        self.cycle.keep_alive = False
        return True

    def on_message_begin(self) -> None:
        """Start a request, unless too many wait."""
        if len(self.pipeline) >= MAX_PIPELINED:
            self.abort_parsing(HTTPStatus.TOO_MANY_REQUESTS)
        self.cancel_timer()
        self.is_head, self.bytes_since_progress = True, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers are ignored."""
        if self.is_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Check the complete head, and go on to the body."""
        self.cancel_timer()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if len(self.url) > MAX_URL:
            self.abort_parsing(HTTPStatus.REQUEST_URI_TOO_LONG)
        if size > MAX_HEAD:
            self.abort_parsing(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if not (self.has_valid_host() and self.has_valid_framing()):
            self.abort_parsing(HTTPStatus.BAD_REQUEST)
        super().on_headers_complete()
        self.is_head, self.is_body, self.bytes_since_progress = False, True, 0
        self.body_began, self.body_bytes = self.loop.time(), 0

    def _unsupported_upgrade_warning(self) -> None:
        """Close after the response: what follows an Upgrade would be another protocol."""
        self.cycle.keep_alive = False
        self.is_discarding = True

    def has_valid_host(self) -> bool:
        """Return whether the HTTP version is supported, and there is exactly one Host; HTTP/1.0 needs none."""
        version = self.parser.get_http_version()
        hosts = sum(name == b"host" for name, _ in self.headers)
        return version in VERSIONS and hosts <= 1 and (hosts == 1 or version == "1.0")

    def has_valid_framing(self) -> bool:
        """Return whether the body is framed unambiguously: no coding but chunked, and neither HTTP/1.0 nor Upgrade.

        The parser treats the body of a request with an Upgrade as the beginning of another protocol.
        """
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        has_body = bool(codings) or any(name == b"content-length" and value != b"0" for name, value in self.headers)
        if codings and (codings != [b"chunked"] or self.parser.get_http_version() == "1.0"):
            return False
        return not (has_body and self.parser.should_upgrade())

    def on_body(self, body: bytes) -> None:
        """Take a chunk of the body."""
        self.bytes_since_progress = 0
        self.body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        self.cancel_timer()
        self.is_body = False
        if self.cycle.response_complete:
            self.limit.waits(self)
        else:
            self.limit.received_request(self)
        super().on_message_complete()

    def abort_parsing(self, status: HTTPStatus) -> None:
        """Make the parser stop; the response will have this status."""
        self.rejection = status
        raise RejectedRequestError(status.phrase)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the status is enough
        """Respond in plain text to what is not valid HTTP."""
        self.respond_and_close(self.rejection)

    def respond_and_close(self, status: HTTPStatus) -> None:
        """Respond with a status in plain text and close; complete requests received before are served first."""
        if self.cycle is None or self.cycle.response_complete or (self.is_body and self.may_respond):
            self.transport.write(plain(status, "text/plain; charset=utf-8", status.phrase.encode()))
            self.close_after_input()
        elif self.is_body:
            self.transport.close()
        else:
            self.cycle.keep_alive = False
            self.is_discarding = True

    @property
    def may_respond(self) -> bool:
        """Return whether nothing of a response to the incomplete request has been written, and it is the next."""
        return not self.cycle.response_started and not self.pipeline

    def close_after_input(self) -> None:
        """Close when the client has sent all it will, or soon."""
        self.is_discarding = True
        if self.cycle:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def start_timer(self) -> None:
        """Start the timer for an incomplete head or body or for an idle connection, unless one runs."""
        if self.timer is not None:
            return
        if self.is_head:
            self.timer = self.loop.call_later(self.settings.header_timeout, self.transport.close)
        elif self.is_body:
            self.timer = self.loop.call_later(min(self.settings.body_timeout, BODY_RATE_AFTER), self.check_body)
        elif self.cycle.response_complete:
            self.timer = self.loop.call_later(self.timeout_keep_alive, self.transport.close)

    def cancel_timer(self) -> None:
        """Cancel the timer, if one runs."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def shutdown(self) -> None:
        """Finish what is in flight; an incomplete request is dropped soon, so that it does not delay the end.

        Readiness learns of it here because this is called in every worker; `uvicorn.Server` has no hook for that.
        """
        self.app.state.is_draining = True
        super().shutdown()
        self.loop.call_later(INCOMPLETE_SECONDS, self.drop_incomplete)
        self.loop.call_later(self.settings.grace, self.transport.abort)

    def drop_incomplete(self) -> None:
        """Close the connection if its request is still incomplete."""
        if self.is_body:
            self.transport.close()

    def check_body(self) -> None:
        """Give up a body that takes too long, or of which too little arrives; else check again in a second."""
        seconds, limit = self.loop.time() - self.body_began, self.settings.body_timeout
        if seconds >= limit - TIMER_PRECISION:
            self.time_out_body(f"The body did not arrive within {limit:g} s.")
        elif self.body_bytes < MIN_BODY_RATE * seconds:
            self.time_out_body(f"After {seconds:.0f} s the body arrives at less than {MIN_BODY_RATE} bytes per second.")
        else:
            self.timer = self.loop.call_later(min(1, limit - seconds), self.check_body)

    def time_out_body(self, detail: str) -> None:
        """Respond with 408 if no response has begun, and close."""
        if not self.may_respond:
            self.transport.close()
            return
        id_ = request_id(cast("Scope", self.scope))
        content = encode(Problem(REQUEST_TIMEOUT, detail), id_)
        self.transport.write(plain(HTTPStatus.REQUEST_TIMEOUT, MEDIA_TYPE, content, {REQUEST_ID: id_}))
        self.close_after_input()


class JoinedWrites:
    """Stands for a transport, and keeps what is written to it for one write."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.parts: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        """Keep data."""
        self.parts.append(data)

    def close(self) -> None:
        """Close the transport after the write."""
        self.is_closed = True

    def flush(self) -> None:
        """Write everything at once, unless the connection is lost."""
        if not self.transport.is_closing():
            self.transport.writelines(self.parts)
        if self.is_closed:
            self.transport.close()


@contextmanager
def joined_writes(cycle: RequestResponseCycle) -> Iterator[None]:
    """Write what a cycle sends in this context at once: uvicorn would send head and body in two packets."""
    transport = cycle.transport
    joined = JoinedWrites(transport)
    cycle.transport = cast("Transport", joined)
    try:
        yield
    finally:
        cycle.transport = transport
        joined.flush()


def plain(
    status: HTTPStatus, media_type: str, content: bytes, headers: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """Return a complete response after which the connection is closed."""
    headers = {
        "Content-Type": media_type,
        "Content-Length": str(len(content)),
        "Connection": "close",
        **DEFAULT_HEADERS,
        **headers,
    }
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


def protocol(settings: Settings) -> Any:  # noqa: ANN401 - what uvicorn takes
    """Return the protocol with the timeouts of the settings; the connections of a process share their limit."""
    return partial(Protocol, settings=settings, limit=ConnectionLimit(max_connections()))
