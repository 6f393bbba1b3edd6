"""What uvicorn's HTTP protocol lacks: deadlines for headers and body, bounds on the headers, and exactly one Host."""

from asyncio import TimerHandle
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, cast

from litestar.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from netvision_api.headers import ALWAYS, REQUEST_ID, request_id
from netvision_api.problems import MEDIA_TYPE, REQUEST_TIMEOUT, Problem, details
from netvision_api.settings import Seconds, Settings

MAX_URL = 2**13
MAX_HEAD = 2**16
"""The most bytes of a URL, and of a URL with all headers; also of trailers, which nobody reads."""

VERSIONS = frozenset({"1.0", "1.1"})

HALF_SENT_SECONDS = 0.5
"""How long the rest of a request is waited for after a signal to stop."""


class NotHTTPError(Exception):
    """A request that is refused while its headers come."""


class Protocol(HttpToolsProtocol):
    """One connection; a timer runs while a request is incomplete."""

    def __init__(self, *arguments: Any, header_timeout: Seconds, body_timeout: Seconds, **others: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """Take what uvicorn gives, and the deadlines."""
        super().__init__(*arguments, **others)
        self.header_timeout = header_timeout
        self.body_timeout = body_timeout
        self.timer: TimerHandle | None = None
        self.answering: RequestResponseCycle | None = None
        self.is_head, self.is_body = True, False
        self.unread = 0
        self.refusal = HTTPStatus.BAD_REQUEST

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self.watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more, and let the request that is being answered know; uvicorn tells the last one that came."""
        self.unwatch()
        if self.answering and not self.answering.response_complete:
            self.answering.disconnected = True
            self.answering.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - uvicorn's own
        """Begin to answer a request; of several that came at once it is the first, not the last."""
        self.answering = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Read on; bytes that are neither a whole head nor a piece of a body are bounded, wherever they stand."""
        self.unread += len(data)
        super().data_received(data)
        if self.unread > MAX_HEAD and not self.transport.is_closing():
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        self.watch()

    def on_message_begin(self) -> None:
        """Begin with a request's head."""
        self.unwatch()
        self.is_head, self.unread = True, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer comes too late to be one."""
        if self.is_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Check the head as a whole, and go on to the body."""
        self.unwatch()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if len(self.url) > MAX_URL:
            self.reject(HTTPStatus.REQUEST_URI_TOO_LONG)
        if size > MAX_HEAD:
            self.reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if not (self.is_addressed() and self.is_framed()):
            self.reject(HTTPStatus.BAD_REQUEST)
        super().on_headers_complete()
        self.is_head, self.is_body, self.unread = False, True, 0

    def is_addressed(self) -> bool:
        """Tell whether the version is one that is spoken here, and exactly one Host is named; HTTP/1.0 needs none."""
        version = self.parser.get_http_version()
        hosts = sum(name == b"host" for name, _ in self.headers)
        return version in VERSIONS and hosts <= 1 and (hosts == 1 or version == "1.0")

    def is_framed(self) -> bool:
        """Tell whether the body is found where it is: chunked and nothing else, and not behind an Upgrade.

        The parser takes the body of a request with an Upgrade for the first words of another protocol.
        """
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        has_body = bool(codings) or any(name == b"content-length" and value != b"0" for name, value in self.headers)
        return codings in ([], [b"chunked"]) and not (has_body and self.parser.should_upgrade())

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self.unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Be done with the body."""
        self.unwatch()
        self.is_body = False
        super().on_message_complete()

    def reject(self, status: HTTPStatus) -> None:
        """Have the parser stop, and the answer be this one."""
        self.refusal = status
        raise NotHTTPError(status.phrase)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the status says it
        """Answer what cannot be served as HTTP, plainly."""
        self.refuse(self.refusal)

    def refuse(self, status: HTTPStatus) -> None:
        """Answer with a status in plain text, and close; what came whole before is answered first."""
        if self.is_body:
            self.transport.close()
        elif self.cycle is None or self.cycle.response_complete:
            self.transport.write(plain(status, "text/plain; charset=utf-8", status.phrase.encode()))
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    def watch(self) -> None:
        """Set the timer of an incomplete head or body, or of a connection that is left idle, if none runs."""
        if self.timer is not None:
            return
        if self.is_head:
            self.timer = self.loop.call_later(self.header_timeout, self.transport.close)
        elif self.is_body:
            self.timer = self.loop.call_later(self.body_timeout, self.time_out_body)
        elif self.cycle.response_complete:
            self.timer = self.loop.call_later(self.timeout_keep_alive, self.transport.close)

    def unwatch(self) -> None:
        """Stop the timer, if one runs."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def shutdown(self) -> None:
        """Finish what is in flight; a request that does not come whole soon is dropped, lest it hold up the rest."""
        self.app.state.is_draining = True
        super().shutdown()
        self.loop.call_later(HALF_SENT_SECONDS, self.drop_half_sent)

    def drop_half_sent(self) -> None:
        """Close if the request is still incomplete."""
        if self.is_body:
            self.transport.close()

    def time_out_body(self) -> None:
        """Answer 408 where no answer has begun, and close."""
        if not self.cycle.response_started and not self.pipeline:
            problem = Problem(REQUEST_TIMEOUT, f"The body did not come within {self.body_timeout:g} s.")
            name = request_id(cast("Scope", self.scope))
            content = details(problem, name)
            self.transport.write(plain(HTTPStatus.REQUEST_TIMEOUT, MEDIA_TYPE, content, {REQUEST_ID: name}))
        self.transport.close()


def plain(
    status: HTTPStatus, media_type: str, content: bytes, headers: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """Write an answer after which the connection is closed."""
    headers = {
        "Content-Type": media_type,
        "Content-Length": str(len(content)),
        "Connection": "close",
        **ALWAYS,
        **headers,
    }
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


def protocol(settings: Settings) -> Any:  # noqa: ANN401 - what uvicorn takes
    """Return a maker of connections with the deadlines of the settings."""
    return partial(Protocol, header_timeout=settings.header_timeout, body_timeout=settings.body_timeout)
