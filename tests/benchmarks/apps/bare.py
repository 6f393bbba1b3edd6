"""The bare app: ASGI without a framework, on a bare pool of asyncpg."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from uuid import UUID

import asyncpg

from tests.benchmarks.apps.records import ALL, INSERT, PAGE, POOL_SIZE, READ, REMOVE, columns, drafts, encode, record

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

TYPE = (b"content-type", b"application/json")
CHUNK_ROWS = 1000


class BareApp:
    """Five endpoints, told apart by hand."""

    pool: asyncpg.Pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or open and close the pool."""
        if scope["type"] == "lifespan":
            await self.live(receive, send)
        elif scope["path"] == "/health/live":
            await answer(send, 200, b"{}")
        elif scope["path"] == "/all":
            await self.stream(send)
        elif scope["method"] == "POST":
            await answer(send, 201, await self.store(await body_of(receive)))
        else:
            body = await self.one_or_many(scope["method"], scope["path"][1:])
            await answer(send, 200 if body else 404, body or b"{}")

    async def live(self, receive: Receive, send: Send) -> None:
        """Hold the pool while the server runs."""
        await receive()
        async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=POOL_SIZE, max_size=POOL_SIZE) as self.pool:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def one_or_many(self, method: str, key: str) -> bytes | None:
        """Read the first records, or read or delete one."""
        if key.isdigit():
            return encode([record(row) for row in await self.pool.fetch(PAGE, int(key))])
        row = await self.pool.fetchrow(REMOVE if method == "DELETE" else READ, UUID(key))
        return encode(record(row)) if row else None

    async def store(self, body: bytes) -> bytes:
        """Store records."""
        records = drafts(body)
        await self.pool.execute(INSERT, *columns(records))
        return encode(records)

    async def stream(self, send: Send) -> None:
        """Send every record off one cursor."""
        await send({"type": "http.response.start", "status": 200, "headers": [TYPE]})
        separator = b"["
        async with self.pool.acquire() as connection, connection.transaction(readonly=True):
            cursor = await connection.cursor(ALL)
            while rows := await cursor.fetch(CHUNK_ROWS):
                chunk = separator + encode([record(row) for row in rows])[1:-1]
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                separator = b","
        await send({"type": "http.response.body", "body": b"]" if separator == b"," else b"[]"})


async def body_of(receive: Receive) -> bytes:
    """Receive a whole body."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    return body


async def answer(send: Send, status: int, body: bytes) -> None:
    """Send a whole answer."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [TYPE, length]})
    await send({"type": "http.response.body", "body": body})


app = BareApp()
