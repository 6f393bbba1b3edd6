"""Who may ask, and how: the Host a request names and the type of the body it brings."""

import re
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from netvision_api.problems import HOST_NOT_ALLOWED, UNSUPPORTED_MEDIA_TYPE, Problem, response
from netvision_api.request_id import request_id

is_json = re.compile(r'\s*application/json\s*(;\s*charset="?utf-?8"?\s*)?', re.IGNORECASE).fullmatch

OPEN_PATHS = frozenset({"/health/live", "/health/ready"})


class HostGuard:
    """Refuse requests for a Host that is not ours: a page elsewhere could have its name point here.

    It stands before the router, since Litestar's middleware never sees a path that does not exist.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        """Guard an application with the names that it serves, in lower case and without ports."""
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what names an allowed Host, and probes of health, whatever they name."""
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        if without_port(host) in self.hosts or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        problem = Problem(HOST_NOT_ALLOWED, f"The Host {host[:80]!r} is not served here; see --allowed-hosts.")
        refusal = response(problem, request_id(scope)).to_asgi_response(app=None, request=Request(scope))
        await refusal(scope, receive, send)


def without_port(host: str) -> str:
    """Take the port off a Host header."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()


def requires_json(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Refuse a body that does not say it is JSON: a browser's form could otherwise post to this service."""
    content_type = connection.headers.get("content-type", "")
    if "content-encoding" in connection.headers:
        encoding = connection.headers["content-encoding"]
        raise Problem(UNSUPPORTED_MEDIA_TYPE, f"The body must be plain, not in Content-Encoding {encoding[:80]!r}.")
    if not is_json(content_type):
        detail = f"The Content-Type must be application/json in UTF-8, not {content_type[:80]!r}."
        raise Problem(UNSUPPORTED_MEDIA_TYPE, detail)
