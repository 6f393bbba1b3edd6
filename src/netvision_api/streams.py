"""Answers of any length: page after page, each read for itself, so that nothing is held while a slow client reads."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar
from uuid import UUID

from netvision_api.queues import Queues
from netvision_api.schemas import Records
from netvision_api.statements import PAGE_BYTES, PAGE_ROWS, Ask

T = TypeVar("T")


async def pages(queues: Queues, first: Records, count: int) -> AsyncIterator[Records]:
    """Follow a first page with the next ones, until `count` records are read.

    A page that its weight has cut short asks for few rows next: the database weighs all that are asked for.
    """
    current = first
    while current:
        yield current
        count -= len(current)
        limit = min(count, PAGE_ROWS, 2 * len(current))
        current = await queues.pages.submit(Ask(current[-1].uuid, limit)) if limit else []


async def pages_of(queues: Queues, keys: Sequence[UUID]) -> AsyncIterator[Records]:
    """Read the records with these uuids, as many at a time as their weight allows; none that came in between."""
    wanted, after, limit = set(keys), None, len(keys)
    while keys and after != keys[-1]:
        current = await queues.pages.submit(Ask(after or predecessor(keys[0]), limit))
        if not current:
            return
        yield [record for record in current if record.uuid in wanted]
        after, limit = min(current[-1].uuid, keys[-1]), 2 * len(current)


def predecessor(key: UUID) -> UUID | None:
    """Return the uuid right before another; None before the first."""
    return UUID(int=key.int - 1) if key.int else None


def may_be_cut(records_: Records) -> bool:
    """Tell whether a page may have ended for its weight: a character is four bytes at the most."""
    return sum(len(record.text) for record in records_) * 4 >= PAGE_BYTES


async def read_ahead(source: AsyncIterator[T]) -> AsyncIterator[T]:
    """Read the next item while one is being sent: the database works meanwhile."""
    following = asyncio.ensure_future(anext(source, None))
    try:
        while (current := await following) is not None:
            following = asyncio.ensure_future(anext(source, None))
            yield current
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
