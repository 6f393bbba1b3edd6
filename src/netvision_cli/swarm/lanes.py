"""A client for many calls at the same time: each goes over a connection of its own.

The pool of one httpx client looks at all its connections for every call, which costs more than the call itself as soon
as there are a dozen of them.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Protocol, Self
from uuid import UUID

from netvision_cli.client import Client, Record


class Service(Protocol):
    """What a workload calls."""

    async def store(self, records: Sequence[Record]) -> list[Record]:
        """Store a batch."""

    async def page(self, count: int, after: UUID | None = None) -> list[Record]:
        """Return the first records behind a uuid."""

    async def remove(self, key: UUID) -> Record:
        """Delete a record."""


class Lanes:
    """As many clients as there are calls at the same time; use it as an asynchronous context manager."""

    def __init__(self, connect: Callable[[], Client]) -> None:
        """Take what makes a client."""
        self.connect = connect
        self.free: list[Client] = []
        self.open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open nothing yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close every client."""
        await self.open.aclose()

    @asynccontextmanager
    async def lane(self) -> AsyncIterator[Client]:
        """Take the client that was used last and is free, or open one more."""
        client = self.free.pop() if self.free else await self.open.enter_async_context(self.connect())
        try:
            yield client
        finally:
            self.free.append(client)

    async def store(self, records: Sequence[Record]) -> list[Record]:
        """Store a batch, all of it or none, and return it as it is stored."""
        async with self.lane() as client:
            return await client.store(records)

    async def page(self, count: int, after: UUID | None = None) -> list[Record]:
        """Return the first `count` records behind `after`."""
        async with self.lane() as client:
            return await client.page(count, after)

    async def remove(self, key: UUID) -> Record:
        """Delete one record and return it; raises NotFound."""
        async with self.lane() as client:
            return await client.remove(key)
