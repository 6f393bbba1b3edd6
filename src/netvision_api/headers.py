"""The headers that every answer has: the request's id, which the log has too, and what a browser must not do."""

import re
from itertools import count
from secrets import token_hex

from litestar.types import HTTPResponseStartEvent, Scope

REQUEST_ID = "X-Request-ID"
NOTHING_LOADS = "default-src 'none'; frame-ancestors 'none'"
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": NOTHING_LOADS,
}
ENCODED = [(name.lower().encode(), value.encode()) for name, value in ALWAYS.items()]
PROCESS = token_hex(8)
number = count(1)
"""A made id is unique by the process it comes from and its number there."""

SANE = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


def header(scope: Scope, wanted: bytes) -> bytes:
    """Return the value of a request's header, empty where it has none."""
    for name, value in scope["headers"]:
        if name == wanted:
            return value
    return b""


def request_id(scope: Scope) -> str:
    """Return the request's id: the one it brings, if that is sane, or one made on first use."""
    state = scope.setdefault("state", {})
    if "request_id" not in state:
        brought = header(scope, b"x-request-id")
        state["request_id"] = brought.decode() if SANE.fullmatch(brought) else f"{PROCESS}{next(number):016x}"
    return str(state["request_id"])


def add_headers(message: HTTPResponseStartEvent, scope: Scope) -> None:
    """Give an answer its request's id, and whatever of the other headers it has not set itself."""
    own = list(message["headers"])
    names = {name for name, _ in own}
    missing = [pair for pair in ENCODED if pair[0] not in names]
    message["headers"] = [*own, (b"x-request-id", request_id(scope).encode()), *missing]
