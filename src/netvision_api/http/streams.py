"""Responses of any length: page after page, each a short read of its own, so that a slow client holds nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar
from uuid import UUID

from netvision_api.storage.models import Records
from netvision_api.storage.repository import PAGE_BYTES, PAGE_ROWS
from netvision_api.storage.service import RecordService

T = TypeVar("T")


async def pages(records: RecordService, first: Records, count: int) -> AsyncIterator[Records]:
    """Yield a first page and the next ones, until `count` records are read.

    After a page that its size has cut short, few rows are requested: the database adds up the sizes of all of them.
    """
    current = first
    while current:
        yield current
        count -= len(current)
        limit = min(count, PAGE_ROWS, 2 * len(current))
        current = await records.list_page(current[-1].uuid, limit) if limit else []


async def pages_by_uuid(records: RecordService, uuids: Sequence[UUID]) -> AsyncIterator[Records]:
    """Yield the records with these uuids, as many at a time as their size allows, and none stored in between."""
    wanted, after, limit = set(uuids), None, len(uuids)
    while uuids and after != uuids[-1]:
        current = await records.list_page(after or predecessor(uuids[0]), limit)
        if not current:
            return
        yield [record for record in current if record.uuid in wanted]
        after, limit = min(current[-1].uuid, uuids[-1]), 2 * len(current)


def predecessor(uuid: UUID) -> UUID | None:
    """Return the uuid right before another; None before the first."""
    return UUID(int=uuid.int - 1) if uuid.int else None


def may_be_truncated(page: Records) -> bool:
    """Return whether a page may have ended at its limit of bytes: a character has at most four of them."""
    return sum(len(record.text) for record in page) * 4 >= PAGE_BYTES


async def prefetch(source: AsyncIterator[T]) -> AsyncIterator[T]:
    """Read the next item while one is being sent, so that the database works in the meantime."""
    following = asyncio.ensure_future(anext(source, None))
    try:
        while (current := await following) is not None:
            following = asyncio.ensure_future(anext(source, None))
            yield current
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
