"""ASGI middleware around the whole application, so that it also sees paths that the router does not know.

From the outside in: metrics (in `metrics`), headers, access, admission (in `admission`). No body has been read and no
database used when a request is rejected here.
"""

from hmac import compare_digest
from typing import cast

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from netvision_api.http.formats import HTML, JSON, media_type_for
from netvision_api.http.headers import add_headers, header
from netvision_api.http.paths import ASSET_PATHS, PAGE_PATHS, PROBE_PATHS
from netvision_api.http.problems import (
    FORBIDDEN,
    HOST_NOT_ALLOWED,
    READING_METHODS,
    UNAUTHORIZED,
    Problem,
    send_problem,
)
from netvision_api.settings import Settings, Tokens


class HeadersMiddleware:
    """Add the headers that every response has, rejections included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and complete the headers of its response."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(message, scope)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class AccessMiddleware:
    """Reject requests for a Host that is not allowed, and requests without a token that permits them.

    The name of any page on the web can be made to resolve to this machine, hence the check of the Host.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """Wrap an application; without tokens everything is permitted."""
        self.app = app
        self.hosts = settings.hosts
        self.tokens = settings.tokens
        self.read_tokens = settings.read_tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on permitted requests and health probes."""
        problem = None if scope["path"] in PROBE_PATHS else self.rejection_for(scope)
        if problem is None:
            await self.app(scope, receive, send)
        else:
            await send_problem(problem, scope, send)

    def rejection_for(self, scope: Scope) -> Problem | None:
        """Return why a request is rejected, None if it is not."""
        if self.hosts is not None:
            host = header(scope, b"host").decode("latin-1").lower()
            if host not in self.hosts and without_port(host) not in self.hosts:
                return Problem(HOST_NOT_ALLOWED, f"The Host {host[:80]!r} is not served here; see --allowed-hosts.")
        if not self.tokens or is_open(scope):
            return None
        if is_one_of(token := token_of(scope), self.tokens):
            return None
        if not is_one_of(token, self.read_tokens):
            return unauthorized(token)
        method = cast("HTTPScope", scope)["method"]
        return None if method in READING_METHODS else Problem(FORBIDDEN, f"{method} needs a token that may write.")


def is_open(scope: Scope) -> bool:
    """Return whether a browser requests a page or a part of one: it could send no token, and they hold no data."""
    if cast("HTTPScope", scope)["method"] not in READING_METHODS:
        return False
    path = scope["path"]
    return path in ASSET_PATHS or (path in PAGE_PATHS and media_type_for(scope, (JSON.media_type, HTML)) == HTML)


def may_read(scope: Scope, settings: Settings) -> bool:
    """Return whether a request brings a token that permits reading, or needs none."""
    return not settings.tokens or is_one_of(token_of(scope), settings.tokens + settings.read_tokens)


def token_of(scope: Scope) -> bytes:
    """Return the token of a single Authorization header, empty if there is none or it has another scheme."""
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, token = values[0].partition(b" ") if len(values) == 1 else (b"", b"", b"")
    return token.strip(b" ") if scheme.lower() == b"bearer" else b""


def unauthorized(token: bytes) -> Problem:
    """Return the problem that a request has no token, or an invalid one (RFC 6750)."""
    if token:
        detail, challenge = "The token is not valid here.", 'Bearer error="invalid_token"'
    else:
        detail, challenge = "This needs a token: send it in the header `Authorization: Bearer …`.", "Bearer"
    return Problem(UNAUTHORIZED, detail, headers={"WWW-Authenticate": challenge})


def is_one_of(token: bytes, tokens: Tokens) -> bool:
    """Compare a token with all that are valid, in a time that reveals nothing about them."""
    return any([compare_digest(token, valid) for valid in tokens])  # noqa: C419 - all of them, always


def without_port(host: str) -> str:
    """Return a Host header without its port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()
