"""Deleting records: those that are named, or all of them, many at the same time."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from uuid import UUID

from netvision_cli.client import MAX_PAGE, Client, Record
from netvision_cli.errors import NotFound
from netvision_cli.options import Format
from netvision_cli.output import existing, progress, report_absent, reporting, were, write

CONCURRENT_DELETES = 64


async def count_records(client: Client) -> int:
    """Count the records by reading them."""
    count = 0
    with progress("counted") as advance:
        async with aclosing(client.stream()) as records:
            async for _ in records:
                count += 1
                advance(1)
    return count


async def delete_records(client: Client, keys: Iterable[UUID] | None, format_: Format, total: int | None) -> None:
    """Delete the records with these uuids, or all `total` of them, and print them."""
    absent: list[UUID] = []
    count = 0

    async def counted() -> AsyncGenerator[Record, None]:
        nonlocal count
        deleted = delete_all(client) if keys is None else existing(keys, client.remove, absent)
        async with aclosing(deleted):
            async for record in deleted:
                count += 1
                advance(1)
                yield record

    with (
        progress("deleted", total) as advance,
        reporting(lambda: f"{were(count, 'record')} deleted before that" if count else ""),
    ):
        await write(counted(), format_)
    report_absent(absent)


def delete_all(client: Client) -> AsyncGenerator[Record, None]:
    """Delete every record."""
    return delete_keys(client, all_keys(client))


async def all_keys(client: Client) -> AsyncGenerator[UUID, None]:
    """Yield the uuid of every record."""
    async with aclosing(client.stream()) as records:
        async for record in records:
            yield record.uuid


async def delete_keys(client: Client, keys: AsyncGenerator[UUID, None]) -> AsyncGenerator[Record, None]:
    """Delete records page by page; those that others delete at the same time are skipped."""
    page: list[UUID] = []
    async with aclosing(keys):
        async for key in keys:
            page.append(key)
            if len(page) == MAX_PAGE:
                async for deleted in delete_concurrently(client, page):
                    yield deleted
                page.clear()
    async for deleted in delete_concurrently(client, page):
        yield deleted


async def delete_concurrently(client: Client, keys: Iterable[UUID]) -> AsyncGenerator[Record, None]:
    """Delete records at the same time; yield those that existed before raising the error of another."""
    slots = asyncio.Semaphore(CONCURRENT_DELETES)
    errors: list[Exception] = []

    async def remove(key: UUID) -> Record | None:
        async with slots:
            try:
                return None if errors else await client.remove(key)
            except NotFound:
                return None
            except Exception as error:  # noqa: BLE001 - raised below
                errors.append(error)
                return None

    for record in await asyncio.gather(*map(remove, keys)):
        if record:
            yield record
    if errors:
        raise errors[0]
