"""How much a process takes on at a time: requests in flight, and bytes of request bodies and of responses in memory."""

from typing import Any, cast

from litestar import Request
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from netvision_api.http.paths import ASSET_PATHS, PROBE_PATHS
from netvision_api.http.problems import OVERLOADED, Problem, send_problem
from netvision_api.settings import Settings

BODY_BYTES_PER_REQUEST = 2**18
RESPONSE_BYTES_PER_REQUEST = 2**19
"""How many bytes of bodies and of responses are kept in memory at a time, for each request that may be in flight."""

MAX_BYTES_PER_CHARACTER = 6
"""How many bytes a character may take in JSON: U+0001 is escaped as \\u0001."""

UNLIMITED_PATHS = PROBE_PATHS | ASSET_PATHS
"""What is always admitted. Nobody waits for memory because of an asset: all its responses are the same bytes."""

COUNTED_FROM = 2**16
"""Responses of fewer bytes are not counted: the number of requests bounds them well enough."""


class Limit:
    """An amount of something that all requests share."""

    def __init__(self, most: int, what: str) -> None:
        self.most = most
        self.what = what
        self.taken = 0


class Share:
    """What one request has taken of a limit; if nobody else has anything, that may be any amount."""

    __slots__ = ("amount", "limit")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.amount = 0

    def resize(self, amount: int) -> None:
        """Take more, or give some back; raises Problem if there is not enough left."""
        others = self.limit.taken - self.amount
        if others and amount and others + amount > self.limit.most:
            detail = f"Too many {self.limit.what} (limit {self.limit.most}, see --max-in-flight)."
            raise Problem(OVERLOADED, detail)
        self.limit.taken = others + amount
        self.amount = amount


class AdmissionMiddleware:
    """Admit requests within the limits, and reject the others at once.

    A POST is admitted when its body has arrived: until then it only takes the memory of what has come.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.requests = Limit(settings.max_in_flight, "requests in flight")
        self.bodies = Limit(settings.max_in_flight * BODY_BYTES_PER_REQUEST, "bytes of bodies in memory")
        self.responses = Limit(settings.max_in_flight * RESPONSE_BYTES_PER_REQUEST, "bytes of responses in memory")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on if it is within the limits."""
        if scope["path"] in UNLIMITED_PATHS:
            await self.app(scope, receive, send)
            return
        request, body, response = Share(self.requests), Share(self.bodies), Share(self.responses)

        async def receive_counted() -> Any:  # noqa: ANN401 - a message
            message: Any = await receive()
            body.resize(body.amount + len(message.get("body", b"")))
            if not message.get("more_body"):
                request.resize(1)
            return message

        scope["state"]["response_share"] = response
        try:
            if cast("HTTPScope", scope)["method"] == "POST":
                await self.app(scope, receive_counted, send)
            else:
                request.resize(1)
                await self.app(scope, receive, send)
        except Problem as problem:
            await send_problem(problem, scope, send)
        finally:
            for share in (request, body, response):
                share.resize(0)


def expect_response(request: Request[Any, Any, Any], characters: int) -> None:
    """Count the most bytes that texts may be rendered as; raises Problem, before any work, if there are too many."""
    count_response(request, MAX_BYTES_PER_CHARACTER * characters)


def count_response(request: Request[Any, Any, Any], size: int) -> None:
    """Count the bytes of a response in memory, in place of those before; raises Problem if there are too many."""
    request.scope["state"]["response_share"].resize(size if size >= COUNTED_FROM else 0)
