"""The id that ties a request, its answer and the log together."""

import re
from uuid import uuid4

from litestar.types import Message, Scope

HEADER = "X-Request-ID"
SANE = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")


def request_id(scope: Scope) -> str:
    """Return the request's id: the one it brings, if that is sane, or one made on first use."""
    state = scope.setdefault("state", {})
    if "request_id" not in state:
        brought = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        state["request_id"] = brought.decode() if SANE.fullmatch(brought) else uuid4().hex
    return str(state["request_id"])


async def add_headers(message: Message, scope: Scope) -> None:
    """Give every answer its request's id, and forbid guessing its type or keeping it."""
    if message["type"] == "http.response.start":
        message["headers"] = [
            *message["headers"],
            (b"x-request-id", request_id(scope).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"no-store"),
        ]
