"""A TCP proxy that stands between two of the parts and does to their connections what networks do."""

import asyncio
import socket
import struct
from enum import Enum

from tests.faults.loops import InThread

CHUNK = 65536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Direction(Enum):
    """Which way bytes go."""

    TO_SERVER = "to the server"
    TO_CLIENT = "to the client"


class Link:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.ends = {Direction.TO_CLIENT: client, Direction.TO_SERVER: server}

    def close(self, *, reset: bool) -> None:
        """End both connections, politely or by a reset."""
        for end in self.ends.values():
            if not reset:
                end.close()
            elif not end.transport.is_closing():
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                end.transport.abort()


class Proxy(InThread):
    """Passes bytes on between clients and a server; its faults can be switched at any time, from any thread."""

    def __init__(self, host: str, port: int) -> None:
        """Take the server's address; `port` is then the proxy's own."""
        super().__init__()
        self.target = host, port
        self.port = 0
        self.delay = 0.0
        """Seconds that every piece is held back."""

        self.passed = dict.fromkeys(Direction, 0)
        """How many bytes have gone each way."""

        self.budget: dict[Direction, int] = {}
        self.links: set[Link] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.flowing = asyncio.Event()
        self.listener: asyncio.Server | None = None

    # --- the faults

    def heal(self) -> None:
        """End every fault; connections that were cut stay cut."""
        self.delay = 0.0
        self.budget.clear()
        self.loop.call_soon_threadsafe(self.flowing.set)
        self.run(self.listen())

    def stall(self) -> None:
        """Be a black hole: accept, and let nothing pass either way, on old connections as on new ones."""
        self.loop.call_soon_threadsafe(self.flowing.clear)

    def refuse(self) -> None:
        """Refuse new connections; the old ones stay."""
        self.run(self.stop_listening())

    def cut(self, *, reset: bool = True) -> None:
        """End every connection now."""
        self.run(self.end_links(reset=reset))

    def cut_after(self, count: int, direction: Direction) -> None:
        """Reset every connection once so many more bytes have gone one way; the one beyond them does not arrive."""
        self.budget[direction] = count

    def half_close(self, direction: Direction) -> None:
        """Say that nothing more will come this way, while the other way stays open."""
        self.run(self.end_one_way(direction))

    # --- in the proxy's thread

    async def listen(self) -> None:
        """Accept connections, on the same port as before."""
        if self.listener is None:
            self.listener = await asyncio.start_server(self.accept, "127.0.0.1", self.port)
            self.port = self.listener.sockets[0].getsockname()[1]

    async def stop_listening(self) -> None:
        """Accept no more connections."""
        if self.listener is not None:
            self.listener.close()
            self.listener = None

    async def end_links(self, *, reset: bool) -> None:
        """End every connection."""
        for link in self.links:
            link.close(reset=reset)

    async def end_one_way(self, direction: Direction) -> None:
        """End one way of every connection."""
        for link in self.links:
            link.ends[direction].write_eof()

    async def start(self) -> None:
        """Pass everything on."""
        self.flowing.set()
        await self.listen()

    async def stop(self) -> None:
        """End everything."""
        await self.stop_listening()
        await self.end_links(reset=True)
        self.flowing.set()
        await asyncio.gather(*self.tasks)

    async def accept(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        task = asyncio.current_task()
        assert task
        self.tasks.add(task)
        try:
            await self.connect(client_reader, client)
        except OSError:
            client.transport.abort()
        finally:
            self.tasks.discard(task)

    async def connect(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Connect to the server, and pass on what comes from either side."""
        server_reader, server = await asyncio.open_connection(*self.target)
        link = Link(client, server)
        self.links.add(link)
        try:
            await asyncio.gather(
                self.pump(client_reader, link, Direction.TO_SERVER),
                self.pump(server_reader, link, Direction.TO_CLIENT),
            )
        finally:
            self.links.discard(link)
            link.close(reset=False)

    async def pump(self, source: asyncio.StreamReader, link: Link, direction: Direction) -> None:
        """Pass on one way what comes, until it ends or is cut; a reset is passed on too."""
        try:
            while data := await source.read(CHUNK):
                await asyncio.sleep(self.delay)
                await self.flowing.wait()
                if not await self.deliver(data, link, direction):
                    return
            link.ends[direction].write_eof()
        except OSError:
            link.close(reset=True)

    async def deliver(self, data: bytes, link: Link, direction: Direction) -> bool:
        """Pass on what may pass; cut every connection where that is less than has come."""
        allowed = data[: self.budget.get(direction, len(data))]
        if direction in self.budget:
            self.budget[direction] -= len(allowed)
        sink = link.ends[direction]
        sink.write(allowed)
        await sink.drain()
        self.passed[direction] += len(allowed)
        if len(allowed) == len(data):
            return True
        await self.end_links(reset=True)
        return False
