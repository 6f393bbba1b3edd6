"""The bound on requests in flight: beyond it, better an answer at once that says no than a late one for everybody."""

from litestar.types import ASGIApp, Receive, Scope, Send

from netvision_api.headers import header
from netvision_api.problems import OVERLOADED, Problem, refuse
from netvision_api.security import OPEN_PATHS
from netvision_api.settings import Settings

SHARE_BYTES = 2**18
"""A request counts for one more with each of these that its body may bring, so that bodies in memory are bounded."""


class Admission:
    """Let in as many requests as may be served at a time, and refuse the others; probes of health come in always."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """Stand before an application."""
        self.app = app
        self.most = settings.max_in_flight
        self.largest = min(settings.max_body // SHARE_BYTES, self.most - 1)
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on if there is room for it."""
        if scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        share = 1 + self.share_of_body(scope)
        if self.in_flight + share > self.most:
            detail = f"The server works on as much as it may at a time, which is --max-in-flight {self.most}."
            await refuse(Problem(OVERLOADED, detail), scope, send)
            return
        self.in_flight += share
        try:
            await self.app(scope, receive, send)
        finally:
            self.in_flight -= share

    def share_of_body(self, scope: Scope) -> int:
        """Count what a body weighs by the length it announces; one without a length may be as large as any."""
        length = header(scope, b"content-length")
        if length:
            return min(int(length) // SHARE_BYTES, self.largest)
        return self.largest if header(scope, b"transfer-encoding") else 0
