"""A small HTTP server in a thread before a records store of the tests: it counts the work, and cuts connections."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import msgspec

from netvision_cli.client import Record
from netvision_cli.errors import NetvisionError, NotFound
from tests.cli.simulation import SimulatedServer

ABSENT = b'{"type": "urn:netvision:problem:record-not-found"}'
REASONS = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}


class CutError(Exception):
    """The connection ends here."""


class PlantedServer:
    """Serves a store; `cuts` and `overloads` are the shares of requests that end in a reset or a 503."""

    def __init__(self, store: SimulatedServer, cuts: float = 0.0, overloads: float = 0.0) -> None:
        self.store = store
        self.cuts = cuts
        self.overloads = overloads
        self.requests = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request after another."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *headers = head.decode().split("\r\n")
                fields = dict(header.lower().split(": ", 1) for header in headers if header)
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                method, target, _ = line.split(" ")
                self.requests += 1
                writer.write(self.respond(method, target, body))
                await writer.drain()
        except (CutError, asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.transport.abort()

    def respond(self, method: str, target: str, body: bytes) -> bytes:
        """Do the work of a request and write its response, or let it fail."""
        rng = self.store.rng.random()
        if rng < self.overloads:
            return response(503, b"{}")
        try:
            status, content = 200, msgspec.json.encode(self.work(method, target, body))
        except NotFound:
            status, content = 404, ABSENT
        except NetvisionError:
            status, content = 503, b"{}"
        if rng > 1 - self.cuts:
            raise CutError
        return response(status, content)

    def work(self, method: str, target: str, body: bytes) -> object:
        """Do the work of a request."""
        url = urlsplit(target)
        key = url.path.removeprefix("/")
        if method == "POST":
            return self.store.do_store(msgspec.json.decode(body, type=list[Record]))
        if method == "DELETE":
            return self.store.do_remove(UUID(key))
        if not key.isdigit():
            raise NotFound(key)
        after = parse_qs(url.query).get("after", ["00000000-0000-0000-0000-000000000000"])
        return self.store.do_page(int(key), UUID(after[0]))


def response(status: int, content: bytes) -> bytes:
    """Write a response in one piece."""
    head = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    return head.encode() + b"\r\n\r\n" + content


@contextmanager
def planted(server: PlantedServer) -> Iterator[str]:
    """Run a server in a thread; yields its URL."""
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(server.connected, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listening.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
