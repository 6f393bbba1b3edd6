"""Records as the rest of the service sees them: get, list, create, delete."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from uuid import UUID

from anyio import CancelScope

from netvision_api.settings import Settings
from netvision_api.storage.batching import Batcher, BatchOperation
from netvision_api.storage.database import Database
from netvision_api.storage.errors import ConflictError, is_duplicate
from netvision_api.storage.models import Records, StoredRecord
from netvision_api.storage.repository import PageRequest, RecordRepository
from netvision_api.storage.sharing import Shared

READ_CONCURRENCY, WRITE_CONCURRENCY = 4, 2
MAX_KEYS = 64
MAX_PAGES = 32
MAX_BYTES = 2**20
"""What one statement may carry, in records, pages or bytes; a request that exceeds it alone has one of its own."""

COMPARING_SECONDS = 1
"""How long batches are compared before they are inserted, once one had a uuid that is stored: it is rarely the last."""

RECORD_BYTES = 64
"""What a record takes beside its text."""

COUNT_COST_FACTOR = 20
"""Counting all records may take a twentieth of the time at most, however often it is asked for."""


class RecordService:
    """The records of a database; requests that wait at the same time share a statement.

    Every method raises NoConnectionError, StandbyError or CommitOutcomeUnknownError, or the driver's exception.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.compares_until = 0.0
        timeout, write_concurrency = settings.pool_timeout, 1 if settings.is_sqlite else WRITE_CONCURRENCY
        may_read, may_write = database.reader.is_exhausted, database.writer.is_exhausted

        get = BatchOperation(self.reading, RecordRepository.get_many, may_read, MAX_KEYS)
        list_ = BatchOperation(self.reading, RecordRepository.get_pages, may_read, MAX_PAGES)
        create = BatchOperation(self.writing, self.create_batches, may_write, MAX_BYTES, size_in_bytes)
        delete = BatchOperation(self.writing, RecordRepository.delete_many, may_write, MAX_KEYS)

        self.gets = Batcher(get, timeout=timeout, max_concurrency=READ_CONCURRENCY)
        self.lists = Batcher(list_, timeout=timeout, max_concurrency=READ_CONCURRENCY)
        self.creates = Batcher(create, timeout=timeout, max_concurrency=write_concurrency)
        self.deletes = Batcher(delete, timeout=timeout, max_concurrency=write_concurrency)
        self.count = Shared(self.count_now, COUNT_COST_FACTOR)

    async def get(self, uuid: UUID) -> StoredRecord | None:
        """Return a record, None if there is none."""
        return await self.gets.submit(uuid)

    async def list_page(self, after: UUID | None, limit: int) -> Records:
        """Return the first `limit` records after a uuid, or of all; fewer if their texts exceed `PAGE_BYTES`."""
        return await self.lists.submit(PageRequest(after, limit))

    async def list_uuids(self, after: UUID | None, count: int) -> list[UUID]:
        """Return the uuids of the first `count` records after a uuid; a client that leaves does not interrupt it."""
        with CancelScope(shield=True):
            async with self.database.read_session() as session:
                uuids = await RecordRepository(session=session).get_uuids(after, count)
        return uuids

    async def create(self, batch: Records) -> int:
        """Store a batch, all of it or none, and return how many of its records are new; raises ConflictError.

        All batches that wait go into one INSERT. If any of their uuids exists already, that fails as a whole, and is
        followed by a transaction in which the records that are stored are compared and the others inserted.
        """
        return await self.creates.submit(batch)

    async def create_batches(
        self, repository: RecordRepository, batches: Sequence[Records]
    ) -> Sequence[int | ConflictError]:
        """Insert several batches; where uuids exist already, or did a moment ago, insert only what is new of them."""
        if monotonic() > self.compares_until:
            try:
                return await repository.create_many(batches)
            except Exception as error:
                if not is_duplicate(error):
                    raise
        results = await repository.create_or_compare(batches)
        if results != [len(batch) for batch in batches]:
            self.compares_until = monotonic() + COMPARING_SECONDS
        return results

    async def delete(self, uuid: UUID) -> StoredRecord | None:
        """Delete a record and return it; of concurrent deletes one gets the record, and the others None."""
        return await self.deletes.submit(uuid)

    async def count_now(self) -> int:
        """Return how many records there are; the database reads all of them."""
        async with self.database.read_session() as session:
            return await RecordRepository(session=session).count()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[RecordRepository]:
        """Borrow a connection for statements that read."""
        async with self.database.read_connection() as connection:
            yield await RecordRepository.on(connection)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[RecordRepository]:
        """Borrow a connection for statements that write."""
        async with self.database.write_connection() as connection:
            yield await RecordRepository.on(connection)


def size_in_bytes(batch: Records) -> int:
    """Return about how many bytes the records of a batch take."""
    return sum(RECORD_BYTES + len(record.text) for record in batch)
