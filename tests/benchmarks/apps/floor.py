"""The floor: Litestar with handlers that do the least, on a bare pool of asyncpg."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
from litestar import Litestar, MediaType, Request, Response, delete, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from tests.benchmarks.apps.records import INSERT, PAGE, POOL_SIZE, READ, REMOVE, columns, drafts, encode, record


def answered(row: asyncpg.Record | None) -> Response[bytes]:
    """Answer with one record, or with 404."""
    if row is None:
        return Response(b"{}", status_code=404, media_type=MediaType.JSON)
    return Response(encode(record(row)), media_type=MediaType.JSON)


@get("/{key:str}")
async def read(key: FromPath[str], state: State) -> Response[bytes]:
    """Answer with the first records, or with one."""
    if key.isdigit():
        rows = await state.pool.fetch(PAGE, int(key))
        return Response(encode([record(row) for row in rows]), media_type=MediaType.JSON)
    return answered(await state.pool.fetchrow(READ, UUID(key)))


@delete("/{key:str}", status_code=200)
async def remove(key: FromPath[str], state: State) -> Response[bytes]:
    """Delete a record."""
    return answered(await state.pool.fetchrow(REMOVE, UUID(key)))


@post("/new")
async def store(request: Request[None, None, State], state: State) -> Response[bytes]:
    """Store records."""
    records = drafts(await request.body())
    await state.pool.execute(INSERT, *columns(records))
    return Response(encode(records), media_type=MediaType.JSON)


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    """Hold the pool."""
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=POOL_SIZE, max_size=POOL_SIZE) as pool:
        app.state.pool = pool
        yield


app = Litestar([read, remove, store], lifespan=[lifespan], openapi_config=None, logging_config=None)
