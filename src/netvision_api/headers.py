"""The headers that every answer has: the request's id, which the log has too, and what a browser must not do."""

import re
from uuid import uuid4

from litestar.types import Message, Scope

REQUEST_ID = "X-Request-ID"
NOTHING_LOADS = "default-src 'none'; frame-ancestors 'none'"
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": NOTHING_LOADS,
}
ENCODED = [(name.lower().encode(), value.encode()) for name, value in ALWAYS.items()]
SANE = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


def request_id(scope: Scope) -> str:
    """Return the request's id: the one it brings, if that is sane, or one made on first use."""
    state = scope.setdefault("state", {})
    if "request_id" not in state:
        brought = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        state["request_id"] = brought.decode() if SANE.fullmatch(brought) else uuid4().hex
    return str(state["request_id"])


async def add_headers(message: Message, scope: Scope) -> None:
    """Give an answer its request's id, and whatever of the other headers it has not set itself."""
    if message["type"] == "http.response.start":
        own = list(message["headers"])
        names = {name for name, _ in own}
        missing = [(name, value) for name, value in ENCODED if name not in names]
        message["headers"] = [*own, (b"x-request-id", request_id(scope).encode()), *missing]
