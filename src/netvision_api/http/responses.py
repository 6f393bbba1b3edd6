"""Rendered records as a response: what every successful request for a record passes through, so it does little."""

from dataclasses import dataclass

from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Receive, Scope, Send

from netvision_api.http.formats import Format

OK = 200


@dataclass(frozen=True, slots=True)
class RecordsResponse:
    """An ASGI application that sends content of a known length; Litestar's own response would also see to cookies."""

    format_: Format
    content: bytes
    status: int = OK
    link: str = ""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the response."""
        headers = [*self.format_.headers, (b"content-length", str(len(self.content)).encode())]
        if self.link:
            headers.append((b"link", self.link.encode()))
        await send(HTTPResponseStartEvent(type="http.response.start", status=self.status, headers=headers))
        await send(HTTPResponseBodyEvent(type="http.response.body", body=self.content, more_body=False))
