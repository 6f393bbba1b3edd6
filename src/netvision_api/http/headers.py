"""The headers that every response has: the request id, which the log has too, and restrictions for browsers."""

import re
from itertools import count
from secrets import token_hex

from litestar.types import HTTPResponseStartEvent, Scope

REQUEST_ID = "X-Request-ID"
CONTENT_SECURITY_POLICY = "default-src 'none'; frame-ancestors 'none'"
DEFAULT_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
}
ENCODED_HEADERS = [(name.lower().encode(), value.encode()) for name, value in DEFAULT_HEADERS.items()]
ID_PREFIX = token_hex(8)
id_counter = count(1)
"""A generated id consists of a prefix per process and a number in it."""

VALID_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


def header(scope: Scope, wanted: bytes) -> bytes:
    """Return the value of a request's header, empty if it has none."""
    for name, value in scope["headers"]:
        if name == wanted:
            return value
    return b""


def request_id(scope: Scope) -> str:
    """Return the request's id: the one it brings, if that is valid, or one generated on first use."""
    state = scope.setdefault("state", {})
    if "request_id" not in state:
        incoming = header(scope, b"x-request-id")
        is_valid = VALID_REQUEST_ID.fullmatch(incoming)
        state["request_id"] = incoming.decode() if is_valid else f"{ID_PREFIX}{next(id_counter):016x}"
    return str(state["request_id"])


def add_headers(message: HTTPResponseStartEvent, scope: Scope) -> None:
    """Add the request id to a response, and the default headers that it does not set itself."""
    own = list(message["headers"])
    names = {name for name, _ in own}
    missing = [pair for pair in ENCODED_HEADERS if pair[0] not in names]
    message["headers"] = [*own, (b"x-request-id", request_id(scope).encode()), *missing]
