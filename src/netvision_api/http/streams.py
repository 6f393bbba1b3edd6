"""Responses of any length: page after page, each a short read of its own, so that a slow client holds nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, TypeVar
from uuid import UUID

from litestar import Request

from netvision_api.http.admission import count_response, expect_response
from netvision_api.http.formats import Format
from netvision_api.storage.models import Records, StoredRecord
from netvision_api.storage.repository import PAGE_BYTES, PAGE_ROWS
from netvision_api.storage.service import RecordService

T = TypeVar("T")

PART_CHARACTERS = 2**17
"""How much of a page is rendered at a time: a character may take six bytes in JSON."""


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


async def rendered(
    request: Request[Any, Any, Any], format_: Format, pages: AsyncIterator[Records]
) -> AsyncIterator[bytes]:
    """Render pages part by part, and count what is in memory of them."""
    has_begun = False
    async for page in pages:
        size = characters(page)
        for part, part_size in parts(page, size):
            expect_response(request, part_size)
            content = (format_.separator if has_begun else format_.head) + format_.render_rows(part)
            count_response(request, size + len(content))
            has_begun = True
            yield content
    yield format_.tail if has_begun else format_.head + format_.tail


def parts(page: Records, total: int) -> Iterator[tuple[Records, int]]:
    """Split a page of `total` characters into parts of at most `PART_CHARACTERS` or of one record, with their sizes."""
    if total <= PART_CHARACTERS:
        yield page, total
        return
    part: list[StoredRecord] = []
    size = 0
    for record in page:
        if part and size + len(record.text) > PART_CHARACTERS:
            yield part, size
            part, size = [], 0
        part.append(record)
        size += len(record.text)
    yield part, size


def characters(records: Records) -> int:
    """Return how many characters the texts of records have."""
    return sum(len(record.text) for record in records)


def may_be_truncated(page: Records) -> bool:
    """Return whether a page may have ended at its limit of bytes: a character has at most four of them."""
    return characters(page) * 4 >= PAGE_BYTES


async def chain(first: T, others: AsyncIterator[T]) -> AsyncIterator[T]:
    """Yield a first item, then the others."""
    yield first
    async for item in others:
        yield item


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
        del following  # its exception refers to this frame, and so to what it read
