"""The access log: one line per request, with fields of its own if lines are JSON."""

import logging
from time import perf_counter

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from netvision_api.http.headers import request_id
from netvision_api.http.metrics import CLIENT_CLOSED_REQUEST
from netvision_api.http.paths import route_of
from netvision_api.logs import ACCESS

logger = logging.getLogger(ACCESS)

MESSAGE = "%(client)s %(method)s %(path)s %(status)d, %(bytes)d bytes in %(duration_ms).1f ms, request %(request_id)s"


class AccessLogMiddleware:
    """Log every request when its response is complete."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log its client, method, path, status, size and duration."""
        status, size = CLIENT_CLOSED_REQUEST, 0

        async def send_and_observe(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                size += len(message["body"])
            await send(message)

        began = perf_counter()
        try:
            await self.app(scope, receive, send_and_observe)
        finally:
            log(scope, status, size, perf_counter() - began)  # type: ignore[arg-type]  # never a websocket


def log(scope: HTTPScope, status: int, size: int, seconds: float) -> None:
    """Log one request; its query is left out."""
    fields = {
        "client": (scope["client"] or ("unknown", 0))[0],
        "method": scope["method"],
        "path": scope["path"],
        "route": route_of(scope["path"]),
        "status": status,
        "bytes": size,
        "duration_ms": round(seconds * 1000, 3),
        "request_id": request_id(scope),
    }
    logger.info(MESSAGE, fields, extra={"fields": fields})
