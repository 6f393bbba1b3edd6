"""A pooler in front of PostgreSQL, as PgBouncer is in transaction mode: all clients share one server connection."""

import asyncio
import struct

from sqlalchemy import make_url

from tests.faults.loops import InThread

PROTOCOL = 3 << 16
AUTHENTICATION_OK = b"R" + struct.pack("!ii", 8, 0)
READY = b"Z" + struct.pack("!ic", 5, b"I")


class Pooler(InThread):
    """Gives the server connection to a client for one transaction at a time, on an event loop in a thread."""

    def __init__(self, url: str) -> None:
        """Take the URL of a database that needs no password."""
        super().__init__()
        self.target = make_url(url)
        self.turn = asyncio.Lock()
        self.client: asyncio.StreamWriter | None = None
        self.greeting = b""
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Return the URL of the same database through the pooler."""
        return self.target.set(port=self.listener.sockets[0].getsockname()[1]).render_as_string(hide_password=False)

    async def start(self) -> None:
        """Connect to the server, and listen."""
        self.server_reader, self.server = await asyncio.open_connection(self.target.host, self.target.port)
        parameters = f"user\0{self.target.username}\0database\0{self.target.database}\0\0".encode()
        self.server.write(struct.pack("!ii", 8 + len(parameters), PROTOCOL) + parameters)
        while (message := await read_message(self.server_reader))[:1] != b"Z":
            self.greeting += message if message[:1] == b"S" else b""
        self.tasks.add(asyncio.create_task(self.pass_responses()))
        self.listener = await asyncio.start_server(self.accept, self.target.host, 0)

    async def stop(self) -> None:
        """Close every connection."""
        self.listener.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.server.close()

    async def accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Serve a client until it leaves."""
        task = asyncio.current_task()
        assert task
        self.tasks.add(task)
        try:
            await self.greet(reader, client)
            while (message := await read_message(reader))[:1] != b"X":
                if self.client is not client:
                    await self.turn.acquire()
                    self.client = client
                self.server.write(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            client.close()
            self.tasks.discard(task)

    async def greet(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Take a client's first message, whose parameters are ignored; there is no TLS."""
        while True:
            length, code = struct.unpack("!ii", await reader.readexactly(8))
            await reader.readexactly(length - 8)
            if code == PROTOCOL:
                break
            client.write(b"N")
        client.write(AUTHENTICATION_OK + self.greeting + READY)

    async def pass_responses(self) -> None:
        """Pass the server's messages on to the client whose turn it is, until its transaction has ended."""
        while message := await read_message(self.server_reader):
            assert self.client
            self.client.write(message)
            if message == READY:
                self.client = None
                self.turn.release()


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """Read one message of PostgreSQL's protocol."""
    head = await reader.readexactly(5)
    return head + await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
