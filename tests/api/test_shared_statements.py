"""POSTs that share a statement: a uuid that is stored already concerns the one that brings it, and no other."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from netvision_api.settings import Settings
from netvision_api.storage.database import Database
from netvision_api.storage.errors import ConflictError
from netvision_api.storage.models import Records, StoredRecord
from netvision_api.storage.service import RecordService
from tests.databases import AnyDatabase

pytestmark = pytest.mark.anyio


class CountedDatabase(Database):
    """A database that counts how often a connection for writes is borrowed."""

    borrowed = 0

    @asynccontextmanager
    async def write_connection(self) -> AsyncIterator[AsyncConnection]:
        self.borrowed += 1
        async with super().write_connection() as connection:
            yield connection


@pytest.fixture
async def counted(database: AnyDatabase) -> AsyncIterator[CountedDatabase]:
    """A database without records, for the storage alone."""
    counted = CountedDatabase(Settings(database_url=database.url))
    yield counted
    await counted.close()


def service_on(database: Database) -> RecordService:
    return RecordService(database, Settings())


def records(*texts: str) -> list[StoredRecord]:
    return [StoredRecord(uuid4(), text) for text in texts]


def other(record: StoredRecord) -> StoredRecord:
    return StoredRecord(record.uuid, "other")


async def create_all(service: RecordService, batches: Sequence[Records]) -> list[int | frozenset[UUID]]:
    """Create batches at the same time; a conflict is told by its uuids."""
    results = await asyncio.gather(*map(service.create, batches), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, ConflictError):
            raise result
    return [frozenset(result.uuids) if isinstance(result, ConflictError) else result for result in results]  # type: ignore[misc]


async def test_each_request_gets_the_result_that_it_would_get_alone(counted: CountedDatabase) -> None:
    service = service_on(counted)
    stored, twice, new = records("a", "b"), records("c"), records("d", "e")
    await service.create(stored)
    batches: list[Records] = [
        records("f"),
        [new[0], other(stored[0]), new[1]],
        stored,
        [*records("g"), stored[1]],
        twice,
        twice,
        [other(twice[0]), *records("h")],
        records("i", "j"),
        [],
    ]
    results = await create_all(service, batches)
    assert results == [1, frozenset({stored[0].uuid}), 0, 1, 1, 0, frozenset({twice[0].uuid}), 2, 0]
    kept = [*stored, *batches[0], batches[3][0], *twice, *batches[7]]
    assert await service.list_page(None, 100) == sorted(kept, key=lambda record: record.uuid)


async def test_conflicting_requests_do_not_make_the_others_go_alone(counted: CountedDatabase) -> None:
    service = service_on(counted)
    known = records("a")
    await service.create(known)
    for _ in range(3):
        before = counted.borrowed
        results = await create_all(service, [*[[other(known[0])]] * 8, *[records("b", "c") for _ in range(8)], known])
        assert results == [{known[0].uuid}] * 8 + [2] * 8 + [0]
        assert counted.borrowed == before + 1


async def test_requests_for_the_same_new_uuids_store_them_once(counted: CountedDatabase) -> None:
    """Each service has its own queue, as each worker has."""
    services = [service_on(counted) for _ in range(4)]
    batch = records(*"abcdefgh")
    results = await asyncio.gather(*(create_all(service, [batch, batch[::-1], batch[2:]]) for service in services))
    assert sum(result for created in results for result in created if isinstance(result, int)) == len(batch)
    assert len(await services[0].list_page(None, 100)) == len(batch)


@pytest.mark.parametrize("shared_database", ["postgresql"], indirect=True)
async def test_workers_that_store_and_delete_the_same_uuids_do_not_fail(counted: CountedDatabase) -> None:
    keys = [StoredRecord(UUID(int=number), "a") for number in range(12)]
    services = [service_on(counted) for _ in range(4)]

    async def work(seed: int) -> None:
        service, choice = services[seed % len(services)], Random(seed)
        for _ in range(40):
            batch = choice.sample(keys, 6)
            await service.create(batch)
            await service.delete(batch[0].uuid)

    await asyncio.gather(*map(work, range(16)))
