"""Who may ask, and how: the Host a request names, the token it brings, and the type of its body."""

import re
from hmac import compare_digest
from typing import Any, cast

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from netvision_api.headers import header
from netvision_api.problems import (
    FORBIDDEN,
    HOST_NOT_ALLOWED,
    UNAUTHORIZED,
    UNSUPPORTED_MEDIA_TYPE,
    Problem,
    refuse,
)
from netvision_api.settings import Settings, Tokens

is_json = re.compile(r'\s*application/json\s*(;\s*charset="?utf-?8"?\s*)?', re.IGNORECASE).fullmatch

OPEN_PATHS = frozenset({"/health/live", "/health/ready"})
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Refuse requests for a Host that is not ours, and requests without a token that allows them.

    A page elsewhere could have its name point here, hence the Host. It stands before the router, since Litestar's
    middleware never sees a path that is not there; no body has been read and no database asked.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """Guard an application; without tokens everyone may do everything."""
        self.app = app
        self.hosts = settings.hosts
        self.tokens = settings.tokens
        self.read_tokens = settings.read_tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is allowed, and probes of health."""
        problem = None if scope["path"] in OPEN_PATHS else self.objection(scope)
        if problem is None:
            await self.app(scope, receive, send)
        else:
            await refuse(problem, scope, send)

    def objection(self, scope: Scope) -> Problem | None:
        """Say why a request is refused, None where it is not."""
        if self.hosts is not None:
            host = header(scope, b"host").decode("latin-1").lower()
            if host not in self.hosts and without_port(host) not in self.hosts:
                return Problem(HOST_NOT_ALLOWED, f"The Host {host[:80]!r} is not served here; see --allowed-hosts.")
        if not self.tokens:
            return None
        if is_one_of(given := token_of(scope), self.tokens):
            return None
        if not is_one_of(given, self.read_tokens):
            detail = "This needs a token: send it in the header `Authorization: Bearer …`."
            return Problem(UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})
        method = cast("HTTPScope", scope)["method"]
        return None if method in READING_METHODS else Problem(FORBIDDEN, f"{method} needs a token that may write.")


def may_read(scope: Scope, settings: Settings) -> bool:
    """Tell whether a request brings a token that may read, or needs none."""
    return not settings.tokens or is_one_of(token_of(scope), settings.tokens + settings.read_tokens)


def token_of(scope: Scope) -> bytes:
    """Return the token of the one Authorization header, empty where there is none or another kind."""
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
    return token.strip(b" ") if scheme.lower() == b"bearer" else b""


def is_one_of(given: bytes, tokens: Tokens) -> bool:
    """Compare a token with all that are valid, in a time that tells nothing about them."""
    return any([compare_digest(given, token) for token in tokens])  # noqa: C419 - all of them, always


def without_port(host: str) -> str:
    """Take the port off a Host header."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()


async def requires_json(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Refuse a body that does not say it is JSON: a browser's form could otherwise post to this service.

    It is asynchronous since Litestar would run it in a thread, though it waits for nothing.
    """
    content_type = connection.headers.get("content-type", "")
    if "content-encoding" in connection.headers:
        encoding = connection.headers["content-encoding"]
        raise Problem(UNSUPPORTED_MEDIA_TYPE, f"The body must be plain, not in Content-Encoding {encoding[:80]!r}.")
    if not is_json(content_type):
        detail = f"The Content-Type must be application/json in UTF-8, not {content_type[:80]!r}."
        raise Problem(UNSUPPORTED_MEDIA_TYPE, detail)
